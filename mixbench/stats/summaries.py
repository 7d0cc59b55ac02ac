"""Means of repeated runs with their t intervals."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from scipy import special

from mixbench.stats.units import ALPHA, SAME, Runs, units_of


@dataclass(frozen=True)
class Summary:
    """What the runs of one experiment say.

    mean: of the subsets' means. sd: sample standard deviation of all runs, None for fewer than two. low, high: lowest
    and highest run. interval: the 95 % t interval of the mean over `units` subsets' means, or where there is one subset
    over its seeds; None for one unit, or where all agree. over: what the units are, subsets or seeds.
    """

    mean: float
    sd: float | None
    low: float
    high: float
    count: int
    interval: tuple[float, float] | None = None
    units: int = 0
    over: str = "seeds"


def summarise(runs: Runs) -> Summary:
    """The summary of one experiment's runs. Without any, the mean is NaN."""
    values = list(runs.values())
    if not values:
        return Summary(math.nan, None, math.nan, math.nan, 0)
    units, over = units_of(runs)
    sd = statistics.stdev(values) if len(values) > 1 else None
    mean = statistics.fmean(units)
    of_units = statistics.stdev(units) if len(units) > 1 else 0.0
    interval = t_interval(mean, of_units, len(units)) if of_units > SAME else None
    return Summary(mean, sd, min(values), max(values), len(values), interval, len(units), over)


def t_interval(mean: float, sd: float, count: int) -> tuple[float, float]:
    """The 95 % t interval of a mean of `count` values, at least two."""
    half = float(special.stdtrit(count - 1, 1 - ALPHA / 2)) * sd / math.sqrt(count)
    return mean - half, mean + half


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values there are."""
    there = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(there) if there else None
