"""What a command asks of tuning: methods, ranges and choices, fixed settings and options. No torch."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mixbench.config.assignments import Assignment
from mixbench.config.identity import INERT
from mixbench.config.overrides import count, is_path, line_of, parse, text, values
from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError
from mixbench.core.groups import OF_FUNCTIONS
from mixbench.tune.space import Choices, read_range

TRIALS, SPLITS, CONFIRM, VALIDATION = "trials", "splits", "confirm", "validation"  # options of tuning, which no run has
OPTIONS = (TRIALS, SPLITS, CONFIRM, VALIDATION)
DEFAULT_TRIALS, DEFAULT_SPLITS, DEFAULT_CONFIRM = 20, 1, 5
TUNABLE = ("train", *OF_FUNCTIONS)  # groups; the other keys say which question is asked
SUBSET = "random"  # in place of head, the default of a run, because the winners need new subsets


@dataclass
class Asked:
    """What a command asks for.

    methods: options of the group method, the baseline first if the command does not name it.
    fixed: KEY=VALUE texts of all runs.
    tuned: key -> the ends of its range, or its choices.
    trials: number of trials of each method.
    splits: number of runs of each trial; each run has another seed and other validation images.
    confirm: number of new subsets on which the winners are compared; 0: none.
    validation: share or number of the n images that a trial is validated on; None: dataset.holdout.
    """

    methods: list[str]
    fixed: list[str] = field(default_factory=list)
    tuned: dict[str, tuple[float, float] | Choices] = field(default_factory=dict)
    trials: int = DEFAULT_TRIALS
    splits: int = DEFAULT_SPLITS
    confirm: int = DEFAULT_CONFIRM
    validation: str | None = None


def read(words: Sequence[str]) -> Asked:
    """Read the words of a command.

    words: KEY=VALUE texts.
    Raises UserError for a word that tuning cannot use.
    """
    asked = Asked([])
    methods = [BASELINE]
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key == TRIALS:
            asked.trials = _whole(word, value, 1)
        elif equals and key == SPLITS:
            asked.splits = _whole(word, value, 1)
        elif equals and key == CONFIRM:
            asked.confirm = _whole(word, value, 0)
        elif equals and key == VALIDATION:
            asked.validation = value
        elif equals and not is_path(key) and (ends := read_range(key, value)) is not None:
            _check_tunable(word, key)
            asked.tuned[key] = ends
        else:
            (override,) = parse([word])
            if key == "method":
                methods = [str(one) for one in values(override)]
            elif count(override) > 1:
                _check_tunable(word, key)
                asked.tuned[key] = Choices(key, tuple({text(value): value for value in values(override)}.values()))
            else:
                asked.fixed.append(line_of(override))
    keys = {word.partition("=")[0] for word in asked.fixed}
    if both := sorted(keys & asked.tuned.keys()):
        raise UserError(f"{both[0]}: is given once with one value and once with several; give it once")
    if not asked.tuned:
        raise UserError(
            "nothing to tune: give at least one key a range, as in train.weight_decay=1e-5..1e-2, or several values"
        )
    for group in asked.tuned.keys() & set(TUNABLE):
        if below := sorted(key for key in asked.tuned if key.startswith(f"{group}.")):
            raise UserError(f"{asked.tuned[group]}: cannot be tuned together with {below[0]}; give {group} one option")
    if not keys & {"subset", "study"}:
        asked.fixed.append(f"subset={SUBSET}")
    asked.methods = list(dict.fromkeys([*([] if BASELINE in methods else [BASELINE]), *methods]))
    return asked


def of_trial(asked: Asked) -> list[Assignment | str]:
    """Return the words that only trials have: they are validated on a part of the subset.

    asked: what the command asks for.
    """
    held = [] if asked.validation is None else [f"dataset.holdout={asked.validation}"]
    return ["eval=validation", *held]


def _check_tunable(word: str, key: str) -> None:
    group, dot, _ = key.partition(".")
    if group in TUNABLE and (dot or group != "method") and key not in INERT:
        return
    why = "it does not change the result" if key in INERT else "it says which question is asked"
    raise UserError(
        f"{word}: {key} cannot be tuned, because {why}; give it one value. Keys of {', '.join(TUNABLE)} can be tuned"
    )


def _whole(word: str, value: str, least: int) -> int:
    number = int(value) if re.fullmatch(r"\d{1,9}", value, re.ASCII) else -1
    if number < least:
        raise UserError(f"{word}: must be a whole number, at least {least}")
    return number
