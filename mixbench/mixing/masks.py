"""Methods that mix images with a mask: a soft disc, or regions of low frequency."""

from typing import Literal

import torch
from torch import Tensor

from mixbench.core.registry import check_bounds
from mixbench.mixing.contract import Mixed, method
from mixbench.mixing.operations import blend, ranks

Spectrum = Literal["complex", "published", "interleaved"]


@method(draws=("partner", "applied", "centre", "size"))
def smoothmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    applied: Tensor,
    centre: Tensor,
    size: Tensor,
    min_sigma: float = 0.25,
    max_sigma: float = 0.5,
) -> Mixed:
    """SmoothMix: a soft disc of the partner is blended in, x(1-m) + x[π]m with m = exp(-d²/2σ²).

    d is a pixel's distance from the centre. The partner's label gets the mean of m as its weight.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    applied: bool [B], whether the image is mixed.
    centre: int64 [B, 2], row and column of the disc's centre.
    size: float [B] in (0, 1), the position of σ between min_sigma and max_sigma.
    min_sigma: smallest σ, as a share of the image's shorter side.
    max_sigma: largest σ, as a share of the image's shorter side.
    Returns mixed images and targets.
    Raises ValueError unless 0 < min_sigma <= max_sigma <= 100.
    Source: Lee et al. 2020, section 3.
    """
    check_bounds("sigma", min_sigma, max_sigma, 100)
    sigma = min(images.shape[2:]) * (min_sigma + (max_sigma - min_sigma) * size.double())
    rows, columns = (
        torch.exp(-(((torch.arange(side, device=size.device) - centre[:, i, None]) / sigma[:, None]) ** 2) / 2)
        for i, side in enumerate(images.shape[2:])
    )
    disc = (rows[:, :, None] * columns[:, None, :] * applied.view(-1, 1, 1))[:, None]  # float64 [B, 1, H, W]
    lam = 1 - disc.mean(dim=(1, 2, 3))
    own = (1 - disc).to(images.dtype)
    return Mixed(torch.lerp(images[partner], images, own), blend(targets, targets[partner], lam), own=own)


@method(draws=("partner", "lam", "noise", "coin"))
def fmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    noise: Tensor,
    coin: Tensor,
    decay_power: float = 3.0,
    spectrum: Spectrum = "complex",
    correct_lambda: bool = False,
) -> Mixed:
    """FMix: a mask from a random low-frequency field; the share λ of pixels with the highest values keeps the image.

    All other pixels come from the partner.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    noise: float [B or 1, H, W // 2 + 1, 2], standard normal.
    coin: bool [B], whether the number of pixels λHW is rounded up instead of down.
    decay_power: the amplitude of the field falls with frequency to this power.
    spectrum: "complex", as described in the paper; "published", as computed by the paper's code; "interleaved", as
        computed by an earlier version of that code (see `low_frequency`).
    correct_lambda: True: weight labels by the true share of pixels. False: by the drawn λ, as in the paper's code.
    Returns mixed images and targets.
    Raises ValueError if decay_power is not in 0 to 10, or if the image is too small for the published spectrum.
    Source: Harris et al. 2020, section 4.1.
    """
    height, width = images.shape[2:]
    pixels = height * width
    if not 0 <= decay_power <= 10:
        raise ValueError(f"decay_power={decay_power}: must be from 0 to 10")
    field = low_frequency(noise, height, width, decay_power, spectrum).flatten(1)
    wanted = pixels * lam.double()
    # λ = k / HW means k pixels for both roundings, whatever the rounding error of the product.
    count = torch.where(coin, (wanted - 1e-6).ceil(), (wanted + 1e-6).floor())
    kept = (ranks(field, descending=True) < count[:, None]).view(-1, 1, height, width)
    if correct_lambda:
        lam = count / pixels
    mixed = torch.where(kept, images, images[partner])
    return Mixed(mixed, blend(targets, targets[partner], lam), own=kept.to(images.dtype))


def low_frequency(
    noise: Tensor,
    height: int,
    width: int,
    decay_power: float,
    spectrum: Spectrum = "complex",
) -> Tensor:
    """float64 [M, H, W]: the inverse real Fourier transform of noise divided by max(f, 1/max(H, W))^decay_power.

    f is the distance from frequency 0, in cycles per pixel.
    noise: float [M, H, W // 2 + 1, 2], standard normal.
    height, width: size of the field, H and W, in pixels.
    decay_power: the amplitude falls with frequency to this power.
    spectrum: "complex": the last axis holds the real and imaginary parts, as described in the paper.
        "published": like fmix.py of ecs-vlc/FMix since 17 February 2020 (see `_published`).
        "interleaved": like that file four days earlier (commit 247adc5). The two parts become neighbouring columns of a
        real spectrum, of which the first W // 2 + 1 are kept. So column k falls with frequency like column k // 2
        should, and each field is symmetric about a point.
    Raises ValueError if the image is too small for the published spectrum.
    """
    if spectrum == "published":
        return _published(noise, height, width, decay_power)
    down = torch.fft.fftfreq(height, device=noise.device, dtype=torch.float64)
    across = torch.fft.rfftfreq(width, device=noise.device, dtype=torch.float64)
    frequency = (down[:, None] ** 2 + across**2).sqrt().clamp(min=1 / max(height, width))
    drawn = noise.double() / (frequency**decay_power)[..., None]
    if spectrum == "complex":
        half = torch.view_as_complex(drawn.contiguous())
    else:
        half = drawn.flatten(2)[..., : width // 2 + 1].to(torch.complex128)
    return torch.fft.irfft2(half, s=(height, width))


def _published(noise: Tensor, height: int, width: int, decay_power: float) -> Tensor:
    """Return the field as FMix's published code computes it, with its indexing mistake.

    The code indexes the rows of the spectrum instead of its real and imaginary parts: row 0 of the noise becomes the
    real part and row 1 the imaginary part. The remaining axes [columns, 2] are used as the spectrum: columns as rows,
    and the two parts as column frequencies 0 and 1. So a field has at most one period along its rows, falls with
    frequency along its columns as it should, and mostly splits an image into bands. For an odd width the code has one
    more column than the noise; its numbers come from the other rows of the noise.
    """
    columns = width // 2 + 1 + width % 2
    values = noise.flatten(1)[:, : 4 * columns]
    if height < 2 or values.shape[1] < 4 * columns:
        raise ValueError(f"spectrum=published: images of {height}x{width} are too small; the minimum is 3x2")
    across = torch.fft.fftfreq(width, device=noise.device, dtype=torch.float64)[:columns]
    down = torch.tensor([0, 1 / height], device=noise.device, dtype=torch.float64)
    # For height 2 the frequency of the code's row 1 is -1/2, which has the same distance from 0.
    frequency = (down[:, None] ** 2 + across**2).sqrt().clamp(min=1 / max(height, width))
    drawn = values.double().view(-1, 2, columns, 2) / (frequency**decay_power)[..., None]
    half = torch.complex(drawn[:, 0], drawn[:, 1])
    return torch.fft.irfft2(half, s=(height, width))
