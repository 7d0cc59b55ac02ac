"""Affine warps with a separate matrix for each image, nearest-pixel interpolation and black outside."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.augment.layout import pixels, planes


def rotation(images: Tensor, *, uniforms: Tensor, degrees: float = 15.0) -> Tensor:
    """Rotate each image about its centre by a random angle, as torchvision's RandomRotation does.

    Interpolation takes the nearest pixel; outside the image it is black.

    images: uint8 [B, C, H, W].
    uniforms: float64 [B, 32] in (0, 1); number 0 gives the angle.
    degrees: the angle is uniform in ±degrees.
    Returns uint8 [B, C, H, W].
    Raises ValueError if degrees is not in [0, 180].
    """
    if not 0 <= degrees <= 180:
        raise ValueError(f"degrees={degrees}: must be from 0 to 180")
    angle = ((2 * uniforms[:, 0] - 1) * degrees).deg2rad()
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrices = torch.stack((cos, -sin, zero, sin, cos, zero), dim=1).float()
    return pixels(warp(planes(images), matrices))


def warp(images: Tensor, matrices: Tensor) -> Tensor:
    """Replace the pixel at (x, y) by the pixel nearest to (ax + by + c, dx + ey + f), or by black if that is outside.

    images: float32 [B, C, H, W].
    matrices: float32 [B, 6], a … f. Coordinates are in pixels from the image's centre, x to the right and y down.
    Returns float32 [B, C, H, W].
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device) - (width - 1) / 2
    y = (torch.arange(height, device=images.device) - (height - 1) / 2)[:, None]
    across, down = matrices[:, :3] / (width / 2), matrices[:, 3:] / (height / 2)
    grid = images.new_empty(
        len(images), height, width, 2
    )  # filled in place, because stacking takes longer than the warp
    grid[..., 0], grid[..., 1] = _linear(across, x, y), _linear(down, x, y)
    return F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def _linear(row: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """float32 [B, H, W]: ax + by + c for row [B, 3].

    The operations are fused and in this order, because torchvision's matrix product rounds in the same way: a shear by
    1/5 moves whole rows half-way between two pixels, where the last bit decides. A matrix product could run in TF32, so
    none is used here.
    """
    a, b, c = (part[:, None, None] for part in row.unbind(dim=1))
    return torch.addcmul(a * x, b, y) + c
