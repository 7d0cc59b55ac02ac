"""The engine of training: network, optimizer and images on one device, training steps and evaluations.

A step is: plan, gather, augment, mix, forward, loss, backward, update.
"""

from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor

from mixbench import models
from mixbench.augment import AUGMENTS
from mixbench.config import teacher as teachers
from mixbench.config.schema import TrainConfig, typed
from mixbench.core.draws import Plan
from mixbench.core.own_signatures import configured
from mixbench.core.random_words import Purpose, uniform, words
from mixbench.core.registry import CURRENT
from mixbench.data import Split
from mixbench.mixing.contract import AtLayer, Context, Mixed, Outputs, Teacher, unserved
from mixbench.mixing.runner import NO_CONTEXT, build_method
from mixbench.training import views
from mixbench.training.context import BatchContext, Providers
from mixbench.training.losses import LOSSES, ignore_slow_rows, loss_per_row, one_hot
from mixbench.training.maps import maps_of, watched
from mixbench.training.optim import build_optimizer, clip_gradients
from mixbench.training.teacher import CurrentTeacher, FixedTeacher, GivenTeacher, TeacherNetwork

PLAN_STEPS = 128  # largest number of steps whose decisions are drawn and copied to the device together
PLAN_BYTES = 32 * 2**20  # limit of their size, which matters if a method draws a mask for each image
PATHS = "paths"  # name of the decisions of networks that skip branches at random
EVAL_BATCH = 500  # images per forward pass of an evaluation


class BankImages(NamedTuple):
    """The images of a method's bank on the device.

    variants: uint8 [n, V, H, W, C], V variants of each image of the subset.
    fractals: uint8 [F, H, W, C].
    """

    variants: Tensor
    fractals: Tensor


