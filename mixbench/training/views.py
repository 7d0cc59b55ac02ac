"""Several views of each image, for losses that compare the predictions for them."""

from collections.abc import Callable

import torch
from torch import Tensor

from mixbench.augment import AUGMENTS
from mixbench.core.errors import UserError
from mixbench.core.registry import Configured, declaration_of
from mixbench.mixing.contract import Mixed
from mixbench.mixing.runner import Single


def requested(augment: Configured, loss: Configured) -> dict[str, int]:
    """Return the needs of an augmentation: the number of views that the loss compares, if it can make views.

    augment: the augmentation.
    loss: the loss.
    """
    return {"views": loss.views} if "views" in augment.needs else {}


def mix_views(mix: Callable[[Tensor], Mixed], images: Tensor, views: int) -> Mixed:
    """Mix each view of a batch with the same decisions, so that the views still show the same.

    mix: mixes one view, float [B, C, H, W].
    images: float [views · B, C, H, W], one view after another.
    views: number of views.
    Returns the mixed views in the same order.
    """
    if views == 1:
        return mix(images)
    made = [mix(view) for view in images.chunk(views)]
    return Mixed(torch.cat([one.images for one in made]), torch.cat([one.targets for one in made]))


def check_views(loss_name: str, loss: Configured, augment_name: str, augment: Configured) -> None:
    """Check that an augmentation makes the views that a loss compares.

    loss_name: name of the loss, for messages.
    loss: the loss.
    augment_name: name of the augmentation, for messages.
    augment: the augmentation.
    Raises UserError if it makes none.
    """
    if loss.views > 1 and "views" not in augment.needs:
        makers = [name for name, function in AUGMENTS.items() if "views" in declaration_of(function).needs]
        raise UserError(
            f"loss={loss_name}: compares {loss.views} views of each image, but augment={augment_name} makes only one; "
            f"set augment={' or '.join(makers)}, or another loss"
        )


def check_mixed_views(loss_name: str, loss: Configured, single: Single, mixed: Mixed, rows: int) -> None:
    """Check that a method only mixes images and targets if the loss compares views.

    loss_name: name of the loss, for messages.
    loss: the loss.
    single: the method.
    mixed: what the method returned for a batch.
    rows: number of images in that batch.
    Raises UserError if it does more.
    """
    if loss.views == 1:
        return
    does = "needs more than the batch" if single.function.needs else None
    for key in ("at_layer", "after_forward", "weights"):
        does = f"returns {key}" if getattr(mixed, key) is not None else does
    does = "returns more rows than it gets" if len(mixed.images) != rows else does
    if does:
        raise UserError(
            f"loss={loss_name}: compares views of each image, and cannot train method={single.name}, which {does}; set "
            "loss=ce, or method=none"
        )
