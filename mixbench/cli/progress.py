"""What a person sees while runs train: a bar on a terminal, plain lines elsewhere. No torch."""

import math
import sys
import time
from collections.abc import Callable

from tqdm import tqdm

LINE_EVERY = 30  # seconds between plain lines
TEXT_EVERY = 0.1  # seconds between changes of the bar's text: a GPU makes a step in less time than it takes to write
SLOW = 3600  # seconds of a run on a CPU that are worth a warning
WARM = 10  # steps before the speed is believed: the first ones allocate memory and choose kernels


def wants_bar(setting: str) -> bool:
    """Whether `progress=auto|on|off` means a bar here."""
    return setting == "on" or (setting == "auto" and sys.stderr.isatty())


def duration(seconds: float) -> str:
    """Such as 45 s, 12 min, 3.4 h or 2.1 days."""
    for unit, size in (("days", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


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

    def begin(self, steps: int) -> None:
        """A run of so many steps begins."""
        self._waiting -= steps
        self._run, self._first, self._last, self._begun = steps, None, None, self._clock()

    def step(self, k: int) -> None:
        """The run has made step k; a resumed run does not begin at 1."""
        if self._first is None:
            self._first, self._since = k, self._clock()
        self._last = k

    def end(self) -> None:
        """The run has ended, in whatever way. One that made no step, since it was found finished, says nothing."""
        if self._first is not None:
            self._done += self._last - self._first + 1
            self._seconds += self._clock() - self._begun
        self._run = None

    def rate(self) -> float | None:
        """Steps per second of the run that trains; None before its second step."""
        if self._run is None or self._first is None or self._last == self._first:
            return None
        return (self._last - self._first) / max(self._clock() - self._since, 1e-9)

    def of_run(self) -> float | None:
        """Seconds until the run that trains is done; None where its rate is not known."""
        rate = self.rate()
        return None if rate is None else (self._run - self._last) / rate

    def of_all(self) -> float | None:
        """Seconds until all runs are done; None where no rate is known."""
        done, seconds = self._done, self._seconds
        of_run = 0.0 if self._run is None else self.of_run()
        if self._run is not None and self._first is not None:
            done, seconds = done + self._last - self._first + 1, seconds + self._clock() - self._begun
        if of_run is None:  # too early for a rate of its own
            if not self._done:
                return None
            of_run = self._run * self._seconds / self._done
        if not self._waiting:
            return of_run
        return of_run + self._waiting * seconds / done if done else None


class RunProgress:
    """Shows one run: loss, accuracy, speed, and the time left of it and of all; `advise` is said once if it is slow."""

    def __init__(self, label: str, steps: int, setting: str, advise: str | None = None, left: TimeLeft | None = None):
        """left: of the runs of this call, where there are several."""
        self.label, self.steps, self.setting, self.advise = label, steps, setting, advise
        self.several, self.left = left is not None, left or TimeLeft(steps)
        self.left.begin(steps)
        self.bar = None
        if wants_bar(setting):
            self.bar = tqdm(total=steps, desc=label, unit="step", leave=False, dynamic_ncols=True, smoothing=0.1)
        self.first_step: int | None = None
        self.loss = self.accuracy = math.nan
        self.last_line = time.monotonic()
        self.last_text = 0.0

    def step(self, k: int, loss: float | None) -> None:
        """Step k is done; loss: of its batch where it costs nothing to know."""
        now = time.monotonic()
        if loss is not None:
            self.loss = loss
        self.left.step(k)
        if self.first_step is None:
            self.first_step = k
            if self.bar is not None:
                self.bar.update(k - 1)  # a resumed run starts in the middle
        if self.bar is not None:
            self.bar.update(1)
            if now - self.last_text >= TEXT_EVERY:
                self.last_text = now
                self.bar.set_postfix_str(", ".join(self._known()), refresh=False)
        elif self.setting != "off" and now - self.last_line >= LINE_EVERY:
            self.last_line = now
            rate, left = self.left.rate(), self.left.of_run()
            speed = [] if rate is None else [f"{rate:.2f} steps/s, {duration(left)} left"]
            self.say(", ".join([f"step {k}/{self.steps}", *self._known(speed)]))
        if self.advise and k == self.first_step + WARM:
            left = self.left.of_run()
            if left > SLOW:
                self.say(f"about {duration(left)} to go at this speed; {self.advise}")

    def row(self, row: dict[str, float]) -> None:
        """The run was evaluated."""
        self.loss, self.accuracy = row["train_loss"], row["eval_accuracy"]

    def close(self) -> None:
        """The run has ended, in whatever way."""
        self.left.end()
        if self.bar is not None:
            self.bar.close()

    def say(self, line: str) -> None:
        """A line about this run."""
        if self.bar is not None:
            self.bar.write(f"{self.label}: {line}", file=sys.stderr)
        else:
            print(f"{self.label}: {line}", file=sys.stderr, flush=True)

    def _known(self, speed: list[str] | None = None) -> list[str]:
        """What is known of the run by now: there is no accuracy before the first evaluation."""
        known = [f"loss {self.loss:.3f}"] if not math.isnan(self.loss) else []
        known += [f"acc {self.accuracy:.2f}"] if not math.isnan(self.accuracy) else []
        known += speed or []
        left = self.left.of_all() if self.several else None
        return known + ([] if left is None else [f"{duration(left)} for all runs"])
