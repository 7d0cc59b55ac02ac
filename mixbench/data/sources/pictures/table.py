"""List the pictures that a table (.csv or .tsv) names."""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mixbench.core.errors import UserError, unknown
from mixbench.data.sources.parts import CHOICES, TRAIN, part_of
from mixbench.data.sources.pictures.listing import Listing, Picture

# For each column, the names under which it is found if the user names none, in lower case.
NAMES = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "picture"),
    "label": ("label", "class", "class_name", "target", "category", "diagnosis"),
    "split": ("split", "part", "set", "subset"),
    "group": ("group", "group_id"),
}
REQUIRED = ("path", "label")
HOW = "a table with a column of paths and one of labels"


def list_table(path: str, columns: Mapping[str, str | None]) -> Listing:
    """List the pictures of a table, in its order.

    Paths are relative to the folder of the table. Labels are names or numbers; numbers are sorted as numbers.

    path: a file with a line of column names and a line for each picture. Values are separated by tabs if its suffix is
        .tsv, otherwise by commas, semicolons or tabs: by what the line of column names has most of.
    columns: `path`, `label`, `split` and `group` -> name of the column; None: the first one with a usual name (NAMES).
        Without a column of splits all pictures are for training.
    Raises UserError if it is not such a table.
    """
    table = _read(path)
    chosen = {what: _column(path, table, what, columns.get(what)) for what in NAMES}
    values = {what: table[name].str.strip() for what, name in chosen.items() if name is not None}
    folder = Path(os.path.expanduser(path)).parent
    skipped: list[tuple[str, str]] = []
    rows: list[tuple[str, str, str, str | None]] = []
    parts = _parts(path, values["split"]) if "split" in values else [TRAIN] * len(table)
    for row, part in enumerate(parts):
        line = f"line {row + 2}"
        name, label = values["path"].iloc[row], values["label"].iloc[row]
        if not name or not label:
            skipped.append((name or line, f"{line} has no {'label' if name else 'path'}"))
            continue
        group = values["group"].iloc[row] if "group" in values else None
        if group == "":
            skipped.append((name, f"{line} has no group"))
            continue
        rows.append((name, label, part, group))
    classes = _sorted({label for _, label, part, _ in rows if part == TRAIN})
    if not classes:
        raise UserError(f"dataset.path={path}: has no picture to train on; it must be {HOW}")
    number = {name: k for k, name in enumerate(classes)}
    unseen = sorted({(part, label) for _, label, part, _ in rows if label not in number})
    if unseen:
        part, label = unseen[0]
        raise UserError(
            f"dataset.path={path}: pictures of the split {part} have the label {label!r}, which none for training has; "
            "add some or remove these"
        )
    pictures = [Picture(folder / name, name, number[label], part, group) for name, label, part, group in rows]
    return Listing(pictures, classes, skipped)


def _read(path: str) -> pd.DataFrame:
    file = Path(os.path.expanduser(path))
    if not file.is_file():
        what = "is a folder, must be a table" if file.is_dir() else "no such file"
        remedy = "for class folders use dataset=folder" if file.is_dir() else "correct the path"
        raise UserError(f"dataset.path={path}: {what}; {remedy}")
    try:
        return pd.read_csv(
            file,
            sep="\t" if file.suffix.lower() == ".tsv" else _separator(file),
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
        )
    except (ValueError, OSError, UnicodeError) as error:  # pandas' errors of parsing are ValueErrors
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"dataset.path={path}: not a readable table ({reason}); it must be {HOW}") from error


def _separator(file: Path) -> str:
    """Return what separates the values of a table. Spreadsheets of many countries write semicolons into .csv files."""
    with file.open(encoding="utf-8-sig") as lines:
        head = lines.readline()
    return max(",;\t", key=head.count)


def _column(path: str, table: pd.DataFrame, what: str, named: str | None) -> str | None:
    """Return the name of a column; None if there is none and none is needed."""
    if named is not None:
        if named not in table.columns:
            raise unknown(f"dataset.{what}_column", named, list(map(str, table.columns)))
        return named
    by_lower = {str(name).strip().lower(): name for name in reversed(list(table.columns))}
    found = next((by_lower[name] for name in NAMES[what] if name in by_lower), None)
    if found is None and what in REQUIRED:
        raise UserError(
            f"dataset.path={path}: which column has the {what}s? There are {', '.join(map(str, table.columns))}; set "
            f"dataset.{what}_column=NAME"
        )
    return found


def _parts(path: str, split: pd.Series) -> list[str]:
    """Return the part of each row. Raises UserError for a value that means no part."""
    parts = []
    for row, value in enumerate(split):
        part = part_of(value)
        if part is None:
            raise UserError(
                f"dataset.path={path}: line {row + 2} has the split {value!r}; choices: {CHOICES}. If this column is "
                "no split, rename it"
            )
        parts.append(part)
    if TRAIN not in parts:
        raise UserError(f"dataset.path={path}: the split column has no train; choices: {CHOICES}")
    return parts


def _sorted(labels: set[str]) -> list[str]:
    """Return labels in order: as numbers if all are whole numbers, otherwise as texts."""
    if all(label.lstrip("-").isdigit() for label in labels):
        return sorted(labels, key=int)
    return sorted(labels)
