"""The commands, each a function from its words to an exit status. Each imports what it needs, no more."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mixbench.cli.help import (
    CLEAN_HELP,
    EXPORT_HELP,
    GALLERY_HELP,
    IMPORT_HELP,
    LIST_HELP,
    REPORT_HELP,
    STATUS_HELP,
    STUDY_HELP,
    TABLE_HELP,
)
from mixbench.core.errors import one_line, unknown
from mixbench.core.groups import GROUPS

if TYPE_CHECKING:
    from mixbench.analysis.select import Selection
    from mixbench.config.assignments import Word
    from mixbench.config.identity import Job

GROUP_OF = {group.listed: name for name, group in GROUPS.items() if group.listed}


def run(words: list[str], multirun: bool = False) -> int:
    """mixbench run: one run, or with --multirun several."""
    from mixbench.cli.flags import read, show
    from mixbench.config import overrides
    from mixbench.config.combinations import collapsed, combine
    from mixbench.config.compose import Composer
    from mixbench.config.identity import job
    from mixbench.runs.study import of_run

    flags = read(words)
    if flags.help:
        return show(flags, flags.overrides)
    with Composer(flags.config_dir) as composer:
        combinations = [overrides.readable(flags.overrides)]
        if multirun or flags.multirun:
            combinations = combine(composer, flags.overrides, None if flags.yes else overrides.LIMIT)
        combinations = [of_run(composer, one) for one in combinations]
        jobs = [job(composer.compose(one), _method(one)) for one in combinations if not flags.shows]
    if flags.shows:
        return show(flags, combinations[0])
    warnings = list(filter(None, [collapsed(combinations, jobs)]))
    if flags.dry_run:
        return _dry_run(jobs, jobs[0].cfg.results_dir, warnings)
    from mixbench.runs.sweep import run_jobs

    return run_jobs(jobs, jobs[0].cfg.results_dir, warnings)


def sweep(words: list[str]) -> int:
    """mixbench sweep: one run for each combination of values."""
    return run(words, multirun=True)


def study(words: list[str]) -> int:
    """mixbench study: a study's runs, then its table, plots and report."""
    from mixbench.analysis import select as selection
    from mixbench.cli.flags import YES, read, show
    from mixbench.config.compose import Composer
    from mixbench.config.overrides import quoted
    from mixbench.runs.study import combinations, plan

    flags = read(words)
    with Composer(flags.config_dir) as composer:
        if flags.help or not flags.overrides:
            print(STUDY_HELP.format(studies=", ".join(composer.options("study"))), end="")
            return 0 if flags.help else 2
        name, overrides, options = selection.read_words([*flags.overrides, *[YES] * flags.yes])
        if name is None:
            raise unknown("study", flags.overrides[0], composer.options("study"))
        results_dir = f"results_dir={quoted(options['results_dir'])}"
        if flags.shows:
            return show(flags, combinations(composer, name, overrides)[0])
        planned = plan(composer, name, [*overrides, results_dir], options["limit"])
        selection.check_shown(planned, options)
        made = planned.jobs
        warnings = list(filter(None, [planned.fewer]))
        if flags.dry_run:
            return _dry_run(made, options["results_dir"], warnings)
        from mixbench.runs.sweep import EXIT_INTERRUPTED, run_jobs

        status = run_jobs(made, options["results_dir"], warnings)
        if status == EXIT_INTERRUPTED:
            return status
        chosen = selection.of_study(composer, name, overrides, options, sources=(selection.OWN,))
    if len(chosen.frame):
        _write_table(chosen)
        _write_report(chosen)
        _warn(chosen)
    return status


def table(words: list[str]) -> int:
    """mixbench table: tables of stored runs."""
    if _wants_help(words):
        print(TABLE_HELP.format(what="Tables", command="table"), end="")
        return 0
    from mixbench.analysis.table import as_stored, outdated

    chosen = _select(words)
    before = as_stored(chosen)
    status = _write_table(chosen)
    chosen.problems += outdated(chosen, before)
    _warn(chosen)
    return status


def plot(words: list[str]) -> int:
    """mixbench plot: plots of stored runs."""
    if _wants_help(words):
        print(TABLE_HELP.format(what="Plots", command="plot"), end="")
        return 0
    chosen = _select(words)
    status = _write_plots(chosen)
    _warn(chosen)
    return status


def report(words: list[str]) -> int:
    """mixbench report: from stored runs to a decision, in one page."""
    if _wants_help(words):
        print(REPORT_HELP, end="")
        return 0
    chosen = _select(words)
    status = _write_report(chosen)
    _warn(chosen)
    return status


def gallery(words: list[str]) -> int:
    """mixbench gallery: pictures of what the methods do."""
    if _wants_help(words):
        print(GALLERY_HELP, end="")
        return 0
    from mixbench.analysis.gallery import draw
    from mixbench.config.compose import Composer

    config_dir, words = _config_dir(words)
    out = [word.removeprefix("out=") for word in words if word.startswith("out=")]
    with Composer(config_dir) as composer:
        overrides = [word for word in words if not word.startswith("out=")]
        for path in draw.draw(composer, overrides, Path(out[-1]) if out else None):
            print(path)
    return 0


