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
    frame = frame.drop_duplicates("cell")
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
        f"as {first}={label(_objects(frame, first)[0])}."
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
    """Return the keys that have several values among rows with equal `within`. The seeds are no keys of a frame.

    Missing values do not count, nor do rows that miss a value of `within`.
    """
    groups = list(zip(*(_texts(frame, key) for key in within), strict=True)) if within else [()] * len(frame)
    return [key for key in keys if _has_several(groups, _texts(frame, key))]


def _has_several(groups: Sequence[tuple[str | None, ...]], texts: Sequence[str | None]) -> bool:
    """Whether a group has two texts."""
    first: dict[tuple[str | None, ...], str] = {}
    return any(
        first.setdefault(group, text) != text
        for group, text in zip(groups, texts, strict=True)
        if text is not None and None not in group
    )


def _texts(frame: pd.DataFrame, key: str) -> list[str | None]:
    return [None if value is None else str(value) for value in _objects(frame, key)]


def _objects(frame: pd.DataFrame, key: str) -> list[Any]:
    """Return the values of a column as Python objects, None for missing ones."""
    column = frame[key]
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]


def _steps(frame: pd.DataFrame, within: Sequence[str]) -> list[str]:
    """Return the keys of training steps that differ among rows with equal `within`, unless n decides them."""
    there = [key for key in KEYS_ALONG_CURVE if key != "n" and key in frame]
    if not {"n", "train.steps", "train.batch_size"} <= {*frame}:
        return []
    used = [key for key in ("n", "train.steps", "train.batch_size", "train.eval_every") if key in frame]
    rows = [dict(zip(used, row, strict=True)) for row in zip(*(_objects(frame, key) for key in used), strict=True)]
    if _follow_from_n(rows):
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
    found = _objects(frame, key)
    values = sorted({label(value) for value in found}, key=lambda text: [order(text)])
    numbers = sorted({v for v in found if isinstance(v, (int, float)) and not isinstance(v, bool)})
    if len(numbers) == len(values):
        values = [label(value) for value in numbers]
    more = f" and {len(values) - MOST_VALUES} more" * (len(values) > MOST_VALUES)
    return f"{', '.join(values[:MOST_VALUES])}{more}"
