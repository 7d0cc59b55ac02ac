"""A mixing method as configured in a run: it makes the draws for steps and mixes batches."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from mixbench.core.draws import Plan
from mixbench.core.errors import UserError, unknown
from mixbench.core.own_functions import is_own
from mixbench.core.own_signatures import configured
from mixbench.mixing.checks import check_shapes
from mixbench.mixing.contract import AtLayer, Context, Mixed, NoContext, Outputs, whole
from mixbench.mixing.features import INPUT
from mixbench.mixing.operations import cumulative_probabilities, known_all_false
from mixbench.mixing.table import METHODS

MIXTURE = "mixture"  # of several of METHODS
METHOD_NAMES = (*METHODS, MIXTURE)
NO_CONTEXT = NoContext()


class Method(Protocol):
    """What a run calls: a single function, or a mixture of several."""

    def drawn(self, plan: Plan, first: int, count: int) -> dict[str, np.ndarray]:
        """Return the decisions of the steps first … first + count - 1 of a run's plan, as arrays [count, …].

        plan: settings of the draws.
        first: the first step, from 0.
        count: number of steps.
        """
        ...

    def __call__(
        self, images: Tensor, targets: Tensor, decided: Mapping[str, Tensor], context: Context = NO_CONTEXT
    ) -> Mixed:
        """Return the mixed batch.

        images: float [B, C, H, W].
        targets: float [B, K].
        decided: decisions of this step by name.
        context: provides the method's needs.
        """
        ...

    def singles(self) -> dict[str, "Single"]:
        """Return the functions that it consists of, by their keys in the configuration."""
        ...


def build_method(cfg: Mapping[str, Any], key: str = "method") -> Method:
    """Return the method that a configuration describes.

    cfg: a validated config group `method`, or a part of a mixture.
    key: the key of `cfg` in the whole configuration.
    Raises UserError if there is no such method, or an option does not fit.
    """
    if cfg["name"] == MIXTURE:
        return MixtureOfParts(cfg, key)
    if cfg["name"] not in METHODS and not is_own(cfg):
        raise unknown(f"{key}.name", cfg["name"], METHOD_NAMES)
    return Single(cfg, key)


def input_only(cfg: Mapping[str, Any], key: str = "method") -> dict[str, Any]:
    """Return a copy of a configuration that mixes only images and no features, so that the result can be seen.

    cfg, key: as for `build_method`.
    """
    if cfg["name"] == MIXTURE:
        parts = {name: input_only(part, f"{key}.parts.{name}") for name, part in cfg["parts"].items()}
        return {**cfg, "parts": parts}
    layers = configured("method", METHODS, cfg, key).layers
    return {**cfg} if layers is None else {**cfg, layers: [INPUT]}


class Single(Method):
    """One function with its options, either from METHODS or a user's own."""

    def __init__(self, cfg: Mapping[str, Any], key: str):
        self.key, self.name = key, cfg["name"]
        self.function = configured("method", METHODS, cfg, key)

    def drawn(self, plan: Plan, first: int, count: int) -> dict[str, np.ndarray]:
        return replace(plan, draws=self.function.draws, **self.function.settings).drawn(first, count)

    def __call__(
        self, images: Tensor, targets: Tensor, decided: Mapping[str, Tensor], context: Context = NO_CONTEXT
    ) -> Mixed:
        needs = {need: context.serve(need, images, targets, self.key) for need in self.function.needs}
        return self.function(images, targets, decided=decided, needs=needs)

    def singles(self) -> dict[str, "Single"]:
        return {self.key: self}

    def layers(self) -> tuple[str, ...]:
        """Return the names of the layers at which it can mix: the value of its layer option, or only the input."""
        option = self.function.layers
        return (INPUT,) if option is None else tuple(self.function.option(option))


