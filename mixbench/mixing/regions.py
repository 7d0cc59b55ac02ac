"""Methods that replace rectangles of the image."""

import math
from typing import Literal

import torch
from torch import Tensor

from mixbench.core.registry import check_bounds
from mixbench.mixing.contract import Mixed, method
from mixbench.mixing.operations import blend, ranks


@method(draws=("partner", "lam", "centre"))
def cutmix(
    images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor, centre: Tensor, correct_lambda: bool = True
) -> Mixed:
    """A box of the partner, of about 1-λ of the area, pasted in at the same place.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ before clipping.
    centre: int64 [B, 2], row and column of the box's centre; the box is clipped to the image.
    correct_lambda: weigh the labels by the true area after clipping (the paper's code), or by the λ that was drawn.
    Returns mixed images and targets.
    Source: Yun et al. 2019, section 3 and Algorithm A1.
    """
    height, width = images.shape[2:]
    inside, area = box(centre, half_sides(lam, height, width), height, width)
    mixed = torch.where(inside, images[partner], images)
    if correct_lambda:
        lam = 1 - area / (height * width)
    return Mixed(mixed, blend(targets, targets[partner], lam), own=(~inside).to(images.dtype))


@method(draws=("applied", "centre"))
def cutout(images: Tensor, targets: Tensor, *, applied: Tensor, centre: Tensor, length: float = 0.5) -> Mixed:
    """A square hole filled with 0, which is the mean colour of normalised images.

    images: float [B, C, H, W], normalised.
    targets: float [B, K], label weights.
    applied: bool [B], whether the image gets a hole.
    centre: int64 [B, 2], row and column of the hole's centre; the hole is clipped to the image.
    length: side of the hole as a share of the image's shorter side.
    Returns images with holes, and the targets as they are.
    Raises ValueError where length is not in (0, 1].
    Source: DeVries and Taylor 2017.
    """
    if not 0 < length <= 1:
        raise ValueError(f"length={length}: must be above 0 and at most 1")
    height, width = images.shape[2:]
    half = int(length * min(height, width)) // 2
    halves = (half * applied.long())[:, None].expand(-1, 2)
    inside, _ = box(centre, halves, height, width)
    return Mixed(images.masked_fill(inside, 0), targets, own=(~inside).to(images.dtype))


@method(draws=("chosen", "attempts", "place"))
def random_erasing(
    images: Tensor,
    targets: Tensor,
    *,
    chosen: Tensor,
    attempts: Tensor,
    place: Tensor,
    min_area: float = 0.02,
    max_area: float = 0.33,
    min_ratio: float = 0.3,
    max_ratio: float = 3.3,
) -> Mixed:
    """A rectangle of random area and shape filled with 0, as torchvision does it.

    images: float [B, C, H, W], normalised, so that 0 is the mean colour.
    targets: float [B, K], label weights.
    chosen: bool [B], whether the image is erased.
    attempts: float [B, N, 2], N pairs of numbers in (0, 1) for area and aspect ratio; the first rectangle lower and
        narrower than the image is used, and none where none is.
    place: float [B, 2] in (0, 1), where the rectangle lies between top and bottom, left and right.
    min_area, max_area: bounds of the area, as shares of the image's.
    min_ratio, max_ratio: bounds of height to width, whose logarithm is uniform.
    Returns images with erased rectangles, and the targets as they are.
    Raises ValueError where not 0 < min_area <= max_area <= 1 and 0 < min_ratio <= max_ratio.
    Source: Zhong et al. 2020, Algorithm 1.
    """
    check_bounds("area", min_area, max_area, 1)
    check_bounds("ratio", min_ratio, max_ratio, math.inf)
    height, width = images.shape[2:]
    area = height * width * (min_area + (max_area - min_area) * attempts[..., 0])
    low, high = math.log(min_ratio), math.log(max_ratio)
    ratio = (low + (high - low) * attempts[..., 1]).exp()
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=-1).round().long()  # [B, N, 2]
    fits = (sides[..., 0] < height) & (sides[..., 1] < width)
    first = fits.long().argmax(dim=1)
    sides = sides.gather(1, first.view(-1, 1, 1).expand(-1, 1, 2)).squeeze(1)
    sides = sides * (fits.any(dim=1) & chosen)[:, None]
    inside = rectangle(_corner(place, sides, height, width), sides, height, width)
    return Mixed(images.masked_fill(inside, 0), targets, own=(~inside).to(images.dtype))


