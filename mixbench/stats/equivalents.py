"""Equivalent data: the number of images with which the baseline reaches the accuracy of a method. No torch."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq, isotonic_regression

BELOW, BEYOND = 0.0, math.inf  # fewer images than the smallest measured n; more than the largest


@dataclass(frozen=True)
class Equivalent:
    """The number of images with which the baseline reaches an accuracy.

    images: number of images; BELOW or BEYOND outside the measured n.
    interval: 95 % interval, which holds for all methods of the setting together; None if it is not known.
    smallest, largest: the smallest and largest measured n.
    """

    images: float
    interval: tuple[float, float] | None
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


def equivalent_data(
    accuracy: float, curve: Mapping[int, float], errors: Mapping[int, float | None]
) -> Equivalent | None:
    """Return the number of images with which the baseline reaches a method's accuracy, with its interval.

    The interval has all numbers of images at which the baseline's accuracy differs from the method's by no more than
    the error of that difference (Fieller 1954). Between two measured n the larger error of both counts.

    accuracy: mean accuracy of the method, in percent.
    curve: n -> mean accuracy of the baseline in percent.
    errors: n -> half the length of the interval of the method's accuracy minus the baseline's accuracy at n, in
        percentage points; None if it is not known.
    Returns None if the baseline was measured at fewer than two n.
    """
    if len(curve) < 2:
        return None
    images = equivalent_images(curve, accuracy)
    return Equivalent(images, _interval(accuracy, curve, errors, images), min(curve), max(curve))


def _interval(
    accuracy: float, curve: Mapping[int, float], errors: Mapping[int, float | None], images: float
) -> tuple[float, float] | None:
    sizes, heights, _ = _monotone(tuple(sorted(curve.items())))
    halves = [half for n in sizes if (half := errors.get(n)) is not None]
    if len(halves) < len(sizes):
        return None
    ends = [images]  # always inside, even if an error is so small that no other number of images is
    if heights[0] >= accuracy - halves[0]:
        ends.append(BELOW)
    if heights[-1] <= accuracy + halves[-1]:
        ends.append(BEYOND)
    segments = zip(itertools.pairwise(heights), itertools.pairwise(halves), strict=True)
    for (left, right), of_ends in segments:
        half = max(of_ends)
        low, high = max(accuracy - half, left), min(accuracy + half, right)
        if low <= high:
            ends += [equivalent_images(curve, low), equivalent_images(curve, high)]
    return min(ends), max(ends)
