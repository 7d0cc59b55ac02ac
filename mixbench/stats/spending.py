"""How a probability of error is spread over the rounds of a race: alpha spending."""

from functools import lru_cache

import numpy as np
from scipy import special

FIRST = 3  # the round of the first decision: after two, up to 8 % of simulated races ended wrongly
LAST = 60  # the longest race, in rounds: with 100 the mean number of runs was 3 % larger, with 40 it was 3 % smaller
STEP = 0.02  # of the grid of sums, in standard deviations of one difference


@lru_cache(maxsize=100)
def levels(error: float) -> np.ndarray:
    """Return the level of a one-sided test after each round, such that all tests together have the error.

    Every doubling of the number of rounds, from 2 to 60, may spend the same share of the error. The tests are those of
    the running mean of independent normal differences with known variance. With a part of the variance that rounds do
    not reduce, the means of two rounds are more alike, and the error is smaller.

    error: probability of at least one rejection of a true hypothesis.
    Returns [61] levels; those of the rounds 0 to 2 are 0.
    Source: Lan and DeMets 1983, with the spending function log(round / 2) / log(30).
    """
    reach = 9 * LAST**0.5
    sums = np.arange(-reach, reach, STEP)
    change = np.arange(-8, 8 + STEP / 2, STEP)
    kernel = _normal(change, 1.0)
    density = _normal(sums, FIRST**0.5)
    spent, of_round = 0.0, np.zeros(LAST + 1)
    for r in range(FIRST, LAST + 1):
        if r > FIRST:
            density = np.convolve(density, kernel, "same")
        until = error * np.log(r / 2) / np.log(LAST / 2)
        tail = density[::-1].cumsum()[::-1]  # the probability of this sum or a larger one
        bound = np.interp(np.log(until - spent), np.log(tail[::-1] + 1e-300), sums[::-1] - STEP / 2)
        density, spent = np.where(sums >= bound, 0.0, density), until
        of_round[r] = special.ndtr(-bound / r**0.5)
    of_round.setflags(write=False)
    return of_round


def _normal(at: np.ndarray, sd: float) -> np.ndarray:
    """Probabilities of the grid's cells."""
    return np.exp(-0.5 * (at / sd) ** 2) / (sd * (2 * np.pi) ** 0.5) * STEP
