"""SnapMix: a resized box of the partner, and labels by class activation maps."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.mixing.contract import Maps, Mixed, method, unmixed
from mixbench.mixing.operations import blend, known_all_false
from mixbench.mixing.regions import clipped, half_sides, rectangle

EMPTY = 1e-6  # a map whose range is below this share of its largest magnitude is constant up to rounding


@method(draws=("partner", "lam", "centre", "source_lam", "source_centre"), needs=("class_activation",))
def snapmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    centre: Tensor,
    source_lam: Tensor,
    source_centre: Tensor,
    class_activation: Maps,
    normalise: bool = False,
    double_equal: bool = False,
) -> Mixed:
    """SnapMix: a box of the partner is resized into a box of the image; labels by the evidence that is lost and won.

    A class activation map of each image before mixing is resized to the image, its minimum is subtracted, and it is
    divided by its sum. The image's label gets 1 minus the sum of its map in its box, and the partner's label the sum of
    the partner's map in the partner's box. Where a map is constant, the area of the image's box is used. If one of the
    boxes is empty, the image is not mixed.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B]; the image's box has about 1-λ of the area before clipping.
    centre: int64 [B, 2], row and column of the centre of the image's box; the box is clipped to the image.
    source_lam: float [B], like lam, for the partner's box.
    source_centre: int64 [B, 2], like centre, for the partner's box.
    class_activation: returns the evidence [B, 1, h, w] for the labels of images before mixing.
    normalise: True: the two label weights are divided by their sum. False: the row's loss is multiplied by their sum,
        which for cross-entropy is the loss of label weights that do not sum to 1, as in the paper and its code.
    double_equal: True: rows whose two labels are equal count twice, as in the published code, which gives each of the
        two equal labels the sum of both weights. False: they count once. Only without normalise.
    Returns mixed images, targets and, without normalise, weights.
    Raises ValueError for double_equal together with normalise.
    Source: Huang et al. 2021, section 3; github.com/Shaoli-Huang/SnapMix, utils/mixmethod.py.
    """
    if double_equal and normalise:
        raise ValueError("double_equal=true: has no effect with normalise=true; set one of them to false")
    height, width = images.shape[2:]
    corner, sides = clipped(centre, half_sides(lam, height, width), height, width)
    source, source_sides = clipped(source_centre, half_sides(source_lam, height, width), height, width)
    exists = (sides.prod(dim=1) > 0) & (source_sides.prod(dim=1) > 0)
    if known_all_false(exists):
        return replace(unmixed(images, targets), weights=None if normalise else torch.ones_like(targets[:, 0]))
    sides, source_sides = sides * exists[:, None], source_sides * exists[:, None]
    inside = rectangle(corner, sides, height, width)
    area = sides.prod(dim=1).double() / (height * width)

    maps = class_activation(images, targets).detach()
    lost = _share(maps, inside, area)
    won = _share(maps[partner], rectangle(source, source_sides, height, width), area)
    total = 1 - lost + won
    share = torch.where(total > 0, (1 - lost) / total, 1 - area)
    weights = total
    if double_equal:
        equal = (targets == targets[partner]).all(dim=1) & exists
        weights = torch.where(equal, 2 * total, total)

    dtype = torch.promote_types(images.dtype, torch.float32)  # sums in half precision would lose digits
    rows, columns = (
        _stretch(source[:, i], source_sides[:, i], corner[:, i], sides[:, i], images.shape[2 + i], dtype)
        for i in range(2)
    )
    pasted = (rows[:, None] @ (images[partner].to(dtype) @ columns.mT[:, None])).to(images.dtype)
    return Mixed(
        torch.where(inside, pasted, images),
        blend(targets, targets[partner], share),
        own=(~inside).to(images.dtype),
        weights=None if normalise else weights.to(targets.dtype),
    )


def _share(maps: Tensor, inside: Tensor, area: Tensor) -> Tensor:
    """Return the share of each map that lies in a region, float64 [B]; `area` where the map is constant.

    maps: float [B, 1, h, w], of any scale.
    inside: bool [B, 1, H, W], the region.
    area: float [B].
    """
    size = (inside.shape[2], inside.shape[3])
    fine = F.interpolate(maps.double(), size, mode="bilinear", align_corners=False)
    least, most = fine.amin(dim=(1, 2, 3)), fine.amax(dim=(1, 2, 3))
    constant = most - least <= EMPTY * torch.maximum(most.abs(), least.abs())
    fine = fine - least[:, None, None, None]
    total = fine.sum(dim=(1, 2, 3))
    return torch.where(constant, area.double(), (fine * inside).sum(dim=(1, 2, 3)) / torch.where(constant, 1, total))


def _stretch(source: Tensor, source_length: Tensor, start: Tensor, length: Tensor, size: int, dtype: torch.dtype):
    """[B, size, size]: the linear map that resizes a part of an axis and places it at `start`.

    The first and last pixel of the part become the first and last of the result; in between, pixels are interpolated
    linearly, as by torch's F.interpolate(mode="bilinear", align_corners=True). Rows outside the result have no meaning.

    source, source_length: int64 [B], first pixel and length of the part.
    start, length: int64 [B], first pixel and length of the result.
    size: length of the axis in pixels.
    dtype: dtype of the result.
    """
    pixels = torch.arange(size, device=start.device)
    step = (source_length - 1).clamp(min=0).double() / (length - 1).clamp(min=1)
    place = source[:, None] + (pixels - start[:, None]) * step[:, None]
    return (1 - (place[..., None] - pixels).abs()).clamp(min=0).to(dtype)
