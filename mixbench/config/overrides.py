"""Read the KEY=VALUE words of a command with Hydra's grammar, with an exception for paths and other texts. No torch.

For keys that take a text (TEXTS), a value in quotes and a value that Hydra's grammar can read have Hydra's meaning. Any
other value (spaces with parentheses, commas, `=`, `~`, letters beyond ASCII) is the text itself. A path is first taken
literally: `dataset.path=a,b.npz` is one file if a file of that name exists, else the two files `a` and `b.npz`.
"""

import decimal
import itertools
import math
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Override,
    OverrideType,
    Quote,
    QuotedString,
    RangeSweep,
    ValueType,
)
from hydra.errors import HydraException

from mixbench.config import teacher
from mixbench.config.limits import LIMIT, check_count
from mixbench.config.options import shipped
from mixbench.core.banks import BANK
from mixbench.core.errors import UserError
from mixbench.core.groups import GROUPS

PATHS = ("dataset.path", "dataset.root", "bank", "pipeline", "results_dir", "out")
TEXTS = (*PATHS, "dataset.name")
PATHS_OF_METHODS = (BANK, teacher.KEY)  # last words of keys of a method, or of a part of a mixture
TAKEN = (ValueType.ELEMENT, ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP)
# Errors of Hydra's parser: its own, and Python's for very deep nesting or numbers with thousands of digits.
UNREADABLE = (HydraException, RecursionError, ValueError, OverflowError, decimal.DecimalException)


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides; their `input_line` is the text that Hydra reads.

    overrides: KEY=VALUE texts.
    Raises UserError if one is not KEY=VALUE.
    """
    return [_parsed(text) for text in overrides]


def readable(overrides: Sequence[str]) -> list[str]:
    """Return overrides as texts that Hydra's own program can read.

    overrides: KEY=VALUE texts, as a user types them.
    Raises the errors of `parse`.
    """
    return [line_of(override) for override in parse(overrides)]


def line_of(override: Override) -> str:
    """Return the text that Hydra reads. Only an override that was not made by Hydra's parser could have none.

    override: a result of `parse`.
    """
    return cast(str, override.input_line)


def values(override: Override, limit: int | None = LIMIT) -> list[Any]:
    """Return the values of an override; one if it is not a sweep.

    override: a result of `parse`.
    limit: largest number of values; None: no limit.
    Raises UserError if there are more values.
    """
    if not _several(override, limit):
        return [override.value()]
    return [value.text if isinstance(value, QuotedString) else value for value in override.sweep_iterator()]


def expand(overrides: Sequence[str], limit: int | None = LIMIT) -> list[list[str]]:
    """Return every combination of the values of a sweep. The last override varies fastest, as in Hydra's sweeper.

    Combinations are counted before they are made.

    overrides: KEY=VALUE texts, each with one or several values.
    limit: largest number of combinations; None: no limit.
    Returns KEY=VALUE texts with one value each, one list for each combination.
    Raises UserError if there are more combinations, or none.
    """
    parsed = parse(overrides)
    check_count(math.prod(map(count, parsed)), limit)
    axes = []
    for override in parsed:
        if _several(override, limit):
            key = override.get_key_element()
            axes.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            axes.append([line_of(override)])
    return [list(combination) for combination in itertools.product(*axes)]


def count(override: Override) -> int:
    """Count the values of an override without making them.

    override: a result of `parse`.
    Raises UserError if there are none.
    """
    if not override.is_sweep_override():
        return 1
    sweep = override.value()
    if isinstance(sweep, RangeSweep):
        start, stop, step = map(decimal.Decimal, _bounds(sweep))
        number = max(0, math.ceil((stop - start) / step))
    else:
        number = len(cast(ChoiceSweep, sweep).list)  # _check_supported rejects all other types
    if number == 0:
        raise UserError(f"{override.input_line}: has no values; list at least one")
    return number


def _bounds(sweep: RangeSweep) -> tuple[float, float, float]:
    """Return start, stop and step. Only a range that was not made by Hydra's parser could lack an end."""
    return cast(float, sweep.start), cast(float, sweep.stop), sweep.step


def text(value: Any) -> str:
    """Write a value of a YAML file in the grammar of overrides, which reads it as the same value.

    value: null, a boolean, a number, a text, or a list or dictionary of these.
    """
    if isinstance(value, str):
        return value if value and _reads_as(value) else quoted(value)
    return _inner(value)