class Engine:
    """Network, optimizer and images of one run on one device.

    cfg: validated configuration (config.identity.job).
    split: the images of the run.
    device: the device.
    dtype: dtype of the forward pass. bfloat16 runs under autocast; weights, images, targets and loss are then float32.
        With float64 everything is float64, as a reference for other devices and precisions.
    providers: what the caller provides for methods that need it.
    """

    def __init__(
        self,
        cfg: DictConfig,
        split: Split,
        device: torch.device,
        dtype: torch.dtype,
        providers: Providers | None = None,
    ):
        self.cfg, self.device, self.dtype = cfg, device, dtype
        self.master = (
            torch.float64 if dtype == torch.float64 else torch.float32
        )  # dtype of everything except the forward pass
        height, width, channels = split.train_images.shape[1:]
        with torch.random.fork_rng(devices=[]):  # drawn on the CPU, so that all devices start with equal weights
            torch.manual_seed(int(words(cfg.seed, Purpose.WEIGHTS, 0, 1, 1)[0, 0] >> np.uint64(1)))
            model = models.build_network(cfg.model, channels, split.num_classes, (height, width))
        self.has_layers = models.has_layers(cfg.model)
        # torch's type stubs do not have memory_format together with a device.
        self.model = model.to(device, self.master, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.train = typed(cfg.train, TrainConfig)
        self.optimizer = build_optimizer(self.model, self.train)
        self.images, self.eval_images = (self._to_device(a) for a in (split.train_images, split.eval_images))
        self.labels, self.eval_labels = (self._to_device(a) for a in (split.train_labels, split.eval_labels))
        self.mean, self.std = (
            torch.tensor(255 * a, dtype=self.master, device=device).view(1, -1, 1, 1) for a in (split.mean, split.std)
        )
        self.banks = {
            key: BankImages(self._to_device(made.variants), self._to_device(made.fractals))
            for key, made in split.generated.items()
        }
        self.classes = split.num_classes
        self.providers = providers or Providers()
        self.augment, self.method = configured("augment", AUGMENTS, cfg.augment), build_method(cfg.method)
        self.needs = {need for single in self.method.singles().values() for need in single.function.needs}
        self.loss, self.smoothing = configured("loss", LOSSES, cfg.loss), cfg.loss.label_smoothing
        ignore_slow_rows()
        self.plan = Plan(
            cfg.seed,
            len(self.images),
            cfg.train.batch_size,
            height,
            width,
            draws=self.augment.draws,
            length=cfg.train.steps,
            labels=split.train_labels,
            groups=split.groups,
            pad=self.augment.options.get("pad", 0),
            protected=split.protected,
        )
        bytes_a_step = sum(values.nbytes for values in self._decide(0, 1).values())
        self.plan_steps = max(1, min(PLAN_STEPS, PLAN_BYTES // bytes_a_step))

    def plans(self, first: int, count: int) -> dict[str, Tensor]:
        """Return the decisions of several steps, on the device.

        first: the first step, from 0.
        count: number of steps, at most `plan_steps`.
        Returns name -> decisions [count, …].
        """
        return {name: self._to_device(array) for name, array in self._decide(first, count).items()}

    def _decide(self, first: int, count: int) -> dict[str, np.ndarray]:
        paths = getattr(self.model, "paths", 0)
        size = self.plan.batch_size
        drawn = self.plan.steps(first, count) | self.method.drawn(self.plan, first, count)
        if paths:
            numbers = uniform(self.cfg.seed, Purpose.PATHS, first, count, size * paths)
            drawn[PATHS] = numbers.reshape(count, size, paths).astype(np.float32)
        return drawn

    def _uniforms(self, mixed: Mixed, decided: dict[str, Tensor]) -> Tensor | None:
        """Return the numbers that decide which branches of the network each row skips; None if it skips none."""
        if PATHS not in decided:
            return None
        return decided[PATHS].repeat(len(mixed.images) // len(decided[PATHS]), 1)  # rows of one image share them

    def batch(self, decided: dict[str, Tensor]) -> Mixed:
        """Return the batch of one step: augmented, normalised, mixed images [R, C, H, W] and label weights [R, K].

        decided: name -> decisions of the step, one entry of `plans`.
        """
        index = decided["index"]
        needs = views.requested(self.augment, self.loss)
        images = self.augment(self.images[index].permute(0, 3, 1, 2), decided=decided, needs=needs)
        targets = one_hot(self.labels[index], self.classes, self.smoothing, self.master)
        context = self.context(decided)
        mix = partial(self.method, targets=targets, decided=decided, context=context)
        return views.mix_views(mix, self.normalise(images), self.loss.views)

    def context(self, decided: dict[str, Tensor]) -> Context:
        """Return the object that provides the needs of the method in this step.

        decided: name -> decisions of the step.
        """
        return BatchContext(self, decided) if self.needs else NO_CONTEXT

    @cached_property
    def teacher(self) -> Teacher:
        """The teacher of the method. Raises UserError if the configuration names one that nothing provides."""
        given = self.providers.teacher
        if isinstance(given, TeacherNetwork):
            return FixedTeacher(self, given)
        if given is not None:
            return GivenTeacher(self, given)
        if teachers.named(self.cfg.method) != CURRENT:
            raise unserved("teacher")
        return CurrentTeacher(self)

    def normalise(self, images: Tensor) -> Tensor:
        """Convert uint8 images to floats; with the split's mean and std, each channel has mean 0 and deviation 1.

        images: uint8 [B, C, H, W].
        Returns float [B, C, H, W].
        """
        return images.to(self.master).sub_(self.mean).div_(self.std)

    def step(self, decided: dict[str, Tensor], lr: float) -> Tensor:
        """Update the weights once.

        decided: name -> decisions of the step.
        lr: learning rate.
        Returns the mean loss of the batch, a scalar tensor on the device.
        """
        mixed = self.batch(decided)
        logits, targets = self.outputs(mixed, self._uniforms(mixed, decided))
        loss = self.mean_loss(logits, targets, mixed.weights, decided)
        self.optimizer.zero_grad()
        loss.backward()
        clip_gradients(self.model, self.train)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return loss.detach()

    def outputs(self, mixed: Mixed, uniforms: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the logits [R, K] of a mixed batch, and its final targets [R, K].

        mixed: the batch.
        uniforms: as for `forward`.
        """
        if mixed.after_forward is None:
            return self.forward(mixed.images, mixed.at_layer, uniforms=uniforms), mixed.targets
        seen: dict[str, Tensor] | None = {} if "attention" in self.needs else None
        logits = self.forward(mixed.images, mixed.at_layer, seen, uniforms)
        attention = None if seen is None else lambda targets: maps_of(self.model, "attention", seen, targets)
        with torch.no_grad():
            return logits, mixed.after_forward(Outputs(logits.detach(), attention))

    def mean_loss(self, logits: Tensor, targets: Tensor, weights: Tensor | None, decided: dict[str, Tensor]) -> Tensor:
        """Return the mean over the rows of weight times loss.

        logits: float [R, K].
        targets: float [R, K].
        weights: float [R]; None: 1 for all rows.
        decided: name -> decisions of the step.
        """
        if weights is None:
            return self.loss(logits, targets, decided=decided)
        return (loss_per_row(partial(self.loss, decided=decided), logits, targets) * weights).mean()

    def forward(
        self,
        images: Tensor,
        at_layer: AtLayer | None = None,
        seen: dict[str, Tensor] | None = None,
        uniforms: Tensor | None = None,
    ) -> Tensor:
        """Return logits [B, K], float32, or float64 if dtype is float64.

        images: float [B, C, H, W].
        at_layer: replaces the features of the network's layers; None: they are not replaced.
        seen: a dictionary that gets the features of the network's attention layer; None: they are not kept.
        uniforms: float [B, …] in (0, 1), for networks that skip branches at random. None: no branch is skipped.
        """
        further = {} if uniforms is None else {"uniforms": uniforms}
        at = at_layer if seen is None else watched(self.model, at_layer, seen)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != self.master):
            return (self.model(images, at, **further) if self.has_layers else self.model(images)).to(self.master)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits [N, K] on the host, without augmentation and mixing.

        images: uint8 [N, H, W, C], on the device.
        """
        self.model.eval()
        parts = [self.forward(self.normalise(part.permute(0, 3, 1, 2))) for part in images.split(EVAL_BATCH)]
        self.model.train()
        return torch.cat(parts).cpu()

    def logits_of(self, images: np.ndarray) -> Tensor:
        """Return logits [N, K] on the host of images that are on the device only meanwhile.

        images: uint8 [N, H, W, C], on the host.
        """
        return self.logits(self._to_device(images))

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)
