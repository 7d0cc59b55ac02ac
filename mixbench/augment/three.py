"""Three-Augment, the augmentation of DeiT III."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.augment.colour import grey, jitter
from mixbench.augment.crops import standard
from mixbench.augment.layout import pixels, planes, reflected
from mixbench.core.registry import check_bounds

SOLARIZE_FROM = 128  # Pillow's default, which the authors' code uses


def three_augment(
    images: Tensor,
    *,
    shift: Tensor,
    mirror: Tensor,
    uniforms: Tensor,
    pad: int,
    flip: bool,
    color_jitter: float = 0.3,
    min_sigma: float = 0.1,
    max_sigma: float = 2.0,
) -> Tensor:
    """3-Augment: greyscale, solarisation or blur (one of them, with equal probability), then colour jitter.

    Before that, images are padded by reflection, cropped and flipped (the simple random crop). Order and strengths are
    those of the authors' code (deit/augment.py).

    images: uint8 [B, C, H, W].
    shift, mirror, pad, flip: arguments of `standard`.
    uniforms: float64 [B, 32] in (0, 1). Numbers 0 … 7 are for `jitter`, number 8 chooses one of the three operations,
        number 9 gives the standard deviation of the blur.
    color_jitter: brightness, contrast and saturation change by a factor in 1 ± this.
    min_sigma: smallest standard deviation of the blur, in pixels.
    max_sigma: largest standard deviation of the blur, in pixels.
    Returns uint8 [B, C, H, W].
    Raises ValueError if an option is out of range.
    Source: Touvron et al. 2022, DeiT III, section 3.2.
    """
    if color_jitter < 0:
        raise ValueError(f"color_jitter={color_jitter}: must be 0 or more")
    check_bounds("sigma", min_sigma, max_sigma, 100)
    images = planes(standard(images, shift=shift, mirror=mirror, pad=pad, flip=flip, padding="reflect"))
    choice = (3 * uniforms[:, 8]).long()[:, None, None, None]
    shades = grey(images) if images.shape[1] == 3 else images
    solarized = images.lerp(
        255 - images, (images >= SOLARIZE_FROM).float()
    )  # weight 0 or 1: exact, and faster than where
    sigma = min_sigma + (max_sigma - min_sigma) * uniforms[:, 9]
    blurred = gaussian_blur(images, sigma, reach=math.ceil(3 * max_sigma))
    images = blurred.lerp(shades, (choice == 0).float()).lerp(solarized, (choice == 1).float())
    return pixels(jitter(images, uniforms, color_jitter, color_jitter, color_jitter, 0.0))


def gaussian_blur(images: Tensor, sigma: Tensor, reach: int) -> Tensor:
    """Blur each image with its own Gaussian and round the result. The image is reflected beyond its edges.

    At 32 pixels a side, two matrix products per image are faster than applying the filter tap by tap.

    images: float32 [B, C, H, W].
    sigma: float64 [B], standard deviation in pixels.
    reach: pixels on each side at which the Gaussian is cut off.
    Returns float32 [B, C, H, W].
    """
    count, channels, height, width = images.shape
    taps = torch.arange(-reach, reach + 1, device=images.device)
    kernel = torch.softmax(-0.5 * (taps / sigma[:, None]).square(), dim=1).float()
    kernel = F.threshold(kernel, 1e-9, 0.0)  # denormal numbers would make the products many times slower
    across = torch.bmm(images.view(count, -1, width), _matrices(kernel, taps, width).mT)
    down = torch.matmul(_matrices(kernel, taps, height)[:, None], across.view(count, channels, height, width))
    return down.round_()


def _matrices(kernel: Tensor, taps: Tensor, size: int) -> Tensor:
    """float32 [B, size, size]: the filters as matrices on one axis. kernel: float32 [B, T]. taps: int64 [T]."""
    places = torch.arange(size, device=taps.device)
    source = reflected(places[:, None] + taps, size)  # [size, T]: the pixel that each tap reads at each place
    reads = (source[:, :, None] == places).to(kernel.dtype)  # [size, T, size]
    return torch.einsum("bt,ptq->bpq", kernel, reads)
