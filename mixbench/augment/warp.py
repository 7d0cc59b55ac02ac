"""Affine warps: each image by a matrix of its own, the nearest pixel, black outside."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.augment.layout import pixels, planes


def rotation(images: Tensor, *, uniforms: Tensor, degrees: float = 15.0) -> Tensor:
    """Turn each image about its centre by an angle uniform in ±degrees, as torchvision's RandomRotation.

    images: uint8 [B, C, H, W]. uniforms: float64 [B, 32]; number 0 gives the angle. The nearest pixel, black outside.
    Raises ValueError where degrees is not in [0, 180].
    """
    if not 0 <= degrees <= 180:
        raise ValueError(f"degrees={degrees}: must be from 0 to 180")
    angle = ((2 * uniforms[:, 0] - 1) * degrees).deg2rad()
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrices = torch.stack((cos, -sin, zero, sin, cos, zero), dim=1).float()
    return pixels(warp(planes(images), matrices))


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """The pixel at (x, y) becomes the one nearest to (ax + by + c, dx + ey + f), black where that is outside.

    images: float32 [B, C, H, W]. matrices: float32 [B, 6], a … f. Coordinates are pixels from the image's centre, x to
    the right and y down.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = (torch.arange(height, device=images.device) - (height - 1) / 2)[:, None]
    across, down = matrices[:, :3] / (width / 2), matrices[:, 3:] / (height / 2)
    grid = images.new_empty(len(images), height, width, 2)  # filled in place: stacking costs more than the warp
    grid[..., 0], grid[..., 1] = _linear(across, x, y), _linear(down, x, y)
    return F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def _linear(row: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """float32 [B, H, W]: ax + by + c for row [B, 3].

    Fused, and in this order, because that is how torchvision's matrix product rounds: a shear by 1/5 sends whole rows
    half-way between two pixels, and there the last bit decides. No matrix product here, which could run in TF32.
    """
    a, b, c = (part[:, None, None] for part in row.unbind(dim=1))
    return torch.addcmul(a * x, b, y) + c
