"""Means of repeated runs and their t intervals."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from scipy import special

from mixbench.stats.units import ALPHA, SAME, Runs, units_of


@dataclass(frozen=True)
class Summary:
    """Summary statistics of the runs of one experiment, in the unit of the runs.

    mean: mean of the units.
    sd: sample standard deviation of all runs; None for fewer than two runs.
    low, high: lowest and highest run.
    count: number of runs.
    interval: 95 % t interval of the mean over the units; None for one unit or if all units are equal.
    units: number of units.
    over: what the units are: `subsets` (their means), or `seeds` if there is only one subset.
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
    """Summarise the runs of one experiment.

    runs: accuracies in percent, by (subset, seed).
    Returns the summary. Without runs, its mean, low and high are NaN.
    """
    values = list(runs.values())
    if not values:
        return Summary(mean=math.nan, sd=None, low=math.nan, high=math.nan, count=0)
    units, over = units_of(runs)
    sd = statistics.stdev(values) if len(values) > 1 else None
    mean = statistics.fmean(units)
    of_units = statistics.stdev(units) if len(units) > 1 else 0.0
    interval = t_interval(mean, of_units, len(units)) if of_units > SAME else None
    return Summary(
        mean=mean,
        sd=sd,
        low=min(values),
        high=max(values),
        count=len(values),
        interval=interval,
        units=len(units),
        over=over,
    )


def t_interval(mean: float, sd: float, count: int) -> tuple[float, float]:
    """Return the 95 % t interval of a mean.

    mean: the mean.
    sd: sample standard deviation of the values.
    count: number of values, at least two.
    """
    half = float(special.stdtrit(count - 1, 1 - ALPHA / 2)) * sd / math.sqrt(count)
    return mean - half, mean + half


def mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean of the finite values.

    values: numbers in any one unit. None, NaN and infinite values are ignored.
    Returns the mean in the same unit; None if no value is finite.
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(finite) if finite else None