class MixtureOfParts(Method):
    """Several methods with probabilities. One of them is applied to each batch or, with per_sample, to each image."""

    def __init__(self, cfg: Mapping[str, Any], key: str):
        self.key = key
        self.parts = {name: build_method(part, f"{key}.parts.{name}") for name, part in cfg["parts"].items()}
        self.bounds = cumulative_probabilities(cfg["probabilities"])  # they sum to 1; a choice above 1 means no method
        self.settings = {key: cfg[key] for key in ("p", "per_sample", "off_after") if key in cfg}
        if self.settings["per_sample"]:
            self._check_layers()

    def _check_layers(self) -> None:
        """Raise UserError if a part mixes features, because another part may already have mixed the partner.

        The partner's features would then contain a third image, whose label is missing from the targets.
        """
        for key, single in self.singles().items():
            if set(single.layers()) != {INPUT}:
                raise UserError(
                    f"{self.key}.per_sample=true: {single.name} mixes features with those of its partner, which "
                    f"another method may have mixed; set it to false, or set {key}.{single.function.layers}=[{INPUT}]"
                )

    def drawn(self, plan: Plan, first: int, count: int) -> dict[str, np.ndarray]:
        """Return `part`, int64 [count, B], the number of the part applied to each image, and all parts' decisions.

        A number beyond the last part means no method. The decisions of a part do not depend on the other parts.
        """
        choice = replace(plan, draws=("choice",), **self.settings).drawn(first, count)["choice"]
        drawn = {"part": np.searchsorted(self.bounds, choice, side="right")}
        for name, part in self.parts.items():
            drawn |= {f"{name}.{key}": values for key, values in part.drawn(plan, first, count).items()}
        return drawn

    def __call__(
        self, images: Tensor, targets: Tensor, decided: Mapping[str, Tensor], context: Context = NO_CONTEXT
    ) -> Mixed:
        made: list[tuple[Tensor, Mixed]] = []
        for i, (name, part) in enumerate(self.parts.items()):
            here = decided["part"] == i
            if known_all_false(here):
                continue
            of_part = {key.removeprefix(f"{name}."): decided[key] for key in decided if key.startswith(f"{name}.")}
            one = part(images, targets, of_part, context)
            check_part(f"{self.key}.parts.{name}", name, images, targets, one)
            made.append((here, one))
        mixed = Mixed(images, targets, own=whole(images))
        for here, one in made:
            own = None if one.own is None or mixed.own is None else _where(here, one.own, mixed.own)
            mixed = Mixed(_where(here, one.images, mixed.images), _where(here, one.targets, mixed.targets), own=own)
        hooks = [(here, one.at_layer) for here, one in made if one.at_layer is not None]
        after = [(here, one.after_forward) for here, one in made if one.after_forward is not None]

        def after_forward(outputs: Outputs) -> Tensor:
            weights = mixed.targets
            for here, of_part in after:
                weights = _where(here, of_part(outputs), weights)
            return weights

        return replace(
            mixed, at_layer=_at_layers(hooks) if hooks else None, after_forward=after_forward if after else None
        )

    def singles(self) -> dict[str, Single]:
        return {key: single for part in self.parts.values() for key, single in part.singles().items()}


def check_part(key: str, name: str, images: Tensor, targets: Tensor, mixed: Mixed) -> None:
    """Raise UserError if a method cannot be part of a mixture because of what it returned.

    key, name: of the method, for messages.
    images, targets: the batch before mixing.
    mixed: the return value of the method.
    """
    try:
        check_shapes(mixed, images, targets, same_rows=True)
    except ValueError as error:
        raise UserError(f"{key}: {name} {error}") from error


def _at_layers(hooks: list[tuple[Tensor, AtLayer]]) -> AtLayer:
    def at_layer(name: str, features: Tensor) -> Tensor:
        mixed = features
        for here, at in hooks:
            of_part = at(name, features)
            if of_part is not features:  # else the part does not mix at this layer
                mixed = _where(here, of_part, mixed)
        return mixed

    return at_layer


def _where(here: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(here.view(-1, *[1] * (yes.ndim - 1)), yes, no)
