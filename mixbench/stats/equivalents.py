"""Equivalent data: how many images the baseline would need for the accuracy that a method has. No torch."""

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq, isotonic_regression

from mixbench.stats import LEVEL, Runs, summarise

RESAMPLES = 1000  # of the bootstrap, where there are too many subsets to take every resample
BELOW, BEYOND = 0.0, math.inf  # fewer images than the smallest measured n, more than the largest


@dataclass(frozen=True)
class Equivalent:
    """How many images of the baseline an accuracy is worth: BELOW or BEYOND outside the measured n.

    interval: by the bootstrap over `subsets` subsets; None for one. Of few it is too short: with three it held the
    truth in 78 % of 300 simulated studies. smallest, largest: of the measured n.
    """

    images: float
    interval: tuple[float, float] | None
    subsets: int
    smallest: int
    largest: int

    def text(self, images: float) -> str:
        """Such as 1,884, or >20,000 beyond what was measured."""
        if images == BELOW:
            return f"<{self.smallest:,}"
        return f">{self.largest:,}" if images == BEYOND else f"{images:,.0f}"


def equivalent_images(curve: Mapping[int, float], accuracy: float) -> float:
    """The smallest n at which the baseline's curve reaches the accuracy; BELOW or BEYOND outside what was measured.

    curve: n -> accuracy in percent, at least two n. Between them the curve is monotone in log n: piecewise cubic
    (PCHIP, Fritsch and Carlson 1980) through the means, which are first made monotone (isotonic regression) where
    noise has them fall.
    """
    sizes, heights, interpolated = _monotone(tuple(sorted(curve.items())))
    for n, height in zip(sizes, heights, strict=True):  # at a measured n, but for rounding
        if math.isclose(height, accuracy, rel_tol=1e-12):
            return float(n)
    if accuracy < heights[0]:
        return BELOW
    if accuracy > heights[-1]:
        return BEYOND
    after = int(np.searchsorted(heights, accuracy))  # the first n that has more than this accuracy
    ends = math.log(sizes[after - 1]), math.log(sizes[after])
    root = cast(float, brentq(lambda x: interpolated(x) - accuracy, *ends))  # SciPy has no types: a pair if full_output
    return math.exp(root)


@lru_cache(maxsize=10_000)  # the methods of a study share the baseline, and so its resampled curves
def _monotone(curve: tuple[tuple[int, float], ...]) -> tuple[tuple[int, ...], np.ndarray, PchipInterpolator]:
    """The measured n, their accuracies made monotone, and the curve through them over log n."""
    sizes, accuracies = zip(*curve, strict=True)
    heights = isotonic_regression(accuracies).x
    return sizes, heights, PchipInterpolator(np.log(sizes), heights)


def equivalent_data(runs: Runs, baseline: Mapping[int, Runs]) -> Equivalent | None:
    """What an experiment's mean accuracy is worth in images of the baseline, whose runs are given for each n.

    The subsets count that have runs of both at every n, or where there is none all. None where the baseline was not
    measured at two n at least.
    """
    baseline = {n: of_n for n, of_n in baseline.items() if of_n}
    if len(baseline) < 2 or not runs:
        return None
    curve = {n: summarise(of_n).mean for n, of_n in baseline.items()}
    images = equivalent_images(curve, summarise(runs).mean)
    by_subset = _by_subset(runs)
    curves = {n: _by_subset(of_n) for n, of_n in baseline.items()}
    common = sorted(set(by_subset).intersection(*curves.values()), key=str)
    interval = None
    if common:

        def of_drawn(drawn: Sequence) -> float:
            means = {n: statistics.fmean(of_n[s] for s in drawn) for n, of_n in curves.items()}
            return equivalent_images(means, statistics.fmean(by_subset[s] for s in drawn))

        images = of_drawn(common)  # of the same subsets as the interval, or it could lie outside
    if len(common) > 1:
        drawn, times = _resamples(common)
        values = np.repeat([of_drawn(subsets) for subsets in drawn], times)
        tail = (1 - LEVEL) / 2
        # Of order statistics, not between them: no number lies between the largest measured n and "beyond".
        low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
        interval = (float(low), float(high))
    return Equivalent(images, interval, len(common), min(baseline), max(baseline))


def _by_subset(runs: Runs) -> dict[object, float]:
    of_subset: dict[object, list[float]] = {}
    for (subset, _), value in runs.items():
        of_subset.setdefault(subset, []).append(value)
    return {subset: statistics.fmean(values) for subset, values in of_subset.items()}


def _resamples(subsets: list) -> tuple[list[tuple], list[int]]:
    """Every way to draw as many subsets with replacement, and in how many orders each comes about.

    Of too many ways 1,000 are drawn with a fixed seed.
    """
    count = len(subsets)
    if math.comb(2 * count - 1, count) <= RESAMPLES:
        ways = list(itertools.combinations_with_replacement(subsets, count))
        orders = [math.factorial(count) // math.prod(map(math.factorial, Counter(way).values())) for way in ways]
        return ways, orders
    drawn = np.random.Generator(np.random.Philox(0)).integers(count, size=(RESAMPLES, count))
    return [tuple(subsets[i] for i in row) for row in drawn.tolist()], [1] * RESAMPLES
