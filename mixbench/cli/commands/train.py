"""The commands that train: run, sweep and study. Each imports only what it needs, so that it starts fast."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixbench.cli.commands.shared import (
    check_out,
    say,
    with_out,
    write_all,
)
from mixbench.cli.help import RUN_FLAGS, RUN_HELP, STUDY_HELP, SWEEP_HELP
from mixbench.core.errors import unknown

if TYPE_CHECKING:
    from mixbench.analysis.select import Options
    from mixbench.cli.flags import Flags
    from mixbench.config.compose import Composer
    from mixbench.config.identity import Job
    from mixbench.runs.datasets import Datasets


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
    from mixbench.runs.datasets import Datasets
    from mixbench.runs.own_data import resolved_all
    from mixbench.runs.planning import plan_runs
    from mixbench.runs.study import words_of_run

    flags = read(words)
    if flags.help:
        from mixbench.cli.key_help import key_help

        print(key_help(flags, (SWEEP_HELP if multirun else RUN_HELP).format(flags=RUN_FLAGS)), end="")
        return 0
    datasets = Datasets(say)
    with Composer(flags.config_dir) as composer:
        given = resolved_all(composer, flags.overrides, datasets)
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
        return _dry_run(jobs, jobs[0].cfg.results_dir, warnings, datasets)
    from mixbench.cli.console import run_and_report

    return run_and_report(jobs, jobs[0].cfg.results_dir, warnings, datasets)


def sweep(words: list[str]) -> int:
    """mixbench sweep: train one run for each combination of values."""
    return run(words, multirun=True)


def study(words: list[str]) -> int:
    """mixbench study: train the runs of a study, or of one on the user's own data, then write its table and report."""
    from mixbench.analysis import select
    from mixbench.cli.flags import YES, read
    from mixbench.cli.key_help import names_in_lines
    from mixbench.cli.words import is_data, read_selection
    from mixbench.config.compose import Composer, yaml_of
    from mixbench.config.overrides import quoted
    from mixbench.runs.datasets import Datasets
    from mixbench.runs.study import combinations, plan

    flags = read(words)
    command = shlex.join(["mixbench", "study", *words])
    datasets = Datasets(say)
    with Composer(flags.config_dir) as composer:
        if flags.help or not flags.overrides:
            print(STUDY_HELP.format(studies=names_in_lines(composer.options("study"))), end="")
            return 0 if flags.help else 2
        name, overrides, options = read_selection([*flags.overrides, *[YES] * flags.yes])
        check_out(options)
        if name is None:
            raise unknown("study", flags.overrides[0], composer.options("study"))
        if is_data(composer, name, say):
            return _study_own_data(composer, name, overrides, options, flags, datasets, command)
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
            return _dry_run(made, options.results_dir, warnings, datasets)
        from mixbench.cli.console import EXIT_INTERRUPTED, run_and_report

        status = run_and_report(made, options.results_dir, warnings, datasets)
        if status == EXIT_INTERRUPTED:
            return status
        chosen = select.of_study(composer, name, overrides, options, sources=(select.OWN,))
    write_all(chosen, command)
    return status


def _study_own_data(
    composer: "Composer",
    path: str,
    given: Sequence[str],
    options: "Options",
    flags: "Flags",
    datasets: "Datasets",
    command: str,
) -> int:
    """Train the runs of a study on the user's own data, then write its table and report. Returns the exit status."""
    from mixbench.analysis import select
    from mixbench.config.compose import yaml_of
    from mixbench.config.overrides import quoted
    from mixbench.runs.own_data import fitted
    from mixbench.runs.own_study import plan, sizes

    found = fitted(composer, path, given, options.results_dir, datasets, sizes)
    planned = plan(composer, [*found.words, f"results_dir={quoted(options.results_dir)}"], options.limit)
    jobs = planned.jobs
    if flags.show_config:
        print(yaml_of(jobs[0].cfg, flags.package, flags.resolve), end="")
        return 0
    seeds = ", ".join(dict.fromkeys(str(job.cfg.seed) for job in jobs))
    lines = [*found.lines, f"seeds {seeds}: a subset and a training seed each; seed=0,1,2,3,4 makes intervals narrower"]
    if flags.dry_run:
        return _dry_run(jobs, options.results_dir, planned.warnings, datasets, lines)
    from mixbench.cli.console import EXIT_INTERRUPTED, run_and_report

    status = run_and_report(jobs, options.results_dir, planned.warnings, datasets, lines)
    if status != EXIT_INTERRUPTED:
        options = with_out(options, "study", found.name, given)
        write_all(select.of_runs("study", [], f"Study of {found.name}", {job.id for job in jobs}, options), command)
    return status


def _dry_run(
    jobs: "Sequence[Job]",
    results_dir: str,
    warnings: Sequence[str],
    datasets: "Datasets",
    lines: Sequence[str] = (),
) -> int:
    """Print what would be trained and how long it takes. Nothing is written."""
    from mixbench.cli.console import Console
    from mixbench.config import mixture
    from mixbench.core.own_functions import is_own
    from mixbench.runs import estimate
    from mixbench.runs.cost import measure
    from mixbench.runs.planning import check_data
    from mixbench.runs.store.store import Store

    results = Store(results_dir)
    check_data(jobs, results, datasets)
    own = [job for job in jobs if any(is_own(node) for _, node in mixture.functions(job.cfg))]
    if own:
        from mixbench.training.validate import check_functions

        for job in own:
            check_functions(job.cfg)
    todo = estimate.unfinished(list({job.id: job for job in jobs}.values()), results)
    cost = measure(todo, results, lambda job: datasets.labels(job.cfg), least=1)
    if cost is not None:
        Console(results).cost(cost)
    for line in [*lines, *(f"warning: {warning}" for warning in warnings)]:
        say(line)
    print("\n".join(estimate.dry_run(jobs, results, cost.each if cost else None)))
    return 0
