"""The benchmark's loops: a plain one, as most repositories have it, and mixbench's; their speed, parts and memory."""

import multiprocessing
import os
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms

from mixbench import data, models
from mixbench.config import identity
from mixbench.config.compose import Composer
from mixbench.training.device import PRECISION_NAMES, choose_precision
from mixbench.training.engine import PLAN_STEPS, Engine
from mixbench.training.schedule import learning_rate

N, HELD_OUT, SEED = 5000, 500, 0  # images of the subset, images beside it, of the synthetic data set
METHOD = "method=label-mix"  # what the plain loop does too
WORKERS = (0, os.cpu_count())  # of the plain loop's DataLoader: none, or one for each core
WINDOW = 50  # steps at either end over which memory is compared


class Effort(NamedTuple):
    """Rounds, and in each the steps that warm up and the steps that are timed."""

    rounds: int
    warm: int
    steps: int


@cache
def images() -> data.Dataset:
    """Synthetic images, uint8 32x32x3 in 10 classes: no step's time depends on what they show."""
    generator = np.random.default_rng(SEED)
    pixels = generator.integers(0, 256, (N + HELD_OUT, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 10, N + HELD_OUT)
    return data.Dataset(pixels, labels, pixels[:0], labels[:0])


def validated(width: int, overrides: Sequence[str] = (METHOD,), precision: str = "auto") -> DictConfig:
    """The configuration of a run as mixbench has it but for the overrides, on the synthetic images."""
    held_out = ["eval=holdout", f"dataset.holdout={HELD_OUT}"]
    with Composer() as composer:
        words = [f"n={N}", f"model.width={width}", f"precision={precision}", *held_out, *overrides]
        return identity.job(composer.compose(words)).cfg


class PilImages:
    """The subset as torchvision's data sets hand it out: a PIL image, transformed, and its label."""

    def __init__(self, split: data.Split, pad: int):
        self.images, self.labels = split.train_images, split.train_labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=pad),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(split.mean, split.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


class PlainLoop:
    """Mixup as most repositories train it (after mixup-cifar10's train.py, Zhang et al. 2018), with the same network.

    DataLoader over PIL images, float32, default memory format, λ from NumPy, two cross-entropies, loss read each step.
    """

    tf32 = True  # torch's default for convolutions on CUDA, which such code leaves as it is

    def __init__(self, width: int, device: torch.device, workers: int):
        cfg = validated(width)
        split = data.split(images(), cfg)
        self.device, self.workers, self.batch_size = device, workers, cfg.train.batch_size
        self.dataset = PilImages(split, cfg.dataset.pad)
        self.model = models.build_network(cfg.model, 3, split.num_classes).to(device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=cfg.train.lr, momentum=cfg.train.momentum, weight_decay=cfg.train.weight_decay
        )

    def steps(self, warm: int, count: int) -> Iterator[None]:
        """Yields after each of `warm` + `count` steps."""
        sampler = RandomSampler(self.dataset, num_samples=self.batch_size * (warm + count))
        pin = self.device.type == "cuda"
        loader = DataLoader(
            self.dataset, self.batch_size, sampler=sampler, num_workers=self.workers, pin_memory=pin, drop_last=True
        )
        train_loss = 0.0
        for inputs, labels in loader:
            inputs, labels = inputs.to(self.device), labels.to(self.device)
            lam = np.random.beta(1.0, 1.0)
            index = torch.randperm(len(inputs)).to(self.device)
            mixed = lam * inputs + (1 - lam) * inputs[index]
            outputs = self.model(mixed)
            loss = lam * self.criterion(outputs, labels) + (1 - lam) * self.criterion(outputs, labels[index])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            train_loss += loss.item()
            yield


class MixbenchLoop:
    """The steps of train.train, without evaluations and checkpoints."""

    def __init__(self, width: int, device: torch.device, precision: str, overrides: Sequence[str] = (METHOD,)):
        cfg = validated(width, overrides, precision)
        dtype = choose_precision(precision, device)
        self.precision = PRECISION_NAMES[dtype]
        self.tf32 = dtype != torch.float32  # as in run.py
        self.engine = Engine(cfg, data.split(images(), cfg), device, dtype)
        self.model = self.engine.model
        self.k = 0

    def steps(self, warm: int, count: int) -> Iterator[None]:
        """Yields after each of `warm` + `count` steps.

        Plans are drawn for `warm` steps at a time, fewer than train.train draws together, so that the steps after the
        warm-up pay for their own.
        """
        for first in range(0, warm + count, warm):
            for decided, lr in self.decided(min(warm, warm + count - first)):
                self.engine.step(decided, lr)
                yield

    def decided(self, count: int) -> Iterator[tuple[dict[str, Tensor], float]]:
        """The plan and the learning rate of each of the next `count` steps."""
        chunk = self.engine.plans(self.k, count)
        for i in range(count):
            yield {name: values[i] for name, values in chunk.items()}, learning_rate(self.engine.cfg.train, self.k)
            self.k += 1


Loop = PlainLoop | MixbenchLoop


def now(device: torch.device) -> float:
    """Seconds, once the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def timed(loop: Loop, work: Effort, device: torch.device) -> float:
    """Seconds a step, after a warm-up: another loop had the caches before."""
    torch.backends.cudnn.allow_tf32 = loop.tf32
    steps = loop.steps(work.warm, work.steps)
    for _ in range(work.warm):
        next(steps)
    start = now(device)
    for _ in range(work.steps):
        next(steps)
    seconds = (now(device) - start) / work.steps
    steps.close()  # ends a DataLoader's workers
    return seconds


def interleaved(loops: dict[str, Loop], work: Effort, device: torch.device) -> dict[str, list[float]]:
    """Seconds a step of each loop, round by round: what slows the machine for a while slows all loops of a round."""
    rounds = [{name: timed(loop, work, device) for name, loop in loops.items()} for _ in range(work.rounds)]
    return {name: [seconds[name] for seconds in rounds] for name in loops}


def relative(seconds: dict[str, list[float]], baseline: str) -> list[dict[str, Any]]:
    """For each loop steps per second, and speed relative to `baseline` in the same round: medians over the rounds."""
    return [
        {
            "name": name,
            "steps_per_second": 1 / statistics.median(taken),
            "relative_speed": statistics.median(b / t for b, t in zip(seconds[baseline], taken, strict=True)),
            "seconds_per_step": taken,
        }
        for name, taken in seconds.items()
    ]


def beside_plain(
    width: int,
    device: torch.device,
    work: Effort,
    workers: tuple[int, ...] = WORKERS,
    precisions: Sequence[str] = tuple(PRECISION_NAMES.values()),
) -> list[dict[str, Any]]:
    """Rows of the plain loop, first the one with the best number of workers, then of mixbench in each precision."""
    plain = {f"plain, {count} workers": PlainLoop(width, device, count) for count in workers}
    own = {precision: MixbenchLoop(width, device, precision) for precision in precisions}
    seconds = interleaved(plain | own, work, device)
    rows = relative({name: seconds[name] for name in plain}, next(iter(plain)))
    best_first = [row["name"] for row in sorted(rows, key=lambda row: -row["relative_speed"])]
    return relative({name: seconds[name] for name in (*best_first, *own)}, best_first[0])


def parts(width: int, device: torch.device, work: Effort, precision: str) -> dict[str, Any]:
    """Where a step's milliseconds go, and `rest`, the share that is not forward, loss, backward and optimizer.

    `plan`: drawing decisions and copying them to the device, for as many steps as train.train draws together.
    `look_up`: taking one step's out of them, and its learning rate. `batch`: gathering, augmenting and mixing, timed
    apart just before the step does the same, with the caches as the step before left them. `update`: the rest of it.
    """
    loop = MixbenchLoop(width, device, precision)
    torch.backends.cudnn.allow_tf32 = loop.tf32
    rounds = []
    for _ in range(work.rounds):
        start = now(device)
        loop.engine.plans(loop.k, PLAN_STEPS)
        plan = (now(device) - start) / PLAN_STEPS
        stamps = []
        decisions = loop.decided(work.warm + work.steps)
        for _ in range(work.warm + work.steps):
            before = now(device)
            decided, lr = next(decisions)
            looked_up = now(device)
            loop.engine.batch(decided)
            made = now(device)
            loop.engine.step(decided, lr)
            stamps.append((before, looked_up, made, now(device)))
        look_up, batch, step = np.diff(stamps[work.warm :], axis=1).mean(axis=0)
        rounds.append((plan, look_up, batch, step - batch, (plan + look_up + batch) / (plan + look_up + step)))
    plan, look_up, batch, update, rest = np.median(rounds, axis=0).tolist()
    milliseconds = {"plan": 1000 * plan, "look_up": 1000 * look_up, "batch": 1000 * batch, "update": 1000 * update}
    return {"precision": loop.precision, "milliseconds": milliseconds, "rest": rest}


def memory(kind: str, width: int, device: torch.device, steps: int) -> dict[str, Any]:
    """MB of the memory that a process of its own takes: `before` there is a loop, and at its `peak` in so many steps.

    kind: `plain` (without workers), or the precision of a mixbench loop. `early` and `late`: medians of the resident
    memory after each of the first and the last WINDOW steps; a single step's goes up and down by 20 MB as the allocator
    keeps or returns what was freed. With CUDA also `device_peak`, `device_early` and `device_late`.
    """
    # Spawned, as a forked process would start with this one's memory.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_memory, kind, width, device, steps).result()


def _memory(kind: str, width: int, device: torch.device, steps: int) -> dict[str, Any]:
    before = process_mb("VmRSS")
    loop = PlainLoop(width, device, workers=0) if kind == "plain" else MixbenchLoop(width, device, kind)
    resident, allocated = [], []
    for _ in loop.steps(5, steps - 5):
        resident.append(process_mb("VmRSS"))
        if device.type == "cuda":
            allocated.append(torch.cuda.memory_allocated(device) / 2**20)
    measured = {"before": before, "peak": process_mb("VmHWM"), "steps": steps, **_ends(resident)}
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
        measured |= {"device_peak": peak} | {f"device_{key}": mb for key, mb in _ends(allocated).items()}
    return measured


def _ends(mb: list[float]) -> dict[str, float]:
    return {"early": statistics.median(mb[:WINDOW]), "late": statistics.median(mb[-WINDOW:])}


def process_mb(key: str) -> float:
    """MB (2²⁰ bytes) of this process now (VmRSS) or at most since it started (VmHWM).

    Not getrusage, whose maximum a new process inherits from the one that started it.
    """
    return int(re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
