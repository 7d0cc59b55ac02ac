"""Observers of runs: their methods are called as runs go on. These ignore it; the command line has one that prints.

Domain functions return values and raise errors. What a person should see while they run goes through an observer.
No torch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixbench.config.identity import Job
from mixbench.runs.time_left import TimeLeft

if TYPE_CHECKING:
    from mixbench.runs.run import Result


class RunObserver:
    """Observes one run."""

    def step(self, k: int, loss: float | None) -> None:
        """Step k is done; loss: of its batch, None where reading it would wait for the device."""

    def row(self, row: dict[str, float]) -> None:
        """The run was evaluated; row: the new line of its history."""

    def warn(self, line: str) -> None:
        """Something about this run that a person should read."""

    def close(self) -> None:
        """The run has ended, in whatever way."""


class Observer:
    """Observes the runs of one call."""

    def warn(self, line: str) -> None:
        """Something that a person should read before anything trains."""

    def note(self, line: str) -> None:
        """Why it takes time: a download, or another process that is waited for."""

    def begin(self, jobs: Sequence[Job], finished: Sequence["Result"], names: dict[str, str]) -> None:
        """All jobs can be run.

        jobs: all of the call, each once. finished: those that were finished before. names: run id -> label.
        """

    def run(self, label: str, job: Job, advice: str | None, left: TimeLeft | None) -> RunObserver:
        """A run begins to train.

        label: its name among the runs of this call. advice: worth saying once if it is slow. left: the time that all
        runs of this call take, None where there is one alone.
        """
        return RunObserver()

    def end(self, result: "Result", number: int, count: int, left: float | None) -> None:
        """A job has ended, as number `number` of `count`; left: seconds that the others will take, where known."""

    def stopping(self) -> None:
        """The user asked to stop, once. Called in a signal handler: only what is safe there."""
