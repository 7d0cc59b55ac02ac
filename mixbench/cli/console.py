"""The output of `run`, `sweep` and `study` while they train, and their exit status."""

import sys
from collections.abc import Sequence

from mixbench.cli import streams
from mixbench.cli.progress import RunProgress
from mixbench.config.identity import Job
from mixbench.core.text import duration
from mixbench.runs.cost import Cost
from mixbench.runs.datasets import Datasets
from mixbench.runs.observer import Observer
from mixbench.runs.run import Result
from mixbench.runs.store.store import Store
from mixbench.runs.sweep import Sweep, run_jobs
from mixbench.runs.time_left import TimeLeft
from mixbench.training import rules

EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


def run_and_report(
    jobs: Sequence[Job],
    results_dir: str,
    warnings: Sequence[str] = (),
    datasets: Datasets | None = None,
    lines: Sequence[str] = (),
) -> int:
    """Train every run that is not finished, and print its progress.

    jobs: the runs.
    results_dir: folder of the results.
    warnings: lines to print before training.
    datasets: data sets that the command has loaded; None: they are loaded.
    lines: what was chosen for these runs, to be printed after their time.
    Returns the exit status: 0, 1 if a run failed, 130 after Ctrl-C. Raises as runs.sweep.run_jobs.
    """
    sweep = run_jobs(jobs, results_dir, warnings, Console(Store(results_dir), lines=lines), datasets)
    return _report_end(sweep)


def _report_end(sweep: Sweep) -> int:
    total = len(sweep.jobs)
    if sweep.interrupted:
        print(
            f"interrupted: {sweep.finished:,} of {total:,} runs are finished and stored; to resume the current run "
            "from its checkpoint, give the same command again",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    if total > 1:
        print(f"{sweep.finished:,} of {total:,} runs are finished; they are stored in {sweep.store.runs}/")
    for result in sweep.failed:
        see = f" (see {result.record})" if result.record else ""
        print(f"failed: {result.job}: {result.note}{see}", file=sys.stderr)
    return EXIT_FAILED if sweep.failed else EXIT_DONE


class Console(Observer):
    """Prints results to standard output, and everything else to standard error.

    results: the store of the runs.
    to_stderr: whether results are printed to standard error too.
    lines: what was chosen for the runs; it is printed before they begin.
    """

    def __init__(self, results: Store, to_stderr: bool = False, lines: Sequence[str] = ()):
        self._results, self._to_stderr, self._lines = results, to_stderr, lines
        self._names: dict[str, str] = {}

    def warn(self, line: str) -> None:
        print(f"warning: {line}", file=sys.stderr)

    def note(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def cost(self, cost: Cost) -> None:
        line = f"{cost}; whatever is stopped goes on with the same command"
        if cost.is_long:
            self.warn(f"{line}. Fewer train.steps, a smaller model.width or dataset.size, or a GPU make it shorter")
        else:
            self.note(line)

    def begin(self, jobs: Sequence[Job], finished: Sequence[Result], names: dict[str, str]) -> None:
        self._names = names
        for line in self._lines:
            self.note(line)
        if len(jobs) == 1 and finished:
            self._print(self._line(finished[0], 1, 1))
        elif len(jobs) > 1:
            others = sum(bool(result.note) for result in finished)
            by_others = f" ({others:,} of these by other code)" if others else ""
            self._print(f"{len(jobs):,} runs; {len(finished):,} are already finished{by_others}")

    def run(self, label: str, job: Job, advice: str | None, left: TimeLeft | None) -> RunProgress:
        return RunProgress(label, job.cfg.train.steps, job.cfg.progress, advice, left)

    def end(self, result: Result, number: int, count: int, left: float | None) -> None:
        line = self._line(result, number, count)
        if left is not None and result.job.cfg.progress != "off":
            line += f"; about {duration(left)} left"
        self._print(line)

    def stopping(self) -> None:
        streams.write_from_signal("stopping after this step; press Ctrl-C again to stop at once")

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr if self._to_stderr else sys.stdout, flush=True)

    def _line(self, result: Result, number: int, count: int) -> str:
        name = self._names[result.job.id]
        label = f"[{number}/{count}] {name}" if count > 1 else name
        found = result.metrics
        if result.status == "failed" or found is None:
            return f"{label}: failed"
        best = rules.rule("best", rules.images([result.job.identity["eval"]]))
        line = (
            f"{label}: accuracy {found['final_accuracy']:.2f} % final, {found['median10_accuracy']:.2f} % median "
            f"of last 10, {found['best_accuracy']:.2f} % {best.short}; {found['seconds']:.0f} s"
        )
        if result.status == "finished":
            line += f" (finished before{f'; {result.note}' if result.note else ''})"
        return line if count > 1 else f"{line}\n{self._results.folder(result.job.id)}/"
