"""Tables of stored runs: accuracy by any two keys as CSV and Markdown, and one tidy row for each run. No torch."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from mixbench import store, study
from mixbench.errors import unknown
from mixbench.identity import cell_hash
from mixbench.selection import NOT_KEYS, Selection, identity_row
from mixbench.stats import RULES, Summary, summarise

GROUP_KEYS = ("dataset", "n", "subset", "eval", "method", "augment", "model", "loss", "protect", "precision")
BASELINE_FIRST = ("none",)


@dataclass
class Table:
    """A cell for each pair of row and column.

    row_keys: the first is the one asked for; the others tell experiments apart that would share a cell.
    rows, columns: the labels in order. cells: (row, column) -> summary. expected: how many runs a cell should have,
    where a study says so. published: (row, column) -> the source's number. places: (row, column) of each run.
    """

    row_keys: list[str]
    column_key: str
    rows: list[tuple]
    columns: list[Any]
    cells: dict[tuple, Summary]
    expected: dict[tuple, int]
    published: dict[tuple, float]
    places: list[tuple]

    def cell(self, row: tuple, column: Any) -> Summary:
        return self.cells.get((row, column), summarise([]))

    def heading(self, column: Any) -> str:
        """The column's name; a number says what it is one of."""
        return label(column) if isinstance(column, str) else f"{self.column_key}={label(column)}"


def build(selection: Selection) -> Table:
    """Group the runs by the two keys. Raises UserError where a key is none of the runs'."""
    # None, not NaN, stands for a key that a run does not have: NaN is unequal to itself and would make rows of its own.
    stored = selection.frame.astype(object).where(selection.frame.notna(), None)
    wanted = pd.DataFrame.from_records(
        [identity_row(job.identity) | {"cell": cell_hash(job.identity)} for job in selection.jobs]
    )
    everything = pd.concat([stored, wanted.astype(object).where(wanted.notna(), None)], ignore_index=True)
    for key in (selection.rows, selection.columns):
        if key not in everything.columns or key in NOT_KEYS:
            raise unknown("key", key, set(everything.columns) - {*NOT_KEYS, "id"})
    row_keys = [selection.rows, *_telling_apart(everything, selection.rows, selection.columns)]
    keys = everything.astype(object).where(everything.notna(), None)[[*row_keys, selection.columns]]
    places = [(tuple(row), column) for *row, column in keys.itertuples(index=False, name=None)]
    of_runs, of_jobs = places[: len(stored)], places[len(stored) :]
    values: dict[tuple, list[float]] = {}
    if len(stored):
        for place, accuracy in zip(of_runs, stored[RULES[selection.rule].key], strict=True):
            values.setdefault(place, []).append(accuracy)
    published = {}
    if selection.study is not None and not selection.changes:
        for place, job in zip(of_jobs, selection.jobs, strict=True):
            number = study.published(selection.study, job.cfg.n, job.cfg.method.name)
            if number is not None:
                published[place] = number
    return Table(
        row_keys,
        selection.columns,
        sorted({row for row, _ in places}, key=lambda row: [_order(value) for value in row]),
        sorted({column for _, column in places}, key=_order),
        {place: summarise(found) for place, found in values.items()},
        dict(Counter(of_jobs)),
        published,
        of_runs,
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
    store.make_folder(selection.out)
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


def _telling_apart(runs: pd.DataFrame, rows: str, columns: str) -> list[str]:
    """The identity's keys in which experiments of one row and column differ: without them they would be averaged."""
    experiments = runs.drop_duplicates(["cell", rows, columns])
    groups = experiments.astype(str).groupby([rows, columns])
    crowded = experiments[groups["cell"].transform("size") > 1].astype(str)
    identity = [key for key in runs.columns if "." in key or key in GROUP_KEYS]
    kept: list[str] = []
    for key in identity:
        if key in (rows, columns) or crowded.groupby([rows, columns])[key].nunique().le(1).all():
            continue
        # One key of several that move together (steps and evaluation interval, say) tells as much as all of them.
        apart = crowded[[rows, columns, *kept]].drop_duplicates()
        if len(crowded[[rows, columns, *kept, key]].drop_duplicates()) > len(apart):
            kept.append(key)
    return kept


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
            absent = " Published numbers are not shown: they are of the study itself." * bool(selection.study.published)
            lines.append(f"Changed from that: {', '.join(selection.changes)}.{absent}")
        if selection.study.published and not selection.changes:
            lines.append(f"Published: {selection.study.source}; {RULES[selection.study.published_rule].meaning}.")
    return [" ".join(line.split()) for line in lines]


def _notes(selection: Selection, table: Table) -> list[str]:
    """What a reader must know of how the runs were made, below the table."""
    frame, notes = selection.frame, []
    if table.published and selection.rule != selection.study.published_rule:
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
    if value is None:
        return (2, 0, "")
    if isinstance(value, (int, float)):
        return (0, value, "")
    return (1, value not in BASELINE_FIRST, str(value))


def label(value: Any) -> str:
    """A key's value as readers see it."""
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)
