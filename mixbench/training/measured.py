"""Everything that is measured on a finished run: one list of names, and what computes their values. No torch.

To add a value: a row in MEASURES, and its computation in `measure`. What metrics.json may hold, the columns of tables
and what can be filtered by follow from the rows.
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

    in_every_run: else a run may lack it, or hold null: one of an older version, or one that it does not apply to.
    of_each_class: a list with a value for each class, null for a class without images.
    """

    name: str
    unit: str
    in_every_run: bool = False
    of_each_class: bool = False

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest value that there can be; None where there is no such limit."""
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
        Measure("seconds", SECONDS, in_every_run=True),
        Measure("steps_per_second", RATE),
        Measure("peak_memory_bytes", BYTES),
        Measure("other_load", SHARE),  # null where a run was resumed
    )
}
SCALARS = tuple(name for name, measure in MEASURES.items() if not measure.of_each_class)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What is measured on.

    history: the evaluations, one row each. eval_logits, eval_labels: [N, K] and [N] of the evaluation images.
    train_logits, train_labels: of the training images, with the labels that the run was given. true_labels: the data
    set's own, where label noise replaced some. other_load: the share of the machine that other processes used.
    """

    history: Sequence[dict[str, float]]
    eval_logits: np.ndarray
    eval_labels: np.ndarray
    train_logits: np.ndarray
    train_labels: np.ndarray
    true_labels: np.ndarray | None
    steps: int
    batch_size: int
    seconds: float
    peak_memory_bytes: int
    other_load: float | None


def measure(run: Finished) -> dict[str, Any]:
    """The values of a finished run by their names, in the order of MEASURES."""
    values = {
        **metrics.of_history(run.history),
        **metrics.of_logits(run.eval_logits, run.eval_labels),
        "clean_train_accuracy": metrics.accuracy(run.train_logits, run.train_labels),
        "steps": run.steps,
        "images_seen": run.steps * run.batch_size,
        "seconds": run.seconds,
        "steps_per_second": run.steps / run.seconds,
        "peak_memory_bytes": run.peak_memory_bytes,
        "other_load": run.other_load,
    }
    if run.true_labels is not None:
        # A network that memorised wrong labels agrees with what it was given, not with the truth.
        values["true_train_accuracy"] = metrics.accuracy(run.train_logits, run.true_labels)
    return {name: values[name] for name in sorted(values, key=list(MEASURES).index)}
