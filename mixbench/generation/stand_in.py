"""A bank in memory without any backend, with negatives in place of variants: for pictures, tests and benchmarks."""

import numpy as np

from mixbench.data import BankPart
from mixbench.generation.fractals import fractals

FRACTALS = 4


def stand_in(images: np.ndarray) -> BankPart:
    """Return a bank with one variant of each image, its negative, and a few fractals.

    images: uint8 [n, H, W, C].
    """
    return BankPart((255 - images)[:, None], fractals(0, FRACTALS, *images.shape[1:]))
