"""Hydra's own flags: told apart from overrides wherever they stand, and handed to Hydra where they show something."""

import contextlib
import difflib
import io
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mixbench.config.folder import config_folder
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import OF_FUNCTIONS

if TYPE_CHECKING:
    from mixbench.config.assignments import Word

INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
CFG = ("job", "hydra", "all")
CHOICES = {("--cfg", "-c"): CFG, ("--info", "-i"): INFO}
TAKES_VALUE = ("--cfg", "-c", "--package", "-p", "--config-dir", "-cd")
SHOWS = (
    "--cfg",
    "-c",
    "--info",
    "-i",
    "--help",
    "-h",
    "--hydra-help",
    "--version",
)  # flags that show something and train nothing
DRY_RUN = "--dry-run"  # ours: what would be trained, and what it would cost
YES = "--yes"  # ours: go on where a command asks for more runs than config.limits.LIMIT
ADDED = tuple(f"{group}." for group in OF_FUNCTIONS)  # keys below may be in no YAML file
BARE = (DRY_RUN, YES, "--resolve", "--run", "-r", "--multirun", "-m", "--help", "-h", "--hydra-help")
KNOWN = (*TAKES_VALUE, *SHOWS, *BARE)


@dataclass
class Flags:
    """A command's words: what is Hydra's, and the overrides."""

    overrides: list[str] = field(default_factory=list)
    for_hydra: list[str] = field(default_factory=list)
    config_dir: str | None = None
    multirun: bool = False
    help: bool = False
    dry_run: bool = False
    yes: bool = False
    shows: bool = False


def read(words: Sequence[str], known: Sequence[str] = KNOWN) -> Flags:
    """Tell flags from overrides; Hydra's own parser wants all flags first. Raises UserError for an unknown flag."""
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
                raise UserError(f"{name} needs a value")
            value = rest.pop(0)
        if name in ("--info", "-i"):
            value = value or (rest.pop(0) if rest and rest[0] in INFO else "all")
        for flag, choices in CHOICES.items():
            if name in flag and value not in choices:
                raise unknown(name, value, choices)
        if name in ("--config-dir", "-cd"):
            flags.config_dir = value = os.path.expanduser(value)
        flags.multirun |= name in ("--multirun", "-m")
        flags.help |= name in ("--help", "-h")
        flags.shows |= name in SHOWS
        flags.dry_run |= name == DRY_RUN
        flags.yes |= name == YES
        if name not in ("--multirun", "-m", "--run", "-r", DRY_RUN, YES):
            flags.for_hydra += [name, value] if value else [name]
    if "--config-dir" in known:
        given, flags.config_dir = flags.config_dir, config_folder(flags.config_dir)
        if given is None and flags.config_dir is not None:
            flags.for_hydra += ["--config-dir", flags.config_dir]
    if all(not set(names).isdisjoint(flags.for_hydra) for names in CHOICES):
        raise UserError("--cfg and --info show different things; give one of them")
    return flags


def show(flags: Flags, given: "Sequence[Word]") -> int:
    """Let Hydra's own program show what the flags ask for, for one job. Raises UserError where it does not compose."""
    import hydra

    from mixbench.config.compose import CONFIG_MODULE, CONFIG_NAME, search_path_override
    from mixbench.config.hydra_globals import separate_hydra_state
    from mixbench.config.options import yaml_names
    from mixbench.config.own_groups import offered_folder

    completes = "-sc" in flags.for_hydra
    overrides = list(map(str, given))
    if not completes:
        overrides = _checked(flags, overrides)
    logging.raiseExceptions = False  # Hydra's handlers outlive the streams of an earlier call in this process
    before = sys.argv
    # What a part of a mixture or a user's own function takes is known only after composing: Hydra has to add it.
    words = [f"++{text}" if text.startswith(ADDED) else text for text in overrides]
    if "--hydra-help" in flags.for_hydra:  # is of Hydra itself, to which our keys mean nothing
        words = []
    told = io.StringIO()
    try:
        with (
            offered_folder(partial(yaml_names, config_dir=flags.config_dir)) as offered,
            contextlib.redirect_stderr(told),
            separate_hydra_state(),
        ):
            found = [] if completes or offered is None else search_path_override([offered])
            sys.argv = ["mixbench", *flags.for_hydra, *found, *words]
            hydra.main(config_path=f"pkg://{CONFIG_MODULE}", config_name=CONFIG_NAME, version_base="1.3")(_nothing)()
    except SystemExit as end:
        if end.code:
            raise UserError(told.getvalue().strip().splitlines()[-1]) from None
    finally:
        sys.argv = before
    return 0


def _checked(flags: Flags, words: Sequence[str]) -> list[str]:
    """The words as Hydra reads them. Raises UserError where they do not fit, but not for help, which needs none."""
    from mixbench.config.compose import Composer
    from mixbench.config.overrides import readable

    try:
        overrides = readable(words)
        with Composer(flags.config_dir) as composer:
            composer.compose(overrides)  # for its messages
        return overrides
    except UserError:
        if flags.help:
            return []
        raise


def _nothing(cfg: object) -> None:
    """Hydra wants a task; with a flag that shows something it is never called."""
