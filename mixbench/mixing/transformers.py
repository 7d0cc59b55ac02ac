"""Methods for networks with attention: labels or regions follow where the network looks."""

import math
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.core.registry import check_bounds
from mixbench.mixing.block_masks import block_mask
from mixbench.mixing.contract import Maps, Mixed, Outputs, Teacher, method, unmixed
from mixbench.mixing.operations import blend, known_all_false, ranks
from mixbench.mixing.regions import cells, cutmix, rectangle

Downsampling = Literal["nearest", "area"]


@method(draws=("partner", "lam", "centre"), needs=("attention",))
def transmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    centre: Tensor,
    attention: Maps,
    ratio: float = 0.5,
    downsampling: Downsampling = "nearest",
    correct_lambda: bool = True,
) -> Mixed:
    """TransMix: CutMix whose labels also follow the attention that the mixed image gives to its two parts.

    With M the own part at the resolution of the attention A of the mixed image, λ_attention = ΣM·A / ΣA. The label
    weight is λ = (1 - ratio)·λ_area + ratio·λ_attention, without gradients.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ before clipping.
    centre: int64 [B, 2], row and column of the box's centre; the box is clipped to the image.
    attention: declares that the attention of the mixed images is needed; it is not called.
    ratio: share of λ_attention in λ. The published code has 0.5.
    downsampling: how the own part becomes M: "nearest", the first pixel of each patch, as in the published code;
        "area", the share of each patch.
    correct_lambda: True: λ_area is the true area after clipping, as in the published code. False: the drawn λ.
    Returns mixed images; targets are final after the forward pass.
    Raises ValueError if ratio is not in [0, 1].
    Source: Chen et al. 2022, section 3.2, equations 4 to 6; github.com/Beckschen/TransMix, transmix.py.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio={ratio}: must be from 0 to 1")
    mixed = cutmix(images, targets, partner=partner, lam=lam, centre=centre, correct_lambda=correct_lambda)
    own = mixed.own
    assert own is not None  # cutmix tells it
    area = own.double().mean(dim=(1, 2, 3)) if correct_lambda else lam

    def after_forward(outputs: Outputs) -> Tensor:
        looked = attention_share(_attention(outputs, mixed.targets), own, downsampling)
        return blend(targets, targets[partner], torch.lerp(area.to(looked.dtype), looked, ratio))

    return Mixed(mixed.images, mixed.targets, own=own, after_forward=after_forward)


@method(draws=("partner", "lam", "noise"), needs=("attention",))
def mixpro(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    noise: Tensor,
    attention: Maps,
    grid: int = 4,
    one_lambda: bool = False,
) -> Mixed:
    """MixPro: cells of a grid from two images; attention counts in the labels as far as the prediction fits them.

    λ_area is the own share of the cells, and λ_attention the own share of the mixed image's attention. The label weight
    is λ = c·λ_attention + (1 - c)·λ_area, where c is the cosine of the angle between the targets by area and the
    predicted probabilities, without gradients.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ; ⌈λg²⌉ cells stay.
    noise: float [B or 1, …]; the order of its first g² numbers decides which cells stay.
    attention: declares that the attention of the mixed images is needed; it is not called.
    grid: g, cells along a side, at most the shorter side in pixels. Cells are whole patches if g divides the patches
        along a side. The published code has cells of 56 of 224 pixels, so 4.
    one_lambda: True: all mixed images have the λ of the first of them, as in the published code. False: each has its
        own.
    Returns mixed images; targets are final after the forward pass.
    Raises ValueError if grid is below 2.
    Source: Zhao et al. 2023, section 3; github.com/fistyee/MixPro, utils.py and main.py.
    """
    if grid < 2:
        raise ValueError(f"grid={grid}: must be at least 2")
    height, width = images.shape[2:]
    grid = min(grid, height, width)
    if one_lambda:
        first = (lam < 1).long().argmax(dim=0, keepdim=True)
        lam = torch.where(lam < 1, lam[first], 1.0)
    kept = ranks(noise.flatten(1)[:, : grid**2]) < (lam.double() * grid**2).ceil()[:, None]
    stays = cells(kept, grid, grid, height, width)
    area = stays.double().mean(dim=(1, 2, 3))
    by_area = blend(targets, targets[partner], area)
    own = stays.to(images.dtype)

    def after_forward(outputs: Outputs) -> Tensor:
        looked = attention_share(_attention(outputs, by_area), own, "area")
        fit = F.cosine_similarity(by_area, outputs.logits.softmax(dim=1), dim=1).clamp(0, 1).to(looked.dtype)
        return blend(targets, targets[partner], torch.lerp(area.to(looked.dtype), looked, fit))

    return Mixed(torch.where(stays, images, images[partner]), by_area, own=own, after_forward=after_forward)


@method(draws=("partner", "applied", "size"), needs=("attention",))
def smmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    applied: Tensor,
    size: Tensor,
    attention: Maps,
    min_side: float = 0.25,
    max_side: float = 0.75,
) -> Mixed:
    """SMMix: the partner's most attended square replaces the least attended square of the image; labels by area.

    Squares consist of whole patches. Of equally attended squares the first in reading order is used. The published code
    also adds two losses, on the labels of the two regions and on the consistency of predictions. They are not
    implemented here.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    applied: bool [B], whether the image is mixed.
    size: float [B] in (0, 1), the position of the square's side between min_side and max_side.
    attention: returns the attention [B, 1, h, w] of images before mixing. With h or w of 1 there is no smaller square
        in that direction, and the image is not mixed.
    min_side: smallest side; the side is a whole number of patches from ⌊min_side·h⌋ to ⌊max_side·h⌋, and at least 1.
    max_side: largest side, as a share of the image's side. Images that are not square get rectangles of their shape.
    Returns mixed images and targets.
    Raises ValueError unless 0 < min_side <= max_side <= 1.
    Source: Chen et al. 2023, section 3.1; github.com/ChenMnZ/SMMix, smmix.py, whose attention is that of model=vit
        with model.attention=patches.
    """
    check_bounds("side", min_side, max_side, 1)
    if known_all_false(applied):
        return unmixed(images, targets)
    height, width = images.shape[2:]
    looked = _maps(attention, images, targets)
    patches = looked.shape[1:]
    sides = torch.stack([_side(size, count, min_side, max_side) for count in patches], dim=1)
    target = _first(_window_sums(looked, sides, math.inf).neg(), patches[1])
    source = _first(_window_sums(looked[partner], sides, -math.inf), patches[1])
    to_pixels = [(height, patches[0]), (width, patches[1])]
    target, source, sides = (
        torch.stack([value[:, i] * pixels // count for i, (pixels, count) in enumerate(to_pixels)], dim=1)
        for value in (target, source, sides * applied[:, None])
    )
    inside = rectangle(target, sides, height, width)
    mixed = torch.where(inside, _shifted(images[partner], source - target), images)
    lam = 1 - sides.prod(dim=1) / (height * width)
    return Mixed(mixed, blend(targets, targets[partner], lam), own=(~inside).to(images.dtype))


@method(draws=("partner", "lam", "noise"), needs=("teacher",))
def tokenmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    noise: Tensor,
    teacher: Teacher,
    mask: Literal["block", "random"] = "block",
    minimum_tokens: int = 4,
    extra_tokens: int = 0,
    fixed_share: float | None = None,
    importance: Literal["attention", "area"] = "attention",
    normalise: bool = True,
) -> Mixed:
    """TokenMix: patches of the partner in blocks; labels by the importance of the patches in the images before mixing.

    Let m be 1 where an image's own patch stays, and A, A' the importance maps of the image and its partner, which sum
    to 1. The label weights are Σm·A for the image and Σ(1 - m)·A' for the partner. The paper's maps come from a trained
    teacher.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ; ⌊(1 - λ)N⌋ of N patches come from the partner.
    noise: float [B or 1, …], standard normal, of which the mask is made.
    teacher: its attention [B, 1, h, w] to images before mixing gives the maps. Their size is the number of patches.
    mask: "block": rectangles as in BEiT, of a random area and an aspect ratio from 0.3 to 1/0.3. Forty are tried; each
        is used if it fits in the patches that are still wanted, so a mask can stay smaller than wanted. "random":
        single patches.
    minimum_tokens: smallest area of a rectangle, in patches, unless fewer are wanted. The published code has 1.
    extra_tokens: patches that are added to ⌊(1 - λ)N⌋. The published code adds 14 of 196.
    fixed_share: λ of all mixed images in place of the drawn one. The published code has 0.5. None: the drawn λ.
    importance: "attention", or "area": all patches count alike.
    normalise: True: the two label weights are divided by their sum. False: the row's loss is multiplied by their sum,
        which for cross-entropy is the loss of label weights that do not sum to 1, as in the published code.
    Returns mixed images, targets and, without normalise, weights.
    Raises ValueError if a number is out of range.
    Source: Liu et al. 2022, section 3; github.com/Sense-X/TokenMix, tokenmix.py.
    """
    if minimum_tokens < 1:
        raise ValueError(f"minimum_tokens={minimum_tokens}: must be at least 1")
    if extra_tokens < 0:
        raise ValueError(f"extra_tokens={extra_tokens}: must be 0 or more")
    if fixed_share is not None:
        if not 0 <= fixed_share < 1:
            raise ValueError(f"fixed_share={fixed_share}: must be from 0 to below 1, or null")
        lam = torch.where(lam < 1, fixed_share, 1.0)
    if known_all_false(lam < 1):
        return replace(unmixed(images, targets), weights=None if normalise else torch.ones_like(targets[:, 0]))
    height, width = images.shape[2:]
    looked = _maps(teacher.attention, images, targets)
    rows, columns = looked.shape[1:]
    if importance == "area":
        looked = torch.full_like(looked, 1 / (rows * columns))
    wanted = ((1 - lam.double()) * rows * columns).long() + extra_tokens * (lam < 1)
    wanted = wanted.clamp(max=rows * columns)
    if mask == "random":
        taken = (ranks(noise.flatten(1)[:, : rows * columns]) < wanted[:, None]).view(-1, rows, columns)
    else:
        taken = block_mask(noise, wanted, rows, columns, minimum_tokens)
    own = (looked * ~taken).sum(dim=(1, 2))
    other = (looked[partner] * taken).sum(dim=(1, 2))
    total = own + other
    share = torch.where(total > 0, own / total, 1 - taken.to(own.dtype).mean(dim=(1, 2)))
    stays = cells(~taken.flatten(1), rows, columns, height, width)
    return Mixed(
        torch.where(stays, images, images[partner]),
        blend(targets, targets[partner], share),
        own=stays.to(images.dtype),
        weights=None if normalise else total.to(targets.dtype),
    )


def attention_share(attention: Tensor, own: Tensor, downsampling: Downsampling) -> Tensor:
    """Return the share of each image's attention that lies on its own pixels, float [B].

    attention: float [B, 1, h, w], 0 or more.
    own: float [B, 1, H, W], the own share of each pixel.
    downsampling: "nearest": the first pixel of each patch decides. "area": the mean of its pixels.
    """
    attention = attention.to(torch.promote_types(attention.dtype, torch.float32))
    own = own.to(attention.dtype)
    size = (attention.shape[2], attention.shape[3])
    mask = F.interpolate(own, size) if downsampling == "nearest" else F.adaptive_avg_pool2d(own, size)
    return (mask * attention).sum(dim=(1, 2, 3)) / attention.sum(dim=(1, 2, 3))


def _attention(outputs: Outputs, targets: Tensor) -> Tensor:
    """Return the attention of the mixed images, float [B, 1, h, w]."""
    assert outputs.attention is not None  # the method declares that it needs it
    return outputs.attention(targets)


def _maps(attention: Maps, images: Tensor, targets: Tensor) -> Tensor:
    """Return the attention of the images before mixing, float [B, h, w]."""
    maps = attention(images, targets)
    return maps[:, 0].detach().to(torch.promote_types(maps.dtype, torch.float32))


def _side(size: Tensor, patches: int, low: float, high: float) -> Tensor:
    """Return sides of squares, int64 [B], in patches; uniform from ⌊low·patches⌋ to ⌊high·patches⌋ for a uniform size.

    It is at least 1 and below `patches`; 0 if there is only one patch.
    """
    least = min(max(1, int(low * patches)), patches - 1)
    most = min(max(least, int(high * patches)), patches - 1)
    return least + (size.double() * (most - least + 1)).long()


def _window_sums(maps: Tensor, sides: Tensor, outside: float) -> Tensor:
    """Return the sum of each window of a map, float [B, h, w], by its top left corner.

    maps: float [B, h, w].
    sides: int64 [B, 2], height and width of the windows.
    outside: value for windows that do not lie inside the map.
    """
    in_window: list[Tensor] = []
    beyond: list[Tensor] = []
    for axis, count in enumerate(maps.shape[1:]):
        place = torch.arange(count, device=maps.device)
        side = sides[:, axis, None]
        distance = place - place[:, None]
        in_window.append(((distance >= 0) & (distance < side[..., None])).to(maps.dtype))
        beyond.append(place + side > count)
    sums = in_window[0] @ maps @ in_window[1].mT
    return sums.masked_fill(beyond[0][:, :, None] | beyond[1][:, None, :], outside)


def _first(values: Tensor, columns: int) -> Tensor:
    """Return row and column, int64 [B, 2], of the largest value of each map [B, h, w]; of equal values, the first."""
    place = values.flatten(1).argmax(dim=1)
    return torch.stack([place // columns, place % columns], dim=1)


def _shifted(images: Tensor, by: Tensor) -> Tensor:
    """Return images [B, C, H, W] whose pixel (r, c) is pixel (r, c) + by, clamped to the image. by: int64 [B, 2]."""
    for axis in (0, 1):
        count = images.shape[2 + axis]
        place = (torch.arange(count, device=images.device) + by[:, axis, None]).clamp(0, count - 1)
        shape = [len(images), 1, 1, 1]
        shape[2 + axis] = count
        images = images.gather(2 + axis, place.view(shape).expand_as(images))
    return images
