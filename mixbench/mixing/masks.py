"""Methods that mix by a mask: a soft disc, or regions of low frequency."""

from typing import Literal

import torch
from torch import Tensor

from mixbench.functions import check_bounds
from mixbench.mixing.library import standalone
from mixbench.mixing.operations import blend, ranks


@standalone(p=1.0, per_sample=False)
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
) -> tuple[Tensor, Tensor]:
    """A soft disc of the partner: x(1-m) + x[π]m, m = exp(-d²/2σ²), labels by m's mean (Lee et al. 2020, section 3).

    images: float [B, C, H, W]. targets: float [B, K], label weights. partner: int64 [B], the permutation π.
    applied: bool [B], whether the image is mixed. centre: int64 [B, 2], row and column of the disc's centre.
    size: float [B] in (0, 1), where σ lies between min_sigma and max_sigma, which are shares of the shorter side.
    Raises ValueError where not 0 < min_sigma <= max_sigma <= 100.
    """
    check_bounds("sigma", min_sigma, max_sigma, 100)
    sigma = min(images.shape[2:]) * (min_sigma + (max_sigma - min_sigma) * size.double())
    rows, columns = (
        torch.exp(-(((torch.arange(side, device=size.device) - centre[:, i, None]) / sigma[:, None]) ** 2) / 2)
        for i, side in enumerate(images.shape[2:])
    )
    disc = (rows[:, :, None] * columns[:, None, :] * applied.view(-1, 1, 1))[:, None]  # float64 [B, 1, H, W]
    lam = 1 - disc.mean(dim=(1, 2, 3))
    return torch.lerp(images[partner], images, (1 - disc).to(images.dtype)), blend(targets, targets[partner], lam)


@standalone(alpha=1.0, beta=None, p=1.0, per_sample=False)
def fmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    noise: Tensor,
    coin: Tensor,
    decay_power: float = 3.0,
    spectrum: Literal["complex", "interleaved"] = "complex",
    correct_lambda: bool = False,
) -> tuple[Tensor, Tensor]:
    """The top λ of the pixels of a random field of low frequency stay, the others are the partner's.

    Harris et al. 2020 ("FMix"), section 4.1. images: float [B, C, H, W]. targets: float [B, K], label weights.
    partner: int64 [B], the permutation π. lam: float [B]. noise: float [B or 1, H, W // 2 + 1, 2], standard normal.
    coin: bool [B], whether λHW is rounded up. decay_power: the field's amplitude falls with frequency to this power.
    spectrum: "complex", as the paper has it; "interleaved", as its code has it (see `low_frequency`).
    correct_lambda: weigh the labels by the share of pixels, or by the λ that was drawn (the paper's code).
    """
    height, width = images.shape[2:]
    pixels = height * width
    if not 0 <= decay_power <= 10:
        raise ValueError(f"decay_power={decay_power}: must be from 0 to 10")
    field = low_frequency(noise, height, width, decay_power, spectrum).flatten(1)
    wanted = pixels * lam.double()
    # λ = k / HW is k pixels either way, whatever the last digit of the product.
    count = torch.where(coin, (wanted - 1e-6).ceil(), (wanted + 1e-6).floor())
    own = (ranks(field, descending=True) < count[:, None]).view(-1, 1, height, width)
    if correct_lambda:
        lam = count / pixels
    return torch.where(own, images, images[partner]), blend(targets, targets[partner], lam)


def low_frequency(
    noise: Tensor,
    height: int,
    width: int,
    decay_power: float,
    spectrum: Literal["complex", "interleaved"] = "complex",
) -> Tensor:
    """float64 [M, H, W]: the inverse real Fourier transform of noise divided by max(f, 1/max(H, W))^decay_power.

    noise: float [M, H, W // 2 + 1, 2], standard normal; f is the distance from frequency 0, in cycles per pixel.
    spectrum: "complex" takes the last axis for real and imaginary part. "interleaved" does as the published code: the
    two parts become neighbouring columns of a real spectrum, of which the first W // 2 + 1 are kept. So column k falls
    as column k // 2 should, and each field is symmetric about a point. (Of an odd width the published code keeps one
    column more than it needs.)
    """
    down = torch.fft.fftfreq(height, device=noise.device, dtype=torch.float64)
    across = torch.fft.rfftfreq(width, device=noise.device, dtype=torch.float64)
    frequency = (down[:, None] ** 2 + across**2).sqrt().clamp(min=1 / max(height, width))
    drawn = noise.double() / (frequency**decay_power)[..., None]
    if spectrum == "complex":
        half = torch.view_as_complex(drawn.contiguous())
    else:
        half = drawn.flatten(2)[..., : width // 2 + 1].to(torch.complex128)
    return torch.fft.irfft2(half, s=(height, width))
