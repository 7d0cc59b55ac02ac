"""Mixing methods outside the runner: what a method needs and was not given is drawn, on any batch and device."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench import functions
from mixbench.plan import Plan, order

Generator = np.random.Generator | torch.Generator


def method(spatial: bool = True, **settings: Any) -> Callable[[Callable], Callable]:
    """Make a function of a batch and its decisions callable without them: those that are not given are drawn.

    spatial: whether it needs images [B, C, H, W]; otherwise a batch is [B, …]. settings: the defaults of what its
    decisions are drawn with (alpha, beta, p, per_sample; plan.SETTINGS). The callable takes, beside the function's own
    parameters, each of them optional:

    labels: int [B] in 0 … num_classes - 1, or label weights float [B, K]. num_classes: K, for integer labels.
    generator: of NumPy or torch, advanced by one number a call; None: torch's global one, which has a seed of its own
    in each worker of a DataLoader. protected: bool [B], images that are not mixed and serve no other as partner.

    The runner calls the function itself (inspect.unwrap), with decisions from its plan.
    """

    def decorate(function: Callable) -> Callable:
        draws, options = functions.draws_of(function), functions.options_of(function)

        @functools.wraps(function)
        def call(
            images: Tensor,
            labels: Tensor,
            *,
            num_classes: int | None = None,
            generator: Generator | None = None,
            protected: Tensor | None = None,
            **given: Any,
        ):
            for key in given:
                if key not in (*draws, *options, *settings):
                    raise TypeError(f"{function.__name__}() has no parameter {key!r}")
            _check_images(function, images, spatial)
            targets = label_weights(labels, num_classes, images)
            drawn_with = settings | {key: given.pop(key) for key in settings if key in given}
            missing = tuple(name for name in draws if name not in given)
            if missing:
                given |= _draw(missing, images, generator, protected, drawn_with)
            return function(images, targets, **given)

        call.__signature__ = _signature(draws, options, settings)
        return call

    return decorate


def mixture(
    images: Tensor,
    labels: Tensor,
    methods: Mapping[Callable, float],
    *,
    num_classes: int | None = None,
    generator: Generator | None = None,
    **settings: Any,
):
    """The batch mixed by one of several methods: {cutmix: 0.5, label_mix: 0.5} is the usual recipe (timm's default).

    methods: each with its probability; what they leave to 1 leaves the batch as it is. The rest, `settings` included,
    is passed on to the method. Raises ValueError where the probabilities are none.
    """
    shares = np.fromiter(methods.values(), dtype=float)
    if not (shares >= 0).all() or shares.sum() > 1 + 1e-6:
        raise ValueError(f"probabilities {shares.tolist()}: must be 0 or more, with a sum of at most 1")
    place = np.random.default_rng(_seed(generator)).random()
    number = int(np.searchsorted(shares.cumsum(), place, side="right"))
    if number == len(methods):
        return images, label_weights(labels, num_classes, images)
    return list(methods)[number](images, labels, num_classes=num_classes, generator=generator, **settings)


def label_weights(labels: Tensor, num_classes: int | None, images: Tensor) -> Tensor:
    """float [B, K] of the images' kind: one-hot rows of integer labels [B], or label weights [B, K] as they are."""
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images but {len(labels)} labels")
    if labels.ndim == 2 and labels.is_floating_point():
        return labels
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(f"labels of shape {list(labels.shape)}, {labels.dtype}: must be int [B] or float [B, K]")
    if num_classes is None:
        raise ValueError("labels are integers: give num_classes too")
    return F.one_hot(labels.long(), num_classes).to(images.dtype)


def _draw(
    names: tuple[str, ...], images: Tensor, generator: Generator | None, protected: Tensor | None, settings: dict
) -> dict[str, Tensor]:
    """The decisions of those names, from the plan of a seed that the generator draws."""
    if settings.get("beta", 0) is None:
        settings = settings | {"beta": settings["alpha"]}
    for key in ("alpha", "beta"):
        if key in settings and not settings[key] > 0:
            raise ValueError(f"{key}={settings[key]}: must be above 0")
    if not 0 <= settings.get("p", 1) <= 1:
        raise ValueError(f"p={settings['p']}: must be a probability, from 0 to 1")
    height, width = images.shape[2:] if images.ndim == 4 else (1, 1)
    size = len(images)
    plan = Plan(_seed(generator), size, size, height, width, draws=names, **settings)
    if protected is not None:
        of_subset = np.empty(size, dtype=bool)  # a plan knows images by their place in a subset: here the batch itself
        of_subset[order(plan, 0, 1)[0]] = protected.cpu().numpy()
        plan = replace(plan, protected=of_subset)
    return {name: torch.from_numpy(values[0]).to(images.device) for name, values in plan.drawn(0, 1).items()}


def _seed(generator: Generator | None) -> int:
    if isinstance(generator, np.random.Generator):
        return int(generator.integers(2**63))
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**63 - 1, (), generator=generator, device=device))


def _check_images(function: Callable, images: Tensor, spatial: bool) -> None:
    name = function.__name__
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}: {name} needs floating-point numbers, such as normalised images")
    if spatial and images.ndim != 4:
        raise ValueError(f"images of shape {list(images.shape)}: {name} needs [B, C, H, W]")
    if images.ndim < 2 or not len(images):
        raise ValueError(f"images of shape {list(images.shape)}: {name} needs [B, …] with an image or more")


def _signature(draws: tuple[str, ...], options: dict[str, inspect.Parameter], settings: dict) -> inspect.Signature:
    """What help() shows: the batch, then what is drawn and how, each with its default."""
    keyword = functools.partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("images", "labels")]
    parameters += [keyword(name, default=None) for name in ("num_classes", "generator", "protected")]
    parameters += [keyword(name, default=default) for name, default in settings.items()]
    parameters += [*options.values(), *(keyword(name, default=None) for name in draws)]
    return inspect.Signature(parameters)
