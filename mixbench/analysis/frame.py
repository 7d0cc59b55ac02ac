"""Stored runs as one tidy table, a row for each run. Neither torch nor Hydra."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mixbench.config.identity import cell_hash, completed
from mixbench.core import numerics

METRICS = (
    "final_accuracy",
    "median10_accuracy",
    "best_accuracy",
    "clean_train_accuracy",
    "true_train_accuracy",
    "nll",
    "ece",
    "temperature",
    "unscaled_nll",
    "unscaled_ece",
    "scaled_nll",
    "scaled_ece",
    "steps",
    "images_seen",
    "seconds",
    "steps_per_second",
    "peak_memory_bytes",
    "other_load",
    "device",
    "mixbench",
    "numerics",
)
NOT_KEYS = ("cell", "folder", "per_class_accuracy")
# What a run is of, beside the keys with a dot in their name and the seeds.
GROUP_KEYS = ("dataset", "n", "subset", "eval", "method", "augment", "model", "loss", "protect", "precision", "variant")
SEEDS = ("seed", "subset_seed")


def identity_row(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity as a row of a frame has it: complete, and a list as its text."""
    return {key: cell_value(value) for key, value in completed(identity).items()}


def identity_keys(frame: pd.DataFrame) -> list[str]:
    """The columns of a frame that say what was run, the seeds left out."""
    return [key for key in frame.columns if "." in key or key in GROUP_KEYS]


def cell_value(value: Any) -> Any:
    return str(value) if isinstance(value, list) else value


def run_frame(found: Sequence[dict[str, Any]], variants: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One tidy row for each run; a key that a run does not have is None."""
    records, rows = [], {}
    for m in found:
        cell = cell_hash(m["identity"])
        if cell not in rows:  # repetitions differ in the seeds alone
            rows[cell] = identity_row(m["identity"])
        record = {"id": m.get("id")} | rows[cell] | {key: m["identity"].get(key) for key in SEEDS}
        record |= {"variant": variants.get(cell)} if variants else {}
        record |= {key: m.get(key) for key in METRICS}
        record |= {"numerics": numerics.name(m) if "mixbench" in m else None}
        record |= {"resolved_precision": m.get("precision"), "per_class_accuracy": m.get("per_class_accuracy")}
        record |= {"cell": cell, "folder": m.get("folder")}
        records.append(record)
    columns = list(dict.fromkeys(key for record in records for key in record)) or ["id", *NOT_KEYS]
    # As objects: pandas would make 0 and None 0.0 and NaN, and NaN is unequal to itself.
    made = {key: [record.get(key) for record in records] for key in columns}
    return pd.DataFrame({key: pd.Series(v, dtype=object if None in v else None) for key, v in made.items()})
