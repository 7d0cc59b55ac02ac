"""What a person sees while a run trains: a bar on a terminal, plain lines elsewhere. No torch."""

import math
import sys
import time

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


class RunProgress:
    """Shows one run: loss, accuracy, steps per second and the time left; `advise` is said once if it will take long."""

    def __init__(self, label: str, steps: int, setting: str, advise: str | None):
        self.label, self.steps, self.setting, self.advise = label, steps, setting, advise
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
        if self.first_step is None:
            self.first_step, self.started = k, now
            if self.bar is not None:
                self.bar.update(k - 1)  # a resumed run starts in the middle
        if self.bar is not None:
            self.bar.update(1)
            if now - self.last_text >= TEXT_EVERY:
                self.last_text = now
                self.bar.set_postfix_str(f"loss {self.loss:.3f}, acc {self.accuracy:.2f}", refresh=False)
        elif self.setting != "off" and now - self.last_line >= LINE_EVERY:
            self.last_line = now
            rate = (k - self.first_step) / max(now - self.started, 1e-9)
            left = duration((self.steps - k) / rate) if rate else "?"
            self._say(
                f"{self.label}: step {k}/{self.steps}, loss {self.loss:.3f}, acc {self.accuracy:.2f}, "
                f"{rate:.2f} steps/s, {left} left"
            )
        if self.advise and k == self.first_step + WARM:
            left = (self.steps - k) * (now - self.started) / WARM
            if left > SLOW:
                self._say(f"{self.label}: about {duration(left)} to go at this speed; {self.advise}")

    def row(self, row: dict[str, float]) -> None:
        self.loss, self.accuracy = row["train_loss"], row["eval_accuracy"]

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def _say(self, line: str) -> None:
        if self.bar is not None:
            self.bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)
