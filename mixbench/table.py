"""Tables of stored runs: accuracy by any two keys as CSV and Markdown, and one tidy row for each run. No torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from mixbench import store, study
from mixbench.errors import unknown
from mixbench.selection import NOT_KEYS, SEEDS, Selection
from mixbench.stats import RULES, Summary, summarise

# Keys that name no experiment of their own: repetitions differ in them.
REPETITION = {*SEEDS, "id", "folder", "cell"}
BASELINE_FIRST = ("none",)


@dataclass
class Table:
    """A cell for each pair of row and column.

    row_keys: the first is the one asked for; the others tell experiments apart that would share a cell.
    rows, columns: the labels in order. cells: (row, column) -> summary. expected: how many runs a cell should have,
    where a study says so. published: (row, column) -> the source's number.
    place: the runs' `cell` -> (row, column).
    """

    row_keys: list[str]
    column_key: str
    rows: list[tuple]
    columns: list[Any]
    cells: dict[tuple, Summary]
    expected: dict[tuple, int]
    published: dict[tuple, float]
    place: dict[str, tuple]

    def cell(self, row: tuple, column: Any) -> Summary:
        return self.cells.get((row, column), summarise([]))

    def heading(self, column: Any) -> str:
        """The column's name; a number says what it is one of."""
        return label(column) if isinstance(column, str) else f"{self.column_key}={label(column)}"


def build(selection: Selection) -> Table:
    """Group the runs by the two keys. Raises UserError where a key is none of the runs'."""
    frame = selection.frame
    experiments = _experiments(selection)
    for key in (selection.rows, selection.columns):
        if key not in experiments.columns:
            raise unknown("key", key, set(experiments.columns) - REPETITION)
    row_keys = [selection.rows, *_telling_apart(experiments, selection.rows, selection.columns)]
    place = {
        cell: (tuple(row), column)
        for cell, *row, column in experiments[["cell", *row_keys, selection.columns]].itertuples(index=False, name=None)
    }
    values: dict[tuple, list[float]] = {}
    if len(frame):
        for cell, accuracy in zip(frame["cell"], frame[RULES[selection.rule].key], strict=True):
            values.setdefault(place[cell], []).append(accuracy)
    expected: dict[tuple, int] = {}
    for cell, count in selection.expected.items():
        expected[place[cell]] = expected.get(place[cell], 0) + count
    return Table(
        row_keys,
        selection.columns,
        sorted({row for row, _ in place.values()}, key=lambda row: [_order(value) for value in row]),
        sorted({column for _, column in place.values()}, key=_order),
        {where: summarise(found) for where, found in values.items()},
        expected,
        _published(selection, experiments, place),
        place,
    )


def markdown(selection: Selection, table: Table) -> str:
    """The table with all that a reader needs to judge it."""
    headers, lines = list(table.row_keys), []
    for column in table.columns:
        headers.append(table.heading(column))
        if any((row, column) in table.published for row in table.rows):
            headers.append("published")
    for row in table.rows:
        line = [label(value) for value in row]
        for column in table.columns:
            line.append(cell_text(table.cell(row, column), table.expected.get((row, column))))
            if any((other, column) in table.published for other in table.rows):
                value = table.published.get((row, column))
                line.append("–" if value is None else f"{value:.2f}")
        lines.append(line)
    body = tabulate(lines, headers, tablefmt="github", disable_numparse=True, stralign="right")
    return "\n\n".join([f"# {selection.title}", *_preamble(selection), body, *_notes(selection, table)]) + "\n"


def cell_text(summary: Summary, expected: int | None) -> str:
    """Such as `57.43 ± 0.61 (3)`: mean, standard deviation, runs; `–` for a cell without runs."""
    count = f"{summary.count}" if expected is None or summary.count >= expected else f"{summary.count} of {expected}"
    if summary.count == 0:
        return f"– ({count})"
    spread = "" if summary.sd is None else f" ± {summary.sd:.2f}"
    return f"{summary.mean:.2f}{spread} ({count})"


def write(selection: Selection) -> list[Path]:
    """Write accuracy.csv, accuracy.md and runs.csv into the selection's folder; returns their paths."""
    table = build(selection)
    selection.out.mkdir(parents=True, exist_ok=True)
    texts = {
        "accuracy.csv": _accuracy_frame(table).to_csv(index=False, lineterminator="\n"),
        "accuracy.md": markdown(selection, table),
        "runs.csv": selection.frame.drop(columns=list(NOT_KEYS))
        .sort_values("id")
        .to_csv(index=False, lineterminator="\n"),
    }
    for name, text in texts.items():
        store.write_text(selection.out / name, text)
    return [selection.out / name for name in texts]


