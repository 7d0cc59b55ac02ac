"""Train methods in rounds and stop early: which methods are in the race, which one is chosen, how sure that is.

A round trains every method in the race on one new training subset with one new seed. Everything here is a function of
all rounds so far, so a race can be resumed, and a report can say the same as the command that ran it.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mixbench.stats.race import MOST_DF, PRIOR, half_width, moderated_variance, race, reachable, variance_of_mean
from mixbench.stats.spending import FIRST, LAST, levels
from mixbench.stats.units import LEVEL

MARGIN = 2.0  # percentage points
WORSE, RULED_OUT = "worse", "not better by the margin"  # why a method left the race
CHOSEN, IMAGES, BUDGET = "chosen", "test images", "budget"  # why a race ended
FAVOUR = 2.0  # standard errors in favour of an answer, within which test images must still not allow one


@dataclass(frozen=True)
class Exit:
    """A method that left the race.

    method: index of the method.
    round: number of the round after which it left, from 1.
    by: index of the method that it was compared with.
    reason: `WORSE` (`by` is shown to be better) or `RULED_OUT` (it is not better than `by` by more than the margin).
    """

    method: int
    round: int
    by: int
    reason: str


@dataclass(frozen=True)
class Standing:
    """What is known after some rounds. Bounds hold after all rounds at once; differences are in percentage points.

    rounds: number of rounds.
    in_race: methods that need another round; none if the race has ended, except for `BUDGET`.
    exits: methods that have left the race, in the order in which they left.
    choice: the chosen method; None without one.
    qualified: methods whose shortfall is at most the margin, best first. Before the end of the race one of them can be
        used, but it is not known whether it is better than the baseline.
    shortfall: [M] upper bound on how far a method is below the best one; infinite before three rounds.
    gain: [M] mean difference to the baseline over the rounds with both; NaN without such a round.
    at_least: [M] lower bound of the gain, on which the choice rests: one-sided, and the best of all rounds. It can be
        above 0 where the interval includes 0.
    low, high: [M] simultaneous interval of the gain; infinite before three rounds.
    pairs: [M] number of rounds with both the method and the baseline.
    sd: [M] moderated standard deviation of a gain over rounds; NaN before three rounds.
    image_sd: [M] standard deviation of a gain that comes from the choice of test images; NaN where it is not known.
    worse: [M] whether another method is shown to be better.
    more_rounds: rounds until a choice if means and spreads stay as they are; 0 with a choice, None above 60 in all.
    ended: `CHOSEN`, `IMAGES` (more rounds cannot lead to a choice, more test images can), `BUDGET`, or None.
    """

    rounds: int
    in_race: tuple[int, ...]
    exits: tuple[Exit, ...]
    choice: int | None
    qualified: tuple[int, ...]
    shortfall: np.ndarray
    gain: np.ndarray
    at_least: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pairs: np.ndarray
    sd: np.ndarray
    image_sd: np.ndarray
    worse: np.ndarray
    more_rounds: int | None
    ended: str | None

    @property
    def image_share(self) -> np.ndarray:
        """[M] the share of the test images in the variance of a gain. NaN where it is not known.

        Above one half, more test images would help more than more rounds.
        """
        images = self.image_sd**2
        return images / (self.sd**2 / np.maximum(self.pairs, 1) + images)


def judge(
    accuracies: np.ndarray,
    baseline: int = 0,
    margin: float = MARGIN,
    level: float = LEVEL,
    most_rounds: int = LAST,
    correct: np.ndarray | None = None,
    family: int = 0,
    left_out: Collection[int] = (),
    stored: np.ndarray | None = None,
) -> Standing:
    """Say what all rounds so far tell about the methods.

    The chosen method is below the best one by more than the margin with a probability of at most 1 - level, whatever
    the true accuracies are. The intervals of all gains hold the truth in all rounds with probability `level`. Both are
    approximate, because variances are estimated. Every column counts as a method: keep those that were ever tried.

    accuracies: [R, M] accuracies in percent, in the order of the rounds. NaN where a method was not trained. Why it was
        not trained must not depend on its accuracy in that round.
    baseline: index of the baseline.
    margin: indifference margin in percentage points.
    level: confidence level.
    most_rounds: the budget in rounds. It may be raised later, but not above 60, the longest race.
    correct: [R, M, N] whether a test image was classified correctly. The N images are the same in every round. None if
        unknown: then everything is about these test images alone.
    family: number of methods that were ever tried, if there are more than columns; all share the error.
    left_out: methods that cannot be trained. They have no accuracies, count as tried, and are no rivals.
    stored: [R, M] for which runs `correct` is known; None: for all. The image part rests on these.
    Raises ValueError if shapes or numbers do not fit, or if there are more than 60 rounds.
    """
    accuracies = np.asarray(accuracies, dtype=float)
    if accuracies.ndim != 2 or accuracies.shape[1] < 2:
        raise ValueError(f"accuracies must be [rounds, methods] with at least two methods, not {accuracies.shape}")
    rounds, methods = accuracies.shape
    if rounds > LAST:
        raise ValueError(f"{rounds} rounds: a race has at most {LAST}")
    if not 0 <= baseline < methods:
        raise ValueError(f"baseline={baseline} is not one of the {methods} methods")
    if not (0 < margin < math.inf and 0 < level < 1):
        raise ValueError(f"margin={margin} must be positive and level={level} between 0 and 1")
    if correct is not None and (correct.ndim != 3 or correct.shape[:2] != accuracies.shape or correct.shape[2] < 2):
        raise ValueError(f"correct must be {accuracies.shape} × images, not {correct.shape}")
    pairs = Pairs(methods, 0 if correct is None else correct.shape[2])
    error = (1 - level) / (max(methods, family) - 1)  # the best method against each of the others
    absent = np.isin(np.arange(methods), list(left_out))
    upper = np.full((methods, methods), np.inf)
    exits: dict[int, Exit] = {}
    for r in range(rounds):
        pairs.add(accuracies[r], None if correct is None else correct[r], None if stored is None else stored[r])
        upper = np.minimum(upper, pairs.upper(error))
        upper[:, absent] = -np.inf  # nothing is known about a method that was never trained; it is no rival
        now = race(upper, margin, baseline)
        for m in range(methods):
            if now.runs[m] or now.choice == m:
                exits.pop(m, None)  # back in the race: the method that had ruled it out is no longer the candidate
            elif m not in exits and not absent[m]:
                by = int(now.candidate)
                if now.worse[m]:
                    by = int(np.where(np.arange(methods) == m, np.inf, upper[:, m]).argmin())
                exits[m] = Exit(method=m, round=r + 1, by=by, reason=WORSE if now.worse[m] else RULED_OUT)
    now = race(upper, margin, baseline)
    choice = int(now.choice) if now.choice >= 0 else None
    ended = CHOSEN if choice is not None else None
    trained = np.ix_(~absent, ~absent)
    enough = bool((pairs.rounds[trained] >= FIRST).all())
    if ended is None and correct is not None and enough and _images_forbid(pairs, upper, error, margin, baseline):
        ended = IMAGES
    if ended is None and rounds >= min(most_rounds, LAST):
        ended = BUDGET
    low, high = pairs.gains(baseline, error)
    sd, image_sd = pairs.spreads(baseline)
    order = np.argsort(np.where(now.worse, np.inf, now.shortfall), kind="stable")
    return Standing(
        rounds=rounds,
        in_race=() if ended in (CHOSEN, IMAGES) else tuple(np.flatnonzero(now.runs).tolist()),
        exits=tuple(exits.values()),
        choice=choice,
        qualified=tuple(m for m in order.tolist() if not now.worse[m] and now.shortfall[m] <= margin),
        shortfall=now.shortfall,
        gain=np.where(pairs.rounds[baseline] > 0, pairs.mean[baseline], np.nan),
        at_least=np.where(absent, -np.inf, -upper[:, baseline]),
        low=low,
        high=high,
        pairs=pairs.rounds[baseline].astype(int),
        sd=sd,
        image_sd=image_sd,
        worse=now.worse,
        more_rounds=_more_rounds(pairs, upper, now.runs, error, margin, baseline),
        ended=ended,
    )


def rounds_for(half: float, methods: int, spread: float, images: float = 0.0, level: float = LEVEL) -> int | None:
    """Return the number of rounds after which bounds lie at most so far from the estimates: what a margin costs.

    With `half` equal to the margin, methods with equal means can be told from better ones. With half of it, there is a
    choice whatever the means are.

    half: distance in percentage points.
    methods: number of methods, the baseline included.
    spread: standard deviation over rounds of the difference of two methods, in percentage points.
    images: part of the variance of a difference that comes from the test images, in squared percentage points.
    level: confidence level.
    Returns None if 60 rounds are not enough.
    """
    of_round = levels((1 - level) / (methods - 1))
    for rounds in range(FIRST, LAST + 1):
        df = min(rounds - 1 + PRIOR, (methods - 1) * (rounds - 1))
        own, variance = spread**2 / rounds, np.asarray(spread**2 / rounds + images)
        df = min(df * float(variance / own) ** 2, MOST_DF) if images else df
        if half_width(variance, df, of_round[rounds]) <= half:
            return rounds
    return None


class Pairs:
    """Means, variances and image covariances of the differences of all pairs, j minus i, from the rounds with both.

    methods: number of methods.
    images: number of test images whose classification is known; 0 if it is not.
    """

    def __init__(self, methods: int, images: int):
        shape = (methods, methods)
        self.images = images
        self.runs, self.rounds_seen = np.zeros(methods), 0
        self.rounds, self.mean, self.squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.rounds_with_images = np.zeros(shape)
        # Of each pair and image, the sum over rounds of the difference; of each pair, the variances over images.
        self.first, self.second = np.triu_indices(methods, 1)
        self.sums = np.zeros((len(self.first), images), dtype=np.float32)
        self.over_images = np.zeros(shape)

    def add(self, accuracies: np.ndarray, correct: np.ndarray | None, stored: np.ndarray | None = None) -> None:
        """Add a round.

        accuracies: [M] in percent, NaN for methods that were not trained.
        correct: [M, N] whether each test image was classified correctly; None if unknown.
        stored: [M] of which methods that is known; None: of all that were trained.
        """
        known = np.isfinite(accuracies)
        self.runs += known
        self.rounds_seen += bool(known.any())
        both = known[:, None] & known[None, :]
        values = np.where(known, accuracies, 0.0)
        difference = values[None, :] - values[:, None]
        self.rounds += both
        change = np.where(both, difference - self.mean, 0.0)
        self.mean += change / np.maximum(self.rounds, 1)
        self.squares += change * np.where(both, difference - self.mean, 0.0)
        if correct is not None:
            known = known if stored is None else known & stored
            both = known[:, None] & known[None, :]
            self.rounds_with_images += both
            percent = 100 * np.where(known[:, None], correct, 0).astype(np.float32)
            percent -= percent.mean(1, keepdims=True)
            covariance = percent.astype(float) @ percent.astype(float).T / (self.images - 1)
            own = np.diag(covariance)
            self.over_images += np.where(both, own[:, None] + own[None, :] - 2 * covariance, 0.0)
            used = both[self.first, self.second]
            self.sums[used] += percent[self.second[used]] - percent[self.first[used]]

    def variances(self) -> tuple[np.ndarray, np.ndarray]:
        """The moderated variances over rounds, and their degrees of freedom."""
        present = int((self.runs > 0).sum())
        residual_df = np.asarray(self.runs.sum() - self.rounds_seen - present + 1)
        return moderated_variance(self.squares / np.maximum(self.rounds - 1, 1), self.rounds, residual_df)

    def image_parts(self) -> tuple[np.ndarray, np.ndarray]:
        """The part of the variance of a mean that comes from the test images, and its standard error.

        It does not depend on the number of rounds. So it can come from the rounds whose predictions are stored; a pair
        with fewer than two of them is given the largest part of the other pairs.
        """
        if not self.images:
            return np.zeros_like(self.mean), np.zeros_like(self.mean)
        of_sum = np.zeros_like(self.mean)
        of_sum[self.first, self.second] = self.sums.var(axis=1, dtype=float, ddof=1)
        of_sum += of_sum.T
        # The mean covariance of two rounds: variance of the sum less those of its terms, by ordered pairs of rounds.
        ways = np.maximum(self.rounds_with_images * (self.rounds_with_images - 1), 1) * self.images
        part = np.maximum((of_sum - self.over_images) / ways, 0.0)
        part_sd = math.sqrt(2 / self.images) * of_sum / ways
        known = (self.rounds_with_images > 1) & ~np.eye(len(part), dtype=bool)
        if known.any():
            lacking = (self.rounds_with_images < 2) & (self.rounds > 1) & ~np.eye(len(part), dtype=bool)
            largest = np.unravel_index(np.where(known, part, -1.0).argmax(), part.shape)
            part[lacking], part_sd[lacking] = part[largest], part_sd[largest]
        return part, part_sd

    def upper(self, error: float) -> np.ndarray:
        """Upper bounds on the accuracy of j minus that of i; infinite for fewer than three rounds.

        error: probability that a pair's bound is ever below the truth.
        """
        variance, df = variance_of_mean(*self.variances(), self.rounds, *self.image_parts())
        return self.mean + half_width(variance, df, levels(error)[self.rounds.astype(int)])

    def gains(self, baseline: int, error: float) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the interval of each method's gain over the baseline.

        baseline: its index.
        error: probability that either end ever misses the truth.
        """
        upper = self.upper(error / 2)  # an error on either side
        upper[baseline, baseline] = 0.0
        return 0.0 - upper[:, baseline], upper[baseline]

    def spreads(self, baseline: int) -> tuple[np.ndarray, np.ndarray]:
        """The standard deviations of each method's gain: over rounds, and of its mean over test images.

        baseline: its index.
        """
        variance, images = self.variances()[0][baseline], self.image_parts()[0][baseline]
        known = (self.rounds[baseline] >= FIRST) & np.isfinite(variance)
        known[baseline] = False
        return (
            np.sqrt(np.where(known, variance, np.nan)),
            np.sqrt(np.where(known & (self.images > 0), images, np.nan)),
        )


