"""Simulated studies: accuracies of methods over rounds, with test images that all rounds share."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

ROUNDS = 40  # the longest race
BASE, COMMON, OWN = 50.0, 2.0, 1.2  # percent: accuracy, its spread over subsets, and a method's own spread
EASINESS, TASTE = 1.5, 0.8  # logits: spread of the images' easiness, and of each method's departures from it
FEW = 500  # test images that are simulated; more are this many with an error that is scaled down
EFFECTS = ("equal", "one better by 1", "one better by 2", "one better by 4", "one better by 8", "half better by 4")
SPREADS = ("equal", "factor 2", "none × 2", "none × 3")

POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
LOGITS = np.linspace(-5, 5, 4001)
ACCURACIES = 100 * special.expit(LOGITS[:, None] + np.hypot(EASINESS, TASTE) * POINTS) @ WEIGHTS / WEIGHTS.sum()


class Cell(NamedTuple):
    """One setting of the simulation."""

    methods: int
    effect: str
    spread: str
    images: int
    margin: float

    def truth(self) -> np.ndarray:
        """The methods' true accuracies in percent. Method 0 is `none`."""
        truth = np.full(self.methods, BASE)
        who, _, size = self.effect.partition(" better by ")
        if who == "one":
            truth[1] += float(size)
        elif who == "half":
            truth[1 : 1 + self.methods // 2] += float(size)
        elif self.effect == "stairs up to 3.9":
            truth += np.linspace(0, 3.9, self.methods)
        return truth

    def spreads(self) -> np.ndarray:
        """The methods' own standard deviations over rounds, in percentage points."""
        spreads = np.full(self.methods, OWN)
        if self.spread == "factor 2":
            spreads *= np.where(np.arange(self.methods) % 2, 2**0.5, 0.5**0.5)
        elif self.spread != "equal":
            spreads[0] *= float(self.spread.rpartition(" ")[2])
        return spreads


@dataclass(frozen=True)
class Studies:
    """What studies know after each round if every method is trained in every round: [S, R, M, M], j minus i."""

    mean: np.ndarray
    variance: np.ndarray
    images: np.ndarray
    images_sd: np.ndarray


def simulate(cell: Cell, studies: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return accuracies [S, R, M], and the image part and its standard error after each round, [S, R, M, M].

    The accuracy of a run is what its network has on all images of the world, and the error of N of them: each is
    classified correctly with a probability of its own, which is the same in all rounds but for the network's level.
    """
    methods, images = cell.methods, min(cell.images, FEW)
    scale = images / cell.images  # of the variance that comes from the images
    taste = TASTE * rng.standard_normal((studies, methods, images), dtype=np.float32)
    taste += EASINESS * rng.standard_normal((studies, 1, images), dtype=np.float32)
    accuracies = np.empty((studies, ROUNDS, methods))
    part, part_sd = np.zeros((2, studies, ROUNDS, methods, methods))
    sums, own = np.zeros_like(taste), np.zeros((studies, methods, methods))
    for r in range(ROUNDS):
        level = cell.truth() + COMMON * rng.standard_normal((studies, 1))
        level = level + cell.spreads() * rng.standard_normal((studies, methods))
        logits = np.interp(level, ACCURACIES, LOGITS).astype(np.float32)
        odds = np.exp(-(taste + logits[:, :, None])) + 1
        correct = (rng.random(taste.shape, dtype=np.float32) * odds < 1).astype(np.float32)
        mean = correct.mean(2)
        accuracies[:, r] = level + (100 * mean - level) * scale**0.5
        correct -= mean[:, :, None]
        sums += correct
        own += correct @ correct.transpose(0, 2, 1)
        if r:
            ways = r * (r + 1) * cell.images / 1e4
            of_sum = _of_pairs((sums @ sums.transpose(0, 2, 1)).astype(float)) / (images - 1) / ways
            part[:, r] = np.maximum(of_sum - _of_pairs(own) / (images - 1) / ways, 0)
            part_sd[:, r] = (2 / images) ** 0.5 * of_sum
    return accuracies, part, part_sd


def summarised(accuracies: np.ndarray, part: np.ndarray, part_sd: np.ndarray) -> Studies:
    """Return means and variances of all pairs after each round."""
    count = np.arange(1, accuracies.shape[1] + 1)[:, None]
    means = accuracies.cumsum(1) / count
    centred = accuracies - accuracies.mean(2, keepdims=True)
    sums = centred.cumsum(1)
    products = np.einsum("srm,srk->srmk", centred, centred).cumsum(1)
    products -= sums[..., :, None] * sums[..., None, :] / count[:, None]
    variance = np.maximum(_of_pairs(products), 0) / np.maximum(count[:, None] - 1, 1)
    return Studies(means[..., None, :] - means[..., :, None], variance, part, part_sd)


def _of_pairs(products: np.ndarray) -> np.ndarray:
    own = np.einsum("...ii->...i", products)
    return own[..., :, None] + own[..., None, :] - 2 * products
