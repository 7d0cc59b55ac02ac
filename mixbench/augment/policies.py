"""RandAugment, TrivialAugment and AutoAugment, with the search spaces of torchvision.

All three first do what `standard` does, as their papers do: the policy sees the cropped and mirrored image.
"""

from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from mixbench.augment.crops import standard
from mixbench.augment.layout import pixels, planes
from mixbench.augment.operations import SIGNED, Row, apply, magnitudes, signed_rows, table
from mixbench.augment.subpolicies import SUBPOLICIES
from mixbench.core.draws import UNIFORMS

OPERATIONS = ("Identity", *SIGNED, "Posterize", "Solarize", "AutoContrast", "Equalize")
Shape = tuple[int, int, int]  # C, H, W


def randaugment(
    images: Tensor,
    *,
    shift: Tensor,
    mirror: Tensor,
    uniforms: Tensor,
    pad: int,
    flip: bool,
    num_ops: int = 2,
    magnitude: int = 9,
    num_magnitude_bins: int = 31,
) -> Tensor:
    """num_ops of 14 operations in turn, all of one strength (Cubuk et al. 2020, RandAugment, section 3).

    images: uint8 [B, C, H, W]. shift, mirror, pad, flip: of `standard`, which comes first. uniforms: float64 [B, 32];
    number 2k chooses operation k, 2k + 1 below 1/2 makes it negative where it has a sign. magnitude: which of
    num_magnitude_bins equal steps from nothing to the strongest. Raises ValueError where these do not fit.
    """
    if not 1 <= num_ops <= UNIFORMS // 2:
        raise ValueError(f"num_ops={num_ops}: must be from 1 to {UNIFORMS // 2}")
    _check_bins(num_magnitude_bins)
    if not 0 <= magnitude < num_magnitude_bins:
        raise ValueError(f"magnitude={magnitude}: must be from 0 to num_magnitude_bins - 1 = {num_magnitude_bins - 1}")
    images = planes(standard(images, shift=shift, mirror=mirror, pad=pad, flip=flip))
    rows = _randaugment_rows(images.shape[1:], magnitude, num_magnitude_bins, images.device)
    for k in range(num_ops):
        operation = (uniforms[:, 2 * k] * len(OPERATIONS)).long()
        images = apply(images, rows[2 * operation + (uniforms[:, 2 * k + 1] < 0.5)])
    return pixels(images)


def trivialaugment(
    images: Tensor,
    *,
    shift: Tensor,
    mirror: Tensor,
    uniforms: Tensor,
    pad: int,
    flip: bool,
    num_magnitude_bins: int = 31,
) -> Tensor:
    """One of 14 operations, of any strength (Müller and Hutter 2021, TrivialAugment, section 3, the wide space).

    images: uint8 [B, C, H, W]. shift, mirror, pad, flip: of `standard`, which comes first. uniforms: float64 [B, 32];
    number 0 chooses the operation, 1 its strength out of num_magnitude_bins, 2 below 1/2 makes it negative where it
    has a sign. Raises ValueError where num_magnitude_bins is below 2.
    """
    _check_bins(num_magnitude_bins)
    images = planes(standard(images, shift=shift, mirror=mirror, pad=pad, flip=flip))
    rows = _trivialaugment_rows(images.shape[1:], num_magnitude_bins, images.device)
    operation, strength = (uniforms[:, 0] * len(OPERATIONS)).long(), (uniforms[:, 1] * num_magnitude_bins).long()
    chosen = 2 * (operation * num_magnitude_bins + strength) + (uniforms[:, 2] < 0.5)
    return pixels(apply(images, rows[chosen]))


