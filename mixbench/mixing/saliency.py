"""SaliencyMix and its saliency map, which compares each pixel with its surround at several scales."""

from collections import Counter
from typing import Literal

import torch
from torch import Tensor

from mixbench.mixing.contract import Mixed, method
from mixbench.mixing.operations import blend
from mixbench.mixing.regions import box, half_sides

SURROUNDS = (12, 24, 48, 28, 56, 112)  # pixels from the centre: 3 and 7 times 4, 8 and 16
LUMA = (9798, 19235, 3735)  # weights of red, green and blue in units of 2⁻¹⁵: OpenCV's 0.299, 0.587 and 0.114


@method(draws=("partner", "lam"))
def saliencymix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    saliency: Literal["official", "per-image"] = "official",
    correct_lambda: bool = True,
) -> Mixed:
    """SaliencyMix: CutMix with the box around the partner's most salient pixel.

    Of equally salient pixels, the first in reading order is used. The saliency is what OpenCV computes from BGR bytes.
    The published code instead passes normalised RGB floats to OpenCV, which reads them as bytes and returns noise.

    images: float [B, C, H, W], RGB where C is 3.
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ before clipping.
    saliency: "official": one partner, that of the first mixed image, decides for the whole batch, as in the published
        code. "per-image": each image's own partner decides, as in the paper.
    correct_lambda: True: weight labels by the true area after clipping, as in the paper's code. False: by the drawn λ.
    Returns mixed images and targets.
    Source: Uddin et al. 2021, section 3.2.
    """
    height, width = images.shape[2:]
    if saliency == "official":
        first = (lam < 1).long().argmax(dim=0, keepdim=True)
        source = images[partner[first]]
    else:
        source = images[partner]
    most = fine_grained_saliency(source).flatten(1).argmax(dim=1)
    centre = torch.stack([most // width, most % width], dim=1).expand(len(images), 2)
    inside, area = box(centre, half_sides(lam, height, width), height, width)
    if correct_lambda:
        lam = 1 - area / (height * width)
    mixed = torch.where(inside, images[partner], images)
    return Mixed(mixed, blend(targets, targets[partner], lam), own=(~inside).to(images.dtype))


def fine_grained_saliency(images: Tensor) -> Tensor:
    """Return the fine-grained static saliency of images.

    Each pixel of the smoothed grey image is compared with the mean of the other pixels in six squares around it.
    Positive differences (brighter pixels) add up to the "on" map, negative ones to the "off" map. Each map is scaled to
    255, and so is their sum, by the larger maximum.

    For uint8 images with 1 or 3 channels the result equals 255 times OpenCV's StaticSaliencyFineGrained exactly, with
    OpenCV's truncation to integers at every stage (and the sum of both maps modulo 256). OpenCV expects BGR, so it must
    get the same image with its channels in that order. Float images of any range are not truncated.

    images: [B, C, H, W]; three channels are red, green and blue (RGB), any other number is averaged.
    Returns float64 [B, H, W], 0 to about 255.
    Source: Montabone and Soto 2010.
    """
    whole = images.dtype == torch.uint8
    grey = _smooth(_grey(images), whole)
    # Squares that reach beyond the longer side all cover the whole image, so one is computed and counted repeatedly.
    halves = Counter(min(half, max(grey.shape[1:])) for half in SURROUNDS)
    on, off = torch.zeros_like(grey), torch.zeros_like(grey)
    for half, times in halves.items():
        rows, columns = (_window(side, half, grey) for side in grey.shape[1:])
        others = (rows.sum(dim=1)[:, None] * columns.sum(dim=1) - 1).clamp(min=1)
        mean = (rows @ grey @ columns.mT).sub_(grey).div_(others)
        difference = (grey - mean).trunc_() if whole else grey - mean
        on.add_(difference.clamp(min=0), alpha=times)
        off.sub_(difference.clamp_(max=0), alpha=times)
    if not whole:  # rounding errors in a constant image are not contrast
        least = 1e-9 * grey.abs().amax(dim=(1, 2), keepdim=True)
        on, off = (part.mul_(part.amax(dim=(1, 2), keepdim=True) > least) for part in (on, off))
    on, off = (part.div_(_peak(part)).double().mul_(255) for part in (on, off))
    if whole:
        on, off = on.floor_(), off.floor_()
    both = (on + off).mul_(255).div_(torch.maximum(_peak(on), _peak(off)))
    return both.floor_().remainder_(256) if whole else both


def _grey(images: Tensor) -> Tensor:
    """[B, H, W]: grey images, float64; for uint8 images whole numbers in float32, which is exact up to 2²⁴."""
    whole = images.dtype == torch.uint8
    if images.shape[1] != 3:
        return images[:, 0].float() if whole else images.double().mean(dim=1)
    red, green, blue = ((images[:, i].int() if whole else images[:, i].double()) * LUMA[i] for i in range(3))
    grey = red + green + blue
    return ((grey + 2**14) >> 15).float() if whole else grey / 2**15


def _smooth(grey: Tensor, whole: bool) -> Tensor:
    """Apply a [1 2 1] filter twice along rows and columns. The image is mirrored at its outermost pixels."""
    rows, columns = (_binomial(side, grey) for side in grey.shape[1:])
    for _ in range(2):
        grey = rows @ grey @ columns.mT
        if whole:
            grey = grey.add_(0.5).floor_()
    return grey


def _binomial(side: int, like: Tensor) -> Tensor:
    """[side, side]: the matrix that filters an axis with 1/4, 1/2, 1/4."""
    if side == 1:
        return torch.ones(1, 1, dtype=like.dtype, device=like.device)
    pixels = torch.arange(side, dtype=like.dtype, device=like.device)
    weights = (0.5 - 0.25 * (pixels - pixels[:, None]).abs()).clamp(min=0)
    weights[0, 1] = weights[-1, -2] = 0.5  # the neighbour is also its own mirror image
    return weights


def _window(side: int, half: int, like: Tensor) -> Tensor:
    """[side, side]: the matrix that sums an axis from half - 1 pixels before each pixel to half pixels after it."""
    pixels = torch.arange(side, device=like.device)
    distance = pixels - pixels[:, None]
    return ((distance > -half) & (distance <= half)).to(like.dtype)


def _peak(part: Tensor) -> Tensor:
    """[B, 1, 1]: the maximum of each map, or 1 if the map is 0 everywhere."""
    peak = part.amax(dim=(1, 2), keepdim=True)
    return torch.where(peak > 0, peak, 1)
