"""Provides the needs of methods: input gradients, attention, a teacher's logits and generated images."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mixbench.core.errors import UserError
from mixbench.mixing.contract import PROVIDED, Gradient, unserved

if TYPE_CHECKING:
    from mixbench.training.engine import Engine


@dataclass(frozen=True)
class Providers:
    """What the caller of `train` provides for methods that need it.

    Both must depend only on their arguments, because a resumed run calls them again.

    teacher: takes normalised images float [N, C, H, W] on the run's device and returns logits [N, K].
    generated: takes positions of images in the training subset, int64 [B], and returns one image for each, uint8
        [B, C, H, W].
    """

    teacher: Callable[[Tensor], Tensor] | None = None
    generated: Callable[[Tensor], Tensor] | None = None

    def check(self, need: str) -> None:
        """Raise UserError if the caller must provide a need but has not done so."""
        if need in PROVIDED and getattr(self, need) is None:
            raise unserved(need)


class BatchContext:
    """Provides the needs of a method in one step. If several parts of a mixture have a need, it is computed once."""

    def __init__(self, engine: "Engine", decided: Mapping[str, Tensor]):
        self.engine, self.decided = engine, decided
        self.served: dict[str, Any] = {}

    def serve(self, need: str, images: Tensor, targets: Tensor) -> Any:
        """Return what a method gets for a need, as described in contract.NEEDS. Raises UserError without a provider."""
        if need not in self.served:
            self.engine.providers.check(need)
            self.served[need] = getattr(self, f"_{need}")(images, targets)
        return self.served[need]

    def _input_gradient(self, images: Tensor, targets: Tensor) -> Gradient:
        """Compute it with an extra forward and backward pass in training mode; no weights or gradients change."""

        def compute() -> Tensor:
            given = images.detach().requires_grad_()
            with torch.enable_grad(), untracked(self.engine.model):
                loss = self.engine.loss(self.engine.forward(given), targets, decided=self.decided)
                (gradient,) = torch.autograd.grad(loss, given)
            return gradient * len(given)

        return Gradient(compute)

    def _attention(self, images: Tensor, targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        return partial(self._maps, "attention")

    def _class_activation(self, images: Tensor, targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        return partial(self._maps, "class_activation")

    @torch.no_grad()
    def _maps(self, kind: str, images: Tensor, targets: Tensor) -> Tensor:
        """Compute maps with an extra forward pass in training mode; the network does not change."""
        seen: dict[str, Tensor] = {}
        with untracked(self.engine.model):
            self.engine.forward(images, seen=seen)
        return maps_of(self.engine.model, kind, seen, targets)

    def _teacher(self, images: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        provider = self.engine.providers.teacher
        assert provider is not None  # Providers.check

        @torch.no_grad()
        def teacher(images: Tensor) -> Tensor:
            logits = provider(images).to(self.engine.master)
            wanted = (len(images), self.engine.classes)
            if logits.shape != wanted:
                raise UserError(
                    f"the teacher returned logits of shape {list(logits.shape)}: the shape must be {list(wanted)}"
                )
            return logits

        return teacher

    def _generated(self, images: Tensor, targets: Tensor) -> Tensor:
        provider = self.engine.providers.generated
        assert provider is not None  # Providers.check
        made = provider(self.decided["index"])
        if made.shape != images.shape or made.dtype != torch.uint8:
            raise UserError(
                f"the provider of generated images returned {made.dtype} {list(made.shape)}: must be uint8 "
                f"{list(images.shape)}"
            )
        return self.engine.normalise(made.to(images.device))


def maps_of(model: nn.Module, kind: str, seen: Mapping[str, Tensor], targets: Tensor) -> Tensor:
    """float [N, 1, h, w]: the model's maps of a kind.

    kind: a name from models.MAPS; the method of the network that computes them.
    seen: features by the name of their layer.
    targets: float [N, K].
    Raises UserError if the network has no attribute ATTENTION.
    """
    layer = getattr(model, "ATTENTION", None)
    if layer is None:
        raise UserError(f"the network {type(model).__name__} has no ATTENTION, which names its layer for attention")
    return getattr(model, kind)(seen[layer].detach(), targets)


@contextlib.contextmanager
def untracked(model: nn.Module) -> Iterator[None]:
    """In the body, batch normalisation uses the statistics of the batch without changing its running averages."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
