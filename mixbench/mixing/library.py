"""Mixing methods outside the runner: what a method needs and was not given is drawn, on any batch and device."""

import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.core import registry
from mixbench.core.draws import SETTINGS, Plan, order
from mixbench.core.errors import UserError

Generator = np.random.Generator | torch.Generator

COMMON = """
Called by itself: images are floating-point numbers of any device; labels, in place of targets, are int [B] in
0 … num_classes - 1 or label weights float [B, K]. Decisions that are not given are drawn; one number serves all images.
generator: of NumPy or torch, advanced by one number a call; None: torch's global one, which has a seed of its own in
each worker of a DataLoader. protected: bool [B], images that are not mixed and serve no other as partner.
alpha, beta: λ ~ Beta(alpha, beta); beta None means alpha, and alpha 0 that nothing is mixed. p: probability of mixing
the batch. per_sample: draw λ, places and masks for each image, not once for the batch.
Raises ValueError where the batch or a value does not fit."""


def standalone(spatial: bool = True, **settings: Any) -> Callable[[Callable], Callable]:
    """Make a function of a batch and its decisions callable without them: those that are not given are drawn.

    spatial: whether it needs images [B, C, H, W]; otherwise a batch is [B, …]. settings: the defaults of what its
    decisions are drawn with (alpha, beta, p, per_sample; plan.SETTINGS). COMMON tells users what they may give.
    The runner calls the function itself (inspect.unwrap), with decisions from its plan.
    """

    def decorate(function: Callable) -> Callable:
        draws, options = registry.draws_of(function), registry.options_of(function)

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
            chosen = {key: given.pop(key) for key in settings if key in given}
            decided = {key: _for_each_image(key, given.pop(key), images) for key in draws if given.get(key) is not None}
            missing = tuple(name for name in draws if name not in decided)
            for key in options.keys() & given.keys():
                _check_kind(key, given[key], options[key].annotation)
            _check_unused(chosen, missing, decided)
            _check_protected(protected, decided, images)
            if missing:
                decided |= _draw(missing, images, generator, protected, settings | chosen)
            return function(images, targets, **decided, **{key: given[key] for key in options if key in given})

        call.__signature__ = _signature(draws, options, settings)
        call.__doc__ = f"{inspect.cleandoc(function.__doc__)}\n{COMMON}" if function.__doc__ else COMMON
        return call

    return decorate


