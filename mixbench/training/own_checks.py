"""Whether what a user's own function returns can be trained on. Each check raises ValueError where it cannot.

Of what methods return it is mixbench.mixing.checks that tells.
"""

from typing import Any

import torch
from torch import Tensor


def augmented(found: Any, images: Tensor) -> None:
    """found: what an augment returned for `images`, uint8 [B, C, H, W]."""
    if not isinstance(found, Tensor) or found.dtype != torch.uint8 or found.shape != images.shape:
        raise ValueError(f"returns {_described(found)}; must return {_described(images)} as it got")


def loss(found: Any) -> None:
    """found: what a loss returned for logits that want a gradient."""
    if not isinstance(found, Tensor) or found.ndim != 0 or not found.is_floating_point():
        raise ValueError(f"returns {_described(found)}; must return one number, the mean over the batch, as a tensor")
    if not found.requires_grad:
        raise ValueError("returns a number that does not depend on the logits; must keep their gradient")


def logits(found: Any, rows: int, classes: int) -> None:
    """found: what a network returned for `rows` images."""
    if not isinstance(found, Tensor) or found.shape != (rows, classes):
        raise ValueError(f"returns {_described(found)}; must return logits [{rows}, {classes}]")


def _described(found: Any) -> str:
    if isinstance(found, Tensor):
        return f"{str(found.dtype).removeprefix('torch.')} {list(found.shape)}"
    return f"a {type(found).__name__}"