def _inner(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(map(_inner, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{_inner(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, str):  # in a list or dictionary some characters, such as a colon, have an extra meaning
        return value if re.fullmatch(r"[\w.-]+", value, re.ASCII) and _reads_as(value) else quoted(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def quoted(value: str) -> str:
    """Write any text in quotes, in the grammar of overrides.

    value: the text without quotes.
    """
    return QuotedString(value, Quote.single).with_quotes()


def is_path(key: str) -> bool:
    """Whether the value of a key is a path, or can be one, such as a method's bank and teacher.

    key: a key of the configuration, or of a command.
    """
    return key in PATHS or (key.startswith("method.") and key.rpartition(".")[2] in PATHS_OF_METHODS)


def home(path: str) -> str:
    """Replace ~ in a path by the home folder, which a shell does not do after KEY=.

    path: the path as the user typed it.
    """
    return os.path.expanduser(path)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message.

    error: an exception of Hydra or OmegaConf.
    Returns the line without a full stop; the name of the exception's type if there is no message.
    """
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__


def _several(override: Override, limit: int | None) -> bool:
    check_count(count(override), limit)
    return override.is_sweep_override()


def _parsed(word: str) -> Override:
    key, _, value = word.partition("=")
    line = _text_override(key, value) if key in TEXTS or is_path(key) else word
    try:
        override = _read(line)
    except UNREADABLE as error:
        groups = sorted((group for group in GROUPS if word in shipped(group)), key=lambda group: group != "method")
        if groups:
            raise UserError(f"{word!r} is not an override; write {groups[0]}={word}") from error
        raise UserError(f"{word!r} is not an override; write key=value, as in n=500 ({first_line(error)})") from error
    _check_supported(override)
    return override


@lru_cache(maxsize=10_000)  # a sweep repeats the same words, and parsing a word takes a millisecond
def _read(line: str) -> Override:
    (override,) = OverridesParser.create().parse_overrides([line])
    return override


def _text_override(key: str, value: str) -> str:
    """Write the override of a key that takes a text, with quotes if Hydra would read another text or fail."""
    line = f"{key}={value}"
    if re.fullmatch(r"""(["']).*\1""", value, re.DOTALL):
        return line
    try:
        override = _read(line)
    except UNREADABLE:
        override = None
    if is_path(key):
        whole = home(value)
        element = override if override is not None and override.value_type == ValueType.ELEMENT else None
        if element is not None and element.value() in (None, whole):
            return line
        if _exists(whole) or (element is not None and not isinstance(element.value(), str)):
            return f"{key}={quoted(whole)}"
        pieces = [home(piece.strip()) for piece in value.split(",")]
        if override is None and len(pieces) > 1 and all(map(_exists, pieces)):
            return f"{key}={','.join(map(quoted, pieces))}"
        value = whole
    return f"{key}={quoted(value)}" if override is None else line


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)
    except ValueError:  # a character that no file system allows
        return False


def _reads_as(value: str) -> bool:
    """Whether Hydra reads the text, without quotes, as itself."""
    try:
        override = _read(f"key={value}")
    except UNREADABLE:
        return False
    return override.value_type == ValueType.ELEMENT and override.value() == value


def _check_supported(override: Override) -> None:
    """Raise UserError for syntax that Hydra's grammar has but mixbench does not support."""
    word, value = override.input_line, override.value()
    if override.type == OverrideType.DEL or override.value_type is None:
        return  # Composer reports that keys cannot be removed
    if override.value_type == ValueType.INTERVAL_SWEEP:
        raise UserError(f"{word}: an interval has infinitely many values; list them, or use range(a,b,step)")
    several = value.list if isinstance(value, ChoiceSweep) else [value]
    ends = _bounds(value) if isinstance(value, RangeSweep) else None
    shuffled = override.is_sweep_override() and (getattr(value, "shuffle", False) or getattr(value, "tags", False))
    if override.value_type not in TAKEN or shuffled or not (ends or all(map(_plain, several))):
        raise UserError(f"{word}: glob, tag and shuffle are not supported; list the values, or use range(a,b,step)")
    if ends and (not all(map(math.isfinite, ends)) or ends[2] == 0):
        raise UserError(f"{word}: has infinitely many values; list them, or use range(a,b,step) with finite numbers")


def _plain(value: Any) -> bool:
    """Whether this is a number, a text, a boolean, null, or a list or dictionary of these."""
    if isinstance(value, list):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return all(map(_plain, value.values()))
    return value is None or isinstance(value, str | int | float | bool | QuotedString)
