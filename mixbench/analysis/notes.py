"""The notes around a table: what its numbers mean, how the runs were made, and what limits them. No torch."""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mixbench.analysis import differences, evaluated
from mixbench.analysis.display import display_interval
from mixbench.analysis.select import Selection
from mixbench.config.method_aliases import with_alias
from mixbench.runs import study
from mixbench.runs.published import published_rule
from mixbench.training import rules
from mixbench.training.rules import RULES

if TYPE_CHECKING:
    from mixbench.analysis.table import Table

LARGE_GAP = 2.0  # percentage points between best and final accuracy that are worth a note


def above(selection: Selection, table: "Table") -> list[str]:
    """Return the paragraphs above the table: what the numbers mean and how the runs were made.

    selection: the runs of the table.
    table: their table.
    """
    lines = precisions(selection.frame)
    meaning = rules.rule(selection.rule, selection.on).meaning
    lines.append(f"Accuracy in percent: mean ± standard deviation (number of runs){_interval_note(table)}; {meaning}.")
    return [*lines, *circumstances(selection)]


def circumstances(selection: Selection) -> list[str]:
    """Return paragraphs on how the runs were made: evaluation images, protocol, scale and changes.

    selection: the runs; without a study, only the evaluation images are mentioned.
    """
    lines = [*_evaluation_note(selection.on), *evaluated.evaluation_images(selection.frame, selection.on)]
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
    """Return a warning if the runs were computed in different precisions, otherwise nothing.

    frame: stored runs, one row each.
    """
    counts = Counter(frame["resolved_precision"].dropna()) if len(frame) else Counter()
    if len(counts) < 2:
        return []
    parts = " and ".join(f"{count} in {name}" for name, count in sorted(counts.items()))
    return [f"These runs were computed in different precisions ({parts}). This may cause some of their differences."]


def _evaluation_note(on: str) -> list[str]:
    """Return a sentence on the evaluation images if they are not simply the test images."""
    held_out = "Accuracies are measured on held-out images: a part of the training list that no run trains on."
    validation = (
        "Accuracies are measured on validation images: a part of each subset that its runs do not train on. They serve "
        "to choose settings, not to report results."
    )
    mixed = "The runs do not share one kind of evaluation images: the column eval tells them apart."
    return {rules.HELD_OUT: [held_out], rules.VALIDATION: [validation], rules.MIXED: [mixed]}.get(on, [])


def _interval_note(table: "Table") -> str:
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


def below(selection: Selection, table: "Table") -> list[str]:
    """Return the paragraphs below the table: limits of the numbers, and where the runs come from.

    selection: the runs of the table.
    table: their table.
    """
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
        if further := differences.together(frame, table):
            lines[-1] += f" They differ together with it in {', '.join(further)}."
    lines += differences.joined(frame, table)
    return [*lines, f"{count(frame)} from {selection.source}; {made_on(frame)}."]


def caveats(selection: Selection) -> list[str]:
    """Return notes on large gaps between best and final accuracy, and on runs from several versions or devices.

    selection: at least one run.
    """
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
    """Return a note on methods whose steps train more rows than others, and whether they have equal steps or rows.

    frame: stored runs, one row each.
    """
    known = frame.dropna(subset=["rows_trained", "images_seen"])
    rows = (known["rows_trained"].astype(float) / known["images_seen"].astype(float)).round(2)
    dearer = {name: cost for name, cost in zip(known["method"], rows, strict=True) if cost > 1}
    if not dearer:
        return []
    named = ", ".join(f"{with_alias(name)} {cost:g}" for name, cost in sorted(dearer.items()))
    budgets = {value for key in frame if key.endswith(".budget") for value in frame.loc[known.index, key].dropna()}
    what = (
        "With budget=steps they have equal steps and trained for longer; with budget=rows, equal rows and fewer steps."
    )
    if budgets == {"steps"}:
        what = "They have equal steps, so they trained for longer; budget=rows compares equal rows."
    elif budgets == {"rows"}:
        what = "They have equal rows, so they have fewer steps."
    return [f"A step trains more than one row for each image with {named}. {what}"]


def count(frame: pd.DataFrame) -> str:
    """Return such as `1 run` or `1,200 runs`.

    frame: stored runs, one row each.
    """
    return f"{len(frame):,} run{'s' * (len(frame) != 1)}"


def made_on(frame: pd.DataFrame) -> str:
    """Return device, precision and mixbench version of the first run.

    frame: at least one stored run.
    """
    first = frame.iloc[0]
    return f"{first['device']}, {first['resolved_precision']}; mixbench {first['mixbench']}"
