"""Equivalent data: the number of images with which the baseline reaches the accuracy of a method. No torch."""

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

RESAMPLES = 1000  # bootstrap resamples, if there are too many subsets to use all possible resamples
BELOW, BEYOND = 0.0, math.inf  # fewer images than the smallest measured n; more than the largest


@dataclass(frozen=True)
class Equivalent:
    """The number of images with which the baseline reaches an accuracy.

    images: number of images; BELOW or BEYOND outside the measured n.
    interval: 95 % bootstrap interval over subsets; None for one subset. It is too short for few subsets: with three it
        contained the true value in 78 % of 300 simulated studies.
    subsets: number of subsets.
    smallest, largest: the smallest and largest measured n.
    """

    images: float
    interval: tuple[float, float] | None
    subsets: int
    smallest: int
    largest: int

    def text(self, images: float) -> str:
        """Format a number of images, such as 1,884, or >20,000 if it is above the largest measured n.

        images: number of images; BELOW or BEYOND outside the measured n.
        """
        if images == BELOW:
            return f"<{self.smallest:,}"
        return f">{self.largest:,}" if images == BEYOND else f"{images:,.0f}"


def equivalent_images(curve: Mapping[int, float], accuracy: float) -> float:
    """Return the smallest n at which the baseline's curve reaches an accuracy.

    The means are made monotone by isotonic regression, because noise can make them fall. Between them the curve is a
    monotone piecewise cubic in log n.

    curve: n -> accuracy in percent, for at least two n.
    accuracy: the accuracy in percent.
    Returns the number of images; BELOW or BEYOND outside the measured n.
    Source: PCHIP, Fritsch and Carlson 1980.
    """
    sizes, heights, interpolated = _monotone(tuple(sorted(curve.items())))
    for n, height in zip(sizes, heights, strict=True):  # equal to a measured n up to rounding
        if math.isclose(height, accuracy, rel_tol=1e-12):
            return float(n)
    if accuracy < heights[0]:
        return BELOW
    if accuracy > heights[-1]:
        return BEYOND
    after = int(np.searchsorted(heights, accuracy))  # the first n with more than this accuracy
    ends = math.log(sizes[after - 1]), math.log(sizes[after])
    root = cast(float, brentq(lambda x: interpolated(x) - accuracy, *ends))  # SciPy has no types: a pair if full_output
    return math.exp(root)


@lru_cache(maxsize=10_000)  # the methods of a study share the baseline and its resampled curves
def _monotone(curve: tuple[tuple[int, float], ...]) -> tuple[tuple[int, ...], np.ndarray, PchipInterpolator]:
    """Return the measured n, their accuracies after isotonic regression, and the curve through them over log n."""
    sizes, accuracies = zip(*curve, strict=True)
    heights = isotonic_regression(accuracies).x
    return sizes, heights, PchipInterpolator(np.log(sizes), heights)


def equivalent_data(runs: Runs, baseline: Mapping[int, Runs]) -> Equivalent | None:
    """Return the number of images with which the baseline reaches an experiment's mean accuracy.

    Only subsets are used that have runs of the experiment and of the baseline at every n; if there are none, all are.

    runs: runs of the experiment.
    baseline: n -> runs of the baseline.
    Returns None if the experiment has no runs or the baseline was measured at fewer than two n.
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

        images = of_drawn(common)  # from the same subsets as the interval, else it could lie outside the interval
    if len(common) > 1:
        drawn, times = _resamples(common)
        values = np.repeat([of_drawn(subsets) for subsets in drawn], times)
        tail = (1 - LEVEL) / 2
        # The quantiles are order statistics: interpolating between the largest measured n and BEYOND is meaningless.
        low, high = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
        interval = (float(low), float(high))
    return Equivalent(
        images=images, interval=interval, subsets=len(common), smallest=min(baseline), largest=max(baseline)
    )


def _by_subset(runs: Runs) -> dict[object, float]:
    of_subset: dict[object, list[float]] = {}
    for (subset, _), value in runs.items():
        of_subset.setdefault(subset, []).append(value)
    return {subset: statistics.fmean(values) for subset, values in of_subset.items()}


def _resamples(subsets: list) -> tuple[list[tuple], list[int]]:
    """Return all resamples of the subsets with replacement, and the number of orders in which each can be drawn.

    If there are more than 1,000, then 1,000 are drawn with a fixed seed instead.
    """
    count = len(subsets)
    if math.comb(2 * count - 1, count) <= RESAMPLES:
        ways = list(itertools.combinations_with_replacement(subsets, count))
        orders = [math.factorial(count) // math.prod(map(math.factorial, Counter(way).values())) for way in ways]
        return ways, orders
    drawn = np.random.Generator(np.random.Philox(0)).integers(count, size=(RESAMPLES, count))
    return [tuple(subsets[i] for i in row) for row in drawn.tolist()], [1] * RESAMPLES
