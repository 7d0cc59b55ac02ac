"""Observers of runs, whose methods are called while runs train. These do nothing; the command line has one that prints.

Domain functions return values and raise errors. Anything that a person should see during a run goes through an
observer. No torch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixbench.config.identity import Job
from mixbench.runs.time_left import TimeLeft

if TYPE_CHECKING:
    from mixbench.runs.cost import Cost
    from mixbench.runs.run import Result


class RunObserver:
    """Observes one run."""

    def step(self, k: int, loss: float | None) -> None:
        """Called after each step.

        k: number of the step, from 1.
        loss: loss of its batch; None if reading it would wait for the device.
        """

    def row(self, row: dict[str, float]) -> None:
        """Called after an evaluation.

        row: the new row of the history.
        """

    def warn(self, line: str) -> None:
        """Called with a warning about this run.

        line: the text of the warning.
        """

    def close(self) -> None:
        """Called when the run has ended, successfully or not."""


class Observer:
    """Observes the runs of one call."""

    def warn(self, line: str) -> None:
        """Called with a warning before anything trains.

        line: the text of the warning.
        """

    def note(self, line: str) -> None:
        """Called with the reason for a delay (a download, another process that is running), or a problem of the data.

        line: the reason or problem.
        """

    def cost(self, cost: "Cost") -> None:
        """Called before runs that will take long.

        cost: the time that they will take.
        """

    def begin(self, jobs: Sequence[Job], finished: Sequence["Result"], names: dict[str, str]) -> None:
        """Called when all jobs passed their checks.

        jobs: all jobs of the call, each once.
        finished: results of jobs that were finished before.
        names: run id -> label.
        """

    def run(self, label: str, job: Job, advice: str | None, left: TimeLeft | None) -> RunObserver:
        """Called when a run starts to train. Returns its observer.

        label: its label among the runs of this call.
        job: the run.
        advice: a hint to show once if the run is slow; None: no hint.
        left: the time left for all runs of this call; None: there is only one run.
        """
        return RunObserver()

    def end(self, result: "Result", number: int, count: int, left: float | None) -> None:
        """Called when a job has ended.

        result: its result, also if it failed.
        number: number of the job among those that had to be trained, from 1.
        count: how many had to be trained.
        left: seconds for the other jobs; None: not known.
        """

    def stopping(self) -> None:
        """Called once when the user asks to stop. It runs in a signal handler, so it must be safe there."""
