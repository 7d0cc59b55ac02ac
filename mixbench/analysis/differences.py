"""Finds settings that differ between runs that a table or a plot shows as one line. No torch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from mixbench.analysis.display import label, order
from mixbench.analysis.equivalents import KEYS_ALONG_CURVE
from mixbench.analysis.frame import identity_keys, is_of_method
from mixbench.config.validate import default_eval_every, small_data_steps

if TYPE_CHECKING:
    from mixbench.analysis.table import Table

MOST_VALUES = 4  # most values of a key that a note lists


def joined(frame: pd.DataFrame, table: "Table") -> list[str]:
    """Return a warning if one line of a plot joins runs of different settings, otherwise nothing.

    A line is a column of the table, in rows that differ only in n. Runs of different methods are never joined, but
    they stand in one row and are compared by eye, so their training and data count as well.

    frame: stored runs, one row each.
    table: their table.
    """
    if not len(frame):
        return []
    frame = frame.drop_duplicates("cell").astype(object)
    frame = frame.where(frame.notna(), None)
    shown = [*table.row_keys, table.column_key]
    keys = [key for key in identity_keys(frame) if key not in shown]
    lines = [key for key in shown if key != "n"]
    along = _differing(frame, lines, [key for key in keys if key not in KEYS_ALONG_CURVE])
    along += _steps(frame, lines)
    across = []
    if table.column_key == "method":
        of_setting = [k for k in keys if not is_of_method(k) and k not in along]
        across = _differing(frame, table.row_keys, of_setting)
    found = [key for key in keys if key in {*along, *across}]
    if not found:
        return []
    named = ", ".join(f"{key} ({_values(frame, key)})" for key in found)
    first = found[0]
    return [
        f"These runs also differ in {named}. The table and the plots join them nevertheless, so differences between "
        "rows, columns and points of a line are not those of n and the method alone. Select runs of one setting, such "
        f"as {first}={label(frame[first].iloc[0])}."
    ]


def together(frame: pd.DataFrame, table: "Table") -> list[str]:
    """Return the keys that differ together with the keys that separate the rows of a table.

    Options of a group that separates the rows, such as model.depth for model, are left out.

    frame: stored runs, one row each.
    table: their table.
    """
    shown = [*table.row_keys, table.column_key]
    groups = tuple(f"{key}." for key in shown)
    keys = [key for key in identity_keys(frame) if key not in shown and not key.startswith((*groups, "method."))]
    return _differing(frame.drop_duplicates("cell"), [table.row_keys[0], table.column_key], keys)


def _differing(frame: pd.DataFrame, within: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the keys that have several values among rows with equal `within`. The seeds are no keys of a frame."""
    texts = frame.astype(str)
    groups = [rows for _, rows in texts.groupby(list(within))] if within else [texts]
    return [key for key in keys if any(rows[key].nunique() > 1 for rows in groups)]


def _steps(frame: pd.DataFrame, within: Sequence[str]) -> list[str]:
    """Return the keys of training steps that differ among rows with equal `within`, unless n decides them."""
    there = [key for key in KEYS_ALONG_CURVE if key != "n" and key in frame]
    rows = frame.to_dict("records")
    if not {"n", "train.steps", "train.batch_size"} <= {*frame} or _follow_from_n(rows):
        return []
    if _are_counts(rows, "train.steps") and all(
        row.get("train.eval_every") == default_eval_every(row["train.steps"]) for row in rows
    ):
        there = [key for key in there if key != "train.eval_every"]
    return _differing(frame, within, there)


def _follow_from_n(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the steps are those of the small-data protocol, or those of one number of epochs for every n."""
    if not _are_counts(rows, "train.steps", "train.batch_size", "n"):
        return False
    if all(row["train.steps"] == small_data_steps(row["n"]) for row in rows):
        return True
    images = [(row["train.steps"] * row["train.batch_size"], row["train.batch_size"], row["n"]) for row in rows]
    low = max(seen / n for seen, _, n in images)
    high = min((seen + batch) / n for seen, batch, n in images)
    return low < high and len({row["train.steps"] for row in rows}) > 1


def _are_counts(rows: Sequence[Mapping[str, Any]], *keys: str) -> bool:
    """Whether all rows have whole numbers above 0 at these keys. Damaged runs can have anything."""
    return all(isinstance(row[key], int) and row[key] > 0 for row in rows for key in keys)


def _values(frame: pd.DataFrame, key: str) -> str:
    values = sorted({label(value) for value in frame[key]}, key=lambda text: [order(text)])
    numbers = sorted({v for v in frame[key] if isinstance(v, (int, float)) and not isinstance(v, bool)})
    if len(numbers) == len(values):
        values = [label(value) for value in numbers]
    more = f" and {len(values) - MOST_VALUES} more" * (len(values) > MOST_VALUES)
    return f"{', '.join(values[:MOST_VALUES])}{more}"
