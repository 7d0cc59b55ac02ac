"""Rules that decide which methods differ from the baseline: mixbench's, and those it was compared with.

A rule takes accuracies [studies, subsets, methods], the baseline first, and returns whether each method is significant,
bool [studies, methods - 1].
"""

from functools import lru_cache

import numpy as np
from scipy import special, stats

from mixbench.stats import ALPHA
from mixbench.stats.comparison import errors_from_draws, tail
from mixbench.stats.images import contrast_covariance, image_covariance
from mixbench.stats.variances import variance_draws

CHAINS, STEPS = 4, (40, 250)  # for each study, fewer than in mixbench: 1,000 draws instead of 8,000
AT_ONCE = 200  # studies whose draws are made together


def holm(values: np.ndarray) -> np.ndarray:
    """The paired t test with Holm's correction."""
    mean, variance, units = _contrasts(values)
    p = 2 * special.stdtr(units - 1, -np.abs(mean) / np.sqrt(variance / units))
    order = np.argsort(p, axis=1)
    steps = np.arange(p.shape[1], 0, -1)
    adjusted = np.maximum.accumulate(np.take_along_axis(p, order, 1) * steps, axis=1)
    found = np.empty(p.shape, bool)
    np.put_along_axis(found, order, adjusted < ALPHA, 1)
    return found


def pooled(values: np.ndarray) -> np.ndarray:
    """Dunnett's comparison in a randomised-block model: one variance for all methods."""
    mean, _, units = _contrasts(values)
    rest = values - values.mean(1, keepdims=True)
    rest -= rest.mean(2, keepdims=True)
    df = (units - 1) * (values.shape[2] - 1)
    variance = (rest**2).sum((1, 2)) / df
    critical = _dunnett(np.full(len(values), df), values.shape[2] - 1)
    return np.abs(mean) > (critical * np.sqrt(2 * variance / units))[:, None]


def moderated(values: np.ndarray) -> np.ndarray:
    """The variances of the contrasts drawn towards their pool (limma); below five contrasts the paired t test."""
    mean, variance, units = _contrasts(values)
    contrasts, df = values.shape[2] - 1, units - 1
    if contrasts < 5:
        return holm(values)
    logs = np.log(variance)
    shifted = logs - special.digamma(df / 2) + np.log(df / 2)
    excess = shifted.var(1, ddof=1) - special.polygamma(1, df / 2)
    prior = np.full(len(values), np.inf)
    scale = variance.mean(1)
    more = excess > 0
    prior[more] = 2 * _trigamma_inverse(excess[more])
    scale[more] = np.exp(shifted[more].mean(1) + special.digamma(prior[more] / 2) - np.log(prior[more] / 2))
    share = 1 / (1 + df / prior)
    drawn = share[:, None] * scale[:, None] + (1 - share[:, None]) * variance
    critical = _dunnett(np.minimum(prior + df, contrasts * df), contrasts)
    return np.abs(mean) > critical[:, None] * np.sqrt(drawn / units)


def mixbench(values: np.ndarray, correct: np.ndarray | None = None, seed: int = 0) -> np.ndarray:
    """mixbench's rule.

    correct: bool [studies, subsets, methods, images]; without it the choice of test images is ignored.
    """
    studies, units, methods = values.shape
    if methods == 2:
        return _of_one(values, correct)
    rng = np.random.default_rng(seed)
    found = np.empty((studies, methods - 1), bool)
    for start in range(0, studies, AT_ONCE):
        part = values[start : start + AT_ONCE]
        of_chains = np.broadcast_to(part[:, None], (len(part), CHAINS, units, methods))
        draws = variance_draws(of_chains, rng, steps=STEPS).transpose(1, 0, 2, 3).reshape(len(part), -1, methods)
        for k, (study, variances) in enumerate(zip(part, draws, strict=True), start):
            covariance = None if correct is None else contrast_covariance(image_covariance(correct[k].astype(float)))
            errors = errors_from_draws(variances, np.ones((units, methods - 1), bool), covariance, rng)
            gain = (study[:, 1:] - study[:, :1]).mean(0)
            found[k] = np.abs(gain) > errors.critical * errors.se
    return found


def _of_one(values: np.ndarray, correct: np.ndarray | None) -> np.ndarray:
    mean, variance, units = _contrasts(values)
    variance = np.maximum(variance, 1e-12)  # with few test images all runs can be equal
    of_images = np.zeros(len(values))
    if correct is not None:
        of_images = np.array([contrast_covariance(image_covariance(c.astype(float)))[0, 0] for c in correct])
    found = zip(np.abs(mean[:, 0]), np.sqrt(variance[:, 0] / units), np.sqrt(of_images), strict=True)
    return np.array([[tail(gain, se, units - 1, image_sd) < ALPHA] for gain, se, image_sd in found])


def _contrasts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    differences = values[..., 1:] - values[..., :1]
    return differences.mean(1), differences.var(1, ddof=1), values.shape[1]


def _trigamma_inverse(values: np.ndarray) -> np.ndarray:
    found = 0.5 + 1 / values
    for _ in range(50):  # Newton's method, Smyth 2004, appendix
        trigamma = special.polygamma(1, found)
        found += trigamma * (1 - trigamma / values) / special.polygamma(2, found)
    return found


def _dunnett(df: np.ndarray, contrasts: int) -> np.ndarray:
    grid, critical = _table(contrasts)
    return np.exp(np.interp(1 / df, grid, critical))


@lru_cache
def _table(contrasts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 1 / degrees of freedom and the logarithm of Dunnett's two-sided critical value for equal numbers."""
    grid = np.array([1e4, 200, 60, 30, 20, 14, 10, 8, 6, 5, 4, 3, 2, 1.0])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    found = []
    for df in grid:
        scale = np.sqrt(stats.chi2.ppf((np.arange(400) + 0.5) / 400, df) / df)[:, None]
        low, high = 1.0, 1000.0
        for _ in range(60):
            middle = np.sqrt(low * high)
            ends = [special.ndtr((sign * middle * scale - np.sqrt(0.5) * nodes) / np.sqrt(0.5)) for sign in (1, -1)]
            inside = (((ends[0] - ends[1]) ** contrasts) @ weights).mean()
            low, high = (middle, high) if inside < 1 - ALPHA else (low, middle)
        found.append(np.log(high))
    return 1 / grid, np.array(found)
