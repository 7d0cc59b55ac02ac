"""Draws for a batch outside a run, from a generator, on any device. The modules are built on these functions."""

import textwrap
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import get_worker_info

from mixbench.core import draw_settings, registry
from mixbench.core.draws import Plan, order
from mixbench.core.errors import UserError
from mixbench.core.partners import OF_GROUPS

Generator = np.random.Generator | torch.Generator


def label_weights(labels: Tensor, num_classes: int | None, images: Tensor) -> Tensor:
    """Return label weights float [B, K].

    labels: int [B], which become one-hot rows, or float [B, K], which are returned unchanged.
    num_classes: K; needed for integer labels.
    images: float [B, …]. One-hot rows are float64 if the images are, else float32.
    Raises ValueError if the labels do not fit.
    """
    for name, value in (("images", images), ("labels", labels)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{name}: has the type {type(value).__name__}, must be a torch tensor")
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images but {len(labels)} labels: must be equally many")
    if labels.ndim == 2 and labels.is_floating_point():
        if num_classes is not None and labels.shape[1] != num_classes:
            raise ValueError(
                f"labels have the shape {list(labels.shape)}: must be [B, {num_classes}], since "
                f"num_classes={num_classes}"
            )
        return labels
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(f"labels are {labels.dtype} {list(labels.shape)}: must be int [B] or float [B, K]")
    if num_classes is None:
        raise ValueError("num_classes is missing: it must be set, because the labels are integers")
    if not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(f"labels go from {labels.min()} to {labels.max()}: must be in 0 … {num_classes - 1}")
    # Not in half precision, which cannot represent shares such as 0.7 well; the loss uses float32 anyway.
    return F.one_hot(labels.long(), num_classes).to(torch.promote_types(images.dtype, torch.float32))


def draw_for_batch(
    names: tuple[str, ...],
    images: Tensor,
    targets: Tensor,
    generator: Generator | None,
    protected: Tensor | None,
    settings: dict,
) -> dict[str, Tensor]:
    """Return name -> decisions for one batch, from a plan whose seed comes from the generator.

    names: names from core.draws.DRAWS.
    images: float [B, …]; the decisions are put on their device.
    targets: float [B, K]; the class of an image, which the setting `partners` asks for, has the largest weight.
    generator: see `next_seed`.
    protected: bool [B], images that are not mixed; None: there are none.
    settings: checked settings of the draws.
    """
    height, width = images.shape[2:] if images.ndim == 4 else (1, 1)
    size = len(images)
    plan = Plan(next_seed(generator), size, size, height, width, draws=names, **settings)
    if protected is not None:
        plan = replace(plan, protected=_of_subset(plan, protected))
    if settings.get("partners", "any") != "any":  # else the classes need not be copied from the device
        plan = replace(plan, labels=_of_subset(plan, targets.argmax(dim=1)))
    return {name: torch.from_numpy(values[0]).to(images.device) for name, values in plan.drawn(0, 1).items()}


def _of_subset(plan: Plan, values: Tensor) -> np.ndarray:
    """Return values of the images of a batch, [B], in the order of the plan's subset, which here is the batch."""
    in_batch = values.cpu().numpy()
    of_subset = np.empty_like(in_batch)
    of_subset[order(plan, 0, 1)[0]] = in_batch
    return of_subset


def checked_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Check the settings of draws and fill in beta; alpha = 0 becomes p = 0.

    settings: name -> value of the settings that the draws read.
    Returns the checked settings.
    Raises ValueError if one is out of range.
    """
    if settings.get("partners") in OF_GROUPS:
        raise ValueError(
            f"partners={settings['partners']}: needs the groups of the images, which a module does not get"
        )
    try:
        checked = draw_settings.checked(settings)
    except UserError as error:
        raise ValueError(str(error)) from None
    return checked | {"alpha": 1.0, "beta": 1.0, "p": 0.0} if draw_settings.mix_nothing(checked) else checked


def next_seed(generator: Generator | None) -> int:
    """Draw the next seed from a generator.

    generator: a NumPy or torch generator; None: torch's global generator. Each worker of a DataLoader has a copy of the
        generator, so the result also depends on the worker's seed.
    Raises ValueError if it is not a generator.
    """
    drawn = _next_number(generator)
    worker = get_worker_info()
    if generator is None or worker is None:  # torch's global generator already has a different seed in each worker
        return drawn
    return int(np.random.SeedSequence([drawn, worker.seed]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _next_number(generator: Generator | None) -> int:
    if isinstance(generator, np.random.Generator):
        return int(generator.integers(2**63))
    if generator is not None and not isinstance(generator, torch.Generator):
        kind = f"{type(generator).__module__}.{type(generator).__name__}"
        raise ValueError(f"generator has the type {kind}: must be a numpy.random.Generator, a torch.Generator or None")
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**63 - 1, (), generator=generator, device=device))


def check_protected(protected: Tensor | None, images: Tensor) -> None:
    """Check the mask of protected images.

    protected: bool [B], or None.
    images: float [B, …].
    Raises ValueError if the mask does not fit.
    """
    if protected is None:
        return
    fits = isinstance(protected, Tensor) and protected.dtype == torch.bool and protected.shape == (len(images),)
    if not fits:
        raise ValueError(f"protected={textwrap.shorten(repr(protected), 60)}: must be a bool tensor [{len(images)}]")


def check_kind(key: str, value: Any, wanted: Any) -> None:
    """Check that a value fits a type annotation.

    key: name of the value in messages.
    value: the value.
    wanted: the type annotation.
    Raises ValueError if the value does not fit.
    """
    try:
        registry.check_kind(key, value, wanted)
    except UserError as error:
        raise ValueError(str(error)) from None


def check_images(name: str, images: Tensor, spatial: bool) -> None:
    """Check a batch of images.

    name: name of the caller, for messages.
    images: the batch.
    spatial: require [B, C, H, W]; otherwise [B, …].
    Raises ValueError if they are not a batch of floating-point numbers of that shape.
    """
    if not isinstance(images, Tensor):
        raise ValueError(f"images: has the type {type(images).__name__}, must be a torch tensor")
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}: {name} needs floating-point numbers, such as normalised images")
    if spatial and images.ndim != 4:
        raise ValueError(f"images have the shape {list(images.shape)}: {name} needs [B, C, H, W]")
    if images.ndim < 2 or not len(images):
        raise ValueError(f"images have the shape {list(images.shape)}: {name} needs [B, …] with at least one image")
