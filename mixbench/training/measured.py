"""All values measured on a finished run: the list of their names, and their computation. No torch.

To add a value, add a row to MEASURES and compute it in `measure`. The content of metrics.json, the columns of tables
and the keys for filters are derived from these rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixbench.training import metrics

PERCENT, NATS, SHARE, SECONDS, COUNT, RATE, BYTES, NUMBER = (
    "percent",
    "nats",
    "share",
    "seconds",
    "count",
    "per second",
    "bytes",
    "number",
)


@dataclass(frozen=True)
class Measure:
    """A value of metrics.json.

    name: its key.
    unit: its unit.
    in_every_run: whether every run has it. If False, it can be missing or null: in runs of older versions, or in runs
        to which it does not apply.
    of_each_class: whether it is a list with one value for each class, null for a class without images.
    """

    name: str
    unit: str
    in_every_run: bool = False
    of_each_class: bool = False

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and highest possible value; None if there is no limit."""
        return (0, 100) if self.unit == PERCENT else None


# In the order of the columns of runs.csv.
MEASURES = {
    measure.name: measure
    for measure in (
        Measure("final_accuracy", PERCENT, in_every_run=True),
        Measure("median10_accuracy", PERCENT, in_every_run=True),
        Measure("best_accuracy", PERCENT, in_every_run=True),
        Measure("clean_train_accuracy", PERCENT),
        Measure("true_train_accuracy", PERCENT),  # with label noise
        Measure("nll", NATS),
        Measure("ece", SHARE),
        Measure("temperature", NUMBER),
        Measure("unscaled_nll", NATS),
        Measure("unscaled_ece", SHARE),
        Measure("scaled_nll", NATS),
        Measure("scaled_ece", SHARE),
        Measure("per_class_accuracy", PERCENT, of_each_class=True),
        Measure("steps", COUNT),
        Measure("images_seen", COUNT),
        Measure("rows_trained", COUNT),  # images that went forward and backward through the network
        Measure("seconds", SECONDS, in_every_run=True),
        Measure("steps_per_second", RATE),
        Measure("peak_memory_bytes", BYTES),
        Measure("other_load", SHARE),  # null if the run was resumed
    )
}
SCALARS = tuple(name for name, measure in MEASURES.items() if not measure.of_each_class)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The data of a finished run from which values are measured.

    history: one row for each evaluation.
    eval_logits, eval_labels: [M, K] and [M], of the evaluation images.
    train_logits, train_labels: [n, K] and [n], of the training images with the labels used for training.
    true_labels: [n], the labels in the data set. None: without label noise.
    steps, batch_size: of training.
    cost: rows that a step trains for each image of its batch (config/budget.py).
    seconds: training time.
    peak_memory_bytes: peak memory.
    other_load: share of the machine that other processes used. None: the run was resumed.
    """

    history: Sequence[dict[str, float]]
    eval_logits: np.ndarray
    eval_labels: np.ndarray
    train_logits: np.ndarray
    train_labels: np.ndarray
    true_labels: np.ndarray | None
    steps: int
    batch_size: int
    cost: float
    seconds: float
    peak_memory_bytes: int
    other_load: float | None


def measure(run: Finished) -> dict[str, Any]:
    """Return name -> value of a finished run, in the order of MEASURES.

    run: what is known of the run after its last step.
    """
    values = {
        **metrics.of_history(run.history),
        **metrics.of_logits(run.eval_logits, run.eval_labels),
        "clean_train_accuracy": metrics.accuracy(run.train_logits, run.train_labels),
        "steps": run.steps,
        "images_seen": run.steps * run.batch_size,
        "rows_trained": round(run.steps * run.batch_size * run.cost),
        "seconds": run.seconds,
        "steps_per_second": run.steps / run.seconds,
        "peak_memory_bytes": run.peak_memory_bytes,
        "other_load": run.other_load,
    }
    if run.true_labels is not None:
        # A network that memorised wrong labels agrees with the labels used for training, not with the true ones.
        values["true_train_accuracy"] = metrics.accuracy(run.train_logits, run.true_labels)
    return {name: values[name] for name in sorted(values, key=list(MEASURES).index)}
