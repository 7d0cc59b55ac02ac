"""Tables of stored runs: accuracy by any two keys as CSV and Markdown, and one tidy row for each run. No torch."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mixbench.analysis.display import display_interval, label, order
from mixbench.analysis.frame import NOT_KEYS, identity_keys
from mixbench.analysis.select import Selection
from mixbench.config.labels import telling_apart
from mixbench.core import files
from mixbench.core import markdown as md
from mixbench.core.errors import unknown
from mixbench.runs import study
from mixbench.runs.published import Published, published_number, published_rule
from mixbench.stats import Summary, summarise
from mixbench.training import rules
from mixbench.training.rules import RULES

FAR = 2.0  # points between the best and the final accuracy that a reader must know of


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
    published: dict[tuple, Published]
    places: list[tuple]

    def cell(self, row: tuple, column: Any) -> Summary:
        return self.cells.get((row, column), summarise({}))

    def heading(self, column: Any) -> str:
        """The column's name; a number says what it is one of."""
        return label(column) if isinstance(column, str) else f"{self.column_key}={label(column)}"

    @property
    def over(self) -> set[str]:
        """What the intervals of the cells are over: subsets, seeds, or nothing where there is none."""
        return {summary.over for summary in self.cells.values() if summary.interval}


def build(selection: Selection) -> Table:
    """Group the runs by the two keys. Raises UserError where a key is none of the runs'."""
    stored, wanted = selection.frame, selection.wanted()
    everything = pd.concat([f.astype(object) for f in (stored, wanted) if len(f)] or [stored], ignore_index=True)
    everything = everything.where(everything.notna(), None)  # what only stored runs have, or only wanted ones
    for key in (selection.rows, selection.columns):
        if key not in everything.columns or key in NOT_KEYS:
            raise unknown("key", key, set(everything.columns) - {*NOT_KEYS, "id"})
    given = [selection.rows, selection.columns]
    experiments = everything.drop_duplicates(["cell", *given]).to_dict("records")
    row_keys = [selection.rows, *telling_apart(experiments, given, identity_keys(everything))]
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
    """The table with all that a reader needs to judge it."""
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
    """Headers and lines of texts, the published numbers in columns of their own."""
    headers, lines = list(table.row_keys), []
    beside = {column for column in table.columns if any((row, column) in table.published for row in table.rows)}
    for column in table.columns:
        headers += [table.heading(column), "published"] if column in beside else [table.heading(column)]
    for row in table.rows:
        line = [label(value) for value in row]
        for column in table.columns:
            line.append(cell_text(table.cell(row, column), table.expected.get((row, column)), len(table.over) > 1))
            if column in beside:
                line.append(str(table.published.get((row, column), "–")))
        lines.append(line)
    return headers, lines


def cell_text(summary: Summary, expected: int | None, mixed: bool = False) -> str:
    """Such as `57.43 ± 0.61 (3) [55.9, 58.9]`: mean, standard deviation, runs, interval; `–` for a cell without runs.

    expected: how many runs a study wants there.
    mixed: mark an interval over seeds, since others are over subsets.
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
    """Write accuracy.csv, accuracy.md and runs.csv into the selection's folder; returns their paths."""
    table = build(selection)
    runs = selection.frame
    texts = {
        "accuracy.csv": _accuracy_frame(table).to_csv(index=False, lineterminator="\n"),
        "accuracy.md": markdown(selection, table),
        "runs.csv": runs.drop(columns=list(NOT_KEYS)).sort_values("id").to_csv(index=False, lineterminator="\n"),
    }
    files.check_writable(selection.out, "out")
    return files.write_all({selection.out / name: text for name, text in texts.items()})


def as_stored(selection: Selection) -> str | None:
    """The accuracies that the selection's folder holds, of an earlier call; None without any."""
    try:
        return files.read_text(selection.out / "accuracy.csv")
    except (OSError, ValueError):
        return None


def outdated(selection: Selection, before: str | None) -> list[str]:
    """A line where pictures or a report of an older table lie beside the new one. before: as_stored, then.

    They stay: they may be what somebody keeps, and to draw them anew takes a call.
    """
    old = sorted(path.name for kind in ("*.png", "report.html") for path in selection.out.glob(kind))
    if not old or before is None or before == as_stored(selection):
        return []
    return [f"{selection.out}: {', '.join(old)} show an older table; mixbench report draws them anew"]


def _accuracy_frame(table: Table) -> pd.DataFrame:
    records = []
    for row in table.rows:
        record = dict(zip(table.row_keys, row, strict=True))
        for column in table.columns:
            summary = table.cell(row, column)
            name = table.heading(column)
            low, high = summary.interval or (None, None)
            record |= {f"{name}_mean": summary.mean, f"{name}_sd": summary.sd, f"{name}_runs": summary.count}
            record |= {f"{name}_low": low, f"{name}_high": high}
            if table.published:
                number = table.published.get((row, column))
                record[f"{name}_published"] = number.accuracy if number else None
        records.append(record)
    return pd.DataFrame.from_records(records)


