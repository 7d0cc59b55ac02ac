"""Methods that mix by a mask: a soft disc, or regions of low frequency."""

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
    """A soft disc of the partner: x(1-m) + x[π]m with m = exp(-d²/2σ²), labels by the mean of m.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    applied: bool [B], whether the image is mixed.
    centre: int64 [B, 2], row and column of the disc's centre.
    size: float [B] in (0, 1), the place of σ between min_sigma and max_sigma.
    min_sigma, max_sigma: bounds of σ, as shares of the image's shorter side.
    Returns mixed images and targets.
    Raises ValueError where not 0 < min_sigma <= max_sigma <= 100.
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
    """FMix: the top λ of the pixels of a random field of low frequency stay, the others are the partner's.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    noise: float [B or 1, H, W // 2 + 1, 2], standard normal.
    coin: bool [B], whether λHW is rounded up.
    decay_power: the field's amplitude falls with frequency to this power.
    spectrum: "complex", as the paper describes it; "published", as its code computes it; "interleaved", as an earlier
        state of that code did (see `low_frequency`).
    correct_lambda: weigh the labels by the share of pixels, or by the λ that was drawn (the paper's code).
    Returns mixed images and targets.
    Raises ValueError where decay_power is not from 0 to 10, or the image too small for the published spectrum.
    Source: Harris et al. 2020, section 4.1.
    """
    height, width = images.shape[2:]
    pixels = height * width
    if not 0 <= decay_power <= 10:
        raise ValueError(f"decay_power={decay_power}: must be from 0 to 10")
    field = low_frequency(noise, height, width, decay_power, spectrum).flatten(1)
    wanted = pixels * lam.double()
    # λ = k / HW is k pixels either way, whatever the last digit of the product.
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

    noise: float [M, H, W // 2 + 1, 2], standard normal; f is the distance from frequency 0, in cycles per pixel.
    spectrum: "complex" takes the last axis for real and imaginary part, as the paper describes it.
    "published" does as fmix.py of ecs-vlc/FMix since 17 February 2020 (see `_published`).
    "interleaved" does as that file did four days earlier (commit 247adc5): the two parts become neighbouring columns of
    a real spectrum, of which the first W // 2 + 1 are kept. So column k falls as column k // 2 should, and each field
    is symmetric about a point.
    Raises ValueError where the image is too small for the published spectrum.
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
    """The field of FMix's published code, which indexes the rows of the spectrum where it means its two parts.

    Row 0 of the noise becomes the real part and row 1 the imaginary part. What is left, [columns, 2], is taken for the
    spectrum: its columns for rows, and the noise's two parts for the column frequencies 0 and 1. So a field has one
    period along its rows at most, falls along its columns as it should, and mostly splits an image into bands.
    Of an odd width the code has a column more than the noise; the numbers come from the noise's other rows.
    """
    columns = width // 2 + 1 + width % 2
    values = noise.flatten(1)[:, : 4 * columns]
    if height < 2 or values.shape[1] < 4 * columns:
        raise ValueError(f"spectrum=published: images of {height}x{width} are too small, 3x2 is the least")
    across = torch.fft.fftfreq(width, device=noise.device, dtype=torch.float64)[:columns]
    down = torch.tensor([0, 1 / height], device=noise.device, dtype=torch.float64)
    # Of height 2 the code's row 1 has frequency -1/2, which is as far from 0.
    frequency = (down[:, None] ** 2 + across**2).sqrt().clamp(min=1 / max(height, width))
    drawn = values.double().view(-1, 2, columns, 2) / (frequency**decay_power)[..., None]
    half = torch.complex(drawn[:, 0], drawn[:, 1])
    return torch.fft.irfft2(half, s=(height, width))
