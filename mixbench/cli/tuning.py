"""What `mixbench tune` prints while it trains."""

from collections.abc import Sequence

from mixbench.cli.console import Console
from mixbench.cli.progress import RunProgress
from mixbench.config.identity import Job
from mixbench.core.text import duration
from mixbench.runs.cost import Cost
from mixbench.runs.run import Result
from mixbench.runs.store.store import Store
from mixbench.runs.time_left import TimeLeft
from mixbench.tune.found import Trial, accuracy_text, settings_text
from mixbench.tune.plan import Plan
from mixbench.tune.trials import TuningObserver


class TuneConsole(Console, TuningObserver):
    """Prints one line for each trial. The runs of trials are not announced one by one.

    planned: the plan.
    """

    def __init__(self, planned: Plan):
        super().__init__(Store(planned.results_dir))
        self._planned, self._warned = planned, set[str]()
        self._done, self._seconds = 0, list[float]()
        self._told = False

    def cost(self, cost: Cost) -> None:
        if not self._told:  # the first is the time of all trials, and each trial has one
            self._told = True
            super().cost(cost)

    def warn(self, line: str) -> None:
        if line not in self._warned:  # every trial has the same images
            self._warned.add(line)
            super().warn(line)

    def begin(self, jobs: Sequence[Job], finished: Sequence[Result], names: dict[str, str]) -> None:
        pass

    def run(self, label: str, job: Job, advice: str | None, left: TimeLeft | None) -> RunProgress:
        return super().run(f"[{self._done + 1}/{self._planned.trials}] {label}", job, advice, left)

    def end(self, result: Result, number: int, count: int, left: float | None) -> None:
        pass

    def stopping(self) -> None:
        TuningObserver.stopping(self)
        super().stopping()

    def trial(self, done: Trial) -> None:
        self._done += 1
        result = accuracy_text(done) if done.accuracy is not None else f"failed ({done.note})"
        line = f"[{self._done}/{self._planned.trials}] {done.candidate.shown_name}: {settings_text(done)}: {result}"
        if done.accuracy is not None and done.seconds is None:
            line += f" (finished before{f'; {done.note}' if done.note else ''})"
        if done.seconds is not None:
            self._seconds.append(done.seconds)
            left = (self._planned.trials - self._done) * sum(self._seconds) / len(self._seconds)
            line += f"; {done.seconds:.0f} s" + (f"; about {duration(left)} left" if left else "")
        self._print(line)
