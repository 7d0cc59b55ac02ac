"""How long the runs of one call still take, by the rates that were seen in this call. No torch."""

import time
from collections.abc import Callable


class TimeLeft:
    """Seconds that the runs of one call still take, by the rates of this call. Each run counts by its steps.

    The run that trains goes on at its own rate; the others take what a step took on average until now, with all that
    belongs to a run beside its steps (loading, evaluations, writing).
    """

    def __init__(self, steps: int, clock: Callable[[], float] | None = None):
        """steps: of all runs that are to be made."""
        self._waiting, self._clock = steps, clock or time.monotonic
        self._done, self._seconds = 0, 0.0  # steps of the runs that have ended, and what they took
        self._run: int | None = None  # steps of the run that trains
        self._first = self._last = 0  # steps that it made in this call; 0: none yet
        self._begun = self._since = 0.0  # when it began, and when it made the first

    def begin(self, steps: int) -> None:
        """A run of so many steps begins."""
        self._waiting -= steps
        self._run, self._first, self._last, self._begun = steps, 0, 0, self._clock()

    def step(self, k: int) -> None:
        """The run has made step k; a resumed run does not begin at 1."""
        if not self._first:
            self._first, self._since = k, self._clock()
        self._last = k

    def end(self) -> None:
        """The run has ended, in whatever way. One that made no step, since it was found finished, says nothing."""
        if self._first:
            self._done += self._last - self._first + 1
            self._seconds += self._clock() - self._begun
        self._run = None

    def rate(self) -> float | None:
        """Steps per second of the run that trains; None before its second step."""
        if self._run is None or not self._first or self._last == self._first:
            return None
        return (self._last - self._first) / max(self._clock() - self._since, 1e-9)

    def of_run(self) -> float | None:
        """Seconds until the run that trains is done; None where its rate is not known."""
        rate = self.rate()
        return None if rate is None or self._run is None else (self._run - self._last) / rate

    def of_all(self) -> float | None:
        """Seconds until all runs are done; None where no rate is known."""
        done, seconds = self._done, self._seconds
        of_run: float | None = 0.0
        if self._run is not None:
            of_run = self.of_run()
            if self._first:
                done, seconds = done + self._last - self._first + 1, seconds + self._clock() - self._begun
            if of_run is None:  # too early for a rate of its own
                if not self._done:
                    return None
                of_run = self._run * self._seconds / self._done
        if not self._waiting:
            return of_run
        return of_run + self._waiting * seconds / done if done else None
