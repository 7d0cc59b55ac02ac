"""Compares methods with a baseline: intervals that hold together, adjusted p-values, and which method may be best.

The statements about one setting share one error budget of 5 %: with a probability of 95 %, all intervals of gains hold
the true gains and the method that is truly best is among those that may be best. Therefore an interval also holds
after the method was chosen because of its gain.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import special
from scipy.optimize import brentq

from mixbench.stats.images import contrast_covariance
from mixbench.stats.units import ALPHA, SAME, PairedTable
from mixbench.stats.variances import CHAINS, variance_draws

SEED = 20071995  # of the draws: the same runs always give the same intervals


@dataclass(frozen=True)
class Gain:
    """A method's accuracy minus the baseline's accuracy on the same subsets and seeds, in percentage points.

    mean: mean of the units' differences.
    interval: interval of the true gain; it holds together with those of all methods of the setting with a probability
        of 95 %. None if fewer than two units were compared, or if all units are equal.
    p: p-value of the two-sided test, adjusted for all methods of the setting; None like interval.
    expected: the gain to expect when it is measured again; the mean drawn towards the mean of all methods' gains.
    sd: standard deviation of a single unit's difference, estimated for all methods together; None like interval.
    image_sd: standard deviation that comes from the choice of test images; None if it is not known.
    pairs: number of pairs of runs.
    units: number of units.
    over: what the units are, `subsets` or `seeds`.
    may_be_best: whether the method may be the best of the setting; None like interval.
    """

    mean: float
    interval: tuple[float, float] | None
    p: float | None
    expected: float
    sd: float | None
    image_sd: float | None
    pairs: int
    units: int
    over: str
    may_be_best: bool | None

    @property
    def error(self) -> float | None:
        """Half the length of the interval, in percentage points; None without one."""
        return self.interval and (self.interval[1] - self.interval[0]) / 2

    @property
    def image_share(self) -> float | None:
        """The share of the gain's variance that comes from the choice of test images, 0 to 1; None if unknown."""
        if self.image_sd is None or self.sd is None:
            return None
        of_runs, of_images = self.sd**2 / self.units, self.image_sd**2
        return of_images / (of_runs + of_images)


@dataclass(frozen=True)
class Comparison:
    """The methods of a setting compared with their baseline.

    gains: for each method its gain; None if it shares no subset and seed with the baseline.
    baseline_may_be_best: whether the baseline may be the best method; None if no gain has an interval.
    """

    gains: list[Gain | None]
    baseline_may_be_best: bool | None


def compare(
    table: PairedTable, images: np.ndarray | None = None, smallest_sd: float = 0.0, chains: int = CHAINS
) -> Comparison:
    """Compare methods with the baseline of their setting.

    With one method this is the paired t test. With more, the variances are estimated for all methods together
    (stats.variances), and the critical value is that of the largest standardised error.

    table: runs of the baseline and of the methods, from stats.units.
    images: float [1 + methods, 1 + methods], covariances that come from the test images, from
        stats.images.image_covariance. Without it the intervals hold for these test images only.
    smallest_sd: smallest standard deviation between units that can be measured, in percentage points; with few test
        images equal accuracies do not mean that runs are alike.
    chains: number of Gibbs samplers; fewer are faster, and their intervals less precise.
    Returns the comparison.
    """
    values = table.values
    differences = values[:, 1:] - values[:, :1]
    there = ~np.isnan(differences)
    units = there.sum(axis=0)
    used = np.flatnonzero(units)
    means = np.array([differences[there[:, k], k].mean() if units[k] else np.nan for k in range(len(units))])
    spread = [np.ptp(differences[there[:, k], k]) for k in used]
    errors = None
    if len(used) and units.max() > 1 and max(spread) > SAME:
        covariance = None if images is None else contrast_covariance(images)[np.ix_(used, used)]
        columns = values[:, [0, *(used + 1)]]
        if len(used) == 1:
            errors = _errors_of_one(differences[there[:, used[0]], used[0]], covariance, smallest_sd)
        else:
            errors = _errors_of_many(columns, there[:, used], covariance, smallest_sd, chains)
    gains: list[Gain | None] = [None] * len(units)
    if errors is None:
        for k in used:
            mean = float(means[k])
            gains[k] = Gain(mean, None, None, mean, None, None, table.pairs[k], int(units[k]), table.over, None)
        return Comparison(gains, None)
    found = means[used]
    best, expected = errors.may_be_best(found), expected_gains(found, errors.covariance)
    for place, k in enumerate(used):
        half = errors.critical * errors.se[place]
        gains[k] = Gain(
            mean=float(means[k]),
            interval=(float(means[k] - half), float(means[k] + half)),
            p=errors.p_value(abs(float(means[k] / errors.se[place]))),
            expected=float(expected[place]),
            sd=float(errors.sd[place]),
            image_sd=None if images is None else float(errors.image_sd[place]),
            pairs=table.pairs[k],
            units=int(units[k]),
            over=table.over,
            may_be_best=bool(best[place + 1]),
        )
    return Comparison(gains, bool(best[0]))


