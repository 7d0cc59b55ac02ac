"""Stored runs as one tidy table with one row for each run. Neither torch nor Hydra."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mixbench.analysis import method_names
from mixbench.config.identity import WHOLE_KEYS, cell_hash, completed
from mixbench.config.validate import SEEDS
from mixbench.core import numerics
from mixbench.runs.study_file import VARIANT
from mixbench.training import measured

METRICS = (*measured.SCALARS, "device", "mixbench", "numerics")  # columns of a row besides its settings
OF_EACH_CLASS = tuple(name for name in measured.MEASURES if name not in measured.SCALARS)
# Keys of an identity that belong to the method, besides those with the prefix `method.`.
METHOD_KEYS = ("method", "protect", "variant")
TEST_SETS = "test_sets"  # column with all that a run has stored on further test sets
NOT_KEYS = ("cell", "folder", TEST_SETS, *OF_EACH_CLASS)


def _identity_row(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity as a row of the frame: with all keys, and lists as texts."""
    return {key: cell_value(value) for key, value in completed(identity).items()}


def identity_keys(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a frame that belong to the runs' identities, without the seeds.

    frame: stored runs, one row each.
    """
    whole = {*WHOLE_KEYS, VARIANT} - {*SEEDS}
    return [key for key in frame.columns if "." in key or key in whole]


def as_objects(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose values are Python objects, None where one is missing.

    It is made of one array, since pandas takes a step for each array in everything that it does, and a frame of runs
    has a hundred columns with an array each.

    frame: runs, one row each.
    """
    values = frame.to_numpy(dtype=object, copy=True)
    values[frame.isna().to_numpy()] = None
    return pd.DataFrame(values, index=frame.index, columns=frame.columns, dtype=object)


def is_of_method(key: str) -> bool:
    """Whether a key of an identity belongs to the method. All others belong to the setting.

    key: the key.
    """
    return key in METHOD_KEYS or key.startswith("method.")


def cell_value(value: Any) -> Any:
    """Return a value as the frame has it: a list as its text.

    value: a value of an identity.
    """
    return str(value) if isinstance(value, list) else value


def run_frame(
    found: Sequence[dict[str, Any]],
    variants: Mapping[str, str] | None = None,
    shown: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return one row for each run; a key that a run does not have is None.

    found: metrics of the runs.
    variants: cell -> name of the study's grid that has the run.
    shown: cell -> name of its method in tables, if it differs from the name in the run.
    """
    records, rows = [], {}
    cells = [cell_hash(m["identity"]) for m in found]
    names = method_names.of_runs(found, cells) | dict(shown or {})
    for m, cell in zip(found, cells, strict=True):
        if cell not in rows:  # repetitions differ only in their seeds
            rows[cell] = method_names.renamed(_identity_row(m["identity"]), names.get(cell))
        record = {"id": m.get("id")} | rows[cell] | {key: cell_value(m["identity"].get(key)) for key in SEEDS}
        record |= {"variant": variants.get(cell)} if variants else {}
        record |= {key: m.get(key) for key in METRICS}
        record |= {"numerics": numerics.name(m) if "mixbench" in m else None}
        record |= {"resolved_precision": m.get("precision")} | {key: m.get(key) for key in OF_EACH_CLASS}
        for name, of_set in (m.get(TEST_SETS) or {}).items():
            record |= {f"test_{name}_accuracy": of_set["accuracy"], f"test_{name}_nll": of_set["nll"]}
        record |= {"cell": cell, "folder": m.get("folder"), TEST_SETS: m.get(TEST_SETS)}
        records.append(record)
    columns = list(dict.fromkeys(key for record in records for key in record)) or ["id", *NOT_KEYS]
    # Columns with None are objects: pandas would turn 0 and None into 0.0 and NaN, and NaN is unequal to itself.
    made = {key: [record.get(key) for record in records] for key in columns}
    return pd.DataFrame({key: pd.Series(v, dtype=object if None in v else None) for key, v in made.items()})
