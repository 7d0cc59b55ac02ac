"""The training loop: plan, gather, augment, mix, forward, loss, backward, update; evaluate; checkpoint."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional as F

from mixbench import models
from mixbench.augment import AUGMENTS
from mixbench.config.schema import TrainConfig, typed
from mixbench.core.draws import Plan
from mixbench.core.errors import UserError, unknown
from mixbench.core.own_functions import reason
from mixbench.core.own_signatures import OwnConfigured, configured
from mixbench.core.random_words import Purpose, words
from mixbench.core.registry import Configured
from mixbench.data import Split
from mixbench.mixing.runner import At, Mixed, Single, build
from mixbench.training import checkpoint as checkpoints
from mixbench.training import own_checks
from mixbench.training.checkpoint import Progress, Row
from mixbench.training.losses import LOSSES, one_hot

PLAN_STEPS = 128  # steps whose plans are drawn and copied to the device together,
PLAN_BYTES = 32 * 2**20  # or fewer where a method draws a mask for each image
EVAL_BATCH = 500  # images per forward pass of an evaluation
KEPT_LOSSES = 4096  # losses that are kept on the device before they are added up


class NotFinite(Exception):
    """The loss became infinite or not a number."""


class Stopped(Exception):
    """Training was asked to stop; the checkpoint holds everything up to here."""


@dataclass
class Outcome:
    """What a finished run leaves: its evaluations, and float32 logits [N, K] of evaluation and training images."""

    history: list[Row]
    eval_logits: np.ndarray
    train_logits: np.ndarray
    seconds: float
    model: nn.Module


@dataclass
class Reporter:
    """Whom the loop tells how it goes: `step(k, loss)` returns true to ask for a stop, `row` gets the history.

    warn: gets a line that a person should read.
    """

    step: Callable[[int, Tensor], bool] = lambda k, loss: False
    row: Callable[[list[Row]], None] = lambda history: None
    warn: Callable[[str], None] = warnings.warn


def check(cfg: DictConfig) -> None:
    """Raises UserError where the configuration names a function, network or option that there is not."""
    augment, method = configured("augment", AUGMENTS, cfg.augment), build(cfg.method)
    loss = configured("loss", LOSSES, cfg.loss)
    models.check(cfg.model)
    # Called on two empty images: what their options may be is the functions' to know.
    images, targets = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.eye(2)
    plan = Plan(0, 2, 2, 8, 8, draws=augment.draws, pad=max(0, augment.options.get("pad", 0)))
    _try("augment", augment, lambda: own_checks.augmented(augment(images, decided=_tensors(plan.drawn(0, 1))), images))
    _try("loss", loss, lambda: own_checks.loss(loss(torch.zeros(2, 2, requires_grad=True), targets, decided={})))
    for key, one in method.singles().items():
        _try(key, one.function, partial(_try_method, one, images.float(), targets, plan))
        for layer in one.function.options.get("layers", ()):
            if layer not in models.layers(cfg.model):
                raise unknown(f"layer (model={cfg.model.name}) in {key}.layers", layer, models.layers(cfg.model))


def _try(key: str, function: Configured, call: Callable[[], Any]) -> None:
    """Raises UserError where the call finds a value at fault, which stands under `key`, or a user's function fails."""
    try:
        call()
    except Exception as error:
        if isinstance(function, OwnConfigured):
            raise UserError(f"{function.label}: fails on two empty images of 8x8 ({reason(error)})") from error
        if isinstance(error, ValueError):
            raise UserError(f"{key}.{error}") from error
        raise


def _try_method(method: Single, images: Tensor, targets: Tensor, plan: Plan) -> None:
    mixed = method(images, targets, _tensors(method.drawn(plan, 0, 1)))
    own_checks.mixed(mixed[0], mixed[1], images, targets)


def _tensors(decided: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values[0]) for name, values in decided.items()}


def learning_rate(train: TrainConfig, step: int) -> float:
    """The rate of update `step`, 0 … steps - 1: linear warm-up, then constant, cosine to 0, or steps."""
    if step < train.warmup:
        return train.lr * (step + 1) / train.warmup
    if train.schedule == "cosine":
        return train.lr * 0.5 * (1 + math.cos(math.pi * (step - train.warmup) / (_steps(train) - train.warmup)))
    if train.schedule == "step":
        return train.lr * train.gamma ** _passed(train, step)
    return train.lr


