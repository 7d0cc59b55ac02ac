"""Paired differences to a baseline, tested with a paired t test."""

import math
import statistics
from dataclasses import dataclass

from scipy import special

from mixbench.stats.summaries import t_interval
from mixbench.stats.units import SAME, Runs, units_of


@dataclass(frozen=True)
class Difference:
    """A method's accuracy minus the baseline's on the same subsets and seeds, in percentage points.

    interval and p (two-sided paired t test) are None where the data cannot give them: one unit, or units that do not
    differ at all. pairs: runs that have a partner. units, over, sd: as in Summary, of the units' differences.
    """

    mean: float
    sd: float | None
    interval: tuple[float, float] | None
    p: float | None
    pairs: int
    units: int
    over: str


def paired_difference(runs: Runs, baseline: Runs) -> Difference | None:
    """The difference of an experiment to its baseline over the (subset, seed) that both have; None without any."""
    common = {key: value - baseline[key] for key, value in runs.items() if key in baseline}
    if not common:
        return None
    units, over = units_of(common)
    mean, interval, p = statistics.fmean(units), None, None
    sd = statistics.stdev(units) if len(units) > 1 else None
    if sd is not None and sd > SAME:
        interval = t_interval(mean, sd, len(units))
        p = float(2 * special.stdtr(len(units) - 1, -abs(mean) / (sd / math.sqrt(len(units)))))
    return Difference(mean, sd, interval, p, len(common), len(units), over)
