"""Crops and flips."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.augment.layout import pixels, planes, reflected
from mixbench.core.draws import ATTEMPTS
from mixbench.core.registry import check_bounds

LARGEST_PAD = 1000  # pixels; more than the side of any supported image


def none(images: Tensor) -> Tensor:
    """No augmentation.

    images: uint8 [B, C, H, W].
    Returns the images unchanged.
    """
    return images


def flip(images: Tensor, *, mirror: Tensor) -> Tensor:
    """Flip images horizontally.

    images: uint8 [B, C, H, W].
    mirror: bool [B], which images to flip.
    Returns uint8 [B, C, H, W].
    """
    return torch.where(mirror[:, None, None, None], images.flip(3), images)


def vertical_flip(images: Tensor, *, uniforms: Tensor, p: float = 0.5) -> Tensor:
    """Flip each image vertically with probability p.

    images: uint8 [B, C, H, W].
    uniforms: float64 [B, 32] in (0, 1); number 0 is compared with p.
    p: probability of a flip.
    Returns uint8 [B, C, H, W].
    Raises ValueError if p is not in [0, 1].
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
    """Pad, crop back to the original size, and flip horizontally.

    images: uint8 [B, C, H, W].
    shift: int64 [B, 2], top and left edge of the crop in the padded image, in pixels.
    mirror: bool [B], which images to flip if `flip` is true.
    pad: pixels added on each side.
    flip: flip images; False: ignore `mirror`.
    padding: "zero": black, as in pipelines that pad before they normalise. "reflect": the image's own reflection.
    Returns uint8 [B, C, H, W].
    Raises ValueError if pad is negative or above 1000.
    Source: He et al. 2016, Deep Residual Learning, section 4.2.
    """
    if not 0 <= pad <= LARGEST_PAD:
        raise ValueError(f"pad={pad}: must be from 0 to {LARGEST_PAD}")
    channels, height, width = images.shape[1:]
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    if flip:
        columns = torch.where(mirror[:, None], columns.flip(0), columns)
    # One gather crops and flips: pixel (r, c) of the result is pixel (r + top, c' + left) of the padded image, where c'
    # is c, or c counted from the right. Channels stay innermost, which is the layout of the network's input.
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
    """Crop a random part, resize it to the size of the image, and flip horizontally.

    Interpolation is bilinear, as in torchvision's RandomResizedCrop.

    images: uint8 [B, C, H, W].
    uniforms: float64 [B, 32] in (0, 1), see `crop_box`.
    mirror: bool [B], which images to flip if `flip` is true.
    flip: flip images; False: ignore `mirror`.
    min_scale: smallest area of the crop, as a share of the image's area.
    max_scale: largest area of the crop, as a share of the image's area.
    min_ratio: smallest ratio of width to height of the crop.
    max_ratio: largest ratio of width to height of the crop.
    Returns uint8 [B, C, H, W].
    Raises ValueError unless 0 < min_scale <= max_scale <= 1 and 0 < min_ratio <= max_ratio.
    Source: Szegedy et al. 2015, Going Deeper with Convolutions, section 6.
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
    """float32 [B, size]: source positions of the crop's pixels on one axis, in grid_sample's range -1 … 1.

    They are clamped to the crop, so that pixels outside it have no influence.
    """
    centres = (torch.arange(size, device=start.device) + 0.5) * (length / size)[:, None] - 0.5
    inside = start[:, None] + torch.minimum(centres.clamp(min=0), (length - 1)[:, None])
    return ((2 * inside + 1) / size - 1).float()


def crop_box(
    uniforms: Tensor, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the box of torchvision's RandomResizedCrop.

    Up to 10 boxes are tried, and the first that fits is used. If none fits, it is the largest central box with an
    aspect ratio within `ratio`.

    uniforms: float64 [B, 32] in (0, 1). Attempt k takes number 2k for the area, uniform in `scale`, and number 2k + 1
        for the aspect ratio, whose logarithm is uniform. Numbers 20 and 21 give the position.
    height, width: size of the image in pixels.
    scale: smallest and largest area, as shares of the image's area.
    ratio: smallest and largest ratio of width to height.
    Returns top, left, height and width, each float64 [B], in whole pixels.
    """
    area, aspect = uniforms[:, : 2 * ATTEMPTS : 2], uniforms[:, 1 : 2 * ATTEMPTS : 2]
    area = height * width * (scale[0] + (scale[1] - scale[0]) * area)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = (low + (high - low) * aspect).exp()
    rows, columns = (area / aspect).sqrt().round(), (area * aspect).sqrt().round()
    fits = (rows >= 1) & (rows <= height) & (columns >= 1) & (columns <= width)
    first = fits.int().argmax(dim=1, keepdim=True)  # argmax returns the first of equal values
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
