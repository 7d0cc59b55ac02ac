"""Tables of stored runs: accuracy by any two keys as CSV and Markdown, and all runs as CSV. No torch."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mixbench.analysis import notes
from mixbench.analysis.display import display_interval, label, order
from mixbench.analysis.frame import NOT_KEYS, as_objects, identity_keys, is_of_method
from mixbench.analysis.select import Selection
from mixbench.config.labels import distinguishing_keys
from mixbench.core import files
from mixbench.core import markdown as md
from mixbench.core.errors import unknown
from mixbench.runs.published import Published, published_number
from mixbench.stats import Summary, summarise
from mixbench.training.rules import RULES


@dataclass
class Table:
    """A table with one cell for each pair of row and column.

    row_keys: keys of the rows. The first was asked for; the others separate experiments that would share a cell.
    column_key: key of the columns.
    rows: the values of row_keys, in order.
    columns: the values of column_key, in order.
    cells: (row, column) -> summary of the runs' accuracies.
    expected: (row, column) -> number of runs that a study should have.
    published: (row, column) -> the number that the study's source prints.
    places: (row, column) of each run.
    """

    row_keys: list[str]
    column_key: str
    rows: list[tuple]
    columns: list[Any]
    cells: dict[tuple, Summary]
    expected: dict[tuple, int]
    published: dict[tuple, Published]
    places: list[tuple]

    def cell(self, row: tuple, column: Any) -> Summary:
        """Return the summary of a cell; it has no runs if the cell is empty.

        row: values of row_keys.
        column: a value of column_key.
        """
        return self.cells.get((row, column), summarise({}))

    def heading(self, column: Any) -> str:
        """Return a column's name as readers see it; a number has its key, such as n=20.

        column: a value of column_key.
        """
        return label(column, self.column_key) if isinstance(column, str) else self.csv_name(column)

    def csv_name(self, column: Any) -> str:
        """Return a column's name in the CSV file, where a method has only its own name.

        column: a value of column_key.
        """
        return label(column) if isinstance(column, str) else f"{self.column_key}={label(column)}"

    @property
    def over(self) -> set[str]:
        """Units of the cells' intervals: `subsets`, `seeds` or both; empty if no cell has an interval."""
        return {summary.over for summary in self.cells.values() if summary.interval}


def build(selection: Selection) -> Table:
    """Return the table of a selection.

    selection: stored runs, and the planned runs of a study if there is one.
    Raises UserError if no run has a key of the rows or columns.
    """
    stored, wanted = selection.frame, selection.wanted()
    everything = pd.concat([as_objects(f) for f in (stored, wanted) if len(f)] or [stored], ignore_index=True)
    everything = as_objects(everything)  # columns that only stored or only wanted runs have
    for key in (selection.rows, selection.columns):
        if key not in everything.columns or key in NOT_KEYS:
            raise unknown("key", key, set(everything.columns) - {*NOT_KEYS, "id"})
    given = [selection.rows, selection.columns]
    experiments = everything.drop_duplicates(["cell", *given]).to_dict("records")
    row_keys = [selection.rows, *distinguishing_keys(experiments, given, identity_keys(everything))]
    keys = everything[[*row_keys, selection.columns]]
    places = [(tuple(row), column) for *row, column in keys.itertuples(index=False, name=None)]
    of_runs, of_jobs = places[: len(stored)], places[len(stored) :]
    values: dict[tuple, dict[tuple, float]] = {}
    if len(stored):
        repetitions = zip(
            of_runs, stored["subset_seed"], stored["seed"], stored[RULES[selection.rule].key], strict=True
        )
        for place, subset, seed, accuracy in repetitions:
            values.setdefault(place, {})[subset, seed] = accuracy
    published = {}
    if selection.study is not None and not selection.study.changes:
        for place, job in zip(of_jobs, selection.jobs, strict=True):
            number = published_number(selection.study.settings, job.identity, selection.rule)
            if number is not None:
                published[place] = number
    return Table(
        row_keys,
        selection.columns,
        sorted({row for row, _ in places}, key=lambda row: [order(value) for value in row]),
        sorted({column for _, column in places}, key=order),
        {place: summarise(found) for place, found in values.items()},
        dict(Counter(of_jobs)),
        published,
        of_runs,
    )


def pivoted(table: Table, column_key: str) -> Table:
    """Return a table with other columns. Its rows begin with n, if n is one of their keys.

    table: the table.
    column_key: key of the new columns, a key of the table.
    """
    keys = [table.column_key, *table.row_keys]
    row_keys = sorted((key for key in keys if key != column_key), key=lambda key: key != "n")

    def moved(place: tuple) -> tuple:
        row, column = place
        values = dict(zip(keys, (column, *row), strict=True))
        return tuple(values[key] for key in row_keys), values[column_key]

    places = [moved((row, column)) for row in table.rows for column in table.columns]
    return Table(
        row_keys,
        column_key,
        sorted({row for row, _ in places}, key=lambda row: [order(value) for value in row]),
        sorted({column for _, column in places}, key=order),
        {moved(place): summary for place, summary in table.cells.items()},
        {moved(place): count for place, count in table.expected.items()},
        {moved(place): number for place, number in table.published.items()},
        [moved(place) for place in table.places],
    )


