"""The two layouts of a batch: uint8 with channels innermost outside, float32 with a plane for each channel inside."""

import torch
from torch import Tensor


def planes(images: Tensor) -> Tensor:
    """A float32 copy with contiguous channels, on which arithmetic is fast; uint8 values are exact in it."""
    return images.to(torch.float32, memory_format=torch.contiguous_format, copy=True)


def pixels(images: Tensor) -> Tensor:
    """Back to uint8, fractions cut off, and to channels innermost: the layout of the network's input."""
    return images.to(torch.uint8, memory_format=torch.channels_last)


def reflected(places: Tensor, size: int) -> Tensor:
    """Integer places on an axis, folded into 0 … size - 1 as by mirrors at the centres of the outermost pixels."""
    period = max(1, 2 * (size - 1))
    return (size - 1) - (places.remainder(period) - (size - 1)).abs()
