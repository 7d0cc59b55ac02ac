"""What several methods do with a batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

ROUNDING = 1e-6  # of sums of probabilities


def bounds(probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
    """float64 [N]: up to where in 0 … 1 each of N is chosen; the last is 1 where their sum is, but for rounding.

    The one that a place u chooses is `np.searchsorted(bounds, u, side="right")`; N means none.
    """
    ends = np.cumsum(probabilities)
    if abs(ends[-1] - 1) < ROUNDING:
        ends[-1] = 1.0
    return ends


def blend(own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    """λ·own + (1-λ)·other for [B, …] tensors and λ [B]."""
    weight = lam.to(own.dtype).view(-1, *[1] * (own.ndim - 1))
    return torch.lerp(other, own, weight)


def ranks(values: Tensor, descending: bool = False) -> Tensor:
    """int64 [M, N]: the place of each of a row's values in their order; the first of equal values comes first."""
    order = values.argsort(dim=1, descending=descending, stable=True)
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def nowhere(mask: Tensor) -> bool:
    """Whether a mask is known to be false everywhere, so that work can be left out.

    Reading a CPU tensor costs nothing; on a GPU it would wait for the device, and the work is done.
    """
    return mask.device.type == "cpu" and not mask.any()
