"""Crops and flips."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.augment.layout import pixels, planes, reflected
from mixbench.core.draws import ATTEMPTS
from mixbench.core.registry import check_bounds

LARGEST_PAD = 1000  # pixels: more than any image here has


def none(images: Tensor) -> Tensor:
    """The images as they are."""
    return images


def flip(images: Tensor, *, mirror: Tensor) -> Tensor:
    """Mirror the images where `mirror`, bool [B], is true."""
    return torch.where(mirror[:, None, None, None], images.flip(3), images)


def vertical_flip(images: Tensor, *, uniforms: Tensor, p: float = 0.5) -> Tensor:
    """Turn each image upside down with probability p.

    images: uint8 [B, C, H, W]. uniforms: float64 [B, 32]; number 0 is compared with p.
    Raises ValueError where p is not in [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p={p}: must be from 0 to 1")
    return torch.where((uniforms[:, 0] < p)[:, None, None, None], images.flip(2), images)


def standard(
    images: Tensor,
    *,
    shift: Tensor,
    mirror: Tensor,
    pad: int,
    flip: bool,
    padding: Literal["zero", "reflect"] = "zero",
) -> Tensor:
    """Pad, crop back to size, mirror (He et al. 2016, Deep Residual Learning, section 4.2).

    images: uint8 [B, C, H, W]. shift: int64 [B, 2], top and left edge of the crop in the padded image.
    mirror: bool [B], used where flip is true. pad: pixels added on each side.
    padding: zero, black as in the usual pipelines, which pad before they normalise; or the image's own reflection.
    Raises ValueError where pad is negative.
    """
    if not 0 <= pad <= LARGEST_PAD:
        raise ValueError(f"pad={pad}: must be from 0 to {LARGEST_PAD}")
    channels, height, width = images.shape[1:]
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    if flip:
        columns = torch.where(mirror[:, None], columns.flip(0), columns)
    # One gather crops and mirrors: pixel (r, c) of the result is pixel (r + top, c' + left) of the padded image, with
    # c' = c, or counted from the right. Channels stay innermost, which is the layout of the network's input.
    rows, columns = rows + shift[:, :1], columns + shift[:, 1:]
    source = images.permute(0, 2, 3, 1)
    if padding == "reflect":
        rows, columns = reflected(rows - pad, height), reflected(columns - pad, width)
    else:
        source = F.pad(source, (0, 0, pad, pad, pad, pad))
    first = torch.arange(len(images), device=images.device)[:, None] * source.shape[1]
    index = ((first + rows) * source.shape[2])[:, :, None] + columns[:, None, :]
    cropped = source.reshape(-1, channels).index_select(0, index.view(-1))
    return cropped.view(len(images), height, width, channels).permute(0, 3, 1, 2)


def random_resized_crop(
    images: Tensor,
    *,
    uniforms: Tensor,
    mirror: Tensor,
    flip: bool,
    min_scale: float = 0.08,
    max_scale: float = 1.0,
    min_ratio: float = 3 / 4,
    max_ratio: float = 4 / 3,
) -> Tensor:
    """Crop a random part, resize it to the whole, mirror (Szegedy et al. 2015, Going Deeper with Convolutions, 6).

    images: uint8 [B, C, H, W]. uniforms: float64 [B, 32], see `crop_box`. mirror: bool [B], used where flip is true.
    min_scale, max_scale: bounds of the crop's share of the area. min_ratio, max_ratio: of its width : height.
    Bilinear, as torchvision's RandomResizedCrop. Raises ValueError where a pair of bounds is empty or out of range.
    """
    check_bounds("scale", min_scale, max_scale, 1)
    check_bounds("ratio", min_ratio, max_ratio, math.inf)
    height, width = images.shape[2:]
    top, left, rows, columns = crop_box(uniforms, height, width, (min_scale, max_scale), (min_ratio, max_ratio))
    y, x = _places(top, rows, height), _places(left, columns, width)
    if flip:
        x = torch.where(mirror[:, None], x.flip(1), x)
    grid = x.new_empty(len(images), height, width, 2)
    grid[..., 0], grid[..., 1] = x[:, None, :], y[:, :, None]
    resized = F.grid_sample(planes(images), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return pixels(resized.round_())


def _places(start: Tensor, length: Tensor, size: int) -> Tensor:
    """float32 [B, size]: where the crop's pixels come from on one axis of the image, in grid_sample's -1 … 1.

    Clamped to the crop: what lies beside it in the image must not shine in.
    """
    centres = (torch.arange(size, device=start.device) + 0.5) * (length / size)[:, None] - 0.5
    inside = start[:, None] + torch.minimum(centres.clamp(min=0), (length - 1)[:, None])
    return ((2 * inside + 1) / size - 1).float()


def crop_box(
    uniforms: Tensor, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, height and width of torchvision's RandomResizedCrop, each float64 [B], whole numbers.

    uniforms: float64 [B, 32]. Attempt k of 10 takes number 2k for the area, uniform in `scale`, and 2k + 1 for the
    aspect ratio, uniform in the logarithm of `ratio`; the first that fits is used, at the place that numbers 20 and
    21 give. Where none fits: the largest central crop with an aspect ratio in `ratio`.
    """
    area, aspect = uniforms[:, : 2 * ATTEMPTS : 2], uniforms[:, 1 : 2 * ATTEMPTS : 2]
    area = height * width * (scale[0] + (scale[1] - scale[0]) * area)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = (low + (high - low) * aspect).exp()
    rows, columns = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
    fits = (rows >= 1) & (rows <= height) & (columns >= 1) & (columns <= width)
    first = fits.int().argmax(dim=1, keepdim=True)  # argmax gives the first of equals
    rows, columns = rows.gather(1, first)[:, 0], columns.gather(1, first)[:, 0]
    top = (uniforms[:, 2 * ATTEMPTS] * (height - rows + 1)).floor()
    left = (uniforms[:, 2 * ATTEMPTS + 1] * (width - columns + 1)).floor()
    central = _central_box(height, width, ratio)
    top, left, rows, columns = (
        torch.where(fits.any(dim=1), drawn, fixed)
        for drawn, fixed in zip((top, left, rows, columns), central, strict=True)
    )
    return top, left, rows, columns


def _central_box(height: int, width: int, ratio: tuple[float, float]) -> tuple[float, float, float, float]:
    rows, columns = height, width
    if width / height < ratio[0]:
        rows = round(width / ratio[0])
    elif width / height > ratio[1]:
        columns = round(height * ratio[1])
    return float((height - rows) // 2), float((width - columns) // 2), float(rows), float(columns)