def _experiments(selection: Selection) -> pd.DataFrame:
    """A row for each distinct experiment, stored or expected, with its keys and `cell`."""
    stored = selection.frame.drop_duplicates("cell")
    missing = {cell: keys for cell, keys in selection.cells.items() if cell not in set(stored["cell"])}
    wanted = pd.DataFrame.from_records([keys | {"cell": cell} for cell, keys in missing.items()])
    if wanted.empty:
        return stored
    return wanted if stored.empty else pd.concat([stored.astype(object), wanted.astype(object)], ignore_index=True)


def _telling_apart(experiments: pd.DataFrame, rows: str, columns: str) -> list[str]:
    """The identity's keys in which experiments of one row and column differ: without them they would be averaged."""
    identity = [
        key
        for key in experiments.columns
        if "." in key or key in ("dataset", "n", "subset", "eval", "method", "augment", "model", "loss", "precision")
    ]
    crowded = experiments.groupby([rows, columns], dropna=False).filter(lambda group: len(group) > 1)
    if crowded.empty:
        return []
    groups = crowded.groupby([rows, columns], dropna=False)
    varying = [
        key
        for key in identity
        if key not in (rows, columns) and groups[key].agg(lambda values: values.astype(str).nunique()).max() > 1
    ]
    # One key of several that move together (steps and evaluation interval, say) tells as much as all of them.
    kept: list[str] = []
    for key in varying:
        with_key = crowded[[rows, columns, *kept, key]].astype(str).drop_duplicates()
        if len(with_key) > len(crowded[[rows, columns, *kept]].astype(str).drop_duplicates()):
            kept.append(key)
    return kept


def _published(selection: Selection, experiments: pd.DataFrame, place: dict[str, tuple]) -> dict[tuple, float]:
    if selection.study is None:
        return {}
    found = {}
    for cell, n, method in experiments[["cell", "n", "method"]].itertuples(index=False, name=None):
        value = study.published(selection.study, n, method)
        if value is not None:
            found[place[cell]] = value
    return found


def _accuracy_frame(table: Table) -> pd.DataFrame:
    records = []
    for row in table.rows:
        record = dict(zip(table.row_keys, row, strict=True))
        for column in table.columns:
            summary = table.cell(row, column)
            name = table.heading(column)
            record |= {f"{name}_mean": summary.mean, f"{name}_sd": summary.sd, f"{name}_runs": summary.count}
            if table.published:
                record[f"{name}_published"] = table.published.get((row, column))
        records.append(record)
    return pd.DataFrame.from_records(records)


def _preamble(selection: Selection) -> list[str]:
    lines = [f"Percent, mean ± standard deviation (runs); {RULES[selection.rule].meaning}."]
    if selection.study is not None:
        lines += [text for text in (selection.study.protocol, selection.study.note) if text]
        if selection.changes:
            lines.append(f"Changed from that: {', '.join(selection.changes)}.")
        if selection.study.published:
            lines.append(f"Published: {selection.study.source}; {RULES[selection.study.published_rule].meaning}.")
    return [" ".join(line.split()) for line in lines]


def _notes(selection: Selection, table: Table) -> list[str]:
    """What a reader must know of how the runs were made, below the table."""
    frame, notes = selection.frame, []
    if selection.study is not None and selection.study.published and selection.rule != selection.study.published_rule:
        notes.append("The published numbers follow another rule than ours: the two are not directly comparable.")
    if not len(frame):
        return [*notes, "No run of this selection is stored."]
    for key, what in (
        ("resolved_precision", "precisions"),
        ("code_sha256", "versions of the code"),
        ("device", "devices"),
    ):
        kinds = sorted({str(value) for value in frame[key].dropna()})
        if len(kinds) > 1:
            notes.append(f"These runs mix {what}: {', '.join(kinds)}.")
    if len(table.row_keys) > 1:
        notes.append(f"Rows are told apart by {', '.join(table.row_keys[1:])} too, since the runs differ in it.")
    first = frame.iloc[0]
    notes.append(
        f"{len(frame)} runs from {selection.source}; {first['device']}, {first['resolved_precision']}; "
        f"mixbench {first['mixbench']}."
    )
    return notes


def _order(value: Any) -> tuple:
    """Numbers by size, then the baseline, then names."""
    if value is None or value != value:
        return (2, 0, "")
    if isinstance(value, (int, float)):
        return (0, value, "")
    return (1, value not in BASELINE_FIRST, str(value))


def label(value: Any) -> str:
    """A key's value as readers see it."""
    if value is None or value != value:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)
