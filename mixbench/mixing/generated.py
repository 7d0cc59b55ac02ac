"""Methods that join an image with a generated variant of itself and blend in a fractal. The label stays the image's."""

from typing import Literal

import torch
from torch import Tensor

from mixbench.mixing.contract import Generated, Mixed, method
from mixbench.mixing.operations import blend

OwnSide = Literal["either", "first"]


@method(draws=("chosen", "picks"), needs=("generated",), backends=("diffusers",))
def diffusemix(
    images: Tensor,
    targets: Tensor,
    *,
    chosen: Tensor,
    picks: Tensor,
    generated: Generated,
    seam: float = 0.04,
    fractal: float = 0.2,
    own_side: OwnSide = "either",
) -> Mixed:
    """DiffuseMix: half of the image, half of its variant by a diffusion model, and a fractal blended over both.

    images: float [B, C, H, W].
    targets: float [B, K], label weights, which stay as they are.
    chosen: bool [B], whether the image is mixed.
    picks: float [B, 4] in (0, 1), which variant, which fractal, the direction and the half of the image.
    generated: variants of each image, and fractals.
    seam: width of the transition from one half to the other, as a share of the image's side.
    fractal: share of the fractal in the result.
    own_side: which half the image keeps. "either": a drawn one; "first": the top or left one, as in the published code.
    Returns mixed images and targets.
    Raises ValueError unless seam is from 0 to 1 and fractal from 0 to below 1, and for an unknown own_side.
    Source: Islam et al. 2024, section 3; the published code is augment/diffuseMix.py and augment/utils.py of
        khawar-islam/diffuseMix.
    """
    return _joined(images, targets, chosen, picks, generated, seam, fractal, own_side)


@method(draws=("chosen", "picks"), needs=("generated",), backends=("filters",))
def filter_mix(
    images: Tensor,
    targets: Tensor,
    *,
    chosen: Tensor,
    picks: Tensor,
    generated: Generated,
    seam: float = 0.04,
    fractal: float = 0.2,
    own_side: OwnSide = "either",
) -> Mixed:
    """Filter-mix: DiffuseMix with classical image filters in place of a diffusion model.

    images: float [B, C, H, W].
    targets: float [B, K], label weights, which stay as they are.
    chosen: bool [B], whether the image is mixed.
    picks: float [B, 4] in (0, 1), which variant, which fractal, the direction and the half of the image.
    generated: variants of each image, and fractals.
    seam: width of the transition from one half to the other, as a share of the image's side.
    fractal: share of the fractal in the result.
    own_side: which half the image keeps. "either": a drawn one; "first": the top or left one.
    Returns mixed images and targets.
    Raises ValueError unless seam is from 0 to 1 and fractal from 0 to below 1, and for an unknown own_side.
    Source: our variation of DiffuseMix (Islam et al. 2024); it has no paper of its own.
    """
    return _joined(images, targets, chosen, picks, generated, seam, fractal, own_side)


def _joined(
    images: Tensor,
    targets: Tensor,
    chosen: Tensor,
    picks: Tensor,
    generated: Generated,
    seam: float,
    fractal: float,
    own_side: str,
) -> Mixed:
    if not 0 <= seam <= 1:
        raise ValueError(f"seam={seam}: must be from 0 to 1, a share of the image's side")
    if not 0 <= fractal < 1:
        raise ValueError(f"fractal={fractal}: must be from 0 to below 1")
    if own_side not in ("either", "first"):
        raise ValueError(f"own_side={own_side}: must be either or first")
    which_variant, which_fractal, direction, half = picks.unbind(dim=1)
    swapped = (half < 0.5) & (own_side == "either")
    own = half_masks(images, direction < 0.5, swapped, seam)
    variants, fractals = generated.variants(which_variant), generated.fractals(which_fractal)
    hybrid = torch.lerp(variants, images, own)
    result = blend(hybrid, fractals, torch.full_like(half, 1 - fractal))
    here = chosen.view(-1, 1, 1, 1)
    return Mixed(
        torch.where(here, result, images),
        targets,
        own=torch.where(here, (1 - fractal) * own, torch.ones_like(own)),
        stages={"image": images, "variant": variants, "hybrid": hybrid, "fractal": fractals, "result": result},
    )


def half_masks(images: Tensor, below: Tensor, swapped: Tensor, seam: float) -> Tensor:
    """float [B, 1, H, W]: the share of the image's own pixels, 1 in one half and 0 in the other, linear in between.

    images: float [B, C, H, W].
    below: bool [B]; True: the halves lie one below the other; False: side by side.
    swapped: bool [B]; True: the image keeps the bottom or right half; False: the top or left one.
    seam: width of the transition, as a share of the image's side.
    """
    height, width = images.shape[2:]
    down, across = (_ramp(side, seam, images) for side in (height, width))
    vertical, horizontal = down.view(1, 1, -1, 1), across.view(1, 1, 1, -1)
    shape = (1, 1, height, width)
    first = torch.where(below.view(-1, 1, 1, 1), vertical.expand(shape), horizontal.expand(shape))
    return torch.where(swapped.view(-1, 1, 1, 1), 1 - first, first)


def _ramp(side: int, seam: float, images: Tensor) -> Tensor:
    """float [side]: 1 for the pixels before the middle, 0 after it, linear within the seam; the mean is 1/2."""
    places = torch.arange(side, device=images.device, dtype=torch.float64)
    beyond = (2 * places + 1 - side) / (2 * side)  # distance of a pixel's centre from the middle, in sides
    return (0.5 - beyond / max(seam, 1e-9)).clamp(0, 1).to(images.dtype)
