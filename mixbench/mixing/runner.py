"""A mixing method as a run's configuration has it: what it draws for a step, and what it does with a batch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mixbench.core.draws import Plan
from mixbench.core.errors import unknown
from mixbench.core.own_functions import is_own
from mixbench.core.own_signatures import configured
from mixbench.mixing import METHODS
from mixbench.mixing.operations import nowhere

MIXTURE = "mixture"  # of several of METHODS
METHOD_NAMES = (*METHODS, MIXTURE)

At = Callable[[str, Tensor], Tensor]  # what a network's layer of that name hands on in place of its features
Mixed = tuple[Tensor, Tensor, At | None]


class Method(Protocol):
    def drawn(self, plan: Plan, first: int, count: int) -> dict[str, np.ndarray]:
        """The decisions of the steps first … first + count - 1, arrays [count, …]; `plan`: of the run."""
        ...

    def __call__(self, images: Tensor, targets: Tensor, decided: Mapping[str, Tensor]) -> Mixed:
        """Mixed images and targets, and for a method that mixes features what is to be done at the layers."""
        ...

    def singles(self) -> dict[str, "Single"]:
        """The functions that it is made of, each under its key in the configuration."""
        ...


def build(cfg: Mapping[str, Any], key: str = "method") -> Method:
    """The method that `cfg` describes, a settled group `method` or, at another `key`, a part of a mixture.

    Raises UserError where there is no such method, or an option does not fit.
    """
    if cfg["name"] == MIXTURE:
        return Mixture(cfg, key)
    if cfg["name"] not in METHODS and not is_own(cfg):
        raise unknown(f"{key}.name", cfg["name"], METHOD_NAMES)
    return Single(cfg, key)


class Single:
    """One function, of METHODS or a user's own, with its options."""

    def __init__(self, cfg: Mapping[str, Any], key: str):
        self.key, self.function = key, configured("method", METHODS, cfg, key)

    def drawn(self, plan: Plan, first: int, count: int) -> dict[str, np.ndarray]:
        return replace(plan, draws=self.function.draws, **self.function.settings).drawn(first, count)

    def __call__(self, images: Tensor, targets: Tensor, decided: Mapping[str, Tensor]) -> Mixed:
        images, targets, *at = self.function(images, targets, decided=decided)
        return images, targets, at[0] if at else None

    def singles(self) -> dict[str, "Single"]:
        return {self.key: self}


class Mixture:
    """Several methods, of which each batch (with per_sample each image) meets one, by their probabilities."""

    def __init__(self, cfg: Mapping[str, Any], key: str):
        self.parts = {name: build(part, f"{key}.parts.{name}") for name, part in cfg["parts"].items()}
        self.bounds = np.cumsum(cfg["probabilities"])
        self.bounds[-1] = 1  # whatever the sum was rounded to; a choice above 1 is no method
        self.settings = {key: cfg[key] for key in ("p", "per_sample")}

    def drawn(self, plan: Plan, first: int, count: int) -> dict[str, np.ndarray]:
        """`part` int64 [count, B], the number of the part that each image meets, and the decisions of every part.

        Those of a part do not depend on which others there are. A number beyond the last part means none.
        """
        choice = replace(plan, draws=("choice",), **self.settings).drawn(first, count)["choice"]
        drawn = {"part": np.searchsorted(self.bounds, choice, side="right")}
        for name, part in self.parts.items():
            drawn |= {f"{name}.{key}": values for key, values in part.drawn(plan, first, count).items()}
        return drawn

    def __call__(self, images: Tensor, targets: Tensor, decided: Mapping[str, Tensor]) -> Mixed:
        mixed_images, mixed_targets, hooks = images, targets, []
        for i, (name, part) in enumerate(self.parts.items()):
            here = decided["part"] == i
            if nowhere(here):
                continue
            own = {key.removeprefix(f"{name}."): decided[key] for key in decided if key.startswith(f"{name}.")}
            part_images, part_targets, at = part(images, targets, own)
            mixed_images = _where(here, part_images, mixed_images)
            mixed_targets = _where(here, part_targets, mixed_targets)
            if at is not None:
                hooks.append((here, at))

        def at_layer(name: str, features: Tensor) -> Tensor:
            mixed = features
            for here, at in hooks:
                mixed = _where(here, at(name, features), mixed)
            return mixed

        return mixed_images, mixed_targets, at_layer if hooks else None

    def singles(self) -> dict[str, Single]:
        return {key: single for part in self.parts.values() for key, single in part.singles().items()}


def _where(here: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(here.view(-1, *[1] * (yes.ndim - 1)), yes, no)
