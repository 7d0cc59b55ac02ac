"""How many subsets or seeds would show a gain.

The critical value of a study that is not there yet cannot be known. It is taken from Student's t with the degrees of
freedom that the variance of the differences has if all runs have the same variance: with 13 methods more than three
times as many as with one, because all of them tell about the variance.
"""

import math

from scipy import special

from mixbench.stats.comparison import Gain
from mixbench.stats.units import ALPHA

POWER = 0.8  # the conventional power (Cohen 1988, Statistical Power Analysis, section 2.4)
MOST_UNITS = 1000  # more units are not practical


def power(gain: float, sd: float, units: int, methods: int, image_sd: float = 0.0) -> float:
    """Return roughly the probability that a gain is found to be significant.

    gain: the true gain, in percentage points.
    sd: standard deviation of a single unit's difference, in percentage points.
    units: number of subsets or seeds, at least two.
    methods: number of methods that are compared with the baseline.
    image_sd: standard deviation that comes from the choice of test images; more units do not reduce it.
    """
    df = (units - 1) * 4 * methods / (methods + 3)
    threshold = float(special.stdtrit(df, 1 - ALPHA / methods / 2))
    shift = abs(gain) / math.sqrt(sd**2 / units + image_sd**2)
    above, below = (float(special.nctdtr(df, shift, t)) for t in (threshold, -threshold))
    # Far in the tail SciPy returns NaN; both probabilities are 0 there.
    return 1 - (above if math.isfinite(above) else 0.0) + (below if math.isfinite(below) else 0.0)


def units_needed(gain: Gain, methods: int) -> int | None:
    """Return the number of units that would make a gain significant with a probability of 80 %.

    The expected gain and the standard deviations are assumed to be the true ones.

    gain: the measured gain.
    methods: number of methods that are compared with the baseline.
    Returns None if the gain is 0, has no standard deviation, or if more than 1,000 units would be needed.
    """
    if not gain.sd or not gain.expected:
        return None

    def of_units(units: int) -> float:
        return power(gain.expected, gain.sd or 0.0, units, methods, gain.image_sd or 0.0)

    low, high = 1, MOST_UNITS
    if of_units(high) < POWER:
        return None
    while high - low > 1:  # power grows with the number of units
        middle = (low + high) // 2
        low, high = (low, middle) if of_units(middle) >= POWER else (middle, high)
    return high
