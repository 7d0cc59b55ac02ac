"""The two layouts of a batch: uint8 with channels innermost between operations, float32 planes within them."""

import torch
from torch import Tensor


def planes(images: Tensor) -> Tensor:
    """Return a float32 copy with a contiguous plane for each channel, for fast arithmetic; uint8 values stay exact.

    images: uint8 [B, C, H, W], in any layout.
    """
    return images.to(torch.float32, memory_format=torch.contiguous_format, copy=True)


def pixels(images: Tensor) -> Tensor:
    """Convert back to uint8, truncating fractions, with channels innermost, the layout of the network's input.

    images: float32 [B, C, H, W] in 0 … 255.
    """
    return images.to(torch.uint8, memory_format=torch.channels_last)


def reflected(places: Tensor, size: int) -> Tensor:
    """Fold integer positions on an axis into 0 … size - 1 by reflection at the centres of the outermost pixels.

    places: integers of any shape and type.
    size: number of pixels on the axis, at least 1.
    Returns positions of the same shape.
    """
    period = max(1, 2 * (size - 1))
    return (size - 1) - (places.remainder(period) - (size - 1)).abs()
