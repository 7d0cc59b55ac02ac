"""What repeated runs say: means with intervals, paired differences, how many more it would take.

Runs of one experiment are a mapping from (subset, seed) to an accuracy in percent, where `subset` says which images
were drawn (None where there is one choice alone). Subsets, where there are several, are the units: seeds of one subset
share its images and say nothing of others. No torch.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy import special

Runs = Mapping[tuple[Any, int], float]

ALPHA = 0.05  # a difference with a smaller p, after Holm's correction, counts as shown
LEVEL = 1 - ALPHA  # of every interval
POWER = 0.8  # the usual chance of showing what is there (Cohen 1988, Statistical Power Analysis, section 2.4)
# Values that are all the same are a chance of the number of test images: their spread is not 0, it is not known.
SAME = 1e-9
MOST_UNITS = 1000  # beyond which nobody will train


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


@dataclass(frozen=True)
class Difference:
    """A method's accuracy minus the baseline's on the same subsets and seeds, in points of percent.

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


def summarise(runs: Runs) -> Summary:
    """The summary of one experiment's runs. Without any, the mean is NaN."""
    values = list(runs.values())
    if not values:
        return Summary(math.nan, None, math.nan, math.nan, 0)
    units, over = _units(runs)
    sd = statistics.stdev(values) if len(values) > 1 else None
    mean = statistics.fmean(units)
    of_units = statistics.stdev(units) if len(units) > 1 else 0.0
    interval = t_interval(mean, of_units, len(units)) if of_units > SAME else None
    return Summary(mean, sd, min(values), max(values), len(values), interval, len(units), over)


def paired_difference(runs: Runs, baseline: Runs) -> Difference | None:
    """The difference of an experiment to its baseline over the (subset, seed) that both have; None without any."""
    common = {key: value - baseline[key] for key, value in runs.items() if key in baseline}
    if not common:
        return None
    units, over = _units(common)
    mean, interval, p = statistics.fmean(units), None, None
    sd = statistics.stdev(units) if len(units) > 1 else None
    if sd is not None and sd > SAME:
        interval = t_interval(mean, sd, len(units))
        p = float(2 * special.stdtr(len(units) - 1, -abs(mean) / (sd / math.sqrt(len(units)))))
    return Difference(mean, sd, interval, p, len(common), len(units), over)


def t_interval(mean: float, sd: float, count: int) -> tuple[float, float]:
    """The 95 % t interval of a mean of `count` values, at least two."""
    half = float(special.stdtrit(count - 1, 1 - ALPHA / 2)) * sd / math.sqrt(count)
    return mean - half, mean + half


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Holm 1979) of the p-values there are; None stays None."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[i] = highest
    return corrected


def power(effect: float, units: int, alpha: float) -> float:
    """The chance that a two-sided paired t test on `units` differences shows a mean of `effect` standard deviations."""
    threshold = float(special.stdtrit(units - 1, 1 - alpha / 2))
    shift = abs(effect) * math.sqrt(units)
    above, below = (float(special.nctdtr(units - 1, shift, t)) for t in (threshold, -threshold))
    # Far in the tail SciPy has no number for them: there both are 0.
    return 1 - (above if math.isfinite(above) else 0.0) + (below if math.isfinite(below) else 0.0)


def units_needed(difference: Difference, tests: int) -> int | None:
    """How many units would show this difference, if mean and spread are as seen, with a chance of 80 %.

    tests: among how many comparisons (Bonferroni's share of ALPHA, the strictest of Holm's). None where there is no
    spread to go by, or where it would take more than 1,000.
    """
    if not difference.sd or difference.mean == 0:
        return None
    effect, alpha = difference.mean / difference.sd, ALPHA / max(tests, 1)
    low, high = 1, MOST_UNITS
    if power(effect, high, alpha) < POWER:
        return None
    while high - low > 1:  # power grows with the number of units
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, middle, alpha) >= POWER else (middle, high)
    return high


def _units(runs: Runs) -> tuple[list[float], str]:
    """The subsets' means where there are several subsets, else the runs; and what they are."""
    of_subset: dict[Any, list[float]] = {}
    for (subset, _), value in runs.items():
        of_subset.setdefault(subset, []).append(value)
    if len(of_subset) > 1:
        return [statistics.fmean(values) for values in of_subset.values()], "subsets"
    return list(runs.values()), "seeds"


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values there are."""
    there = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(there) if there else None
