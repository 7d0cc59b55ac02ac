"""Drawing for a batch outside a run: from a generator, on any batch and device. What the modules are made of."""

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

Generator = np.random.Generator | torch.Generator


def label_weights(labels: Tensor, num_classes: int | None, images: Tensor) -> Tensor:
    """float [B, K]: one-hot rows of integer labels [B], float32 or float64 as the images, or label weights as given."""
    for name, value in (("images", images), ("labels", labels)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} are of type {type(value).__name__}: must be a torch tensor")
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images but {len(labels)} labels")
    if labels.ndim == 2 and labels.is_floating_point():
        if num_classes is not None and labels.shape[1] != num_classes:
            raise ValueError(
                f"labels of shape {list(labels.shape)}: must be [B, {num_classes}], with num_classes={num_classes}"
            )
        return labels
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(f"labels of shape {list(labels.shape)}, {labels.dtype}: must be int [B] or float [B, K]")
    if num_classes is None:
        raise ValueError("labels are integers: give num_classes too")
    if not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: must be in 0 … {num_classes - 1}")
    # Not in half precision, in which 0.7 and 0.3 would not be; the loss takes float32 anyway.
    return F.one_hot(labels.long(), num_classes).to(torch.promote_types(images.dtype, torch.float32))


def draw(
    names: tuple[str, ...], images: Tensor, generator: Generator | None, protected: Tensor | None, settings: dict
) -> dict[str, Tensor]:
    """The decisions of those names, from the plan of a seed that the generator draws."""
    height, width = images.shape[2:] if images.ndim == 4 else (1, 1)
    size = len(images)
    plan = Plan(seed(generator), size, size, height, width, draws=names, **settings)
    if protected is not None:
        of_subset = np.empty(size, dtype=bool)  # a plan knows images by their place in a subset: here the batch itself
        of_subset[order(plan, 0, 1)[0]] = protected.cpu().numpy()
        plan = replace(plan, protected=of_subset)
    return {name: torch.from_numpy(values[0]).to(images.device) for name, values in plan.drawn(0, 1).items()}


def checked_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """With β where it follows from α; α = 0 is p = 0. Raises ValueError for a value out of range."""
    try:
        checked = draw_settings.checked(settings)
    except UserError as error:
        raise ValueError(str(error)) from None
    return checked | {"alpha": 1.0, "beta": 1.0, "p": 0.0} if draw_settings.mix_nothing(checked) else checked


def seed(generator: Generator | None) -> int:
    """The next seed of a generator; in the workers of a DataLoader, each of which has a copy, another for each."""
    drawn = _drawn(generator)
    worker = get_worker_info()
    if generator is None or worker is None:  # torch's global generator has a seed of its own in each worker
        return drawn
    return int(np.random.SeedSequence([drawn, worker.seed]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _drawn(generator: Generator | None) -> int:
    if isinstance(generator, np.random.Generator):
        return int(generator.integers(2**63))
    if generator is not None and not isinstance(generator, torch.Generator):
        kind = f"{type(generator).__module__}.{type(generator).__name__}"
        raise ValueError(f"generator is a {kind}: must be a numpy.random.Generator, a torch.Generator or None")
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**63 - 1, (), generator=generator, device=device))


def check_protected(protected: Tensor | None, images: Tensor) -> None:
    """Raises ValueError where `protected` is not bool [B]."""
    if protected is None:
        return
    fits = isinstance(protected, Tensor) and protected.dtype == torch.bool and protected.shape == (len(images),)
    if not fits:
        raise ValueError(f"protected={textwrap.shorten(repr(protected), 60)}: must be a bool tensor [{len(images)}]")


def check_kind(key: str, value: Any, wanted: Any) -> None:
    """Raises ValueError where the value of `key` is not of the wanted kind."""
    try:
        registry.check_kind(key, value, wanted)
    except UserError as error:
        raise ValueError(str(error)) from None


def check_images(name: str, images: Tensor, spatial: bool) -> None:
    """Raises ValueError where `images` are not a batch of floats, [B, C, H, W] where `spatial`; name: of the caller."""
    if not isinstance(images, Tensor):
        raise ValueError(f"images are of type {type(images).__name__}: must be a torch tensor")
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}: {name} needs floating-point numbers, such as normalised images")
    if spatial and images.ndim != 4:
        raise ValueError(f"images of shape {list(images.shape)}: {name} needs [B, C, H, W]")
    if images.ndim < 2 or not len(images):
        raise ValueError(f"images of shape {list(images.shape)}: {name} needs [B, …] with an image or more")
