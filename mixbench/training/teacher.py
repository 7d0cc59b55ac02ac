"""Teachers: the network that is being trained, a network of fixed weights, or a function of the caller."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mixbench.core.errors import UserError
from mixbench.training.maps import maps_of, untracked, watched

if TYPE_CHECKING:
    from mixbench.training.engine import Engine


@dataclass(frozen=True)
class TeacherNetwork:
    """A network of fixed weights, such as that of a stored run.

    network: the network; it is copied and used in evaluation mode.
    has_layers: whether its forward takes `at` (models.has_layers).
    mean, std: float [C], with which it expects images normalised, for images from 0 to 1.
    """

    network: nn.Module
    has_layers: bool
    mean: np.ndarray
    std: np.ndarray


class _Teacher:
    """What all teachers offer (mixing.contract.Teacher). A subclass says how logits and maps are computed."""

    def __init__(self, engine: "Engine"):
        self.engine = engine

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        logits = self._forward(images).to(self.engine.master)
        wanted = (len(images), self.engine.classes)
        if logits.shape != wanted:
            raise UserError(
                f"the teacher returned logits of shape {list(logits.shape)}: the shape must be {list(wanted)}"
            )
        return logits

    def attention(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._maps("attention", images, targets)

    def class_activation(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._maps("class_activation", images, targets)

    def activation(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._maps("activation", images, targets)

    def _forward(self, images: Tensor) -> Tensor:
        raise NotImplementedError

    def _maps(self, kind: str, images: Tensor, targets: Tensor) -> Tensor:
        raise NotImplementedError


class CurrentTeacher(_Teacher):
    """The network that is being trained, in training mode, as it is at the step; using it does not change it."""

    def _forward(self, images: Tensor) -> Tensor:
        with untracked(self.engine.model):
            return self.engine.forward(images)

    @torch.no_grad()
    def _maps(self, kind: str, images: Tensor, targets: Tensor) -> Tensor:
        seen: dict[str, Tensor] = {}
        with untracked(self.engine.model):
            self.engine.forward(images, seen=seen)
        return maps_of(self.engine.model, kind, seen, targets)


class FixedTeacher(_Teacher):
    """A network of fixed weights in evaluation mode, on the engine's device and in its precision.

    engine: the engine.
    given: the network.
    """

    def __init__(self, engine: "Engine", given: TeacherNetwork):
        super().__init__(engine)
        self.has_layers = given.has_layers
        # torch's type stubs do not have memory_format together with a device.
        self.network = copy.deepcopy(given.network).to(  # pyright: ignore[reportCallIssue]
            engine.device, engine.master, memory_format=torch.channels_last
        )
        self.network.eval().requires_grad_(False)
        mean, std = (
            torch.tensor(255 * values, dtype=engine.master, device=engine.device).view(1, -1, 1, 1)
            for values in (given.mean, given.std)
        )
        # Images of the engine are (pixel - mean) / std with its own numbers.
        self.scale, self.shift = engine.std / std, (engine.mean - mean) / std

    def _forward(self, images: Tensor, seen: dict[str, Tensor] | None = None) -> Tensor:
        images = images * self.scale + self.shift
        with torch.autocast(
            self.engine.device.type, self.engine.dtype, enabled=self.engine.dtype != self.engine.master
        ):
            if seen is None or not self.has_layers:
                return self.network(images)
            return self.network(images, watched(self.network, None, seen))

    @torch.no_grad()
    def _maps(self, kind: str, images: Tensor, targets: Tensor) -> Tensor:
        seen: dict[str, Tensor] = {}
        self._forward(images, seen)
        return maps_of(self.network, kind, seen, targets)


class GivenTeacher(_Teacher):
    """A function of the caller from images to logits, which has no maps."""

    def __init__(self, engine: "Engine", function: Callable[[Tensor], Tensor]):
        super().__init__(engine)
        self.function = function

    def _forward(self, images: Tensor) -> Tensor:
        return self.function(images)

    def _maps(self, kind: str, images: Tensor, targets: Tensor) -> Tensor:
        raise UserError(
            f"the method needs the teacher's {kind}, but the teacher is a function that returns only logits; provide a "
            "mixbench.training.teacher.TeacherNetwork"
        )