def mixture(
    images: Tensor,
    labels: Tensor,
    methods: Mapping[Callable, float],
    *,
    num_classes: int | None = None,
    generator: Generator | None = None,
    protected: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The batch mixed by one of several methods: {cutmix: 0.5, label_mix: 0.5} is the usual recipe.

    methods: each with its probability; what they leave to 1 leaves the batch as it is. Settings go with a method:
    functools.partial(cutmix, alpha=0.5). images, labels, num_classes, generator, protected: as for each of them; the
    generator is advanced by two numbers a call at most. Returns images and targets.
    Raises ValueError where the probabilities are none, and for `manifold`, which returns more than a batch.
    """
    if not isinstance(methods, Mapping) or not all(callable(one) for one in methods):
        raise ValueError(f"methods are {methods}: must be functions with probabilities, as in {{cutmix: 0.5}}")
    shares = np.fromiter(methods.values(), dtype=float)
    if not (shares >= 0).all() or shares.sum() > 1 + 1e-6:
        raise ValueError(f"probabilities {shares.tolist()}: must be 0 or more, with a sum of at most 1")
    for one in methods:
        if "layer" in inspect.signature(one).parameters:
            raise ValueError("manifold mixes features too: call it by itself, and its third value in your network")
    place = np.random.default_rng(_seed(generator)).random()
    number = int(np.searchsorted(shares.cumsum(), place, side="right"))
    if number == len(methods):
        return images, label_weights(labels, num_classes, images)
    one = list(methods)[number]
    return one(images, labels, num_classes=num_classes, generator=generator, protected=protected)


def label_weights(labels: Tensor, num_classes: int | None, images: Tensor) -> Tensor:
    """float [B, K]: one-hot rows of integer labels [B], float32 or float64 as the images, or label weights as given."""
    for name, value in (("images", images), ("labels", labels)):
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} are of type {type(value).__name__}: must be a torch tensor")
    if len(labels) != len(images):
        raise ValueError(f"{len(images)} images but {len(labels)} labels")
    if labels.ndim == 2 and labels.is_floating_point():
        return labels
    if labels.ndim != 1 or labels.is_floating_point():
        raise ValueError(f"labels of shape {list(labels.shape)}, {labels.dtype}: must be int [B] or float [B, K]")
    if num_classes is None:
        raise ValueError("labels are integers: give num_classes too")
    if not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}: must be in 0 … {num_classes - 1}")
    # Not in half precision, in which 0.7 and 0.3 would not be; the loss takes float32 anyway.
    return F.one_hot(labels.long(), num_classes).to(torch.promote_types(images.dtype, torch.float32))


def _draw(
    names: tuple[str, ...], images: Tensor, generator: Generator | None, protected: Tensor | None, settings: dict
) -> dict[str, Tensor]:
    """The decisions of those names, from the plan of a seed that the generator draws."""
    settings = _checked(settings)
    height, width = images.shape[2:] if images.ndim == 4 else (1, 1)
    size = len(images)
    plan = Plan(_seed(generator), size, size, height, width, draws=names, **settings)
    if protected is not None:
        of_subset = np.empty(size, dtype=bool)  # a plan knows images by their place in a subset: here the batch itself
        of_subset[order(plan, 0, 1)[0]] = protected.cpu().numpy()
        plan = replace(plan, protected=of_subset)
    return {name: torch.from_numpy(values[0]).to(images.device) for name, values in plan.drawn(0, 1).items()}


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    """With β where it follows from α; α = 0 is p = 0. Raises ValueError for a value out of range."""
    for key, value in settings.items():
        kind = bool if key == "per_sample" else float
        if not (key == "beta" and value is None):
            _check_kind(key, value, kind)
    if not 0 <= settings.get("p", 1) <= 1:
        raise ValueError(f"p={settings['p']}: must be a probability, from 0 to 1")
    if "alpha" not in settings:
        return settings
    alpha, beta = settings["alpha"], settings["beta"]
    beta = alpha if beta is None else beta
    if alpha == 0 and beta == 0:
        return settings | {"alpha": 1.0, "beta": 1.0, "p": 0.0}
    for key, value in (("alpha", alpha), ("beta", beta)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{key}={value}: must be a finite number above 0")
    return settings | {"alpha": alpha, "beta": beta}


def _seed(generator: Generator | None) -> int:
    if isinstance(generator, np.random.Generator):
        return int(generator.integers(2**63))
    if generator is not None and not isinstance(generator, torch.Generator):
        kind = f"{type(generator).__module__}.{type(generator).__name__}"
        raise ValueError(f"generator is a {kind}: must be a numpy.random.Generator, a torch.Generator or None")
    device = "cpu" if generator is None else generator.device
    return int(torch.randint(2**63 - 1, (), generator=generator, device=device))


def _for_each_image(key: str, value: Any, images: Tensor) -> Tensor:
    """A decision that is given: a tensor, or one number for all images."""
    value = torch.as_tensor(value, device=images.device)
    value = value.expand(len(images)) if value.ndim == 0 else value
    if key == "lam" and not ((value >= 0) & (value <= 1)).all():
        raise ValueError("lam: must be from 0 to 1")
    if len(value) != len(images) and key != "noise":
        raise ValueError(f"{key} of shape {list(value.shape)}: must be for each of {len(images)} images")
    return value


def _check_unused(chosen: dict[str, Any], missing: tuple[str, ...], decided: dict[str, Tensor]) -> None:
    """Raises ValueError for a setting that would have no effect, since what it bears on is given too."""
    for key in chosen:
        if not any(key in SETTINGS.get(name, ()) for name in missing):
            raise ValueError(f"{key}={chosen[key]}: has no effect beside what is given: {', '.join(decided)}")


def _check_protected(protected: Tensor | None, decided: dict[str, Tensor], images: Tensor) -> None:
    if protected is None:
        return
    for name in ("partner", "lam", "applied", "chosen"):
        if name in decided:
            raise ValueError(f"protected: has no effect on {name}, which is given; give one or the other")
    fits = isinstance(protected, Tensor) and protected.dtype == torch.bool and protected.shape == (len(images),)
    if not fits:
        raise ValueError(f"protected={textwrap.shorten(repr(protected), 60)}: must be a bool tensor [{len(images)}]")


def _check_kind(key: str, value: Any, wanted: Any) -> None:
    try:
        registry.check_kind(key, value, wanted)
    except UserError as error:
        raise ValueError(str(error)) from None


def _check_images(function: Callable, images: Tensor, spatial: bool) -> None:
    name = function.__name__
    if not isinstance(images, Tensor):
        raise ValueError(f"images are of type {type(images).__name__}: must be a torch tensor")
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
