"""The rows that a method trains for each image of a batch, counted by calling it. See config/budget.py for the unit."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mixbench.core.costs import cost_of
from mixbench.core.draw_settings import always_mixing
from mixbench.core.draws import Plan
from mixbench.mixing.contract import Gradient, StandIns, StandInTeacher
from mixbench.mixing.runner import build_method

FORWARD = 1 / 3  # of a row: a forward pass without a backward pass
TOLERANCE = 0.01  # between a cost and the counted rows
SHAPE = (6, 3, 16, 16)  # [B, C, H, W] of the images that a method is tried on


class Counting(StandIns):
    """Values of the right shapes without a network, and the rows of the passes that would make them.

    rows: rows of all passes so far. A pass of the teacher counts like one of the network in training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0.0
        self.teacher = _CountingTeacher(self)

    def serve(self, need: str, images: Tensor, targets: Tensor, key: str = "method") -> Any:
        served = super().serve(need, images, targets, key)
        if need == "input_gradient":
            return Gradient(lambda: self._counted(1.0, images, served.values))
        if need in ("attention", "class_activation"):
            return lambda images, targets: self._counted(FORWARD, images, served(images, targets))
        return served

    def forward(self, images: Tensor) -> None:
        """Count a forward pass without a backward pass.

        images: float [N, C, H, W].
        """
        self.rows += FORWARD * len(images)

    def _counted(self, rows: float, images: Tensor, values: Tensor) -> Tensor:
        self.rows += rows * len(images)
        return values


class _CountingTeacher(StandInTeacher):
    """A teacher without a network whose passes count."""

    def __init__(self, counting: Counting):
        super().__init__()
        self._counting = counting

    def __call__(self, images: Tensor) -> Tensor:
        self._counting.forward(images)
        return super().__call__(images)

    def activation(self, images: Tensor, targets: Tensor) -> Tensor:
        self._counting.forward(images)
        return super().activation(images, targets)

    def _even(self, kind: str, images: Tensor) -> Tensor:
        self._counting.forward(images)
        return super()._even(kind, images)


def rows_per_image(cfg: Mapping[str, Any]) -> float:
    """Return the rows that a step which mixes trains for each image of its batch.

    cfg: a validated config group `method`, which is no mixture.
    """
    method, context = build_method(always_mixing(cfg)), Counting()
    batch, _, height, width = SHAPE
    decided = method.drawn(Plan(3, batch, batch, height, width), 0, 1)
    mixed = method(
        torch.zeros(SHAPE),
        torch.eye(batch),
        {name: torch.from_numpy(values[0]) for name, values in decided.items()},
        context,
    )
    return (len(mixed.images) + context.rows) / batch


def other_cost(cfg: Mapping[str, Any]) -> float | None:
    """Return the rows that a step trains for each image, if the method's `cost` says another number; else None.

    cfg: a validated config group `method`. The cost of a mixture follows from its parts, so the result is None.
    """
    if "parts" in cfg:
        return None
    rows = round(rows_per_image(cfg), 4)
    return None if abs(rows - cost_of(cfg)) < TOLERANCE else rows