@dataclass
class _Errors:
    """The distribution of the errors of all gains.

    se: standard error of each gain.
    se_of_pairs: [1 + methods, 1 + methods], standard error of the difference of two methods; the baseline is the first.
    covariance: covariance of the gains' errors.
    critical: the number of standard errors by which an interval reaches to each side.
    p_value: gives the adjusted p-value of a standardised gain.
    sd: standard deviation of a unit's difference.
    image_sd: standard deviation that comes from the test images.
    """

    se: np.ndarray
    se_of_pairs: np.ndarray
    covariance: np.ndarray
    critical: float
    p_value: Callable[[float], float]
    sd: np.ndarray
    image_sd: np.ndarray

    def may_be_best(self, gains: np.ndarray) -> np.ndarray:
        """Return bool [1 + methods]: whether no method is better by more than its error (Hsu 1981, 1984)."""
        every = np.concatenate([[0.0], gains])
        behind = every[None, :] - every[:, None]
        return np.all(behind <= self.critical * self.se_of_pairs, axis=1)


def _errors_of_one(differences: np.ndarray, covariance: np.ndarray | None, smallest_sd: float) -> _Errors:
    """Return the errors of a single gain."""
    units = len(differences)
    variance = max(float(differences.var(ddof=1)), smallest_sd**2)
    of_images = 0.0 if covariance is None else float(covariance[0, 0])
    se = np.sqrt(variance / units + of_images)

    def beyond(t: float) -> float:
        return float(tail(t * se, np.sqrt(variance / units), units - 1, np.sqrt(of_images)))

    return _Errors(
        se=np.array([se]),
        se_of_pairs=np.array([[0.0, se], [se, 0.0]]),
        covariance=np.array([[se**2]]),
        critical=cast(float, brentq(lambda t: beyond(t) - ALPHA, 1.0, 1000.0)),
        p_value=beyond,
        sd=np.array([np.sqrt(variance)]),
        image_sd=np.array([np.sqrt(of_images)]),
    )


def tail(value: float, run_se: float, df: int, image_sd: float) -> float:
    """Return the probability that the error of a gain is larger than a value, to either side.

    The error is that of the runs, Student's t times its standard error, plus that of the test images, which is normal
    with a known standard deviation. Satterthwaite's degrees of freedom, which Hillis 2007 uses, make the error too
    likely with three subsets: they are many when the variance between runs happens to be small.

    value: positive, in percentage points.
    run_se: standard error from the variance between units.
    df: degrees of freedom of run_se.
    image_sd: standard deviation from the test images; 0 gives the t test.
    Source: Behrens-Fisher problem; Patil 1965, Biometrika 52, 21-30.
    """
    if not image_sd:
        return float(2 * special.stdtr(df, -value / run_se))
    z = np.linspace(-8, 8, 2001)
    outside = special.stdtr(df, (-value - image_sd * z) / run_se) + special.stdtr(df, (image_sd * z - value) / run_se)
    weights = np.exp(-(z**2) / 2)
    return float(outside @ weights / weights.sum())


def _errors_of_many(
    values: np.ndarray, there: np.ndarray, covariance: np.ndarray | None, smallest_sd: float, chains: int
) -> _Errors:
    """Return the errors of several gains, from draws of the variances and of the errors.

    values: [units, 1 + methods], accuracies; the baseline is the first.
    there: [units, methods], whether the method has a run on the unit.
    covariance: [methods, methods], of the gains, from the test images.
    smallest_sd: smallest standard deviation between units that can be measured.
    chains: number of Gibbs samplers.
    """
    rng = np.random.Generator(np.random.Philox(SEED))
    of_chains = np.broadcast_to(values, (chains, *values.shape))
    variances = variance_draws(of_chains, rng, smallest_sd**2 / 2).reshape(-1, values.shape[1])
    return errors_from_draws(variances, there, covariance, rng)


