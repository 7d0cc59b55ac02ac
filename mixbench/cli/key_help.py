"""`mixbench run --help`: usage, then every key of a run with its default and a one-line explanation."""

import shutil
import textwrap
from collections.abc import Iterable, Sequence

from mixbench.cli.flags import Flags
from mixbench.config.compose import Composer
from mixbench.config.keys import Key, keys_of_group, keys_of_run
from mixbench.config.method_aliases import with_alias
from mixbench.config.options import describe
from mixbench.config.overrides import parse
from mixbench.core.errors import UserError, unknown

TITLES = {
    "dataset": "Data set",
    "method": "Method",
    "augment": "Augmentation, which changes images and keeps labels",
    "model": "Network",
    "train": "Training",
    "loss": "Loss",
}
NARROWEST, WIDEST = 60, 120  # limits of the width to which help is wrapped, in characters
LONGEST = 30  # characters of KEY=DEFAULT; longer defaults are shortened


def key_help(flags: Flags, usage: str) -> str:
    """Return the help of run or sweep.

    flags: the words beside --help. A group, such as method, or an option, such as method=cutmix, selects its keys.
    usage: text before the keys if all keys are shown.
    Raises UserError for an unknown option.
    """
    with Composer(flags.config_dir) as composer:
        chosen = _chosen(composer, flags.overrides)
        asked = chosen or {group: composer.default(group) for group in TITLES}
        parts = [] if chosen else [usage, _section("Keys of a run, with their defaults:", keys_of_run(composer))]
        for group, option in asked.items():
            keys = keys_of_group(composer, group, option, flags.config_dir)
            parts.append(_group_section(composer, group, option, keys, flags.config_dir))
    if chosen:
        example = {"dataset": "digits", **chosen}
        words = " ".join(f"{group}={option}" for group, option in example.items())
        parts.append(f"Example:\n  mixbench run {words} n=50 --dry-run\n")
    return "\n".join(parts)


def _chosen(composer: Composer, words: Sequence[str]) -> dict[str, str]:
    """Return group -> the option whose keys are asked for. Mistakes in other words are ignored: the user needs help."""
    found: dict[str, str] = {}
    for word in words:
        if word in TITLES:
            found.setdefault(word, composer.default(word))
            continue
        try:
            (override,) = parse([word])
        except UserError:
            continue
        group, option = override.key_or_group, override.value()
        if group in TITLES and not override.is_sweep_override():
            if option not in composer.options(group):
                raise unknown(group, option, composer.options(group))
            found[group] = str(option)
    return found


def _group_section(composer: Composer, group: str, option: str, keys: Sequence[Key], config_dir: str | None) -> str:
    options = composer.options(group)
    names = list(dict.fromkeys(map(with_alias, options) if group == "method" else options))
    what = describe(group, config_dir).get(option, "")
    heading = f"{TITLES[group]}:\n{names_in_lines(names, f'{group}=NAME, where NAME is one of: ')}"
    return _section(heading, [Key(group, option, what), *keys])


def names_in_lines(names: Sequence[str], begin: str = "") -> str:
    """Return names in indented lines that fit the terminal.

    names: the names, separated by commas in the result.
    begin: text before the first name.
    """
    lines = textwrap.wrap(f"{begin}{', '.join(names)}", _width() - 2, break_on_hyphens=False, break_long_words=False)
    return textwrap.indent("\n".join(lines), "  ")


def _section(heading: str, keys: Iterable[Key]) -> str:
    """Return a heading with a line for each key. Long explanations are wrapped in their column."""
    rows = [(_assigned(key), key.text) for key in keys]
    left = max(len(assigned) for assigned, _ in rows) + 4
    lines = [heading]
    for assigned, text in rows:
        first, *more = textwrap.wrap(text, max(_width() - left, 20), break_on_hyphens=False) or [""]
        lines += [f"  {assigned}".ljust(left) + first, *(" " * left + line for line in more)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _assigned(key: Key) -> str:
    whole = f"{key.name}={key.default}"
    cut = max(LONGEST, len(key.name) + 4)
    return whole if len(whole) <= cut + 6 else f"{whole[:cut]}…"


def _width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))
