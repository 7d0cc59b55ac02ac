"""Provides the needs of methods: input gradients, attention, a teacher's logits and images from a bank."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mixbench.core.errors import UserError
from mixbench.mixing.contract import PROVIDED, Context, Generated, Gradient, unserved

if TYPE_CHECKING:
    from mixbench.training.engine import Engine


@dataclass(frozen=True)
class Providers:
    """What the caller of `train` provides for methods that need it.

    It must depend only on its arguments, because a resumed run calls it again.

    teacher: takes normalised images float [N, C, H, W] on the run's device and returns logits [N, K].
    """

    teacher: Callable[[Tensor], Tensor] | None = None

    def check(self, need: str) -> None:
        """Check that the caller provides what only a caller can provide.

        need: a name from contract.NEEDS.
        Raises UserError if it is missing.
        """
        if need in PROVIDED and getattr(self, need) is None:
            raise unserved(need)


class BatchContext(Context):
    """Provides the needs of a method in one step. If several parts of a mixture have a need, it is computed once."""

    def __init__(self, engine: "Engine", decided: Mapping[str, Tensor]):
        self.engine, self.decided = engine, decided
        self.served: dict[str, Any] = {}

    def serve(self, need: str, images: Tensor, targets: Tensor, key: str = "method") -> Any:
        """Return what a method gets for a need, as described in contract.NEEDS. Raises UserError without a provider."""
        if need == "generated":
            return self._generated(key)
        if need not in self.served:
            self.engine.providers.check(need)
            self.served[need] = getattr(self, f"_{need}")(images, targets)
        return self.served[need]

    def _input_gradient(self, images: Tensor, targets: Tensor) -> Gradient:
        """Compute it with an extra forward and backward pass in training mode; no weights or gradients change."""
        images = images.detach().requires_grad_()
        with torch.enable_grad(), _untracked(self.engine.model):
            loss = self.engine.loss(self.engine.forward(images), targets, decided=self.decided)
            (gradient,) = torch.autograd.grad(loss, images)
        return Gradient(gradient * len(images))

    def _attention(self, images: Tensor, targets: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        @torch.no_grad()
        def attention(images: Tensor, targets: Tensor) -> Tensor:
            seen: dict[str, Tensor] = {}
            with _untracked(self.engine.model):
                self.engine.forward(images, seen=seen)
            return attention_of(self.engine.model, seen, targets)

        return attention

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

    def _generated(self, key: str) -> Generated:
        """Return the images of the method's bank. Variants get the crop, flip and other decisions of their images."""
        bank, engine, index = self.engine.banks.get(key), self.engine, self.decided["index"]
        if bank is None:
            raise unserved("generated")

        def variants(position: Tensor) -> Tensor:
            made = bank.variants[index, picked(position, bank.variants.shape[1])]
            return engine.normalise(engine.augment(made.permute(0, 3, 1, 2), decided=self.decided))

        def fractals(position: Tensor) -> Tensor:
            return engine.normalise(bank.fractals[picked(position, len(bank.fractals))].permute(0, 3, 1, 2))

        return Generated(variants, fractals)


def picked(position: Tensor, count: int) -> Tensor:
    """int64 [B]: numbers of items of a list, from 0 to count - 1.

    position: float [B] in (0, 1), positions along the list.
    count: number of items.
    """
    return (position * count).long().clamp(max=count - 1)


def attention_of(model: nn.Module, seen: Mapping[str, Tensor], targets: Tensor) -> Tensor:
    """float [N, 1, h, w]: the model's attention.

    model: the network.
    seen: features by the name of their layer.
    targets: float [N, K].
    Raises UserError if the network has no attribute ATTENTION.
    """
    layer = getattr(model, "ATTENTION", None)
    if layer is None:
        raise UserError(f"the network {type(model).__name__} has no ATTENTION, which names its layer for attention")
    network: Any = model  # the type nn.Module does not have the methods of its subclasses
    return network.attention(seen[layer].detach(), targets)


@contextlib.contextmanager
def _untracked(model: nn.Module) -> Iterator[None]:
    """In the body, batch normalisation uses the statistics of the batch without changing its running averages."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