def preamble(selection: Selection, table: Table) -> list[str]:
    """What the numbers are and how the runs were made, above the table."""
    counts = "mean ± standard deviation (runs)"
    lines = precisions(selection.frame)
    meaning = rules.rule(selection.rule, selection.on).meaning
    lines.append(f"Percent, {counts}{_of_intervals(table)}; {meaning}.")
    return [*lines, *circumstances(selection)]


def circumstances(selection: Selection) -> list[str]:
    """How the runs were made: on which images, by which protocol, at which scale, and what was changed."""
    lines = _of_images(selection.on)
    if selection.study is not None:
        chosen, settings = selection.study, selection.study.settings
        lines += [text for text in (settings.protocol, settings.note) if text]
        if chosen.scale == settings.scale != study.SCALES[0]:
            lines.append(f"Scale {chosen.scale}: a smaller network and fewer steps than in published studies.")
        if chosen.changes:
            absent = " Published numbers are not shown: they are of the study itself." * bool(settings.published)
            lines.append(f"Changed from that: {_changes(chosen)}.{absent}")
        if chosen.further:
            whose = "source" if settings.source else "study"
            lines.append(f"Not in the {whose}, run at its settings: {', '.join(chosen.further)}.")
        if settings.published and not chosen.changes:
            rule = published_rule(settings, selection.rule)
            lines.append(f"Published: {settings.source}{f'; {RULES[rule].meaning}' if rule else ''}.")
    return [" ".join(line.split()) for line in lines]


def precisions(frame: pd.DataFrame) -> list[str]:
    """A line that stands first where runs computed in different precisions; none where they did not."""
    counts = Counter(frame["resolved_precision"].dropna()) if len(frame) else Counter()
    if len(counts) < 2:
        return []
    parts = " and ".join(f"{count} in {name}" for name, count in sorted(counts.items()))
    return [f"These runs computed in different precisions ({parts}): some of their differences may come from that."]


def _of_images(on: str) -> list[str]:
    """A line on what images the accuracies are on, where these are not simply the test images."""
    held_out = "Accuracies are on held-out images: a part of the training list that no run trains on."
    mixed = "Some runs are evaluated on test images, others on held-out images of the training list."
    return {rules.HELD_OUT: [held_out], rules.MIXED: [mixed]}.get(on, [])


def _of_intervals(table: Table) -> str:
    over = {
        frozenset(): "",
        frozenset({"subsets"}): " [95 % t interval over the subsets' means]",
        frozenset({"seeds"}): " [95 % t interval over the seeds: this subset only]",
    }
    mixed = " [95 % t interval over the subsets' means; with † over the seeds: this subset only]"
    return over.get(frozenset(table.over), mixed)


def _changes(chosen: study.Study) -> str:
    """The changes in words; a scale with all that it sets."""
    scale = f"{study.SCALE}={chosen.scale}"
    return ", ".join(f"{c} ({', '.join(chosen.scaled)})" if c == scale else c for c in chosen.changes)


def notes(selection: Selection, table: Table) -> list[str]:
    """What a reader must know of how the runs were made, below the table."""
    frame, lines = selection.frame, []
    if table.published and selection.study is not None:
        settings = selection.study.settings
        if selection.rule != published_rule(settings, selection.rule):
            lines.append("The published numbers follow another rule than ours: the two are not directly comparable.")
    if not len(frame):
        return [*lines, "No run of this selection is stored."]
    lines += unlike(selection)
    if any(summary.interval != display_interval(summary) for summary in table.cells.values()):
        lines.append(
            "Intervals are cut off at 0 and 100 %: so few runs, so far apart, would give one beyond what can be. "
            "accuracy.csv has the whole of them."
        )
    if len(table.row_keys) > 1:
        lines.append(f"Rows are told apart by {', '.join(table.row_keys[1:])} too, since the runs differ in it.")
    return [*lines, f"{count(frame)} from {selection.source}; {made_on(frame)}."]


def unlike(selection: Selection) -> list[str]:
    """Where the best and the final accuracy lie far apart, and where runs are of several versions or devices."""
    frame, lines = selection.frame, []
    gaps = frame[RULES["best"].key].astype(float) - frame[RULES["final"].key].astype(float)
    if (far := np.count_nonzero(gaps > FAR)) > 0:
        lines.append(
            f"In {far} of {len(frame)} runs the best accuracy on the {selection.on} images is more than {FAR:g} points "
            f"above the final one (by up to {gaps.max():.1f}): a rule that takes the best would flatter them."
        )
    for key, what in (("numerics", "versions of the code"), ("device", "devices")):
        kinds = sorted({str(value) for value in frame[key].dropna()})
        if len(kinds) > 1:
            lines.append(f"These runs mix {what}: {'; '.join(kinds)}.")
    return lines


def count(frame: pd.DataFrame) -> str:
    return f"{len(frame)} run{'s' * (len(frame) != 1)}"


def made_on(frame: pd.DataFrame) -> str:
    """Device, precision and version of the first run."""
    first = frame.iloc[0]
    return f"{first['device']}, {first['resolved_precision']}; mixbench {first['mixbench']}"
