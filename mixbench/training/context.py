"""Provides the needs of methods: input gradients, attention, a teacher's logits and generated images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mixbench.core.errors import UserError
from mixbench.mixing.contract import PROVIDED, Context, Gradient, Maps, Teacher, unserved
from mixbench.training.maps import untracked
from mixbench.training.teacher import CurrentTeacher, TeacherNetwork

if TYPE_CHECKING:
    from mixbench.training.engine import Engine


@dataclass(frozen=True)
class Providers:
    """What the caller of `train` provides for methods that need it.

    Both must depend only on their arguments, because a resumed run calls them again.

    teacher: a network; or a function that takes normalised images float [N, C, H, W] on the run's device and returns
        logits [N, K]. None: the network that is being trained, unless the configuration names another.
    generated: takes positions of images in the training subset, int64 [B], and returns one image for each, uint8
        [B, C, H, W].
    """

    teacher: Callable[[Tensor], Tensor] | TeacherNetwork | None = None
    generated: Callable[[Tensor], Tensor] | None = None

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

    def _attention(self, images: Tensor, targets: Tensor) -> Maps:
        return CurrentTeacher(self.engine).attention

    def _class_activation(self, images: Tensor, targets: Tensor) -> Maps:
        return CurrentTeacher(self.engine).class_activation

    def _teacher(self, images: Tensor, targets: Tensor) -> Teacher:
        return self.engine.teacher

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