def list_command(words: list[str]) -> int:
    """mixbench list: what a group offers, a line each."""
    from mixbench.config.options import describe, unfit

    config_dir, words = _config_dir(words)
    if _wants_help(words) or not words:
        print(LIST_HELP, end="")
        return 0 if words else 2
    if len(words) != 1 or words[0] not in GROUP_OF:
        raise unknown("list", " ".join(words), GROUP_OF)
    group = GROUP_OF[words[0]]
    described = describe(group, config_dir)
    for name, reason in (unfit(group, config_dir) if config_dir else {}).items():
        described[name] = f"cannot be run: {reason}"
    width = max(map(len, described), default=0)
    for name, text in described.items():
        print(f"{name:{width}}  {text}")
    return 0


def status(words: list[str]) -> int:
    """mixbench status: how the runs of the store, or of a study, stand."""
    from mixbench.runs.status import status

    if _wants_help(words):
        print(STATUS_HELP, end="")
        return 0
    config_dir, words = _config_dir(words)
    print("\n".join(status(words, config_dir)))
    return 0


def clean(words: list[str]) -> int:
    """mixbench clean: drop what is not finished."""
    from mixbench.runs.store.cleanup import clean

    if _wants_help(words):
        print(CLEAN_HELP, end="")
        return 0
    return clean([word for word in words if word != "--yes"], yes="--yes" in words)


def export(words: list[str]) -> int:
    """mixbench export: finished runs in one file."""
    if _wants_help(words):
        print(EXPORT_HELP, end="")
        return 0
    from mixbench.runs.store import archive

    words, out, files = archive.read_words(words)
    chosen = _select(words)
    path = Path(out or archive.default_name(chosen))
    count = archive.pack(chosen, path, files)
    if count:
        print(f"{path}: {count} run{'s' * (count > 1)} from {chosen.source}/, {archive.size(path)}")
    _warn(chosen)
    return 0 if count else _nothing_stored(chosen)


def import_command(words: list[str]) -> int:
    """mixbench import: the runs of such files into the store."""
    if _wants_help(words) or not words:
        print(IMPORT_HELP, end="")
        return 0 if words else 2
    from mixbench.cli.flags import read
    from mixbench.runs.store import importing

    return importing.merge(*importing.read_words(read(words, known=("--help", "-h")).overrides))


COMMANDS = {
    "run": run,
    "sweep": sweep,
    "study": study,
    "table": table,
    "plot": plot,
    "report": report,
    "gallery": gallery,
    "list": list_command,
    "status": status,
    "clean": clean,
    "export": export,
    "import": import_command,
}


def _wants_help(words: Sequence[str]) -> bool:
    return "-h" in words or "--help" in words


def _config_dir(words: list[str]) -> tuple[str | None, list[str]]:
    """Take --config-dir FOLDER out of the words; other flags of commands that train nothing are their last words."""
    from mixbench.cli.flags import YES, read

    flags = read(words, known=("--config-dir", "-cd", YES, "--help", "-h"))
    return flags.config_dir, flags.overrides + ["--help"] * flags.help + [YES] * flags.yes


def _method(words: "Sequence[Word]") -> str | None:
    """The method as the words name it, where they do."""
    from mixbench.config.assignments import key_of, option_of

    return next((str(option_of(word)).strip("'") for word in reversed(words) if key_of(word) == "method"), None)


def _dry_run(jobs: "Sequence[Job]", results_dir: str, warnings: Sequence[str]) -> int:
    from mixbench.runs import estimate
    from mixbench.runs.store.store import Store

    for warning in warnings:
        _say(f"warning: {warning}")
    print("\n".join(estimate.dry_run(jobs, Store(results_dir))))
    return 0


def _select(words: list[str]) -> "Selection":
    from mixbench.analysis.select import select
    from mixbench.config.compose import Composer

    config_dir, words = _config_dir(words)
    with Composer(config_dir) as composer:
        return select(composer, words)


def _write_table(chosen: "Selection") -> int:
    from mixbench.analysis import table

    if len(chosen.frame) or chosen.study:  # a study's empty cells are worth showing
        print(table.markdown(chosen, table.build(chosen)))
    if not len(chosen.frame):
        return _nothing_stored(chosen)
    for path in table.write(chosen):
        print(path)
    return 0


def _write_plots(chosen: "Selection") -> int:
    from mixbench.analysis import plot

    if not len(chosen.frame):
        return _nothing_stored(chosen)
    for path in plot.write(chosen):
        print(path)
    return 0


def _write_report(chosen: "Selection") -> int:
    from mixbench.analysis import report

    if not len(chosen.frame):
        return _nothing_stored(chosen)
    print("\n".join(report.advice(chosen)))
    for path in report.write(chosen):
        print(path)
    return 0


def _nothing_stored(chosen: "Selection") -> int:
    _say(f"no run of this selection is stored in {chosen.source}/{f': {chosen.why}' if chosen.why else ''}")
    return 1


def _warn(chosen: "Selection") -> None:
    for problem in chosen.problems:
        _say(f"warning: {problem}")


def _say(line: str) -> None:
    print(one_line(line), file=sys.stderr)