def _more_rounds(
    pairs: Pairs, upper: np.ndarray, runs: np.ndarray, error: float, margin: float, baseline: int
) -> int | None:
    """The number of rounds until a choice, if means and spreads stay as they are."""
    if not runs.any():
        return 0
    variances, df = pairs.variances()
    images, images_sd = pairs.image_parts()
    both = runs[:, None] & runs[None, :]

    def chosen(more: int) -> bool:
        rounds = pairs.rounds + more * both
        variance, of_mean = variance_of_mean(variances, df + more * (runs.sum() - 1), rounds, images, images_sd)
        later = pairs.mean + half_width(variance, of_mean, levels(error)[rounds.astype(int)])
        return bool(race(np.minimum(upper, later), margin, baseline).choice >= 0)

    most = LAST - int(pairs.rounds[both].max())
    return next((more for more in range(1, most + 1) if chosen(more)), None)


def _images_forbid(pairs: Pairs, upper: np.ndarray, error: float, margin: float, baseline: int) -> bool:
    """Whether the number of test images forbids a choice, even if all that is uncertain turns out well for one."""
    variances, _ = pairs.variances()
    images, images_sd = pairs.image_parts()
    favourable = pairs.mean - FAVOUR * np.sqrt(variances / np.maximum(pairs.rounds, 1))
    fewest = np.maximum(images - FAVOUR * images_sd, 0.0)
    least = np.minimum(upper, favourable + half_width(fewest, MOST_DF, levels(error).max()))
    least = np.where(pairs.rounds > 0, least, upper)  # nothing will be known about methods left out
    return not reachable(upper, least, margin, baseline)
