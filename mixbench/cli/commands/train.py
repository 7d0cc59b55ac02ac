"""The commands that train: run, sweep and study. Each imports only what it needs, so that it starts fast."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixbench.cli.commands.shared import (
    check_out,
    say,
    warn,
    write_report,
    write_table,
)
from mixbench.cli.help import RUN_FLAGS, RUN_HELP, STUDY_HELP, SWEEP_HELP
from mixbench.core.errors import unknown

if TYPE_CHECKING:
    from mixbench.config.identity import Job


def run(words: list[str], multirun: bool = False) -> int:
    """mixbench run: train one run, or several with --multirun.

    words: words after the command.
    multirun: whether several values of a key are several runs, as with --multirun.
    Returns the exit status.
    """
    from mixbench.cli.flags import read
    from mixbench.config import overrides
    from mixbench.config.combinations import combine
    from mixbench.config.compose import Composer, yaml_of
    from mixbench.runs.own_data import resolved_all
    from mixbench.runs.planning import plan_runs
    from mixbench.runs.study import words_of_run

    flags = read(words)
    if flags.help:
        from mixbench.cli.key_help import key_help

        print(key_help(flags, (SWEEP_HELP if multirun else RUN_HELP).format(flags=RUN_FLAGS)), end="")
        return 0
    with Composer(flags.config_dir) as composer:
        given = resolved_all(composer, flags.overrides, say)
        asked = [overrides.readable(given)]
        if multirun or flags.multirun:
            asked = combine(composer, given, None if flags.yes else overrides.LIMIT)
        combinations = [words_of_run(composer, one) for one in asked]
        if flags.show_config:
            print(yaml_of(composer.compose(combinations[0]), flags.package, flags.resolve), end="")
            return 0
        planned = plan_runs(composer, combinations)
    jobs, warnings = planned.jobs, planned.warnings
    if flags.dry_run:
        return _dry_run(jobs, jobs[0].cfg.results_dir, warnings)
    from mixbench.cli.console import run_and_report

    return run_and_report(jobs, jobs[0].cfg.results_dir, warnings)


def sweep(words: list[str]) -> int:
    """mixbench sweep: train one run for each combination of values."""
    return run(words, multirun=True)


def study(words: list[str]) -> int:
    """mixbench study: train the runs of a study, then write its table, plots and report."""
    from mixbench.analysis import select
    from mixbench.cli.flags import YES, read
    from mixbench.cli.key_help import names_in_lines
    from mixbench.cli.words import read_selection
    from mixbench.config.compose import Composer, yaml_of
    from mixbench.config.overrides import quoted
    from mixbench.runs.study import combinations, plan

    flags = read(words)
    with Composer(flags.config_dir) as composer:
        if flags.help or not flags.overrides:
            print(STUDY_HELP.format(studies=names_in_lines(composer.options("study"))), end="")
            return 0 if flags.help else 2
        name, overrides, options = read_selection([*flags.overrides, *[YES] * flags.yes])
        check_out(options)
        if name is None:
            raise unknown("study", flags.overrides[0], composer.options("study"))
        results_dir = f"results_dir={quoted(options.results_dir)}"
        if flags.show_config:
            cfg = composer.compose(combinations(composer, name, overrides)[0])
            print(yaml_of(cfg, flags.package, flags.resolve), end="")
            return 0
        planned = plan(composer, name, [*overrides, results_dir], options.limit)
        select.check_shown(planned, options)
        made = planned.jobs
        warnings = list(filter(None, [planned.fewer]))
        if flags.dry_run:
            return _dry_run(made, options.results_dir, warnings)
        from mixbench.cli.console import EXIT_INTERRUPTED, run_and_report

        status = run_and_report(made, options.results_dir, warnings)
        if status == EXIT_INTERRUPTED:
            return status
        chosen = select.of_study(composer, name, overrides, options, sources=(select.OWN,))
    if len(chosen.frame):
        write_table(chosen)
        write_report(chosen, shlex.join(["mixbench", "study", *words]))
        warn(chosen)
    return status


def _dry_run(jobs: "Sequence[Job]", results_dir: str, warnings: Sequence[str]) -> int:
    from mixbench.config import mixture
    from mixbench.core.own_functions import is_own
    from mixbench.runs import estimate
    from mixbench.runs.planning import check_data
    from mixbench.runs.store.store import Store

    results = Store(results_dir)
    check_data(jobs, results)
    own = [job for job in jobs if any(is_own(node) for _, node in mixture.functions(job.cfg))]
    if own:
        from mixbench.training.validate import check_functions

        for job in own:
            check_functions(job.cfg)
    for warning in warnings:
        say(f"warning: {warning}")
    print("\n".join(estimate.dry_run(jobs, results)))
    return 0