def autoaugment(
    images: Tensor,
    *,
    shift: Tensor,
    mirror: Tensor,
    uniforms: Tensor,
    pad: int,
    flip: bool,
    policy: Literal["cifar10", "imagenet", "svhn"] = "cifar10",
) -> Tensor:
    """One of 25 learned pairs of operations, each applied with a probability (Cubuk et al. 2019, AutoAugment).

    images: uint8 [B, C, H, W]. shift, mirror, pad, flip: of `standard`, which comes first. uniforms: float64 [B, 32];
    number 0 chooses the pair, 1 + 2k is compared with the probability of its operation k, and 2 + 2k below 1/2 makes
    that negative where it has a sign. policy: the data set that it was learned on (the paper's appendix).
    """
    images = planes(standard(images, shift=shift, mirror=mirror, pad=pad, flip=flip))
    rows, probabilities = _autoaugment_rows(images.shape[1:], policy, images.device)
    pair = (uniforms[:, 0] * len(SUBPOLICIES[policy])).long()
    for k in range(2):
        chosen = 2 * (2 * pair + k) + (uniforms[:, 2 + 2 * k] < 0.5)
        left_out = uniforms[:, 1 + 2 * k] > probabilities[pair, k]
        images = apply(images, rows[chosen.masked_fill(left_out, len(rows) - 1)])
    return pixels(images)


def _check_bins(num_magnitude_bins: int) -> None:
    if num_magnitude_bins < 2:
        raise ValueError(f"num_magnitude_bins={num_magnitude_bins}: must be 2 or more")


# The tables are made on the host, in double precision, and kept on the device: a CUDA graph cannot copy from the host.


@lru_cache(maxsize=16)
def _randaugment_rows(shape: Shape, magnitude: int, bins: int, device: torch.device) -> Tensor:
    """float32 [14 · 2, 14]: for each operation positive and negative."""
    channels, height, width = shape
    tops = _narrow(height, width)
    chosen = [(operation, magnitudes(operation, tops, bins)[magnitude]) for operation in OPERATIONS]
    return table([one for pair in chosen for one in signed_rows(*pair, height, width, channels)], device)


@lru_cache(maxsize=16)
def _trivialaugment_rows(shape: Shape, bins: int, device: torch.device) -> Tensor:
    """float32 [14 · bins · 2, 14]: for each operation and strength positive and negative."""
    channels, height, width = shape
    pairs = [(operation, m) for operation in OPERATIONS for m in magnitudes(operation, WIDE, bins)]
    return table([one for pair in pairs for one in signed_rows(*pair, height, width, channels)], device)


@lru_cache(maxsize=16)
def _autoaugment_rows(shape: Shape, policy: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Rows float32 [25 · 2 · 2 + 1, 14], each pair's operations, positive and negative, last the identity, and
    probabilities float64 [25, 2].
    """
    channels, height, width = shape
    tops = _narrow(height, width)
    rows = [
        one
        for pair in SUBPOLICIES[policy]
        for operation, _, level in pair
        for one in signed_rows(operation, magnitudes(operation, tops, 10)[level], height, width, channels)
    ]
    probabilities = [[probability for _, probability, _ in pair] for pair in SUBPOLICIES[policy]]
    return table([*rows, Row()], device), torch.tensor(probabilities, dtype=torch.float64, device=device)


def _narrow(height: int, width: int) -> dict[str, float]:
    """The strongest magnitudes of AutoAugment and RandAugment, as torchvision has them."""
    return {
        "ShearX": 0.3,
        "ShearY": 0.3,
        "TranslateX": 150 / 331 * width,  # 150 pixels of the 331 of the paper's ImageNet images
        "TranslateY": 150 / 331 * height,
        "Rotate": 30.0,
        "Brightness": 0.9,
        "Color": 0.9,
        "Contrast": 0.9,
        "Sharpness": 0.9,
        "Posterize": 4,
    }


WIDE = {  # of TrivialAugment (the paper's table of the wide space)
    "ShearX": 0.99,
    "ShearY": 0.99,
    "TranslateX": 32.0,
    "TranslateY": 32.0,
    "Rotate": 135.0,
    "Brightness": 0.99,
    "Color": 0.99,
    "Contrast": 0.99,
    "Sharpness": 0.99,
    "Posterize": 6,
}
