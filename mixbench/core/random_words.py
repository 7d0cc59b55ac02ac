"""Random words that are a pure function of (seed, purpose, step), from a counter-based generator.

Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") turns a key and a counter into four 64-bit
words. The key here is (seed, purpose), and each step has its own fixed range of counters. So many steps can be drawn in
one call, purposes do not affect each other, and a run resumed at step k draws the same numbers as without a stop.
Everything beyond the words is plain arithmetic: NumPy guarantees that the words never change, but gives no such
guarantee for `Generator.permutation` or `Generator.beta`.
"""

from enum import IntEnum

import numpy as np

WORDS_PER_COUNTER = 4


class Purpose(IntEnum):
    """What a random number decides. Every stored result depends on these values: add new ones, never renumber."""

    SUBSET = 1
    DIGITS = 2
    WEIGHTS = 3
    ORDER = 4
    SHIFT = 5
    MIRROR = 6
    PARTNER = 7
    LAMBDA = 8
    APPLIED = 9
    CENTRE = 10
    UNIFORMS = 11
    SIZE = 12
    PLACE = 13
    NOISE = 14
    COIN = 15
    ATTEMPTS = 16
    CHOSEN = 17
    LAYER = 18
    CHOICE = 19
    LABEL_NOISE = 20
    HELD_OUT = 21
    SIDES = 22
    CHAINS = 23
    SOURCE_LAMBDA = 24
    SOURCE_CENTRE = 25
    PATHS = 26
    PICKS = 27
    FRACTALS = 28
    GENERATED = 29
    VALIDATION = 30


def words(seed: int, purpose: Purpose, first: int, steps: int, size: int) -> np.ndarray:
    """uint64 [steps, size]: random words of consecutive steps.

    seed: key of the generator.
    purpose: the random stream.
    first: the first step, from 0.
    steps: number of steps.
    size: number of words per step.
    """
    counters = -(-size // WORDS_PER_COUNTER)
    philox = np.random.Philox(key=np.array([seed, purpose], dtype=np.uint64), counter=first * counters)
    return philox.random_raw((steps, counters * WORDS_PER_COUNTER))[:, :size]


def uniform(seed: int, purpose: Purpose, first: int, steps: int, size: int) -> np.ndarray:
    """float64 [steps, size], uniform in (0, 1): the middle of the interval given by the top 53 bits of each word.

    seed: key of the generator.
    purpose: the random stream.
    first: the first step, from 0.
    steps: number of steps.
    size: number of values per step.
    """
    u = ((words(seed, purpose, first, steps, size) >> np.uint64(11)) + 0.5) * 2.0**-53
    return np.minimum(u, 1 - 2.0**-53, out=u)  # the middle of the last interval rounds to 1


def permutations(seed: int, purpose: Purpose, first: int, steps: int, size: int) -> np.ndarray:
    """int64 [steps, size]: a uniform permutation of 0 … size - 1 for each step, by sorting random words.

    seed: key of the generator.
    purpose: the random stream.
    first: the first step, from 0.
    steps: number of steps.
    size: length of each permutation.
    """
    return np.argsort(words(seed, purpose, first, steps, size), axis=1, kind="stable")
