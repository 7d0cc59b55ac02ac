"""Tables of stored runs: accuracy by any two keys as CSV and Markdown, and all runs as CSV. No torch."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixbench.analysis.display import display_interval, label, order
from mixbench.analysis.frame import NOT_KEYS, identity_keys
from mixbench.analysis.select import Selection
from mixbench.config.labels import distinguishing_keys
from mixbench.config.method_aliases import with_alias
from mixbench.core import files
from mixbench.core import markdown as md
from mixbench.core.errors import unknown
from mixbench.runs import study
from mixbench.runs.published import Published, published_number, published_rule
from mixbench.stats import Summary, summarise
from mixbench.training import rules
from mixbench.training.rules import RULES

LARGE_GAP = 2.0  # percentage points between best and final accuracy that are worth a note


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
        """Return the summary of a cell; it has no runs if the cell is empty."""
        return self.cells.get((row, column), summarise({}))

    def heading(self, column: Any) -> str:
        """Return a column's name as readers see it; a number has its key, such as n=20."""
        return label(column, self.column_key) if isinstance(column, str) else self.csv_name(column)

    def csv_name(self, column: Any) -> str:
        """Return a column's name in the CSV file, where a method has only its own name."""
        return label(column) if isinstance(column, str) else f"{self.column_key}={label(column)}"

    @property
    def over(self) -> set[str]:
        """Units of the cells' intervals: `subsets`, `seeds` or both; empty if no cell has an interval."""
        return {summary.over for summary in self.cells.values() if summary.interval}


def build(selection: Selection) -> Table:
    """Return the table of a selection. Raises UserError if no run has a key of its rows or columns."""
    stored, wanted = selection.frame, selection.wanted()
    everything = pd.concat([f.astype(object) for f in (stored, wanted) if len(f)] or [stored], ignore_index=True)
    everything = everything.where(everything.notna(), None)  # columns that only stored or only wanted runs have
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


def markdown(selection: Selection, table: Table) -> str:
    """Return the table as Markdown, with the notes that a reader needs to interpret it."""
    headers, lines = grid(table)
    above, below = preamble(selection, table), notes(selection, table)
    parts = [
        md.heading(1, selection.title),
        *map(md.paragraph, above),
        md.table(headers, lines),
        *map(md.paragraph, below),
    ]
    return "\n\n".join(parts) + "\n"


def grid(table: Table) -> tuple[list[str], list[list[str]]]:
    """Return the headers and the lines of the table as texts. Published numbers have their own columns."""
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
    """Write accuracy.csv, accuracy.md and runs.csv into the selection's folder. Returns their paths."""
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
    """Return the accuracy.csv that an earlier call wrote into the selection's folder; None if there is none."""
    try:
        return files.read_text(selection.out / "accuracy.csv")
    except (OSError, ValueError):
        return None


