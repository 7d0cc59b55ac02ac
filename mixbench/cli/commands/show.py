"""The commands that show stored runs, methods and options. Each imports only what it needs, so that it starts fast."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mixbench.cli.commands.shared import (
    config_dir_of,
    no_runs,
    say,
    select_compared,
    wants_help,
    warn,
    write_report,
    write_table,
)
from mixbench.cli.help import CHECK_HELP, GALLERY_HELP, LIST_HELP, REPORT_HELP, STATUS_HELP, TABLE_HELP
from mixbench.core.errors import UserError, one_line, unknown
from mixbench.core.groups import GROUPS

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mixbench.analysis.select import Selection


GROUP_OF = {group.listed: name for name, group in GROUPS.items() if group.listed}


def table(words: list[str]) -> int:
    """mixbench table: write tables of stored runs."""
    if wants_help(words):
        print(TABLE_HELP.format(what="Tables", command="table"), end="")
        return 0
    from mixbench.analysis.table import outdated, stored_accuracies

    chosen = select_compared(words)
    before = stored_accuracies(chosen)
    status = write_table(chosen)
    chosen.problems += outdated(chosen, before)
    warn(chosen)
    return status


def plot(words: list[str]) -> int:
    """mixbench plot: draw plots of stored runs."""
    if wants_help(words):
        print(TABLE_HELP.format(what="Plots", command="plot"), end="")
        return 0
    chosen = select_compared(words)
    status = _write_plots(chosen)
    warn(chosen)
    return status


def report(words: list[str]) -> int:
    """mixbench report: write a page with a recommendation and its evidence."""
    if wants_help(words):
        print(REPORT_HELP, end="")
        return 0
    chosen = select_compared(words)
    status = write_report(chosen, shlex.join(["mixbench", "report", *words]))
    warn(chosen)
    return status


def gallery(words: list[str]) -> int:
    """mixbench gallery: draw what methods do to images."""
    if wants_help(words):
        print(GALLERY_HELP, end="")
        return 0
    from mixbench.analysis.gallery import draw
    from mixbench.config.compose import Composer

    config_dir, words = config_dir_of(words)
    out = [word.removeprefix("out=") for word in words if word.startswith("out=")]
    with Composer(config_dir) as composer:
        overrides = [word for word in words if not word.startswith("out=")]
        for path in draw.draw(composer, overrides, Path(out[-1]) if out else None, say):
            print(path)
    return 0


def check(words: list[str]) -> int:
    """mixbench check: test whether methods keep the contract."""
    from mixbench.cli.flags import ALL, read

    flags = read(words, known=("--config-dir", "-cd", ALL, "--help", "-h"))
    every = flags.every
    if flags.help or every == bool(flags.overrides):
        print(CHECK_HELP, end="")
        return 0 if flags.help else 2
    from mixbench.config.compose import Composer
    from mixbench.config.identity import job
    from mixbench.config.method_aliases import with_alias
    from mixbench.mixing.rows import other_cost
    from mixbench.mixing.unused_draws import unused_draws
    from mixbench.training.validate import method_problems

    for word in flags.overrides:
        if "=" in word:
            raise UserError(f"{word}: check takes names of methods and no keys, as in mixbench check cutmix")
    failed = 0
    made: dict[str, DictConfig | UserError] = {}
    with Composer(flags.config_dir) as composer:
        known = composer.options("method")
        for name in known if every else flags.overrides:
            try:
                made[name] = job(composer.compose([f"method={name}"])).cfg
            except UserError as error:
                if name not in known:  # a mistake in the command, not in a method
                    raise
                made[name] = error
    done = set()  # with --all, an alias and its method are checked once
    for name, cfg in made.items():
        shown = with_alias(name)
        if shown in done:
            continue
        done.add(shown)
        found = [str(cfg)] if isinstance(cfg, UserError) else method_problems(cfg)
        failed += bool(found)
        for sentence in map(one_line, found or ["ok"]):
            print(f"{shown}: {sentence}", flush=True)
        if isinstance(cfg, UserError) or found:
            continue
        for draw in unused_draws(cfg.method):
            print(f"warning: {shown}: declares the draw {draw} but never uses it; remove it from draws=(…)", flush=True)
        if (rows := other_cost(cfg.method)) is not None:
            print(
                f"warning: {shown}: trains {rows:g} rows for each image; write cost: {rows:g} into its YAML file",
                flush=True,
            )
    return 1 if failed else 0


def list_command(words: list[str]) -> int:
    """mixbench list: print the options of a group, one per line."""
    from mixbench.config.options import describe
    from mixbench.core import own_functions

    config_dir, words = config_dir_of(words)
    if wants_help(words) or not words:
        print(LIST_HELP, end="")
        return 0 if words else 2
    if len(words) != 1 or words[0] not in GROUP_OF:
        raise unknown("list", " ".join(words), GROUP_OF)
    group = GROUP_OF[words[0]]
    described = describe(group, config_dir)
    if config_dir or own_functions.offered(group):
        from mixbench.analysis.own_options import unfit

        for name, reason in unfit(group, config_dir).items():
            described[name] = f"cannot be run: {reason}"
    if group == "method":
        described = _with_both_names(described)
    width = max(map(len, described), default=0)
    for name, text in described.items():
        print(f"{name:{width}}  {text}")
    return 0


def _with_both_names(described: dict[str, str]) -> dict[str, str]:
    """Return the methods with both of their names. Aliases that are part of such a name have no line of their own."""
    from mixbench.config.method_aliases import aliases, with_alias

    included = {alias for alias, method in aliases().items() if with_alias(method) == with_alias(alias)}
    return {with_alias(name): text for name, text in described.items() if name not in included}


def status(words: list[str]) -> int:
    """mixbench status: show the states of stored runs, or of the runs of a study."""
    if wants_help(words):
        print(STATUS_HELP, end="")
        return 0
    from mixbench.analysis.status import status
    from mixbench.cli.words import read_selection

    config_dir, words = config_dir_of(words)
    print("\n".join(status(*read_selection(words), config_dir)))
    return 0


def _write_plots(chosen: "Selection") -> int:
    """Write the plots of a selection. Returns the exit status."""
    from mixbench.analysis import plot

    if not len(chosen.frame):
        return no_runs(chosen)
    for path in plot.write(chosen):
        print(path)
    return 0
