"""The rule of a race of methods: variances, sequential bounds, and what follows from them.

Arrays may have leading axes, for example one for simulated studies; the last two are pairs of methods. A pair (i, j) is
about the accuracy of j minus the accuracy of i. The variance of its mean includes the test images, which are the same
in every round.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from mixbench.stats.units import SAME

# Weight of the common variance, in degrees of freedom. With 8, 5.5 % of the hardest races had a wrong interval.
PRIOR = 6
MOST_DF = 1e6  # as good as a normal distribution


def moderated_variance(
    variances: np.ndarray, rounds: np.ndarray, residual_df: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move the variance of each pair of methods towards the mean variance of all pairs.

    variances: [..., M, M] sample variances over rounds of the pairs' differences; ignored for fewer than two rounds.
    rounds: [..., M, M] number of rounds of each pair.
    residual_df: [...] degrees of freedom of all methods together: runs - rounds - methods + 1.
    Returns the variances and their degrees of freedom, both [..., M, M]. Pairs without a spread have an infinite
    variance: equal accuracies are a coincidence, not knowledge.
    Source: the weighted mean of Smyth 2004, equation 1, with fixed degrees of freedom for the common variance.
    """
    first, second = np.triu_indices(variances.shape[-1], 1)
    weights = np.maximum(rounds[..., first, second] - 1, 0)
    known = np.where(weights > 0, variances[..., first, second], 0.0)
    common = ((weights * known).sum(-1) / np.maximum(weights.sum(-1), 1))[..., None, None]
    residual_df = np.maximum(residual_df, 1)[..., None, None]
    prior, own = np.minimum(PRIOR, residual_df), np.maximum(rounds - 1, 0)
    moderated = (prior * common + own * np.where(own > 0, variances, 0.0)) / (prior + own)
    # The common variance contains that of the pair, so both together never know more than all methods do.
    return np.where(moderated > SAME**2, moderated, np.inf), np.minimum(prior + own, residual_df)


def variance_of_mean(
    variances: np.ndarray, df: np.ndarray, rounds: np.ndarray, images: np.ndarray, images_sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of a pair's mean difference over training subsets and test images.

    variances, df: [..., M, M] variances over rounds and their degrees of freedom.
    rounds: [..., M, M] number of rounds of each pair.
    images: [..., M, M] covariance of the differences of two rounds that comes from their common test images.
    images_sd: [..., M, M] standard error of `images`.
    Returns the variance of the mean and its degrees of freedom (Satterthwaite 1946), at least `df`.
    Source: Hillis 2007, the variance of a difference of two modalities with fixed cases replaced by random ones.
    """
    own = variances / np.maximum(rounds, 1)
    total = own + images
    with np.errstate(invalid="ignore"):  # infinite variances
        combined = 2 * total**2 / (2 * own**2 / df + images_sd**2)
    return total, np.where(np.isfinite(combined), np.clip(combined, df, MOST_DF), df)


def half_width(variance: np.ndarray, df: np.ndarray | float, level: np.ndarray | float) -> np.ndarray:
    """Return how far a mean difference may lie above the truth: the t quantile times the standard error.

    variance: variance of the mean, in squared percentage points.
    df: degrees of freedom of the variance.
    level: level of the one-sided test; 0 for no test.
    Returns the half width in percentage points; infinite for a level of 0.
    Source: Jennison and Turnbull 2000, t quantiles at the levels of normal tests.
    """
    return np.where(level > 0, -special.stdtrit(df, level), np.inf) * np.sqrt(variance)


@dataclass(frozen=True)
class Race:
    """What bounds on all pairs say. A method can be the best unless another one is shown to be better.

    worse: [..., M] whether another method is shown to be better.
    shortfall: [..., M] upper bound on how far a method is below the best, in percentage points.
    candidate: [...] the method that would be chosen: the baseline until it is shown to be worse, then the leader.
    runs: [..., M] whether the method needs another round.
    choice: [...] the chosen method; -1 without one.
    """

    worse: np.ndarray
    shortfall: np.ndarray
    candidate: np.ndarray
    runs: np.ndarray
    choice: np.ndarray


def race(upper: np.ndarray, margin: float, baseline: int) -> Race:
    """Say which methods are still in the race, and whether one is chosen.

    The baseline is chosen if its shortfall is at most the margin. Another method is chosen if its own shortfall is at
    most the margin and the baseline is shown to be worse than some method. A method runs on if it can be the best and
    may be better than the candidate by more than the margin. The candidate runs on as well.

    upper: [..., M, M] upper bounds on the accuracy of j minus that of i, in percentage points.
    margin: indifference margin in percentage points.
    baseline: index of the baseline.
    """
    methods = upper.shape[-1]
    upper = np.where(np.eye(methods, dtype=bool), np.inf, upper)
    worse = np.any(upper <= 0, axis=-2)
    worse &= ~worse.all(-1, keepdims=True)  # a circle, from bounds of different rounds: nothing is known
    rivals = ~worse[..., None, :] & ~np.eye(methods, dtype=bool)
    shortfall = np.maximum(np.where(rivals, upper, 0.0).max(-1), 0.0)
    open_rivals = (rivals & (upper > margin)).sum(-1)
    # Fewest open rivals first: a leader chosen by its bound alone changes often, and methods come back into the race.
    order = np.lexsort((shortfall, np.where(worse, methods, open_rivals)), axis=-1)
    leader = order[..., 0]
    beaten = worse[..., baseline]
    candidate = np.where(beaten, leader, baseline)
    against = np.take_along_axis(upper, candidate[..., None, None], -2)[..., 0, :]
    chosen = np.take_along_axis(shortfall, candidate[..., None], -1)[..., 0] <= margin
    runs = (~worse & (against > margin)) | (np.arange(methods) == candidate[..., None])
    return Race(
        worse=worse,
        shortfall=shortfall,
        candidate=candidate,
        runs=runs & ~chosen[..., None],
        choice=np.where(chosen, candidate, -1),
    )


def reachable(upper: np.ndarray, least: np.ndarray, margin: float, baseline: int) -> np.ndarray:
    """Return whether any choice is possible, if every bound on its own could fall to its least value.

    upper: [..., M, M] upper bounds on the accuracy of j minus that of i, in percentage points.
    least: [..., M, M] values to which these bounds may still fall.
    margin: indifference margin in percentage points.
    baseline: index of the baseline.
    Returns [...] booleans.
    """
    methods = upper.shape[-1]
    others = ~np.eye(methods, dtype=bool)
    worse = race(upper, margin, baseline).worse
    may_be_worse = worse | ((least <= 0) & others).any(-2)
    may_qualify = ((least <= margin) | ~others | may_be_worse[..., None, :]).all(-1) & ~worse
    allowed = may_be_worse[..., baseline, None] | (np.arange(methods) == baseline)
    return (may_qualify & allowed).any(-1)
