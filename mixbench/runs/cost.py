"""The time that runs will take on this machine, measured by training a few steps of them before they start."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mixbench import data
from mixbench.config.identity import Job
from mixbench.core.errors import UserError
from mixbench.core.text import duration
from mixbench.runs.banks import with_banks
from mixbench.runs.teachers import providers
from mixbench.training.device import choose_device, choose_precision
from mixbench.training.engine import Engine

WORTH = 1000  # steps of all runs together; fewer are done before an estimate would help
STEPS = 3  # that are timed, after one that is not
PATIENCE = 6.0  # seconds; further kinds of runs are then taken for the mean of those that were timed
# Keys that decide the time of a step or evaluation, and groups of which all keys do.
OF_SPEED = ("eval", "precision", "method", "loss", "train.batch_size", "train.optimizer")
GROUPS_OF_SPEED = ("dataset", "model", "augment")
LONG = 3600.0  # seconds on a CPU from which the line is a warning

# What decides the time of a step, and of an evaluation -> seconds of both. Measured once in a process.
_MEASURED: dict[tuple, tuple[float, float]] = {}


@dataclass(frozen=True)
class Cost:
    """The time of runs on this machine.

    seconds: of all runs, one after another.
    runs: their number.
    on_cpu: whether they train on a CPU.
    """

    seconds: float
    runs: int
    on_cpu: bool

    @property
    def is_long(self) -> bool:
        """Whether this takes so long on a CPU that the user should know how to change it."""
        return self.on_cpu and self.seconds > LONG

    def __str__(self) -> str:
        what = "1 run takes" if self.runs == 1 else f"{self.runs:,} runs take"
        return f"{what} about {duration(self.seconds)} here, by a few steps measured now"


def measure(jobs: Sequence[Job], steps: Mapping[str, int], dataset_of: Callable[[Job], data.Dataset]) -> Cost | None:
    """Return the time that jobs will take; None if it is too short to measure, or no step can be trained.

    jobs: the unfinished runs, which passed their checks.
    steps: run id -> the number of its steps that are left.
    dataset_of: returns the data set of a job.
    """
    total = sum(steps[job.id] for job in jobs)
    if total < WORTH:
        return None
    began, seconds, known = time.monotonic(), 0.0, 0
    for job in jobs:
        kind = _kind(job)
        if kind not in _MEASURED and time.monotonic() - began < PATIENCE:
            # A run that cannot train a step says so when it trains, with a record. Its data are checked already.
            with contextlib.suppress(UserError, RuntimeError, ValueError, OSError, FloatingPointError, MemoryError):
                _MEASURED[kind] = _seconds(job, dataset_of(job))
        if kind in _MEASURED:
            of_step, of_evaluation = _MEASURED[kind]
            seconds += steps[job.id] * (of_step + of_evaluation / job.cfg.train.eval_every)
            known += steps[job.id]
    if not known:
        return None
    return Cost(seconds * total / known, len(jobs), choose_device(jobs[0].cfg.device).type == "cpu")


def _kind(job: Job) -> tuple:
    """Return what decides the time of a step and of an evaluation."""
    found = sorted(
        (key, str(value))
        for key, value in job.identity.items()
        if key in OF_SPEED or key.partition(".")[0] in GROUPS_OF_SPEED
    )
    return (*found, job.cfg.device, torch.get_num_threads())


def _seconds(job: Job, dataset: data.Dataset) -> tuple[float, float]:
    """Return the seconds of a step and of an evaluation. Nothing is stored, and later draws do not change."""
    device = choose_device(job.cfg.device)
    images = with_banks(data.split(dataset, job.cfg), job)
    dtype = choose_precision(job.cfg.precision, device)
    engine = Engine(job.cfg, images, device, dtype, providers(job, images))
    decided = engine.plans(0, min(STEPS + 1, engine.plan_steps))
    count = len(decided["index"])
    for i in range(count):
        if i == min(1, count - 1):
            _wait(device)
            began = time.perf_counter()
        engine.step({name: values[i] for name, values in decided.items()}, 1e-6)
    _wait(device)
    of_step = (time.perf_counter() - began) / max(count - 1, 1)
    some = engine.eval_images[: 2 * job.cfg.train.batch_size]
    began = time.perf_counter()
    engine.logits(some)
    _wait(device)
    return of_step, (time.perf_counter() - began) / len(some) * len(engine.eval_images)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
