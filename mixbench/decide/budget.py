"""The budget of a race: time, runs or rounds."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from mixbench.core.errors import UserError
from mixbench.core.text import duration
from mixbench.stats.spending import FIRST, LAST

ROUNDS = 20  # the default
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
EXAMPLES = "such as 2h, 90min, 40runs or 10rounds"
PATTERN = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d|runs?|rounds?)")


@dataclass(frozen=True)
class Budget:
    """What a race may take. Only one of the three is limited by the user; rounds always have a limit.

    rounds: largest number of rounds.
    runs: largest number of runs of a setting, with those that were stored before; None: no limit.
    seconds: largest time of the command; None: no limit.
    """

    rounds: int = LAST
    runs: int | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        if self.seconds is not None:
            return duration(self.seconds)
        return f"{self.runs:,} runs" if self.runs is not None else f"{self.rounds} rounds"


def read(text: str) -> Budget:
    """Return the budget that a text describes.

    text: such as 2h, 90min, 40runs or 10rounds.
    Raises UserError for any other text, and for a budget in which nothing can be known.
    """
    found = PATTERN.fullmatch(text.strip())
    if found is None:
        raise UserError(f"budget={text}: must be a time, a number of runs or a number of rounds, {EXAMPLES}")
    number, unit = float(found[1]), found[2].rstrip("s") or "s"
    if unit in ("run", "round") and not number.is_integer():
        raise UserError(f"budget={text}: must be a whole number of {unit}s")
    if unit == "round" and not FIRST <= number <= LAST:
        raise UserError(f"budget={text}: must be {FIRST} to {LAST} rounds; nothing can be known after fewer")
    if unit != "round" and not number:
        raise UserError(f"budget={text}: must be more than 0, {EXAMPLES}")
    if unit == "round":
        return Budget(rounds=int(number))
    return Budget(runs=int(number)) if unit == "run" else Budget(seconds=number * SECONDS[unit])


def check(budget: Budget, methods: int) -> None:
    """Raise UserError for a number of runs with which nothing can be known.

    budget: the budget.
    methods: number of methods of a setting.
    """
    fewest = FIRST * methods
    if budget.runs is not None and budget.runs < fewest:
        raise UserError(
            f"budget={budget.runs}runs: {methods} methods need {fewest} runs for {FIRST} rounds; nothing can be known "
            "after fewer"
        )


class Spent:
    """What a command has spent of its budget.

    budget: the budget.
    clock: returns the time in seconds.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float] = time.monotonic):
        self._budget, self._clock, self._began = budget, clock, clock()
        self._runs, self._seconds = 0, 0.0  # runs that this command has trained, and their time
        self._expected: float | None = None

    def add(self, runs: int, seconds: float) -> None:
        """Note that runs were trained.

        runs: their number.
        seconds: their time together.
        """
        self._runs += runs
        self._seconds += seconds

    @property
    def is_unknown(self) -> bool:
        """Whether the time is limited, and nothing is known about that of a run."""
        return self._budget.seconds is not None and not self._runs and self._expected is None

    def expect(self, seconds: float) -> None:
        """Note how long a run will take, for the time before one has ended.

        seconds: of a run.
        """
        self._expected = seconds

    def allows(self, runs: int, of_setting: int) -> bool:
        """Whether a round fits into the budget.

        runs: the runs that the round has to train.
        of_setting: the runs that its setting then has.
        """
        if self._budget.runs is not None and of_setting > self._budget.runs:
            return False
        if self._budget.seconds is None:
            return True
        each = self._seconds / self._runs if self._runs else self._expected or 0.0
        return self._clock() - self._began + runs * each <= self._budget.seconds
