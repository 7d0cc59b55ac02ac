"""The power of a paired t test, and the number of units needed for a given power."""

import math

from scipy import special

from mixbench.stats.paired import Difference
from mixbench.stats.units import ALPHA

POWER = 0.8  # the conventional power (Cohen 1988, Statistical Power Analysis, section 2.4)
MOST_UNITS = 1000  # more units are not practical


def power(effect: float, units: int, alpha: float) -> float:
    """Return the power of a two-sided paired t test.

    effect: mean difference divided by its standard deviation.
    units: number of differences, at least two.
    alpha: significance level.
    """
    threshold = float(special.stdtrit(units - 1, 1 - alpha / 2))
    shift = abs(effect) * math.sqrt(units)
    above, below = (float(special.nctdtr(units - 1, shift, t)) for t in (threshold, -threshold))
    # Far in the tail SciPy returns NaN; both probabilities are 0 there.
    return 1 - (above if math.isfinite(above) else 0.0) + (below if math.isfinite(below) else 0.0)


def units_needed(difference: Difference, tests: int) -> int | None:
    """Return the number of units that would make a difference statistically significant with a power of 80 %.

    The mean and the standard deviation are assumed to be those observed.

    difference: the observed difference.
    tests: number of comparisons; the level is ALPHA / tests (Bonferroni), the strictest level of Holm's method.
    Returns None if the mean or the standard deviation is 0 or unknown, or if more than 1,000 units would be needed.
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
