"""Methods that replace rectangles of the image."""

import math
from typing import Literal

import torch
from torch import Tensor

from mixbench.core.registry import check_bounds
from mixbench.mixing.contract import Mixed, method
from mixbench.mixing.operations import blend, ranks


@method(draws=("partner", "lam", "centre", "sides", "place"))
def cutmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    centre: Tensor,
    sides: Tensor | None = None,
    place: Tensor | None = None,
    correct_lambda: bool = True,
    min_side: float | None = None,
    max_side: float | None = None,
) -> Mixed:
    """CutMix: a box of the partner, with about 1-λ of the area, is pasted in at the same place.

    With min_side and max_side, height and width of the box are drawn instead, each uniform between these shares of the
    image's, and the box lies at a uniform place where it fits. λ then only says whether the image is mixed.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ before clipping; 1 where the image is not mixed.
    centre: int64 [B, 2], row and column of the box's centre; the box is clipped to the image.
    sides: float [B, 2] in (0, 1), positions of height and width between min_side and max_side; needed only with these.
    place: float [B, 2] in (0, 1), position of such a box from top to bottom and from left to right.
    correct_lambda: True: weight labels by the true area after clipping, as in the paper's code. False: by the drawn λ.
    min_side: smallest height and width of the box, as shares of the image's. None: λ decides.
    max_side: largest height and width. None: λ decides.
    Returns mixed images and targets.
    Raises ValueError unless both bounds are None or 0 < min_side <= max_side <= 1, and if they are set without
        correct_lambda.
    Source: Yun et al. 2019, section 3 and Algorithm A1; drawn sides: timm's cutmix_minmax.
    """
    height, width = images.shape[2:]
    if min_side is None and max_side is None:
        inside, area = box(centre, half_sides(lam, height, width), height, width)
    else:
        low, high = _side_bounds(min_side, max_side, correct_lambda)
        if sides is None or place is None:
            raise ValueError("min_side: needs the draws sides and place")
        lengths = _lengths(sides, low, high, height, width) * (lam < 1)[:, None]
        inside = rectangle(_corner(place, lengths, height, width), lengths, height, width)
        area = lengths.prod(dim=1)
    mixed = torch.where(inside, images[partner], images)
    if correct_lambda:
        lam = 1 - area / (height * width)
    return Mixed(mixed, blend(targets, targets[partner], lam), own=(~inside).to(images.dtype))


