"""The power of a paired t test, and how many more runs it would take."""

import math

from scipy import special

from mixbench.stats.paired import Difference
from mixbench.stats.units import ALPHA

POWER = 0.8  # the usual chance of showing what is there (Cohen 1988, Statistical Power Analysis, section 2.4)
MOST_UNITS = 1000  # beyond which nobody will train


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
