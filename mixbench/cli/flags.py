"""The flags of commands, which can be anywhere among the overrides."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from mixbench.config.folder import config_folder
from mixbench.core.errors import UserError, unknown

CFG, PACKAGE, CONFIG_DIR = ("--cfg", "-c"), ("--package", "-p"), ("--config-dir", "-cd")
TAKES_VALUE = (*CFG, *PACKAGE, *CONFIG_DIR)
HELP, MULTIRUN = ("--help", "-h"), ("--multirun", "-m")
SHOWS = (*CFG, *HELP)  # flags that show something and train nothing
DRY_RUN = "--dry-run"  # show what would be trained and how long it would take
YES = "--yes"  # continue if there are more runs than config.limits.LIMIT
ALL = "--all"
RESOLVE = "--resolve"
KNOWN = (*TAKES_VALUE, *HELP, *MULTIRUN, DRY_RUN, YES, RESOLVE)
CFG_JOB = "job"  # the only value of --cfg


@dataclass
class Flags:
    """A command's words.

    overrides: all words that are not flags.
    config_dir: the user's own configuration folder; None: no such folder.
    show_config: --cfg job.
    package: the part of the configuration that --cfg shows; None: all of it.
    resolve: --resolve: show references such as ${dataset.pad} as their values.
    multirun: --multirun.
    help: --help.
    dry_run: --dry-run.
    yes: --yes.
    every: --all.
    """

    overrides: list[str] = field(default_factory=list)
    config_dir: str | None = None
    show_config: bool = False
    package: str | None = None
    resolve: bool = False
    multirun: bool = False
    help: bool = False
    dry_run: bool = False
    yes: bool = False
    every: bool = False


def read(words: Sequence[str], known: Sequence[str] = KNOWN, folder_is_there: bool = True) -> Flags:
    """Separate flags and overrides.

    words: words of the command.
    known: flags that the command has.
    folder_is_there: whether the folder of --config-dir or MIXBENCH_CONFIG_DIR must exist.
    Raises UserError for an unknown flag, a missing or unknown value, and a folder that does not exist.
    """
    flags, rest = Flags(), list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            flags.overrides.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise UserError(f"unknown flag {name!r}{f' (did you mean {near[0]}?)' if near else ''}")
        if name in TAKES_VALUE and not equals:
            if not rest:
                raise UserError(f"{name}: needs a value; write {name} VALUE")
            value = rest.pop(0)
        if name in CFG and value != CFG_JOB:
            raise unknown(name, value, [CFG_JOB])
        if name in CONFIG_DIR:
            flags.config_dir = os.path.expanduser(value)
        if name in PACKAGE:
            flags.package = value
        flags.show_config |= name in CFG
        flags.multirun |= name in MULTIRUN
        flags.help |= name in HELP
        flags.resolve |= name == RESOLVE
        flags.dry_run |= name == DRY_RUN
        flags.yes |= name == YES
        flags.every |= name == ALL
    if (flags.package is not None or flags.resolve) and not (flags.show_config or flags.help):
        raise UserError(f"{PACKAGE[0]} and {RESOLVE} need --cfg {CFG_JOB}, which shows the configuration; add it")
    if CONFIG_DIR[0] in known and folder_is_there:
        flags.config_dir = config_folder(flags.config_dir)
    return flags