def errors_from_draws(
    variances: np.ndarray, there: np.ndarray, covariance: np.ndarray | None, rng: np.random.Generator
) -> _Errors:
    """Return the distribution of the errors of all gains.

    variances: [draws, 1 + methods], draws of the variances of single units; the baseline is the first.
    there: [units, methods], whether the method has a run on the unit.
    covariance: [methods, methods], covariance of the gains that comes from the test images; None if it is not known.
    rng: source of randomness.
    """
    share = there / there.sum(axis=0)  # weight of each unit in a method's mean
    draws, methods = len(variances), there.shape[1]
    of_baseline = rng.standard_normal((draws, len(there))) * np.sqrt(variances[:, :1])
    own = rng.standard_normal((draws, methods)) * np.sqrt(variances[:, 1:] / there.sum(axis=0))
    errors = own - of_baseline @ share
    of_images = np.zeros((methods, methods)) if covariance is None else covariance
    if of_images.any():
        values, vectors = np.linalg.eigh(of_images)
        errors += rng.standard_normal((draws, methods)) @ (vectors * np.sqrt(np.clip(values, 0.0, None))).T
    typical = np.exp(np.log(variances).mean(axis=0))  # medians of variances: their means can be infinite
    from_runs = share.T @ share * typical[0] + np.diag(typical[1:] / there.sum(axis=0))
    total = from_runs + of_images
    padded = np.zeros((methods + 1, methods + 1))
    padded[1:, 1:] = total
    diagonal = np.diag(padded)
    se_of_pairs = np.sqrt(np.maximum(diagonal[:, None] + diagonal[None, :] - 2 * padded, 0.0))
    critical, largest = _critical(np.column_stack([np.zeros(draws), errors]), se_of_pairs)
    return _Errors(
        se=np.sqrt(np.diag(total)),
        se_of_pairs=se_of_pairs,
        covariance=total,
        critical=critical,
        p_value=lambda t: float((len(largest) - np.searchsorted(largest, t) + 1) / (len(largest) + 1)),
        sd=np.sqrt(typical[0] + typical[1:]),
        image_sd=np.sqrt(np.diag(of_images)),
    )


def _critical(errors: np.ndarray, se_of_pairs: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the critical value, and the sorted draws of the largest standardised error that it comes from.

    Which method is truly best is not known. The value is large enough for each that it could be: so that all intervals
    of gains hold, and no other method seems better than it by more than the error.

    errors: [draws, 1 + methods], errors of the gains; those of the baseline are 0.
    se_of_pairs: [1 + methods, 1 + methods], standard errors of differences.
    """
    of_gains = (np.abs(errors[:, 1:]) / se_of_pairs[0, 1:]).max(axis=1)
    critical, largest = 0.0, of_gains
    for best in range(errors.shape[1]):
        others = np.arange(errors.shape[1]) != best
        behind = (errors[:, others] - errors[:, [best]]) / se_of_pairs[best, others]
        found = np.maximum(of_gains, behind.max(axis=1))
        place = math.ceil((1 - ALPHA) * len(found)) - 1
        quantile = float(np.partition(found, place)[place])
        if quantile > critical:
            critical, largest = quantile, found
    return critical, np.sort(largest)


def expected_gains(gains: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the gains to expect when they are measured again: the measured ones drawn towards their mean.

    The largest of several measured gains is larger than its true value on average. If the true gains are normal with an
    unknown mean and variance, then the mean of each true gain given all measured ones has no such error.

    gains: [methods], measured gains.
    covariance: [methods, methods], covariance of their errors.
    Returns [methods]; a single gain is returned as it is.
    Source: empirical Bayes, Efron and Morris 1975, Journal of the American Statistical Association 70, 311-319.
    """
    if len(gains) < 2:
        return gains
    scales = np.concatenate([[0.0], np.geomspace(1e-2, 1e2, 60) * max(float(gains.std()), 1e-9)])
    return max((_shrunk(gains, covariance, scale**2) for scale in scales), key=lambda found: found[0])[1]


def _shrunk(gains: np.ndarray, covariance: np.ndarray, variance: float) -> tuple[float, np.ndarray]:
    """Return the restricted log-likelihood of a variance of the true gains, and the gains' means given the data."""
    inverse = np.linalg.inv(covariance + variance * np.eye(len(gains)))
    weight = inverse.sum()
    centre = inverse.sum(axis=0) @ gains / weight
    rest = gains - centre
    _, logdet = np.linalg.slogdet(inverse)
    likelihood = (logdet - np.log(weight) - rest @ inverse @ rest) / 2
    return float(likelihood), centre + variance * inverse @ rest
