"""Provides the needs of methods: input gradients, attention, a teacher's logits and images from a bank."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mixbench.mixing.contract import Context, Generated, Gradient, Maps, Teacher, unserved
from mixbench.training import views
from mixbench.training.maps import untracked
from mixbench.training.teacher import CurrentTeacher, TeacherNetwork

if TYPE_CHECKING:
    from mixbench.training.engine import Engine


@dataclass(frozen=True)
class Providers:
    """What the caller of `train` provides for methods that need it.

    It must depend only on its arguments, because a resumed run calls it again.

    teacher: a network; or a function that takes normalised images float [N, C, H, W] on the run's device and returns
        logits [N, K]. None: the network that is being trained, unless the configuration names another.
    """

    teacher: Callable[[Tensor], Tensor] | TeacherNetwork | None = None


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

    def _attention(self, images: Tensor, targets: Tensor) -> Maps:
        return CurrentTeacher(self.engine).attention

    def _class_activation(self, images: Tensor, targets: Tensor) -> Maps:
        return CurrentTeacher(self.engine).class_activation

    def _teacher(self, images: Tensor, targets: Tensor) -> Teacher:
        return self.engine.teacher

    def _generated(self, key: str) -> Generated:
        """Return the images of the method's bank. Variants get the crop, flip and other decisions of their images."""
        bank, engine, index = self.engine.banks.get(key), self.engine, self.decided["index"]
        if bank is None:
            raise unserved("generated")

        def variants(position: Tensor) -> Tensor:
            made = bank.variants[index, picked(position, bank.variants.shape[1])]
            needs = views.requested(engine.augment, engine.loss)  # losses that compare views take no method with needs
            return engine.normalise(engine.augment(made.permute(0, 3, 1, 2), decided=self.decided, needs=needs))

        def fractals(position: Tensor) -> Tensor:
            return engine.normalise(bank.fractals[picked(position, len(bank.fractals))].permute(0, 3, 1, 2))

        return Generated(variants, fractals)


def picked(position: Tensor, count: int) -> Tensor:
    """int64 [B]: numbers of items of a list, from 0 to count - 1.

    position: float [B] in (0, 1), positions along the list.
    count: number of items.
    """
    return (position * count).long().clamp(max=count - 1)