@method(draws=("applied", "centre"))
def cutout(images: Tensor, targets: Tensor, *, applied: Tensor, centre: Tensor, length: float = 0.5) -> Mixed:
    """Cutout: a square hole filled with 0, which is the mean colour of normalised images.

    images: float [B, C, H, W], normalised.
    targets: float [B, K], label weights.
    applied: bool [B], whether the image gets a hole.
    centre: int64 [B, 2], row and column of the hole's centre; the hole is clipped to the image.
    length: side of the hole, as a share of the image's shorter side.
    Returns images with holes and unchanged targets.
    Raises ValueError if length is not in (0, 1].
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
    """Random erasing: a rectangle of random area and shape is filled with 0, as in torchvision.

    images: float [B, C, H, W], normalised, so that 0 is the mean colour.
    targets: float [B, K], label weights.
    chosen: bool [B], whether the image is erased.
    attempts: float [B, N, 2] in (0, 1), N pairs for the area and the aspect ratio. The first rectangle that is smaller
        than the image in height and width is used. If no rectangle fits, nothing is erased.
    place: float [B, 2] in (0, 1), position of the rectangle from top to bottom and from left to right.
    min_area: smallest area, as a share of the image's area.
    max_area: largest area, as a share of the image's area.
    min_ratio: smallest ratio of height to width; the logarithm of the ratio is uniform.
    max_ratio: largest ratio of height to width.
    Returns images with erased rectangles and unchanged targets.
    Raises ValueError unless 0 < min_area <= max_area <= 1 and 0 < min_ratio <= max_ratio.
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
    """ResizeMix: the whole partner is made smaller and pasted in; labels are weighted by area.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    applied: bool [B], whether the image is mixed.
    size: float [B] in (0, 1), the position of the scale τ between min_scale and max_scale.
    place: float [B, 2] in (0, 1), position of the pasted image from top to bottom and from left to right.
    min_scale: smallest τ; the sides of the pasted image are max(1, ⌊τH⌋) and max(1, ⌊τW⌋) pixels.
    max_scale: largest τ.
    interpolation: "bilinear", with antialiasing; "nearest", as in the paper's code and OpenMixup.
    position: "uniform": all places where the pasted image fits are equally likely. "shifted": the centre is uniform and
        the pasted image is shifted back into the image, so it touches the border more often (the paper's code).
    Returns mixed images and targets.
    Raises ValueError unless 0 < min_scale <= max_scale <= 1.
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
    dtype = torch.promote_types(images.dtype, torch.float32)  # sums in half precision would lose digits
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
    """GridMix: each cell of a grid comes from the image or its partner; labels are weighted by area.

    The paper also trains a second classifier on the labels of the cells. That part is not implemented here.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ; round(λg²) cells stay, with halves rounded to even.
    noise: float [B or 1, …]; the order of its first g² numbers decides which cells stay.
    grid: g, cells along a side, at most the shorter side in pixels. Cells begin at ⌊iH/g⌋ and ⌊jW/g⌋.
    correct_lambda: True: weight labels by the true area. False: by the drawn λ.
    Returns mixed images and targets.
    Raises ValueError if grid is below 2.
    Source: Baek et al. 2021, section 3.
    """
    if grid < 2:
        raise ValueError(f"grid={grid}: must be at least 2")
    height, width = images.shape[2:]
    grid = min(grid, height, width)
    kept = ranks(noise.flatten(1)[:, : grid**2]) < (lam.double() * grid**2).round()[:, None]
    stays = cells(kept, grid, grid, height, width)
    if correct_lambda:
        lam = stays.sum(dim=(1, 2, 3)) / (height * width)
    mixed = torch.where(stays, images, images[partner])
    return Mixed(mixed, blend(targets, targets[partner], lam), own=stays.to(images.dtype))


def _side_bounds(min_side: float | None, max_side: float | None, correct_lambda: bool) -> tuple[float, float]:
    """Return both bounds. Raises ValueError if they do not fit, or if labels would not follow the box."""
    if min_side is None or max_side is None:
        low, high = ("null" if side is None else side for side in (min_side, max_side))
        raise ValueError(f"min_side={low}: must be set together with max_side={high}, or both must be null")
    check_bounds("side", min_side, max_side, 1)
    if not correct_lambda:
        raise ValueError(
            "correct_lambda=False: must be true with min_side and max_side, because λ has no part in the box"
        )
    return min_side, max_side


def _lengths(sides: Tensor, low: float, high: float, height: int, width: int) -> Tensor:
    """int64 [B, 2]: whole numbers of pixels, uniform from ⌊low·side⌋ to ⌊high·side⌋ and at least 1.

    sides: float [B, 2] in (0, 1), positions between the bounds.
    """
    bounds = ((max(1, int(low * side)), max(1, int(high * side))) for side in (height, width))
    parts = [least + (sides[:, i] * (most - least + 1)).long() for i, (least, most) in enumerate(bounds)]
    return torch.stack(parts, dim=1)


def cells(kept: Tensor, rows: int, columns: int, height: int, width: int) -> Tensor:
    """Return the values of the pixels' cells, [B, 1, H, W]: which pixels are kept, for bool values.

    Cells begin at ⌊iH/rows⌋ and ⌊jW/columns⌋.

    kept: [B, rows·columns], a value for each cell.
    rows, columns: number of cells along the sides.
    height, width: size of the image in pixels.
    """
    row, column = (cell_of_pixels(count, side, kept.device) for count, side in ((rows, height), (columns, width)))
    return kept.view(-1, 1, rows, columns)[:, :, row][..., column]


def cell_of_pixels(count: int, side: int, device: torch.device) -> Tensor:
    """int64 [side]: the cell to which each pixel of an axis belongs, the last cell i with ⌊i·side/count⌋ <= pixel.

    count: number of cells.
    side: length of the axis in pixels.
    device: device of the result.
    """
    return ((torch.arange(side, device=device) + 1) * count - 1) // side


def half_sides(lam: Tensor, height: int, width: int) -> Tensor:
    """int64 [B, 2]: half the height and half the width, by integer division, of boxes with about 1-λ of the area.

    lam: float [B].
    height, width: size of the image in pixels.
    """
    share = (1 - lam.double()).clamp(min=0).sqrt()
    return torch.stack([(height * share).long() // 2, (width * share).long() // 2], dim=1)


def box(centre: Tensor, halves: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return boxes that reach from centre - halves to centre + halves, clipped to the image.

    centre: int64 [B, 2], row and column.
    halves: int64 [B, 2], half the height and half the width in pixels.
    height, width: size of the image in pixels.
    Returns bool [B, 1, H, W], true inside the box, and the areas int64 [B] in pixels.
    """
    corner, sides = clipped(centre, halves, height, width)
    return rectangle(corner, sides, height, width), sides.prod(dim=1)


