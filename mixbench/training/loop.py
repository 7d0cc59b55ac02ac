"""The training loop: steps of the engine, evaluations and checkpoints."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from mixbench.config.schema import TrainConfig, typed
from mixbench.data import Split
from mixbench.training import checkpoint as checkpoints
from mixbench.training.checkpoint import Progress, Row
from mixbench.training.context import Providers
from mixbench.training.engine import Engine
from mixbench.training.schedule import learning_rate, steps_of

KEPT_LOSSES = 4096  # losses kept on the device before they are summed


class NotFinite(Exception):
    """The loss or the network's output became infinite or not a number."""


class Stopped(Exception):
    """Training was asked to stop. The checkpoint holds all progress."""


@dataclass
class Outcome:
    """The result of training.

    history: one row for each evaluation.
    eval_logits: float32 [M, K], of the evaluation images.
    train_logits: float32 [n, K], of the training images.
    seconds: training time.
    model: the trained network.
    test_set_logits: name of a further test set -> float32 [N, K], of its images.
    """

    history: list[Row]
    eval_logits: np.ndarray
    train_logits: np.ndarray
    seconds: float
    model: nn.Module
    test_set_logits: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Reporter:
    """Callbacks of the training loop.

    step: gets the number of steps done and the loss of the last one; returns True to stop training.
    row: gets the history after each evaluation.
    warn: gets a line that a person should read.
    """

    step: Callable[[int, Tensor], bool] = lambda k, loss: False
    row: Callable[[list[Row]], None] = lambda history: None
    warn: Callable[[str], None] = warnings.warn


def train(
    cfg: DictConfig,
    split: Split,
    device: torch.device,
    dtype: torch.dtype,
    checkpoint: Path,
    save: Callable,
    reporter: Reporter | None = None,
    providers: Providers | None = None,
) -> Outcome:
    """Train one run to its end, starting from its checkpoint if there is one.

    cfg: validated configuration (config.identity.job).
    split: the images of the run.
    device: the device.
    dtype: dtype of the forward pass.
    checkpoint: path of the checkpoint.
    save: save(path, state) writes a checkpoint completely or not at all.
    reporter: callbacks; None: no callbacks, and warnings are Python warnings.
    providers: a teacher or generated images, for methods that need them.
    Returns the result of training.
    Raises NotFinite, which names the step; Stopped if the reporter asks for it; UserError if the method needs something
        that nothing provides.
    """
    reporter = reporter or Reporter()
    engine = Engine(cfg, split, device, dtype, providers)
    progress = _resume(engine, checkpoint, reporter)
    schedule = typed(cfg.train, TrainConfig)  # not a DictConfig: reading one in each step would slow a GPU down much
    steps, eval_every, checkpoint_every = steps_of(schedule), schedule.eval_every, schedule.checkpoint_every
    if eval_every is None:
        raise ValueError("train.eval_every: must be set, as config.identity.job does")
    losses, filled = (
        torch.zeros(min(eval_every, steps, KEPT_LOSSES), device=device),
        0,
    )  # losses that are not in progress.losses yet
    before = progress.seconds - time.perf_counter()
    k = progress.step
    while k < steps:
        chunk = engine.plans(k, min(engine.plan_steps, steps - k))
        for i in range(len(chunk["index"])):
            lr = learning_rate(schedule, k)
            losses[filled] = engine.step({name: values[i] for name, values in chunk.items()}, lr)
            k, filled = k + 1, filled + 1
            stop = reporter.step(k, losses[filled - 1])
            evaluates = k % eval_every == 0 or k == steps
            saves = k < steps and (stop or k % checkpoint_every == 0)
            if evaluates or saves or filled == len(losses):
                progress.losses = _exact_sum([*progress.losses, *_finite(losses[:filled].tolist(), k)])
                filled = 0
            if evaluates:
                train_loss = math.fsum(progress.losses) / ((k - 1) % eval_every + 1)
                progress.losses = []
                eval_logits = engine.logits(engine.eval_images)
                if not eval_logits.isfinite().all():  # after the last update there is no loss that would reveal it
                    raise NotFinite(f"the network's output is not finite after step {k}; try a lower train.lr")
                row = _row(engine, k, lr, train_loss, eval_logits, before + time.perf_counter())
                progress.history.append(row)
                reporter.row(progress.history)
            if saves:
                progress.step, progress.seconds = k, before + time.perf_counter()
                save(checkpoint, checkpoints.state(engine.model, engine.optimizer, progress))
            if stop and k < steps:
                raise Stopped
    train_logits = engine.logits(engine.images)
    seconds = before + time.perf_counter()
    further = {name: engine.logits_of(of_set.images) for name, of_set in split.test_sets.items()}
    for name, logits in further.items():
        if not logits.isfinite().all():
            raise NotFinite(f"the network's output for test set {name} is not finite; try a lower train.lr")
    sets = {name: logits.numpy() for name, logits in further.items()}
    return Outcome(progress.history, eval_logits.numpy(), train_logits.numpy(), seconds, engine.model, sets)


def _row(engine: Engine, step: int, lr: float, train_loss: float, logits: Tensor, seconds: float) -> Row:
    labels = engine.eval_labels.cpu()
    return {
        "step": step,
        "epoch": step * engine.plan.batch_size / engine.plan.n,
        "lr": lr,
        "train_loss": train_loss,
        "eval_loss": F.cross_entropy(logits, labels).item(),
        "eval_accuracy": 100 * (logits.argmax(dim=1) == labels).sum().item() / len(labels),
        "seconds": seconds,
    }


def _finite(losses: list[float], step: int) -> list[float]:
    """Return the losses of the steps up to `step`. Raises NotFinite, which names the first step with another value."""
    for back, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise NotFinite(f"the loss is {loss} at step {step - len(losses) + back + 1}; try a lower train.lr")
    return losses


def _exact_sum(numbers: list[float]) -> list[float]:
    """Return a few numbers whose exact sum equals that of the given numbers.

    fsum gives the rounded sum, then the rounded rest, and so on until the rest is 0. So the mean of millions of losses
    is equal to the last bit to math.fsum over all of them, without keeping them all.
    """
    kept: list[float] = []
    while rest := math.fsum([*numbers, *(-number for number in kept)]):
        kept.append(rest)
    return kept or [0.0]


def _resume(engine: Engine, checkpoint: Path, reporter: Reporter) -> Progress:
    """Continue from the checkpoint if it exists and can be used. If it cannot, warn and start from the beginning."""
    if not checkpoint.exists():
        return Progress()
    columns = _row(engine, 1, 0.0, 0.0, torch.zeros(len(engine.eval_labels), engine.classes), 0.0)
    try:
        return checkpoints.resume(checkpoint, engine.model, engine.optimizer, engine.cfg.train, columns)
    except Exception as error:  # a damaged disk, because files are written completely; torch then raises many kinds
        reason = str(error) if isinstance(error, checkpoints.CheckpointMismatch) else type(error).__name__
        reporter.warn(f"{checkpoint} cannot be used ({reason}): the run starts from the beginning")
        return Progress()
