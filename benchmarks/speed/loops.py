"""The training loops of the benchmark: a plain one, as in most repositories, and mixbench's; their speed and memory."""

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
from mixbench.runs.banks import with_stand_ins
from mixbench.training.device import PRECISION_NAMES, choose_precision
from mixbench.training.engine import PLAN_STEPS, Engine
from mixbench.training.schedule import learning_rate

N, HELD_OUT, SEED = 5000, 500, 0  # synthetic data set: images of the subset, other images, seed
METHOD = "method=label-mix"  # the method of both loops
WORKERS = (0, os.cpu_count())  # workers of the plain loop's DataLoader: none, or one for each core
WINDOW = 50  # number of first and of last steps whose memory is compared


class Effort(NamedTuple):
    """The length of a measurement: number of rounds and, in each round, of warm-up steps and of timed steps."""

    rounds: int
    warm: int
    steps: int


@cache
def images() -> data.Dataset:
    """Return synthetic images, uint8 32x32x3 in 10 classes. The time of a step does not depend on their content."""
    generator = np.random.default_rng(SEED)
    pixels = generator.integers(0, 256, (N + HELD_OUT, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 10, N + HELD_OUT)
    return data.Dataset(pixels, labels, pixels[:0], labels[:0])


def validated(width: int, overrides: Sequence[str] = (METHOD,), precision: str = "auto") -> DictConfig:
    """Return the configuration of a run on the synthetic images.

    width: width of the network.
    overrides: KEY=VALUE texts; the other keys have their defaults.
    precision: precision of the run.
    """
    held_out = ["eval=holdout", f"dataset.holdout={HELD_OUT}"]
    with Composer() as composer:
        words = [f"n={N}", f"model.width={width}", f"precision={precision}", *held_out, *overrides]
        return identity.job(composer.compose(words)).cfg


class PilImages:
    """The subset as a data set of torchvision: transformed PIL images and their labels.

    split: the images.
    pad: pixels of padding before the random crop.
    """

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
    """Mixup as in most repositories (after mixup-cifar10's train.py, Zhang et al. 2018), with the same network.

    It uses a DataLoader of PIL images, float32, the default memory format, λ from NumPy and two cross-entropies, and
    reads the loss in each step.

    width: width of the network.
    device: device to train on.
    workers: number of workers of the DataLoader.
    """

    tf32 = True  # torch's default for convolutions on CUDA, which such code does not change

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
        """Train `warm` + `count` steps, and yield after each."""
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
    """The training steps of mixbench, without evaluations and checkpoints.

    width: width of the network.
    device: device to train on.
    precision: precision of the run.
    overrides: KEY=VALUE texts of the run.
    """

    def __init__(self, width: int, device: torch.device, precision: str, overrides: Sequence[str] = (METHOD,)):
        cfg = validated(width, overrides, precision)
        dtype = choose_precision(precision, device)
        self.precision = PRECISION_NAMES[dtype]
        self.tf32 = dtype != torch.float32  # as in mixbench's runs
        self.engine = Engine(cfg, with_stand_ins(data.split(images(), cfg), cfg.method), device, dtype)
        self.model = self.engine.model
        self.k = 0

    def steps(self, warm: int, count: int) -> Iterator[None]:
        """Train `warm` + `count` steps, and yield after each.

        Plans are drawn for `warm` steps at a time, so that the time of the timed steps includes their own plans. A run
        draws more steps together.
        """
        for first in range(0, warm + count, warm):
            for decided, lr in self.decided(min(warm, warm + count - first)):
                self.engine.step(decided, lr)
                yield

    def decided(self, count: int) -> Iterator[tuple[dict[str, Tensor], float]]:
        """Yield the plan and the learning rate of each of the next `count` steps."""
        chunk = self.engine.plans(self.k, count)
        for i in range(count):
            yield {name: values[i] for name, values in chunk.items()}, learning_rate(self.engine.cfg.train, self.k)
            self.k += 1


Loop = PlainLoop | MixbenchLoop


def now(device: torch.device) -> float:
    """Return the time in seconds after the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def timed(loop: Loop, work: Effort, device: torch.device) -> float:
    """Return the seconds per step of a loop, after a warm-up, because another loop used the caches before."""
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
    """Return the seconds per step of each loop in each round. A slow phase of the machine affects all loops of a round.

    loops: name -> loop.
    work: length of the measurement.
    device: device of the loops.
    """
    rounds = [{name: timed(loop, work, device) for name, loop in loops.items()} for _ in range(work.rounds)]
    return {name: [seconds[name] for seconds in rounds] for name in loops}


def relative(seconds: dict[str, list[float]], baseline: str) -> list[dict[str, Any]]:
    """Return the speeds of loops.

    seconds: name -> seconds per step in each round.
    baseline: name of the loop to compare with.
    Returns for each loop its steps per second, and its speed relative to the baseline in the same round; both are
        medians of the rounds.
    """
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
    """Compare mixbench in each precision with the plain loop.

    width: width of the network.
    device: device to train on.
    work: length of the measurement.
    workers: numbers of workers of the plain loop.
    precisions: precisions of mixbench.
    Returns the rows of `relative`: first the plain loop with the best number of workers, then the others.
    """
    plain = {f"plain, {count} workers": PlainLoop(width, device, count) for count in workers}
    own = {precision: MixbenchLoop(width, device, precision) for precision in precisions}
    seconds = interleaved(plain | own, work, device)
    rows = relative({name: seconds[name] for name in plain}, next(iter(plain)))
    best_first = [row["name"] for row in sorted(rows, key=lambda row: -row["relative_speed"])]
    return relative({name: seconds[name] for name in (*best_first, *own)}, best_first[0])


def parts(width: int, device: torch.device, work: Effort, precision: str) -> dict[str, Any]:
    """Measure the parts of a step.

    width: width of the network.
    device: device to train on.
    work: length of the measurement.
    precision: precision of the run.
    Returns `milliseconds` of the parts, and `rest`, the share of a step that is not `update`. `plan`: drawing the
        random decisions and copying them to the device. `look_up`: selecting those of one step, and its learning rate.
        `batch`: gathering, augmenting and mixing, timed separately just before the step. `update`: forward, loss,
        backward and optimizer.
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
    """Measure the memory of a training loop in a separate process, in MB (2²⁰ bytes).

    kind: `plain` (without workers), or the precision of a mixbench loop.
    width: width of the network.
    device: device to train on.
    steps: number of steps.
    Returns `before`, the memory before the loop is made; `peak`; `early` and `late`, the medians of the resident memory
        after the first and the last WINDOW steps (single steps vary by 20 MB, because the allocator keeps or returns
        freed memory). With CUDA also `device_peak`, `device_early` and `device_late`.
    """
    # The process is spawned, because a forked one would start with the memory of this process.
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
    """Return the memory of this process in MB (2²⁰ bytes).

    getrusage is not used, because a new process inherits its maximum from the parent process.

    key: VmRSS (now) or VmHWM (maximum since the start).
    """
    return int(re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
