"""Operations on a batch that several methods share."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

ROUNDING = 1e-6  # rounding error allowed in sums of probabilities


def cumulative_probabilities(probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
    """float64 [N]: cumulative sums of N probabilities; the last one is exactly 1 if they sum to 1 up to rounding.

    A uniform number u chooses item `np.searchsorted(sums, u, side="right")`, where N means none.

    probabilities: [N], each 0 to 1.
    """
    ends = np.cumsum(probabilities)
    if abs(ends[-1] - 1) < ROUNDING:
        ends[-1] = 1.0
    return ends


def blend(own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """Return λ·own + (1-λ)·other.

    own, other: float [B, …], of the same shape.
    lam: float [B], λ.
    """
    weight = lam.to(own.dtype).view(-1, *[1] * (own.ndim - 1))
    return torch.lerp(other, own, weight)


def ranks(values: Tensor, descending: bool = False) -> Tensor:
    """int64 [M, N]: the rank of each value within its row, from 0. Of equal values, the first has the lowest rank.

    values: [M, N].
    descending: the largest value has rank 0.
    """
    order = values.argsort(dim=1, descending=descending, stable=True)
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def known_all_false(mask: Tensor) -> bool:
    """Whether a mask is known to be false everywhere, so that work can be skipped.

    Reading a CPU tensor is cheap. On a GPU it would wait for the device, so the answer is False and the work is done.

    mask: bool, of any shape.
    """
    return mask.device.type == "cpu" and not mask.any()
