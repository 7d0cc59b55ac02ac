"""Variances of runs in a table of units and methods, estimated for all methods together.

With three subsets a method's own variance is almost unknown. Methods of one study have similar variances, though, so
each variance is estimated from its own runs and from those of all methods. How much the others count is estimated too:
little if the variances differ, much if they are alike. The baseline is part of every comparison, so it is treated
with more caution than the others: its variance is hardly assumed to be like theirs.

The model: a run is the sum of its method's mean, an effect of its unit (a subset or a seed) and a normal error whose
variance belongs to the method. The variances come from a scaled inverse chi-squared distribution whose scale and
degrees of freedom are unknown. Values of all unknowns that agree with the runs are drawn with a Gibbs sampler. The
degrees of freedom of the baseline's variance were chosen by simulation (docs/statistics.md).

Source: pooling of variances by an inverse chi-squared distribution, as in limma (Smyth 2004, Statistical Applications
in Genetics and Molecular Biology 3, section 3); Gibbs sampling of such a model (Gelman et al., Bayesian Data Analysis,
3rd edition 2013, chapters 11 and 15).
"""

import numpy as np
from scipy import special

CHAINS = 64  # Gibbs samplers side by side
SKIPPED, KEPT = 60, 125  # steps of each sampler that are left out at the start, and those that are used
PER_STEP = 4  # draws of the variances in each step, given everything else: in the tails they differ most
DEGREES = np.array([1, 2, 3, 4, 6, 8, 12, 20, 40, 200.0])  # degrees of freedom of the distribution of the variances
OF_BASELINE = 0.3  # the same for the baseline's variance: it is hardly drawn towards the others'


def variance_draws(
    values: np.ndarray, rng: np.random.Generator, smallest: float = 0.0, steps: tuple[int, int] = (SKIPPED, KEPT)
) -> np.ndarray:
    """Draw variances of the methods' runs that agree with the runs.

    values: float [..., units, methods], accuracies in percent; NaN where a method has no run. The first method is the
        baseline. Leading dimensions are independent samplers, or independent studies.
    rng: source of randomness.
    smallest: lower bound of the variances, in squared percentage points.
    steps: number of steps that are left out at the start, and number of steps that are used.
    Returns float [draws, ..., methods], variances of single units in squared percentage points; several draws for each
        step that is used.
    """
    there = ~np.isnan(values)
    counts = there.sum(-2)
    runs = np.where(there, values, 0.0)
    means = runs.sum(-2) / counts
    effects = _centred(_mean_over_methods(np.where(there, values - means[..., None, :], 0.0), there))
    residuals = np.where(there, values - means[..., None, :] - effects[..., None], 0.0)
    methods = values.shape[-1]
    start = np.maximum((residuals**2).sum((-2, -1)) / np.maximum(counts.sum(-1) - methods, 1), 1e-12)
    variances = np.repeat(start[..., None], methods, axis=-1)
    scale, degrees = start, np.full(start.shape, 4.0)
    skipped, kept = steps
    draws = np.empty((kept, PER_STEP, *variances.shape))
    for step in range(skipped + kept):
        weights = there / variances[..., None, :]
        of_unit = weights.sum(-1)
        centre = (weights * np.where(there, values - means[..., None, :], 0.0)).sum(-1) / of_unit
        effects = _centred(centre + rng.standard_normal(of_unit.shape) / np.sqrt(of_unit))
        rest = np.where(there, values - effects[..., None], 0.0)
        means = rest.sum(-2) / counts + rng.standard_normal(means.shape) * np.sqrt(variances / counts)
        squares = np.where(there, rest - means[..., None, :], 0.0)
        squares = (squares**2).sum(-2)
        own = np.broadcast_to(degrees[..., None], variances.shape).copy()
        own[..., 0] = OF_BASELINE
        drawn = (own * scale[..., None] + squares) / rng.chisquare(own + counts, (PER_STEP, *own.shape))
        drawn = np.maximum(drawn, smallest)
        variances = drawn[0]
        scale = rng.chisquare(own.sum(-1)) / (own / variances).sum(-1)
        degrees = _draw_degrees(scale[..., None] / variances[..., 1:], rng)
        if step >= skipped:
            draws[step - skipped] = drawn
    return draws.reshape(-1, *variances.shape)


def _mean_over_methods(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    return values.sum(-1) / np.maximum(there.sum(-1), 1)


def _centred(effects: np.ndarray) -> np.ndarray:
    return effects - effects.mean(-1, keepdims=True)


def _draw_degrees(ratios: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the degrees of freedom of the distribution of the variances, equally likely values before the data.

    ratios: float [..., methods], scale divided by variance of the methods without the baseline.
    """
    half = DEGREES / 2
    of_one = half * np.log(half) - special.gammaln(half)
    logs = ratios.shape[-1] * of_one + half * (np.log(ratios) - ratios).sum(-1)[..., None]
    return DEGREES[(logs + rng.gumbel(size=logs.shape)).argmax(-1)]
