"""Paired differences to a baseline and their paired t test."""

import math
import statistics
from dataclasses import dataclass

from scipy import special

from mixbench.stats.summaries import t_interval
from mixbench.stats.units import SAME, Runs, units_of


@dataclass(frozen=True)
class Difference:
    """A method's accuracy minus the baseline's accuracy on the same subsets and seeds, in percentage points.

    mean: mean of the units' differences.
    sd: sample standard deviation of the units' differences; None for one unit.
    interval: 95 % t interval of the mean; None for one unit or if all units are equal.
    p: p-value of the two-sided paired t test; None like interval.
    pairs: number of pairs of runs.
    units: number of units.
    over: what the units are, `subsets` or `seeds`.
    """

    mean: float
    sd: float | None
    interval: tuple[float, float] | None
    p: float | None
    pairs: int
    units: int
    over: str


def paired_difference(runs: Runs, baseline: Runs) -> Difference | None:
    """Compare an experiment with its baseline on the (subset, seed) that both have.

    runs: runs of the experiment.
    baseline: runs of the baseline.
    Returns the difference; None if they have no (subset, seed) in common.
    """
    common = {key: value - baseline[key] for key, value in runs.items() if key in baseline}
    if not common:
        return None
    units, over = units_of(common)
    mean, interval, p = statistics.fmean(units), None, None
    sd = statistics.stdev(units) if len(units) > 1 else None
    if sd is not None and sd > SAME:
        interval = t_interval(mean, sd, len(units))
        p = float(2 * special.stdtr(len(units) - 1, -abs(mean) / (sd / math.sqrt(len(units)))))
    return Difference(mean=mean, sd=sd, interval=interval, p=p, pairs=len(common), units=len(units), over=over)