@method(draws=("partner", "applied", "size", "place"))
def resizemix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    applied: Tensor,
    size: Tensor,
    place: Tensor,
    min_scale: float = 0.1,
    max_scale: float = 0.8,
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
    position: Literal["uniform", "shifted"] = "uniform",
) -> Mixed:
    """The whole partner made smaller and pasted in, labels by area.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    applied: bool [B], whether the image is mixed.
    size: float [B] in (0, 1), the place of the scale τ between min_scale and max_scale.
    place: float [B, 2] in (0, 1), where the pasted image lies between top and bottom, left and right.
    min_scale, max_scale: bounds of τ; the pasted image has the sides max(1, ⌊τH⌋) and max(1, ⌊τW⌋).
    interpolation: "bilinear" is antialiased; "nearest" is that of the paper's code and of OpenMixup.
    position: "uniform" over the places where the pasted image fits; "shifted" as in the paper's code: a uniform centre,
        from which it is shifted back into the image, so that it touches the border more often.
    Returns mixed images and targets.
    Raises ValueError where not 0 < min_scale <= max_scale <= 1.
    Source: Qin et al. 2020, section 3.2.
    """
    check_bounds("scale", min_scale, max_scale, 1)
    height, width = images.shape[2:]
    scale = min_scale + (max_scale - min_scale) * size.double()
    sides = torch.stack([height * scale, width * scale], dim=1).long().clamp(min=1)
    corner = _corner(place, sides, height, width)
    if position == "shifted":
        centre = torch.stack([height * place[:, 0], width * place[:, 1]], dim=1).long()
        last = torch.stack([height - sides[:, 0], width - sides[:, 1]], dim=1)
        corner = torch.minimum((centre - sides // 2).clamp(min=0), last)
    inside = rectangle(corner, sides * applied[:, None], height, width)
    weights = _resize_antialiased if interpolation == "bilinear" else _resize_nearest
    dtype = torch.promote_types(images.dtype, torch.float32)  # sums of half precision would lose digits
    rows, columns = (weights(corner[:, i], sides[:, i], images.shape[2 + i], dtype) for i in range(2))
    pasted = (rows[:, None] @ (images[partner].to(dtype) @ columns.mT[:, None])).to(images.dtype)
    lam = 1 - (sides * applied[:, None]).prod(dim=1) / (height * width)
    mixed = torch.where(inside, pasted, images)
    return Mixed(mixed, blend(targets, targets[partner], lam), own=(~inside).to(images.dtype))


@method(draws=("partner", "lam", "noise"))
def gridmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    noise: Tensor,
    grid: int = 4,
    correct_lambda: bool = True,
) -> Mixed:
    """A grid whose cells come from the image or its partner, labels by area.

    The paper trains a second classifier on the labels of the cells as well; that part is not here.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B]; round(λg²) cells stay, halves being rounded to even.
    noise: float [B or 1, …], of which the order of the first g² numbers says which cells stay.
    grid: g, cells along a side, at most the shorter side; cells begin at ⌊iH/g⌋ and ⌊jW/g⌋.
    correct_lambda: weigh the labels by the true area, or by the λ that was drawn.
    Returns mixed images and targets.
    Raises ValueError where grid is below 2.
    Source: Baek et al. 2021, section 3.
    """
    if grid < 2:
        raise ValueError(f"grid={grid}: must be at least 2")
    batch, _, height, width = images.shape
    grid = min(grid, height, width)
    cells = grid**2
    kept = ranks(noise.flatten(1)[:, :cells]) < (lam.double() * cells).round()[:, None]
    # A pixel's cell i is the last with ⌊iH/g⌋ <= row.
    rows, columns = (((torch.arange(s, device=kept.device) + 1) * grid - 1) // s for s in (height, width))
    stays = kept.view(batch, 1, grid, grid)[:, :, rows][..., columns]
    if correct_lambda:
        lam = stays.sum(dim=(1, 2, 3)) / (height * width)
    mixed = torch.where(stays, images, images[partner])
    return Mixed(mixed, blend(targets, targets[partner], lam), own=stays.to(images.dtype))


def half_sides(lam: Tensor, height: int, width: int) -> Tensor:
    """int64 [B, 2]: half the height and width of CutMix's boxes, of about 1-λ of the area each, by integer division."""
    share = (1 - lam.double()).clamp(min=0).sqrt()
    return torch.stack([(height * share).long() // 2, (width * share).long() // 2], dim=1)


def box(centre: Tensor, halves: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Boxes of centre ± half a side, clipped to the image.

    centre, halves: int64 [B, 2], rows and columns. Returns bool [B, 1, H, W], true inside, and the areas int64 [B].
    """
    corner = (centre - halves).clamp(min=0)
    bottom = (centre[:, 0] + halves[:, 0]).clamp(max=height)
    right = (centre[:, 1] + halves[:, 1]).clamp(max=width)
    sides = torch.stack([bottom, right], dim=1) - corner
    return rectangle(corner, sides, height, width), sides.prod(dim=1)


def rectangle(corner: Tensor, sides: Tensor, height: int, width: int) -> Tensor:
    """bool [B, 1, H, W], true inside. corner, sides: int64 [B, 2], top and left, height and width."""
    rows, columns = (torch.arange(size, device=corner.device) for size in (height, width))
    (top, left), (bottom, right) = corner[..., None].unbind(dim=1), (corner + sides)[..., None].unbind(dim=1)
    in_rows = (rows >= top) & (rows < bottom)
    in_columns = (columns >= left) & (columns < right)
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _corner(place: Tensor, sides: Tensor, height: int, width: int) -> Tensor:
    """int64 [B, 2]: top and left of rectangles that fit, each place being as likely for place uniform in (0, 1)."""
    top = (place[:, 0] * (height - sides[:, 0] + 1)).long()
    left = (place[:, 1] * (width - sides[:, 1] + 1)).long()
    return torch.stack([top, left], dim=1)


def _resize_antialiased(start: Tensor, length: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """[B, size, size]: the linear map from `size` pixels to `length` of them, placed at `start`.

    The triangle filter of torch's F.interpolate(mode="bilinear", antialias=True, align_corners=False). Rows outside
    start … start + length - 1 mean nothing.
    """
    pixels = torch.arange(size, device=start.device)
    share = (length.to(dtype) / size)[:, None]
    centre = (pixels - start[:, None] + 0.5).to(dtype)  # pixels of the result are the unit of length
    weight = (1 - ((pixels + 0.5) * share)[:, None, :].sub(centre[..., None]).abs()).clamp(min=0)
    return weight / weight.sum(dim=2, keepdim=True).clamp(min=1e-9)  # 0 in some of the rows outside


def _resize_nearest(start: Tensor, length: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """[B, size, size]: as `_resize_antialiased`, but pixel i is pixel ⌊i · size / length⌋ of the whole."""
    pixels = torch.arange(size, device=start.device)
    source = (pixels - start[:, None]) * size // length[:, None]
    return (source[..., None] == pixels).to(dtype)
