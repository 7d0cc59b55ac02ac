"""Checks of what a user's own augment, loss or network returns. Each raises ValueError if it cannot be used.

mixbench.mixing.checks has those of methods.
"""

from typing import Any

import torch
from torch import Tensor


def check_augmented(found: Any, images: Tensor) -> None:
    """Check the return value of an augment.

    found: the return value.
    images: uint8 [B, C, H, W], the images that it got.
    Raises ValueError if it is not uint8 of the same shape.
    """
    if not isinstance(found, Tensor) or found.dtype != torch.uint8 or found.shape != images.shape:
        raise ValueError(f"returns {_described(found)}; must return {_described(images)}, like its input")


def check_loss(found: Any) -> None:
    """Check the return value of a loss for logits that require a gradient.

    found: the return value.
    Raises ValueError if it is not one number that depends on the logits.
    """
    if not isinstance(found, Tensor) or found.ndim != 0 or not found.is_floating_point():
        raise ValueError(f"returns {_described(found)}; must return one number, the mean over the batch, as a tensor")
    if not found.requires_grad:
        raise ValueError("returns a number that does not depend on the logits; must keep their gradient")


def check_logits(found: Any, rows: int, classes: int) -> None:
    """Check the return value of a network.

    found: the return value.
    rows: number of images that it got.
    classes: number of classes.
    Raises ValueError if it is not a tensor [rows, classes].
    """
    if not isinstance(found, Tensor) or found.shape != (rows, classes):
        raise ValueError(f"returns {_described(found)}; must return logits [{rows}, {classes}]")


def _described(found: Any) -> str:
    if isinstance(found, Tensor):
        return f"{str(found.dtype).removeprefix('torch.')} {list(found.shape)}"
    return f"a {type(found).__name__}"
