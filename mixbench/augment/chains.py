"""AugMix: a mixture of an image and of chains of operations on it, with torchvision's operations."""

from functools import lru_cache

import torch
from torch import Tensor

from mixbench.augment.crops import standard
from mixbench.augment.layout import pixels, planes
from mixbench.augment.operations import Row, apply, magnitudes, signed_rows, table
from mixbench.core import registry

CHAINS, LONGEST = 3, 3  # chains of a view, and operations of the longest chain
BINS = 10  # strengths of an operation, from which severity takes the weakest
# Those that the paper uses, and those that it leaves out because they are also corruptions of its test images.
OPERATIONS = (
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Posterize",
    "Solarize",
    "AutoContrast",
    "Equalize",
)
LEFT_OUT = ("Brightness", "Color", "Contrast", "Sharpness")
# Where the uniform numbers of a view begin: weights of the chains, weight of the image, depths, operations.
WEIGHTS, IMAGE, DEPTHS, CHOICES = 0, 3, 4, 7


def augmix(
    images: Tensor,
    *,
    shift: Tensor,
    mirror: Tensor,
    chains: Tensor,
    pad: int,
    flip: bool,
    severity: int = 3,
    depth: int | None = None,
    all_ops: bool = False,
    views: int = 1,
) -> Tensor:
    """AugMix: an image is mixed with three chains of operations on it. Chains have 1 to 3 operations each.

    The chains have weights Dirichlet(1, 1, 1), and the image has the weight Beta(1, 1) against all of them together.

    images: uint8 [B, C, H, W].
    shift, mirror, pad, flip: arguments of `standard`, which is applied first, to all views alike.
    chains: float64 [B, 2, 34] in (0, 1), numbers for two views. Of a view, numbers 0 to 2 give the weights of the
        chains, number 3 that of the image, 4 to 6 the depths. Then each operation of each chain has three numbers: the
        operation, its strength, and, if below 1/2, a negative sign.
    severity: 1 to 10. An operation has one of the `severity` weakest of ten strengths.
    depth: operations in each chain, 1 to 3. None: uniform from 1 to 3.
    all_ops: True: also brightness, colour, contrast and sharpness.
    views: 1: the augmented images. 3: the images after `standard` alone, followed by two augmented views of them.
    Returns uint8 [views · B, C, H, W].
    Raises ValueError if an option is out of range.
    Source: Hendrycks et al. 2020, AugMix, Algorithm 1. Operations and strengths are those of torchvision's AugMix.
    """
    if not 1 <= severity <= BINS:
        raise ValueError(f"severity={severity}: must be from 1 to {BINS}")
    if depth is not None and not 1 <= depth <= LONGEST:
        raise ValueError(f"depth={depth}: must be from 1 to {LONGEST}, or null for a random number")
    clean = planes(standard(images, shift=shift, mirror=mirror, pad=pad, flip=flip))
    rows = _rows(clean.shape[1:], severity, all_ops, clean.device)
    made = [_view(clean, numbers, rows, severity, depth) for numbers in chains.unbind(dim=1)[: max(1, views - 1)]]
    return pixels(made[0] if views == 1 else torch.cat([clean, *made]))


registry.declare(augmix, draws=("shift", "mirror", "chains"), needs=("views",), known_needs=("views",))


def _view(clean: Tensor, numbers: Tensor, rows: Tensor, severity: int, depth: int | None) -> Tensor:
    """float32 [B, C, H, W]: an augmented view of each image. numbers: float64 [B, 34]."""
    count = len(clean)
    exponential = -numbers[:, WEIGHTS:IMAGE].log()
    share = numbers[:, IMAGE]
    weights = (1 - share)[:, None] * exponential / exponential.sum(dim=1, keepdim=True)  # [B, 3]
    depths = (numbers[:, DEPTHS:CHOICES] * LONGEST).long() + 1
    if depth is not None:
        depths = torch.full_like(depths, depth)
    choices = numbers[:, CHOICES:].reshape(count, CHAINS, LONGEST, 3)
    operations = (len(rows) - 1) // (2 * severity)
    chosen = (choices[..., 0] * operations).long() * severity + (choices[..., 1] * severity).long()
    chosen = 2 * chosen + (choices[..., 2] < 0.5)
    # All chains at once, with the identity, the last row, after the end of a chain.
    ended = torch.arange(LONGEST, device=clean.device) >= depths[..., None]
    chosen = chosen.masked_fill(ended, len(rows) - 1).transpose(0, 1)  # [3, B, LONGEST]
    images = clean.repeat(CHAINS, 1, 1, 1)
    for k in range(depth or LONGEST):
        images = apply(images, rows[chosen[..., k].reshape(-1)])
    parts = images.view(CHAINS, *clean.shape)
    mixed = _scaled(clean, share)
    for k in range(CHAINS):
        mixed += _scaled(parts[k], weights[:, k])
    return mixed.round_()  # torchvision cuts fractions off; the published code keeps them


def _scaled(images: Tensor, weights: Tensor) -> Tensor:
    return images * weights.to(images.dtype)[:, None, None, None]


@lru_cache(maxsize=16)
def _rows(shape: tuple[int, int, int], severity: int, all_ops: bool, device: torch.device) -> Tensor:
    """float32 [operations · severity · 2 + 1, 14]: two rows (signs) for each strength; the identity last."""
    channels, height, width = shape
    tops = {"ShearX": 0.3, "ShearY": 0.3, "TranslateX": width / 3, "TranslateY": height / 3, "Rotate": 30.0}
    tops |= dict.fromkeys(LEFT_OUT, 0.9)
    rows = []
    for operation in (*OPERATIONS, *(LEFT_OUT if all_ops else ())):
        for magnitude in _magnitudes(operation, tops)[:severity]:
            rows += signed_rows(operation, magnitude, height, width, channels)
    return table([*rows, Row()], device)


def _magnitudes(operation: str, tops: dict[str, float]) -> list[float] | list[None]:
    """Return the ten strengths of an operation; Posterize begins at 4 bits, not at 8 as in the other policies."""
    if operation == "Posterize":
        return [4 - round(i / ((BINS - 1) / 4)) for i in range(BINS)]
    return magnitudes(operation, tops, BINS)
