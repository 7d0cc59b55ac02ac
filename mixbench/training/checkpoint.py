"""Checkpoints: their content, and the check that a checkpoint belongs to this run."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from mixbench.core import files
from mixbench.training import metrics

Row = dict[str, float]


@dataclass
class Progress:
    """The progress of a run: everything in a checkpoint except the weights and the state of the optimizer.

    step: steps done.
    seconds: training time so far.
    history: one row for each evaluation.
    losses: numbers whose sum equals the sum of the losses since the last evaluation.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class CheckpointMismatch(ValueError):
    """A checkpoint does not belong to this run."""


def state(model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> dict[str, Any]:
    """Return the content of a checkpoint.

    model: the network.
    optimizer: its optimizer.
    progress: the progress of the run.
    """
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "progress": vars(progress)}


def resume(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, train: DictConfig, columns: Iterable[str]
) -> Progress:
    """Load a checkpoint into the model and the optimizer. Everything is checked before anything is loaded.

    path: the checkpoint.
    model: the network, on the device of the run.
    optimizer: its optimizer.
    train: the validated config group `train`.
    columns: columns of a row of the history.
    Returns the progress of the run.
    Raises CheckpointMismatch, or torch's error for a file that it cannot read. Model and optimizer then stay unchanged.
    """
    device = next(model.parameters()).device
    with files.open_regular(path) as file:
        found = torch.load(file, map_location=device, weights_only=True)
    parts = _keyed("it", found, ("model", "optimizer", "progress"))
    progress = _progress(parts["progress"], train, list(columns))
    _check_model(parts["model"], model)
    _check_optimizer(parts["optimizer"], optimizer, progress.step)
    model.load_state_dict(parts["model"])
    optimizer.load_state_dict(parts["optimizer"])
    return progress


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise CheckpointMismatch(what)


def _keyed(name: str, value: Any, keys: Iterable[Any]) -> dict[Any, Any]:
    _require(isinstance(value, dict) and set(value) == set(keys), f"{name} has other keys")
    return value


def _progress(found: Any, train: DictConfig, columns: list[str]) -> Progress:
    values = _keyed("progress", found, (of.name for of in fields(Progress)))
    step, seconds, history, losses = (values[of.name] for of in fields(Progress))
    _require(type(step) is int and 0 < step < train.steps, f"step {step} of {train.steps}")
    _require(_number(seconds) and 0 <= seconds < math.inf, f"{seconds} seconds")
    _require(isinstance(history, list) and isinstance(losses, list), "the history is not a list")
    history = [metrics.current(row) if isinstance(row, dict) else row for row in history]
    for row in history:
        _require(
            all(map(_number, _keyed("a row of the history", row, columns).values())),
            "a row has a value that is not a number",
        )
    evaluated = list(range(train.eval_every, step + 1, train.eval_every))
    _require([row["step"] for row in history] == evaluated, "the history has other steps")
    since = step % train.eval_every
    _require((len(losses) > 0) == (since > 0), f"{len(losses)} losses of {since} steps")
    _require(all(_number(loss) and math.isfinite(loss) for loss in losses), "a loss is not finite")
    return Progress(step, seconds, history, losses)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_model(found: Any, model: nn.Module) -> None:
    ours = model.state_dict()
    for name, theirs in _keyed("the network", found, ours).items():
        _require(_alike(theirs, ours[name]), f"the network's {name} has another shape or type")


def _check_optimizer(found: Any, optimizer: torch.optim.Optimizer, step: int) -> None:
    parts = _keyed("the optimizer", found, ("state", "param_groups"))
    theirs, ours = parts["param_groups"], optimizer.state_dict()["param_groups"]
    _require(isinstance(theirs, list) and len(theirs) == len(ours), "the optimizer has other groups")
    for group, own in zip(theirs, ours, strict=True):
        # The learning rate changes from step to step; the other values are settings of the run.
        settings = {key: value for key, value in _keyed("a group of the optimizer", group, own).items() if key != "lr"}
        _require(_number(group["lr"]) and settings.items() <= own.items(), "the optimizer has other settings")
    _check_state(parts["state"], optimizer, step)


def _check_state(found: Any, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Check what the optimizer remembers of each parameter after `step` updates."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if isinstance(optimizer, torch.optim.AdamW):
        alike, counts = ("exp_avg", "exp_avg_sq"), ("step",)
    else:
        alike, counts = (("momentum_buffer",) if optimizer.param_groups[0]["momentum"] else ()), ()
    states = _keyed("the optimizer's state", found, range(len(parameters)) if alike else ())
    for index, values in states.items():
        _keyed("the optimizer's state", values, (*alike, *counts))
        for name in alike:
            _require(_alike(values[name], parameters[index]), f"{name} {index} has another shape or type")
        for name in counts:
            count = values[name]
            fits = isinstance(count, Tensor) and count.shape == () and count.item() == step
            _require(fits, f"{name} {index} is not {step}, the number of updates")


def _alike(found: Any, ours: Tensor) -> bool:
    return isinstance(found, Tensor) and (found.shape, found.dtype, found.layout, found.device) == (
        ours.shape,
        ours.dtype,
        ours.layout,
        ours.device,
    )
