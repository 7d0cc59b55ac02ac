"""The progress of a run: a bar on a terminal, otherwise plain lines. No torch."""

import math
import sys
import time

from tqdm import tqdm

from mixbench.core.text import duration
from mixbench.runs.observer import RunObserver
from mixbench.runs.time_left import TimeLeft

LINE_EVERY = 30  # seconds between plain lines
TEXT_EVERY = 0.1  # seconds between changes of the bar's text: on a GPU a step is faster than writing it
SLOW = 3600  # seconds left of a run from which advice is given
WARM = 10  # steps before the speed is used: the first steps allocate memory and choose kernels


def wants_bar(setting: str) -> bool:
    """Whether to show a bar.

    setting: value of the key progress: auto, on or off.
    """
    return setting == "on" or (setting == "auto" and sys.stderr.isatty())


class RunProgress(RunObserver):
    """Shows the progress of one run: loss, accuracy, speed, and the time left for it and for all runs.

    label: name of the run.
    steps: number of its steps.
    setting: value of the key progress: auto, on or off.
    advise: advice that is printed once if the run is slow.
    left: time left for all runs of this call, if there are several.
    """

    def __init__(self, label: str, steps: int, setting: str, advise: str | None = None, left: TimeLeft | None = None):
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
        """Show that step k is done. loss: loss of its batch, if it is known without extra cost."""
        now = time.monotonic()
        if loss is not None:
            self.loss = loss
        self.left.step(k)
        if self.first_step is None:
            self.first_step = k
            if self.bar is not None:
                self.bar.update(k - 1)  # a resumed run does not start at step 1
        if self.bar is not None:
            self.bar.update(1)
            if now - self.last_text >= TEXT_EVERY:
                self.last_text = now
                self.bar.set_postfix_str(", ".join(self._known()), refresh=False)
        elif self.setting != "off" and now - self.last_line >= LINE_EVERY:
            self.last_line = now
            rate, left = self.left.rate(), self.left.of_run()
            speed = [] if rate is None or left is None else [f"{rate:.2f} steps/s, {duration(left)} left"]
            self.say(", ".join([f"step {k:,} of {self.steps:,}", *self._known(speed)]))
        if self.advise and k == self.first_step + WARM:
            left = self.left.of_run()
            if left is not None and left > SLOW:
                self.say(f"about {duration(left)} left at this speed; {self.advise}")

    def row(self, row: dict[str, float]) -> None:
        """Show an evaluation. row: a row of history.csv."""
        self.loss, self.accuracy = row["train_loss"], row["eval_accuracy"]

    def close(self) -> None:
        """End the display of the run."""
        self.left.end()
        if self.bar is not None:
            self.bar.close()

    def warn(self, line: str) -> None:
        """Print a warning about this run."""
        self.say(f"warning: {line}")

    def say(self, line: str) -> None:
        """Print a line about this run.

        line: the text, which is printed after the run's label.
        """
        if self.bar is not None:
            self.bar.write(f"{self.label}: {line}", file=sys.stderr)
        else:
            print(f"{self.label}: {line}", file=sys.stderr, flush=True)

    def _known(self, speed: list[str] | None = None) -> list[str]:
        """Return the known values as texts; there is no accuracy before the first evaluation."""
        known = [f"loss {self.loss:.3f}"] if not math.isnan(self.loss) else []
        known += [f"accuracy {self.accuracy:.2f} %"] if not math.isnan(self.accuracy) else []
        known += speed or []
        left = self.left.of_all() if self.several else None
        return known + ([] if left is None else [f"{duration(left)} left for all runs"])
