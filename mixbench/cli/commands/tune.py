"""The command `tune`, which tunes methods with equally many trials and compares the winners."""

import shlex
import sys
from typing import TYPE_CHECKING

from mixbench.cli.commands.shared import say, warn, write_report, write_table
from mixbench.cli.help import TUNE_HELP

if TYPE_CHECKING:
    from mixbench.config.compose import Composer
    from mixbench.runs.datasets import Datasets
    from mixbench.tune.found import Trials
    from mixbench.tune.plan import Plan


def tune(words: list[str]) -> int:
    """mixbench tune: tune methods with equally many trials, then compare the winners on new subsets.

    words: words after the command.
    Returns the exit status.
    """
    from mixbench.cli.flags import CONFIG_DIR, DRY_RUN, HELP, YES, read

    flags = read(words, known=(*CONFIG_DIR, *HELP, DRY_RUN, YES))
    if flags.help or not flags.overrides:
        print(TUNE_HELP, end="")
        return 0 if flags.help else 2
    from mixbench.config.compose import Composer
    from mixbench.config.limits import LIMIT
    from mixbench.runs.datasets import Datasets
    from mixbench.tune import asked
    from mixbench.tune.plan import plan
    from mixbench.tune.search import check_optuna

    wanted = asked.read(flags.overrides)
    version = check_optuna()
    datasets = Datasets(say)
    with Composer(flags.config_dir) as composer:
        planned = plan(composer, wanted, datasets, None if flags.yes else LIMIT)
        if flags.dry_run:
            return _dry_run(composer, planned, datasets)
        return _tune(composer, planned, datasets, version, shlex.join(["mixbench", "tune", *words]))


def _tune(composer: "Composer", planned: "Plan", datasets: "Datasets", version: str, command: str) -> int:
    from mixbench.cli.console import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, run_and_report
    from mixbench.cli.tuning import TuneConsole
    from mixbench.core import files
    from mixbench.runs.cost import WORTH
    from mixbench.tune import confirm
    from mixbench.tune.cost import expected
    from mixbench.tune.found import folder, meaning, overview
    from mixbench.tune.plan import seen, validated
    from mixbench.tune.trials import run_trials

    console = TuneConsole(planned)
    dataset = datasets.of(planned.candidates[0].default)
    trained_on, validated_on = validated(planned, dataset)
    files.check_writable(folder(planned), "results_dir")
    cost, _ = expected(composer, planned, datasets.of, WORTH)
    if cost is not None:
        console.cost(cost)
    for line in _notes(planned):
        say(line)
    say(meaning(planned, trained_on, validated_on))
    overlap = seen(composer, planned, dataset)
    if overlap is not None and overlap[0]:
        say(
            f"warning: up to {overlap[0]:,} of the {overlap[1]:,} images on which a winner is evaluated are among the "
            "images of the trials, because they are held out of the same list; with eval=test or eval=val none is"
        )
    trials = run_trials(composer, planned, datasets, console)
    if trials.interrupted:
        print(
            f"interrupted: {len(trials.found):,} of {planned.trials:,} trials are finished and stored; to go on, give "
            "the same command again",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    text = overview(planned, trials, trained_on, validated_on, version)
    print(f"\n{text}")
    for path in files.write_all({folder(planned) / "tuning.md": text}):
        print(path)
    print(folder(planned) / "trials.csv")
    confirming = confirm.jobs(composer, planned, trials)
    status = EXIT_FAILED if _report_failed(trials) else EXIT_DONE
    if not confirming:
        return status
    print(f"\nThe winners, trained on all n images of {_repetitions(planned)}:")
    confirmed = run_and_report(confirming, planned.results_dir, datasets=datasets)
    if confirmed == EXIT_INTERRUPTED:
        return confirmed
    chosen = confirm.selection(planned, confirming)
    if len(chosen.frame):
        write_table(chosen)
        write_report(chosen, command)
        warn(chosen)
    return confirmed or status


def _notes(planned: "Plan") -> list[str]:
    """Return what a user should know before anything is trained."""
    lines = list(planned.left_out)
    if planned.asked.confirm and planned.one_subset:
        lines.append(
            "subset=head is one subset: the winners are compared on it with new seeds, and the result holds for these "
            "images only; subset=random or balanced compares them on new subsets"
        )
    return lines


def _repetitions(planned: "Plan") -> str:
    count = planned.asked.confirm
    if planned.one_subset:
        return f"the same subset with {count} new seed{'s' * (count > 1)}"
    return f"{count} new subset{'s' * (count > 1)}, with new seeds"


def _report_failed(trials: "Trials") -> bool:
    """Print a line for each trial that failed. Returns whether there is one."""
    for one in trials.failed:
        print(f"failed: {', '.join(map(str, one.jobs))}: {one.note}", file=sys.stderr)
    return bool(trials.failed)


def _dry_run(composer: "Composer", planned: "Plan", datasets: "Datasets") -> int:
    from mixbench.cli.tuning import TuneConsole
    from mixbench.tune.cost import expected

    cost, finished = expected(composer, planned, lambda job: datasets.labels(job.cfg), least=1)
    if cost is not None:
        TuneConsole(planned).cost(cost)
    for line in _notes(planned):
        say(line)
    lines = []
    of_splits = f" of {planned.asked.splits} runs" if planned.asked.splits > 1 else ""
    for candidate in planned.candidates:
        count, done = candidate.count(planned.asked.trials), finished[candidate.option]
        lines.append(
            f"  {candidate.shown_name}: {count:,} trials{of_splits}, {done:,} of them finished, and "
            f"{planned.asked.confirm:,} runs of the winner; {candidate.default.cfg.train.steps:,} steps each"
        )
    total = planned.trials * planned.asked.splits + len(planned.candidates) * planned.asked.confirm
    print(f"{total:,} runs; nothing is trained (dry run)", *lines, sep="\n")
    return 0