def outdated(selection: Selection, before: str | None) -> list[str]:
    """Return a warning if plots or a report in the selection's folder belong to an older table. They are kept.

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


def preamble(selection: Selection, table: Table) -> list[str]:
    """Return the paragraphs above the table: what the numbers mean and how the runs were made."""
    lines = precisions(selection.frame)
    meaning = rules.rule(selection.rule, selection.on).meaning
    lines.append(f"Accuracy in percent: mean ± standard deviation (number of runs){_interval_note(table)}; {meaning}.")
    return [*lines, *circumstances(selection)]


def circumstances(selection: Selection) -> list[str]:
    """Return paragraphs on how the runs were made: evaluation images, protocol, scale and changes."""
    lines = _evaluation_note(selection.on)
    if selection.study is not None:
        chosen, settings = selection.study, selection.study.settings
        lines += [text for text in (settings.protocol, settings.note) if text]
        if chosen.scale == settings.scale != study.SCALES[0]:
            lines.append(f"Scale {chosen.scale}: a smaller network and fewer steps than in published studies.")
        if chosen.changes:
            lines.append(f"Settings that differ from the study: {_changes(chosen)}.")
            if settings.published:
                lines[-1] += " Published numbers are not shown, because they belong to the unchanged study."
        if chosen.further:
            whose = "source" if settings.source else "study"
            names = ", ".join(map(with_alias, chosen.further))
            lines.append(f"Methods that are not in the {whose}, trained with its settings: {names}.")
        if settings.published and not chosen.changes:
            rule = published_rule(settings, selection.rule)
            lines.append(f"Published numbers: {settings.source}{f'; {RULES[rule].meaning}' if rule else ''}.")
    return [" ".join(line.split()) for line in lines]


def precisions(frame: pd.DataFrame) -> list[str]:
    """Return a warning if the runs were computed in different precisions, otherwise nothing."""
    counts = Counter(frame["resolved_precision"].dropna()) if len(frame) else Counter()
    if len(counts) < 2:
        return []
    parts = " and ".join(f"{count} in {name}" for name, count in sorted(counts.items()))
    return [f"These runs were computed in different precisions ({parts}). This may cause some of their differences."]


def _evaluation_note(on: str) -> list[str]:
    """Return a sentence on the evaluation images if they are not simply the test images."""
    held_out = "Accuracies are measured on held-out images: a part of the training list that no run trains on."
    mixed = "Some runs are evaluated on test images, others on held-out images of the training list."
    return {rules.HELD_OUT: [held_out], rules.MIXED: [mixed]}.get(on, [])


def _interval_note(table: Table) -> str:
    over = {
        frozenset(): "",
        frozenset({"subsets"}): " [95 % t interval over the means of the subsets]",
        frozenset({"seeds"}): " [95 % t interval over the seeds of one subset]",
    }
    mixed = " [95 % t interval over the means of the subsets; with † over the seeds of one subset]"
    return over.get(frozenset(table.over), mixed)


def _changes(chosen: study.Study) -> str:
    """Return the changes to a study as text; a scale is followed by the keys that it sets."""
    scale = f"{study.SCALE}={chosen.scale}"
    return ", ".join(f"{c} ({', '.join(chosen.scaled)})" if c == scale else c for c in chosen.changes)


def notes(selection: Selection, table: Table) -> list[str]:
    """Return the paragraphs below the table: limits of the numbers, and where the runs come from."""
    frame, lines = selection.frame, []
    if table.published and selection.study is not None:
        settings = selection.study.settings
        if selection.rule != published_rule(settings, selection.rule):
            lines.append("The published numbers use another accuracy rule than ours, so do not compare them directly.")
    if not len(frame):
        return [*lines, "No run of this selection is stored."]
    lines += caveats(selection)
    if any(summary.interval != display_interval(summary) for summary in table.cells.values()):
        lines.append(
            "Intervals are limited to 0 to 100 %: with so few and so different runs a t interval can exceed these "
            "limits. accuracy.csv has the intervals without limits."
        )
    if len(table.row_keys) > 1:
        lines.append(f"Rows also show {', '.join(table.row_keys[1:])}, because the runs differ in it.")
    return [*lines, f"{count(frame)} from {selection.source}; {made_on(frame)}."]


def caveats(selection: Selection) -> list[str]:
    """Return notes on large gaps between best and final accuracy, and on runs from several versions or devices."""
    frame, lines = selection.frame, []
    gaps = frame[RULES["best"].key].astype(float) - frame[RULES["final"].key].astype(float)
    if (large := np.count_nonzero(gaps > LARGE_GAP)) > 0:
        lines.append(
            f"In {large:,} of {len(frame):,} runs the best accuracy on the {selection.on} images is more than "
            f"{LARGE_GAP:g} percentage points above the final one (up to {gaps.max():.1f}). A rule that takes the best "
            "accuracy makes these runs look better than they are."
        )
    lines += costs(frame)
    for key, what in (("numerics", "versions of the code"), ("device", "devices")):
        kinds = sorted({str(value) for value in frame[key].dropna()})
        if len(kinds) > 1:
            lines.append(f"These runs come from different {what}: {'; '.join(kinds)}.")
    return lines


def costs(frame: pd.DataFrame) -> list[str]:
    """Return a note on methods whose steps train more rows than others, and whether they have equal steps or rows."""
    known = frame.dropna(subset=["rows_trained", "images_seen"])
    rows = (known["rows_trained"].astype(float) / known["images_seen"].astype(float)).round(2)
    dearer = {name: cost for name, cost in zip(known["method"], rows, strict=True) if cost > 1}
    if not dearer:
        return []
    named = ", ".join(f"{with_alias(name)} {cost:g}" for name, cost in sorted(dearer.items()))
    budgets = {value for key in frame if key.endswith(".budget") for value in frame.loc[known.index, key].dropna()}
    how = {
        frozenset(
            {"steps"}
        ): "These runs have equal steps, so they trained for longer; budget=rows compares equal rows.",
        frozenset({"rows"}): "These runs have equal rows, so they have fewer steps.",
    }
    both = (
        "With budget=steps they have equal steps and trained for longer, with budget=rows equal rows and fewer steps."
    )
    return [f"A step trains more than one row for each image with {named}. {how.get(frozenset(budgets), both)}"]


def count(frame: pd.DataFrame) -> str:
    """Return such as `1 run` or `1,200 runs`."""
    return f"{len(frame):,} run{'s' * (len(frame) != 1)}"


def made_on(frame: pd.DataFrame) -> str:
    """Return device, precision and mixbench version of the first run."""
    first = frame.iloc[0]
    return f"{first['device']}, {first['resolved_precision']}; mixbench {first['mixbench']}"