def _passed(train: TrainConfig, step: int) -> int:
    """How many milestones update `step` has reached; without a list, how many thirds are over."""
    if train.milestones is None:
        return 3 * step // _steps(train)
    # The quotient, not the product: both it and a written 0.07 are the nearest float, but 0.07 · 100 is above 7.
    return sum(step / _steps(train) >= milestone for milestone in train.milestones)


def _steps(train: TrainConfig) -> int:
    """Raises ValueError where epochs have not become steps yet."""
    if train.steps is None:
        raise ValueError("train.steps: must be set, as identity.job does")
    return train.steps


class Engine:
    """Network, optimizer and images on one device, and what can be done with them: a step, an evaluation."""

    def __init__(self, cfg: DictConfig, split: Split, device: torch.device, dtype: torch.dtype):
        """cfg: settled (identity.job). dtype: of the forward pass; torch.bfloat16 runs under autocast.

        Weights, images, targets and loss are float32 with bfloat16 too. torch.float64 makes all of them float64: the
        reference that executions on different devices are compared with.
        """
        self.cfg, self.device, self.dtype = cfg, device, dtype
        self.master = torch.float64 if dtype == torch.float64 else torch.float32  # of all that is not the forward pass
        height, width, channels = split.train_images.shape[1:]
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU, so that every device starts alike
            torch.manual_seed(int(words(cfg.seed, Purpose.WEIGHTS, 0, 1, 1)[0, 0] >> np.uint64(1)))
            model = models.build(cfg.model, channels, split.num_classes)
        self.has_layers = len(models.layers(cfg.model)) > 1  # a network with the input alone takes nothing but images
        # torch's types leave out memory_format together with a device.
        self.model = model.to(device, self.master, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=cfg.train.lr,
            momentum=cfg.train.momentum,
            weight_decay=cfg.train.weight_decay,
            nesterov=cfg.train.nesterov,
            fused=True,
        )
        self.images, self.eval_images = (self._to_device(a) for a in (split.train_images, split.eval_images))
        self.labels, self.eval_labels = (self._to_device(a) for a in (split.train_labels, split.eval_labels))
        self.mean, self.std = (
            torch.tensor(255 * a, dtype=self.master, device=device).view(1, -1, 1, 1) for a in (split.mean, split.std)
        )
        self.classes = split.num_classes
        self.augment, self.method = configured("augment", AUGMENTS, cfg.augment), build(cfg.method)
        self.loss, self.smoothing = configured("loss", LOSSES, cfg.loss), cfg.loss.label_smoothing
        self.plan = Plan(
            cfg.seed,
            len(self.images),
            cfg.train.batch_size,
            height,
            width,
            draws=self.augment.draws,
            pad=self.augment.options.get("pad", 0),
            protected=split.protected,
        )
        bytes_a_step = sum(values.nbytes for values in self._decide(0, 1).values())
        self.plan_steps = max(1, min(PLAN_STEPS, PLAN_BYTES // bytes_a_step))

    def plans(self, first: int, count: int) -> dict[str, Tensor]:
        """The decisions of `count` steps on the device, in one copy for each kind; up to `plan_steps` together."""
        return {name: self._to_device(array) for name, array in self._decide(first, count).items()}

    def _decide(self, first: int, count: int) -> dict[str, np.ndarray]:
        return self.plan.steps(first, count) | self.method.drawn(self.plan, first, count)

    def batch(self, decided: dict[str, Tensor]) -> Mixed:
        """What one step trains on: normalised, augmented, mixed images [B, C, H, W] and label weights [B, K].

        And what a method that mixes features does at the network's layers.
        """
        index = decided["index"]
        images = self.augment(self.images[index].permute(0, 3, 1, 2), decided=decided)
        targets = one_hot(self.labels[index], self.classes, self.smoothing, self.master)
        return self.method(self.normalise(images), targets, decided)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 images, 0 to 255, to floats of mean 0 and standard deviation 1 in each channel."""
        return images.to(self.master).sub_(self.mean).div_(self.std)

    def step(self, decided: dict[str, Tensor], lr: float) -> Tensor:
        """One weight update; the mean loss of the batch, a scalar that stays on the device."""
        images, targets, at = self.batch(decided)
        loss = self.loss(self.forward(images, at), targets, decided=decided)
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return loss.detach()

    def forward(self, images: Tensor, at: At | None = None) -> Tensor:
        """Logits, float32 [B, K] (with dtype float64 float64); `at` replaces the features of the network's layers."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != self.master):
            return (self.model(images, at) if self.has_layers else self.model(images)).to(self.master)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """As `forward`, [N, K] on the host, for uint8 images [N, H, W, C] as they are: neither augmented nor mixed."""
        self.model.eval()
        parts = [self.forward(self.normalise(part.permute(0, 3, 1, 2))) for part in images.split(EVAL_BATCH)]
        self.model.train()
        return torch.cat(parts).cpu()

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def train(
    cfg: DictConfig,
    split: Split,
    device: torch.device,
    dtype: torch.dtype,
    checkpoint: Path,
    save: Callable,
    reporter: Reporter | None = None,
) -> Outcome:
    """Train one run to its end, from its checkpoint where there is one.

    cfg: settled (identity.job). checkpoint: where the state is kept until the run is done. save(path, state) writes it
    whole or not at all. Raises NotFinite, naming the step, and Stopped where the reporter asked for it.
    """
    reporter = reporter or Reporter()
    engine = Engine(cfg, split, device, dtype)
    progress = _resume(engine, checkpoint, reporter)
    schedule = typed(cfg.train, TrainConfig)  # not a DictConfig: reading one in each step would cost a GPU dear
    steps, eval_every, checkpoint_every = _steps(schedule), schedule.eval_every, schedule.checkpoint_every
    if eval_every is None:
        raise ValueError("train.eval_every: must be set, as identity.job does")
    losses, filled = torch.zeros(min(eval_every, steps, KEPT_LOSSES), device=device), 0  # not yet in progress.losses
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
                progress.losses = _added_up([*progress.losses, *_finite(losses[:filled].tolist(), k)])
                filled = 0
            if evaluates:
                train_loss = math.fsum(progress.losses) / ((k - 1) % eval_every + 1)
                progress.losses = []
                eval_logits = engine.logits(engine.eval_images)
                if not eval_logits.isfinite().all():  # the last update has no loss after it that would tell
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
    return Outcome(progress.history, eval_logits.numpy(), train_logits.numpy(), seconds, engine.model)


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
    """The losses of the steps up to `step`. Raises NotFinite, naming the first that is not a number."""
    for back, loss in enumerate(losses):
        if not math.isfinite(loss):
            raise NotFinite(f"the loss is {loss} at step {step - len(losses) + back + 1}; try a lower train.lr")
    return losses


def _added_up(numbers: list[float]) -> list[float]:
    """A few numbers with exactly the same sum: fsum rounds it once, and again what that leaves, until nothing is left.

    So the mean of millions of losses is that of math.fsum over all of them, to the last bit, without keeping them.
    """
    kept: list[float] = []
    while rest := math.fsum([*numbers, *(-number for number in kept)]):
        kept.append(rest)
    return kept or [0.0]


def _resume(engine: Engine, checkpoint: Path, reporter: Reporter) -> Progress:
    """Go on from the checkpoint where there is one that can be used; start anew, with a warning, from another."""
    if not checkpoint.exists():
        return Progress()
    columns = _row(engine, 1, 0.0, 0.0, torch.zeros(len(engine.eval_labels), engine.classes), 0.0)
    try:
        return checkpoints.resume(checkpoint, engine.model, engine.optimizer, engine.cfg.train, columns)
    except Exception as error:  # it was written whole, so the disk is at fault, and torch raises all kinds then
        reason = str(error) if isinstance(error, checkpoints.Misfit) else type(error).__name__
        reporter.warn(f"{checkpoint} cannot be used ({reason}): starting anew")
        return Progress()
