"""The commands that show stored runs and what there is to choose from. Each imports what it needs, no more."""

from pathlib import Path
from typing import TYPE_CHECKING

from mixbench.cli.commands.shared import (
    config_dir_of,
    nothing_stored,
    say,
    select_runs,
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
    """mixbench table: tables of stored runs."""
    if wants_help(words):
        print(TABLE_HELP.format(what="Tables", command="table"), end="")
        return 0
    from mixbench.analysis.table import as_stored, outdated

    chosen = select_runs(words)
    before = as_stored(chosen)
    status = write_table(chosen)
    chosen.problems += outdated(chosen, before)
    warn(chosen)
    return status


def plot(words: list[str]) -> int:
    """mixbench plot: plots of stored runs."""
    if wants_help(words):
        print(TABLE_HELP.format(what="Plots", command="plot"), end="")
        return 0
    chosen = select_runs(words)
    status = write_plots(chosen)
    warn(chosen)
    return status


def report(words: list[str]) -> int:
    """mixbench report: from stored runs to a decision, in one page."""
    if wants_help(words):
        print(REPORT_HELP, end="")
        return 0
    chosen = select_runs(words)
    status = write_report(chosen)
    warn(chosen)
    return status


def gallery(words: list[str]) -> int:
    """mixbench gallery: pictures of what the methods do."""
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
    """mixbench check: whether methods keep the contract."""
    from mixbench.cli.flags import ALL, read

    flags = read(words, known=("--config-dir", "-cd", ALL, "--help", "-h"))
    every = flags.every
    if flags.help or every == bool(flags.overrides):
        print(CHECK_HELP, end="")
        return 0 if flags.help else 2
    from mixbench.config.compose import Composer
    from mixbench.config.identity import job
    from mixbench.config.method_aliases import with_alias
    from mixbench.mixing.unused_draws import unused_draws
    from mixbench.training.validate import method_problems

    for word in flags.overrides:
        if "=" in word:
            raise UserError(f"{word}: check takes names of methods, as in mixbench check cutmix; it sets no keys")
    failed = 0
    made: dict[str, DictConfig | UserError] = {}
    with Composer(flags.config_dir) as composer:
        known = composer.options("method")
        for name in known if every else flags.overrides:
            try:
                made[name] = job(composer.compose([f"method={name}"])).cfg
            except UserError as error:
                if name not in known:  # a mistake in what was asked, not in a method
                    raise
                made[name] = error
    told = set()  # of --all, an alias and its method are one
    for name, cfg in made.items():
        shown = with_alias(name)
        if shown in told:
            continue
        told.add(shown)
        found = [str(cfg)] if isinstance(cfg, UserError) else method_problems(cfg)
        failed += bool(found)
        for sentence in map(one_line, found or ["ok"]):
            print(f"{shown}: {sentence}", flush=True)
        for draw in () if isinstance(cfg, UserError) or found else unused_draws(cfg.method):
            print(
                f"warning: {shown}: declares the draw {draw} and never uses it; leave it out of draws=(…)", flush=True
            )
    return 1 if failed else 0


def list_command(words: list[str]) -> int:
    """mixbench list: what a group offers, a line each."""
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
        described = _named_together(described)
    width = max(map(len, described), default=0)
    for name, text in described.items():
        print(f"{name:{width}}  {text}")
    return 0


def _named_together(described: dict[str, str]) -> dict[str, str]:
    """Methods by both of their names; an alias that is the whole name of a method has no line of its own."""
    from mixbench.config.method_aliases import aliases, with_alias

    whole = {alias for alias, method in aliases().items() if with_alias(method) == with_alias(alias)}
    return {with_alias(name): text for name, text in described.items() if name not in whole}


def status(words: list[str]) -> int:
    """mixbench status: how the runs of the store, or of a study, stand."""
    if wants_help(words):
        print(STATUS_HELP, end="")
        return 0
    from mixbench.analysis.status import status
    from mixbench.cli.words import read_selection

    config_dir, words = config_dir_of(words)
    print("\n".join(status(*read_selection(words), config_dir)))
    return 0


def write_plots(chosen: "Selection") -> int:
    from mixbench.analysis import plot

    if not len(chosen.frame):
        return nothing_stored(chosen)
    for path in plot.write(chosen):
        print(path)
    return 0
