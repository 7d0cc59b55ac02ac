"""RandAugment, TrivialAugment and AutoAugment, with the search spaces of torchvision.

All three first apply `standard`, as in their papers: the policy sees the cropped and flipped image.
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
    """RandAugment: apply num_ops random operations of 14, all with the same magnitude.

    images: uint8 [B, C, H, W].
    shift, mirror, pad, flip: arguments of `standard`, which is applied first.
    uniforms: float64 [B, 32] in (0, 1). Number 2k chooses operation k. If number 2k + 1 is below 1/2, an operation with
        a sign gets a negative magnitude.
    num_ops: operations per image.
    magnitude: 0 to num_magnitude_bins - 1, from weakest to strongest.
    num_magnitude_bins: number of equally spaced magnitudes.
    Returns uint8 [B, C, H, W].
    Raises ValueError if an option is out of range.
    Source: Cubuk et al. 2020, RandAugment, section 3.
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
    """TrivialAugment (wide space): apply one random operation of 14 with a random magnitude.

    images: uint8 [B, C, H, W].
    shift, mirror, pad, flip: arguments of `standard`, which is applied first.
    uniforms: float64 [B, 32] in (0, 1). Number 0 chooses the operation, number 1 its magnitude. If number 2 is below
        1/2, an operation with a sign gets a negative magnitude.
    num_magnitude_bins: number of equally spaced magnitudes.
    Returns uint8 [B, C, H, W].
    Raises ValueError if num_magnitude_bins is below 2.
    Source: Müller and Hutter 2021, TrivialAugment, section 3.
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
    """AutoAugment: apply one random pair of 25 learned pairs of operations, each operation with its own probability.

    images: uint8 [B, C, H, W].
    shift, mirror, pad, flip: arguments of `standard`, which is applied first.
    uniforms: float64 [B, 32] in (0, 1). Number 0 chooses the pair. Number 1 + 2k is compared with the probability of
        operation k. If number 2 + 2k is below 1/2, an operation with a sign gets a negative magnitude.
    policy: the data set for which the pairs were learned.
    Returns uint8 [B, C, H, W].
    Source: Cubuk et al. 2019, AutoAugment, appendix (the policies).
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


# Tables are computed on the host in double precision and kept on the device: a CUDA graph cannot copy from the host.


@lru_cache(maxsize=16)
def _randaugment_rows(shape: Shape, magnitude: int, bins: int, device: torch.device) -> Tensor:
    """float32 [14 · 2, 14]: a positive and a negative row for each operation."""
    channels, height, width = shape
    tops = _narrow(height, width)
    chosen = [(operation, magnitudes(operation, tops, bins)[magnitude]) for operation in OPERATIONS]
    return table([one for pair in chosen for one in signed_rows(*pair, height, width, channels)], device)


@lru_cache(maxsize=16)
def _trivialaugment_rows(shape: Shape, bins: int, device: torch.device) -> Tensor:
    """float32 [14 · bins · 2, 14]: a positive and a negative row for each operation and magnitude."""
    channels, height, width = shape
    pairs = [(operation, m) for operation in OPERATIONS for m in magnitudes(operation, WIDE, bins)]
    return table([one for pair in pairs for one in signed_rows(*pair, height, width, channels)], device)


@lru_cache(maxsize=16)
def _autoaugment_rows(shape: Shape, policy: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return rows float32 [25 · 2 · 2 + 1, 14] and probabilities float64 [25, 2].

    There is a positive and a negative row for each operation of each pair; the last row is the identity.
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
    """Return the strongest magnitudes of AutoAugment and RandAugment, as in torchvision."""
    return {
        "ShearX": 0.3,
        "ShearY": 0.3,
        "TranslateX": 150 / 331 * width,  # the paper moves ImageNet images of 331 pixels by up to 150
        "TranslateY": 150 / 331 * height,
        "Rotate": 30.0,
        "Brightness": 0.9,
        "Color": 0.9,
        "Contrast": 0.9,
        "Sharpness": 0.9,
        "Posterize": 4,
    }


WIDE = {  # strongest magnitudes of TrivialAugment (the paper's table of the wide space)
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