def clipped(centre: Tensor, halves: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return corners and sides, int64 [B, 2] each, of boxes from centre - halves to centre + halves, clipped.

    centre: int64 [B, 2], row and column.
    halves: int64 [B, 2], half the height and half the width in pixels.
    height, width: size of the image in pixels.
    """
    corner = (centre - halves).clamp(min=0)
    bottom = (centre[:, 0] + halves[:, 0]).clamp(max=height)
    right = (centre[:, 1] + halves[:, 1]).clamp(max=width)
    return corner, torch.stack([bottom, right], dim=1) - corner


def rectangle(corner: Tensor, sides: Tensor, height: int, width: int) -> Tensor:
    """bool [B, 1, H, W]: true inside a rectangle.

    corner: int64 [B, 2], top row and left column.
    sides: int64 [B, 2], height and width in pixels.
    height, width: size of the image in pixels.
    """
    rows, columns = (torch.arange(size, device=corner.device) for size in (height, width))
    (top, left), (bottom, right) = corner[..., None].unbind(dim=1), (corner + sides)[..., None].unbind(dim=1)
    in_rows = (rows >= top) & (rows < bottom)
    in_columns = (columns >= left) & (columns < right)
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _corner(place: Tensor, sides: Tensor, height: int, width: int) -> Tensor:
    """int64 [B, 2]: top row and left column; for a uniform place, all corners that fit are equally likely."""
    top = (place[:, 0] * (height - sides[:, 0] + 1)).long()
    left = (place[:, 1] * (width - sides[:, 1] + 1)).long()
    return torch.stack([top, left], dim=1)


def _resize_antialiased(start: Tensor, length: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """[B, size, size]: the linear map that resizes an axis from `size` to `length` pixels and places it at `start`.

    It is the triangle filter of torch's F.interpolate(mode="bilinear", antialias=True, align_corners=False). Rows
    outside start … start + length - 1 have no meaning.
    """
    pixels = torch.arange(size, device=start.device)
    share = (length.to(dtype) / size)[:, None]
    centre = (pixels - start[:, None] + 0.5).to(dtype)  # in pixels of the result
    weight = (1 - ((pixels + 0.5) * share)[:, None, :].sub(centre[..., None]).abs()).clamp(min=0)
    return weight / weight.sum(dim=2, keepdim=True).clamp(min=1e-9)  # the sum is 0 in some rows outside


def _resize_nearest(start: Tensor, length: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """[B, size, size]: like `_resize_antialiased`, but pixel i of the result is source pixel ⌊i · size / length⌋."""
    pixels = torch.arange(size, device=start.device)
    source = (pixels - start[:, None]) * size // length[:, None]
    return (source[..., None] == pixels).to(dtype)
