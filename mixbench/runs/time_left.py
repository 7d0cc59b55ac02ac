"""The time left for the runs of one call, estimated from the speed in this call. No torch."""

import time
from collections.abc import Callable


class TimeLeft:
    """The time left for the runs of one call. The estimate assumes that the time of a run is proportional to its steps.

    For the current run it uses that run's speed. For the others it uses the average time per step so far, including
    loading, evaluations and writing.

    steps: steps of all runs together.
    clock: returns the time in seconds; None: time.monotonic.
    """

    def __init__(self, steps: int, clock: Callable[[], float] | None = None):
        self._waiting, self._clock = steps, clock or time.monotonic
        self._done, self._seconds = 0, 0.0  # steps and seconds of the runs that have ended
        self._run: int | None = None  # steps of the current run
        self._first = self._last = 0  # its first and last step in this call; 0: none yet
        self._begun = self._since = 0.0  # times of its start and of its first step

    def begin(self, steps: int) -> None:
        """Note that a run starts.

        steps: number of its steps.
        """
        self._waiting -= steps
        self._run, self._first, self._last, self._begun = steps, 0, 0, self._clock()

    def step(self, k: int) -> None:
        """Note that the current run has done a step.

        k: number of the step. A resumed run does not start at 1.
        """
        if not self._first:
            self._first, self._since = k, self._clock()
        self._last = k

    def end(self) -> None:
        """Note that the current run has ended. A run without steps, because it was finished before, is ignored."""
        if self._first:
            self._done += self._last - self._first + 1
            self._seconds += self._clock() - self._begun
        self._run = None

    def rate(self) -> float | None:
        """Return the steps per second of the current run; None before its second step."""
        if self._run is None or not self._first or self._last == self._first:
            return None
        return (self._last - self._first) / max(self._clock() - self._since, 1e-9)

    def of_run(self) -> float | None:
        """Return the seconds until the current run is done; None if its speed is not known."""
        rate = self.rate()
        return None if rate is None or self._run is None else (self._run - self._last) / rate

    def of_all(self) -> float | None:
        """Return the seconds until all runs are done; None if no speed is known."""
        done, seconds = self._done, self._seconds
        of_run: float | None = 0.0
        if self._run is not None:
            of_run = self.of_run()
            if self._first:
                done, seconds = done + self._last - self._first + 1, seconds + self._clock() - self._begun
            if of_run is None:  # its speed is not known yet
                if not self._done:
                    return None
                of_run = self._run * self._seconds / self._done
        if not self._waiting:
            return of_run
        return of_run + self._waiting * seconds / done if done else None
