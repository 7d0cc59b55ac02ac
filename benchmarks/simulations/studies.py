"""Simulated studies whose truth is known: accuracies of methods on common subsets and common test images."""

from dataclasses import dataclass

import numpy as np
from scipy import special

SPREAD, OF_SUBSET = 1.2, 2.0  # standard deviation of a run, and of the effect that all methods share on a subset
GAIN = 4.0  # percentage points by which the better methods are better
DIFFICULTY, OF_IMAGE = 1.5, 0.8  # spread of the images' logits, and of what a method changes at single images


@dataclass(frozen=True)
class Cell:
    """One kind of study.

    methods: number of methods with the baseline.
    subsets: number of subsets.
    spread: name of the methods' spreads, a key of `spreads`.
    images: number of test images; None for so many that their choice does not matter.
    better: number of methods that gain 4 points; the others are equal to the baseline.
    """

    methods: int
    subsets: int
    spread: str = "equal"
    images: int | None = None
    better: int = 0


def spreads(name: str, methods: int, stored: np.ndarray) -> np.ndarray:
    """Return the standard deviation of a run of each method, in percentage points; the baseline is the first.

    name: equal, unequal (1, 1.5 and 2 times), none x2, none x3, or stored.
    methods: number of methods.
    stored: standard deviations of stored runs, the baseline's first, for the name stored; they are used in turn.
    """
    sd = np.full(methods, SPREAD)
    if name == "unequal":
        sd *= np.array([1, 1.5, 2])[np.arange(methods) % 3]
    elif name.startswith("none x"):
        sd[0] *= float(name.removeprefix("none x"))
    elif name == "stored":
        sd = stored[np.arange(methods) % len(stored)]
    elif name != "equal":
        raise ValueError(f"{name}: unknown spread")
    return sd


def gains(cell: Cell) -> np.ndarray:
    """Return the true gain of each method over the baseline, without the baseline."""
    return np.where(np.arange(cell.methods - 1) < cell.better, GAIN, 0.0)


def accuracies(cell: Cell, studies: int, stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return accuracies [studies, subsets, methods] in percent, as measured with any number of test images."""
    shape = (studies, cell.subsets, cell.methods)
    noise = rng.standard_normal(shape) * spreads(cell.spread, cell.methods, stored)
    common = OF_SUBSET * rng.standard_normal((studies, cell.subsets, 1))
    return 50 + common + noise + np.concatenate([[0.0], gains(cell)])


def predictions(cell: Cell, stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return whether each run classifies each test image correctly, bool [subsets, methods, images].

    On all possible images the methods have the accuracies of `accuracies`. On single images they differ.
    """
    if cell.images is None:
        raise ValueError("predictions need a number of images")
    slope = _points_per_logit()
    level = np.concatenate([[0.0], gains(cell)]) / slope
    of_run = rng.standard_normal((cell.subsets, cell.methods)) * spreads(cell.spread, cell.methods, stored) / slope
    of_subset = OF_SUBSET * rng.standard_normal((cell.subsets, 1)) / slope
    of_image = DIFFICULTY * rng.standard_normal(cell.images) + OF_IMAGE * rng.standard_normal(
        (cell.methods, cell.images)
    )
    logits = (level + of_run + of_subset)[..., None] + of_image
    return rng.random(logits.shape) < special.expit(logits)


def _points_per_logit() -> float:
    """Return by how many percentage points the mean accuracy rises per logit, at 50 %."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    probability = special.expit(np.hypot(DIFFICULTY, OF_IMAGE) * nodes)
    return float(100 * (probability * (1 - probability)) @ weights / weights.sum())
