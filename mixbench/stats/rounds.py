"""A race in progress: which runs are needed next, and what is known, as a function of the accuracies alone.

The same accuracies in the same rounds always give the same race, whoever trains them and when. So a race can be
resumed, and a report can repeat it from stored runs.
"""

import numpy as np

from mixbench.stats.sequential import MARGIN, Standing, judge
from mixbench.stats.spending import LAST
from mixbench.stats.units import LEVEL


class Rounds:
    """The rounds of a race. Add the accuracies that `missing` names until there are none, then call `judge`.

    Only methods in the race are trained. A method that comes back into the race needs the rounds that it missed.

    methods: number of methods, the baseline first.
    margin: indifference margin in percentage points.
    most_rounds: the budget in rounds, at most 60.
    level: confidence level.
    family: number of methods that were ever tried, if there are more than these.
    """

    def __init__(
        self, methods: int, margin: float = MARGIN, most_rounds: int = LAST, level: float = LEVEL, family: int = 0
    ):
        self._margin, self._level, self._family = margin, level, family
        self._without: set[int] = set()  # methods that are not trained
        self.most_rounds = min(most_rounds, LAST)
        self._accuracies = np.full((LAST, methods), np.nan)
        self._correct: dict[tuple[int, int], np.ndarray | None] = {}
        self._in_race: tuple[int, ...] = tuple(range(methods))
        self.round = 0  # the round that is under way, from 0
        self.standing: Standing | None = None

    @property
    def missing(self) -> list[tuple[int, int]]:
        """The (method, round) whose accuracies are needed before the race can be judged again; empty at its end."""
        if self.round >= self.most_rounds or (self.standing is not None and self.standing.ended is not None):
            return []
        if not self._can_compare:
            return []
        needed = [m for m in self._in_race if m not in self._without]
        return [(m, r) for r in range(self.round + 1) for m in needed if np.isnan(self._accuracies[r, m])]

    def leave_out(self, method: int) -> None:
        """Race without a method that cannot be trained. It counts as tried, and nothing is said about it.

        method: index of the method.
        Raises ValueError after the first round: its runs would have decided who else is in the race.
        """
        if self.round:
            raise ValueError(f"method {method} cannot be left out after {self.round} rounds; begin the race anew")
        self._without.add(method)

    @property
    def _can_compare(self) -> bool:
        """Whether the baseline and another method are left."""
        return 0 not in self._without and len(self._without) < self._accuracies.shape[1] - 1

    @property
    def with_images(self) -> int:
        """The number of runs of which it is known which test images they classify correctly."""
        return sum(correct is not None for correct in self._correct.values())

    @property
    def runs(self) -> int:
        """The number of runs so far."""
        return len(self._correct)

    def add(self, method: int, round_: int, accuracy: float, correct: np.ndarray | None) -> None:
        """Add the accuracy of a run.

        method, round_: one of `missing`.
        accuracy: accuracy in percent.
        correct: bool [N], whether each test image was classified correctly; None if that is not known.
        """
        self._accuracies[round_, method] = accuracy
        self._correct[method, round_] = correct

    def judge(self) -> Standing:
        """End the round and return what is known. Raises ValueError if a run of the round is missing."""
        if self.missing:
            raise ValueError(f"round {self.round + 1} cannot be judged: {len(self.missing)} runs are missing")
        self.round += 1
        correct, stored = self._all_correct()
        self.standing = judge(
            self._accuracies[: self.round],
            margin=self._margin,
            level=self._level,
            most_rounds=self.most_rounds,
            correct=correct,
            stored=stored,
            family=self._family,
            left_out=self._without,
        )
        self._in_race = self.standing.in_race
        return self.standing

    def _all_correct(self) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Which images were classified correctly [R, M, N], and of which runs that is known [R, M].

        Both are None if it is known of no run, or if the runs have different numbers of images.
        """
        known = {place: correct for place, correct in self._correct.items() if correct is not None}
        images = {len(correct) for correct in known.values()}
        if len(images) != 1 or min(images) < 2:
            return None, None
        stored = np.zeros((self.round, self._accuracies.shape[1]), dtype=bool)
        found = np.zeros((*stored.shape, images.pop()), dtype=bool)
        for (method, round_), correct in known.items():
            found[round_, method], stored[round_, method] = correct, True
        return found, stored