def best_cells(table: Table) -> set[tuple]:
    """Return the cells with the highest mean among all methods of their setting, such as the same n.

    table: the table.
    """
    keys = [table.column_key, *table.row_keys]
    of_setting = [i for i, key in enumerate(keys) if not is_of_method(key)]
    settings: dict[tuple, list[tuple]] = {}
    for row, column in table.cells:
        values = (column, *row)
        settings.setdefault(tuple(values[i] for i in of_setting), []).append((row, column))
    best = set()
    for places in settings.values():
        highest = max(table.cells[place].mean for place in places)
        best |= {place for place in places if table.cells[place].mean == highest and len(places) > 1}
    return best


def markdown(selection: Selection, table: Table) -> str:
    """Return the table as Markdown, with the notes that a reader needs to interpret it.

    selection: the runs of the table.
    table: their table.
    """
    headers, lines = grid(table)
    above, below = notes.above(selection, table), notes.below(selection, table)
    parts = [
        md.heading(1, selection.title),
        *map(md.paragraph, above),
        md.table(headers, lines),
        *map(md.paragraph, below),
    ]
    return "\n\n".join(parts) + "\n"


def grid(table: Table) -> tuple[list[str], list[list[str]]]:
    """Return the headers and the lines of the table as texts. Published numbers have their own columns.

    table: the table of a selection.
    """
    headers, lines = list(table.row_keys), []
    beside = {column for column in table.columns if any((row, column) in table.published for row in table.rows)}
    for column in table.columns:
        headers += [table.heading(column), *(["published"] if column in beside else [])]
    for row in table.rows:
        line = [label(value, key) for key, value in zip(table.row_keys, row, strict=True)]
        for column in table.columns:
            line.append(cell_text(table.cell(row, column), table.expected.get((row, column)), len(table.over) > 1))
            if column in beside:
                line.append(str(table.published.get((row, column), "–")))
        lines.append(line)
    return headers, lines


def cell_text(summary: Summary, expected: int | None, mixed: bool = False) -> str:
    """Return a cell such as `57.43 ± 0.61 (3) [55.9, 58.9]`: mean, standard deviation, number of runs and interval.

    summary: summary of the cell's runs; without runs the text is a dash.
    expected: number of runs that a study should have.
    mixed: whether to mark an interval over seeds, because other cells have intervals over subsets.
    """
    count = f"{summary.count}" if expected is None or summary.count >= expected else f"{summary.count} of {expected}"
    if summary.count == 0:
        return "–" if expected is None else f"– ({count})"
    spread = "" if summary.sd is None else f" ± {summary.sd:.2f}"
    text = f"{summary.mean:.2f}{spread} ({count})"
    interval = display_interval(summary)
    if interval:
        text += " [{:.1f}, {:.1f}]".format(*interval) + "†" * (mixed and summary.over == "seeds")
    return text


def write(selection: Selection) -> list[Path]:
    """Write accuracy.csv, accuracy.md and runs.csv into the selection's folder.

    selection: at least one run.
    Returns the paths of the files.
    Raises UserError if no run has a key of the rows or columns, and CannotWrite.
    """
    table = build(selection)
    runs = selection.frame
    texts = {
        "accuracy.csv": _accuracy_frame(table).to_csv(index=False, lineterminator="\n"),
        "accuracy.md": markdown(selection, table),
        "runs.csv": runs.drop(columns=list(NOT_KEYS)).sort_values("id").to_csv(index=False, lineterminator="\n"),
    }
    files.check_writable(selection.out, "out")
    return files.write_all({selection.out / name: text for name, text in texts.items()})


def stored_accuracies(selection: Selection) -> str | None:
    """Return the accuracy.csv that an earlier call wrote into the selection's folder; None if there is none.

    selection: its folder `out` is read.
    """
    try:
        return files.read_text(selection.out / "accuracy.csv")
    except (OSError, ValueError):
        return None


def outdated(selection: Selection, before: str | None) -> list[str]:
    """Return a warning if plots or a report in the selection's folder belong to an older table. They are kept.

    selection: the selection whose new table was written.
    before: what stored_accuracies returned before the new table was written.
    """
    old = sorted(path.name for kind in ("*.png", "report.html") for path in selection.out.glob(kind))
    if not old or before is None or before == stored_accuracies(selection):
        return []
    return [f"{selection.out}: {', '.join(old)} belong to an older table; mixbench report updates them"]


def _accuracy_frame(table: Table) -> pd.DataFrame:
    records = []
    for row in table.rows:
        record = dict(zip(table.row_keys, row, strict=True))
        for column in table.columns:
            summary = table.cell(row, column)
            name = table.csv_name(column)
            low, high = summary.interval or (None, None)
            record |= {f"{name}_mean": summary.mean, f"{name}_sd": summary.sd, f"{name}_runs": summary.count}
            record |= {f"{name}_low": low, f"{name}_high": high}
            if table.published:
                number = table.published.get((row, column))
                record[f"{name}_published"] = number.accuracy if number else None
        records.append(record)
    return pd.DataFrame.from_records(records)
