"""The time that runs will take on this machine, measured by training a few steps of them before they start."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mixbench import data
from mixbench.config.identity import Job
from mixbench.core.errors import UserError
from mixbench.core.text import duration
from mixbench.runs.banks import with_banks
from mixbench.runs.estimate import steps_left
from mixbench.runs.speed import same_step
from mixbench.runs.store.store import Store
from mixbench.runs.teachers import providers
from mixbench.training.device import choose_device, choose_precision
from mixbench.training.engine import Engine

WORTH = 1000  # steps of all runs together; fewer are done before an estimate would help
STEPS = 3  # that are timed, after one that is not
ENOUGH = 3.0  # seconds of steps after which no further one is timed: a long step varies little
PATIENCE = 6.0  # seconds; further kinds of runs are then taken for the mean of those that were timed
LONG = 3600.0  # seconds on a CPU from which the line is a warning

# What decides the time of a step, and of an evaluation -> seconds of both. Measured once in a process.
_MEASURED: dict[tuple, tuple[float, float]] = {}


@dataclass(frozen=True)
class Cost:
    """The time of runs on this machine.

    seconds: of all runs, one after another.
    runs: their number.
    each: run id -> seconds of a run that was measured.
    on_cpu: whether they train on a CPU.
    """

    seconds: float
    runs: int
    each: Mapping[str, float]
    on_cpu: bool

    @property
    def is_long(self) -> bool:
        """Whether this takes so long on a CPU that the user should know how to change it."""
        return self.on_cpu and self.seconds > LONG

    def __str__(self) -> str:
        what = "1 run takes" if self.runs == 1 else f"{self.runs:,} runs take"
        return f"{what} about {duration(self.seconds)} here, by a few steps measured now"


def measure(
    jobs: Sequence[Job], results: Store, dataset_of: Callable[[Job], data.Dataset], least: int = WORTH
) -> Cost | None:
    """Return the time that jobs will take; None if it is too short to measure, or no step can be trained.

    Kinds of runs that are not measured, because that would take long or fails, are taken for the mean of the others.

    jobs: the unfinished runs, each once, which passed their checks.
    results: the store of the runs, which has those that were interrupted.
    dataset_of: returns the data set of a job. Its images can be black.
    least: number of steps of all runs together from which it is measured.
    """
    steps = {job.id: steps_left(job, results) for job in jobs}
    if not jobs or sum(steps.values()) < least:
        return None
    began, each = time.monotonic(), {}
    for job in jobs:
        kind = (*same_step(job.identity), job.cfg.device, torch.get_num_threads())
        if kind not in _MEASURED and time.monotonic() - began < PATIENCE:
            # A run that cannot train a step says so when it trains, with a record. Its data are checked already.
            with contextlib.suppress(UserError, RuntimeError, ValueError, OSError, FloatingPointError, MemoryError):
                _MEASURED[kind] = _seconds(job, dataset_of(job))
        if kind in _MEASURED:
            of_step, of_evaluation = _MEASURED[kind]
            each[job.id] = steps[job.id] * (of_step + of_evaluation / job.cfg.train.eval_every)
    known = sum(steps[run_id] for run_id in each)
    if not known:
        return None
    mean = sum(each.values()) / known
    each = {run_id: each.get(run_id, count * mean) for run_id, count in steps.items()}
    return Cost(sum(each.values()), len(each), each, choose_device(jobs[0].cfg.device).type == "cpu")


def _seconds(job: Job, dataset: data.Dataset) -> tuple[float, float]:
    """Return the seconds of a step and of an evaluation. Nothing is stored, and later draws do not change."""
    device = choose_device(job.cfg.device)
    images = with_banks(data.split(dataset, job.cfg, checksums=False), job)
    if not images.train_images.any():  # they stand for images that are not read; some methods depend on the content
        noise = np.random.default_rng(0).integers(0, 256, images.train_images.shape, np.uint8)
        images = replace(images, train_images=noise, eval_images=np.array(images.eval_images))
    dtype = choose_precision(job.cfg.precision, device)
    engine = Engine(job.cfg, images, device, dtype, providers(job, images))
    decided = engine.plans(0, min(STEPS + 1, engine.plan_steps))
    seconds: list[float] = []
    for i in range(len(decided["index"])):
        began = time.perf_counter()
        engine.step({name: values[i] for name, values in decided.items()}, 1e-6)
        _wait(device)
        seconds.append(time.perf_counter() - began)
        if sum(seconds) > ENOUGH:
            break
    timed = seconds[1:] or seconds  # the first step allocates memory and chooses kernels
    of_step = sum(timed) / len(timed)
    some = engine.eval_images[: 2 * job.cfg.train.batch_size]
    began = time.perf_counter()
    engine.logits(some)
    _wait(device)
    return of_step, (time.perf_counter() - began) / len(some) * len(engine.eval_images)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
