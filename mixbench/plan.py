"""The random decisions of training, drawn on the host as plain arrays: a pure function of (seed, step).

The device only executes a plan, so CPU and GPU take the same decisions and a killed run resumes exactly. Each kind of
decision has a random stream of its own (rng.Purpose): equal seeds give all methods the same batches, crops and flips,
and paired differences between methods are sharp. λ comes from one uniform number by the inverse of Beta's distribution
function, so λ of the same step also moves smoothly with α: a sweep over α compares like with like.

An augmentation or mixing method asks for decisions by the names of its keyword parameters (DRAWS).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from mixbench import rng
from mixbench.rng import Purpose


@dataclass(frozen=True)
class Plan:
    """What to draw for each step.

    seed: of the run. n: images in the subset. batch_size, height, width: of a batch.
    draws: names from DRAWS. alpha, beta: λ ~ Beta(alpha, beta). p: probability of mixing a batch.
    per_sample: whether λ and places are drawn for each image, not for the batch. pad: pixels that a crop may shift by.
    """

    seed: int
    n: int
    batch_size: int
    height: int
    width: int
    draws: tuple[str, ...] = ()
    alpha: float | None = None
    beta: float | None = None
    p: float = 1.0
    per_sample: bool = False
    pad: int = 0

    def steps(self, first: int, count: int) -> dict[str, np.ndarray]:
        """The decisions of steps first … first + count - 1: `index` int64 [count, B] and each draw [count, B, …]."""
        return {"index": order(self, first, count)} | {name: DRAWS[name](self, first, count) for name in self.draws}


def order(plan: Plan, first: int, count: int) -> np.ndarray:
    """int64 [count, B]: which images of the subset. Consecutive permutations of it, cut into exactly B images.

    A batch wraps over the end of a permutation, so every step has the same shape also where n < B.
    """
    start, stop = first * plan.batch_size, (first + count) * plan.batch_size
    first_epoch, last_epoch = start // plan.n, (stop - 1) // plan.n
    stream = rng.permutations(plan.seed, Purpose.ORDER, first_epoch, last_epoch - first_epoch + 1, plan.n).reshape(-1)
    return stream[start - first_epoch * plan.n :][: stop - start].reshape(count, plan.batch_size)


def shift(plan: Plan, first: int, count: int) -> np.ndarray:
    """int64 [count, B, 2]: top and left edge of each crop in the padded image, uniform in 0 … 2 pad."""
    u = rng.uniform(plan.seed, Purpose.SHIFT, first, count, 2 * plan.batch_size)
    return (u * (2 * plan.pad + 1)).astype(np.int64).reshape(count, plan.batch_size, 2)


def mirror(plan: Plan, first: int, count: int) -> np.ndarray:
    """bool [count, B]: whether each image is flipped, with probability 1/2."""
    return rng.uniform(plan.seed, Purpose.MIRROR, first, count, plan.batch_size) < 0.5


def partner(plan: Plan, first: int, count: int) -> np.ndarray:
    """int64 [count, B]: a uniform permutation π of the batch; image i is mixed with image π(i)."""
    return rng.permutations(plan.seed, Purpose.PARTNER, first, count, plan.batch_size)


def applied(plan: Plan, first: int, count: int) -> np.ndarray:
    """bool [count, B]: whether the method is applied to the batch, with probability p."""
    coin = rng.uniform(plan.seed, Purpose.APPLIED, first, count, 1) < plan.p
    return np.repeat(coin, plan.batch_size, axis=1)


def lam(plan: Plan, first: int, count: int) -> np.ndarray:
    """float64 [count, B]: λ ~ Beta(α, β), the share of the image itself; 1 where the batch is not mixed."""
    u = rng.uniform(plan.seed, Purpose.LAMBDA, first, count, plan.batch_size if plan.per_sample else 1)
    drawn = betaincinv(plan.alpha, plan.beta, u)
    return np.where(applied(plan, first, count), drawn, 1.0)


def centre(plan: Plan, first: int, count: int) -> np.ndarray:
    """int64 [count, B, 2]: row and column of a pixel, uniform over the image."""
    places = plan.batch_size if plan.per_sample else 1
    u = rng.uniform(plan.seed, Purpose.CENTRE, first, count, 2 * places).reshape(count, places, 2)
    pixels = (u * (plan.height, plan.width)).astype(np.int64)
    return np.broadcast_to(pixels, (count, plan.batch_size, 2)).copy()


DRAWS: dict[str, Callable[[Plan, int, int], np.ndarray]] = {
    "shift": shift,
    "mirror": mirror,
    "partner": partner,
    "applied": applied,
    "lam": lam,
    "centre": centre,
}

# The settings of a plan that each draw reads: a method whose function asks for the draw has these keys in its YAML.
SETTINGS = {
    "partner": (),
    "applied": ("p",),
    "lam": ("alpha", "beta", "p", "per_sample"),
    "centre": ("per_sample",),
}
