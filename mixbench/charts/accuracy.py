"""Accuracy against the table's rows: lines over numbers such as n, marks one below the other for names. No torch."""

import textwrap
from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from mixbench import evaluated
from mixbench.charts.style import LINES, MARKERS, colours, fitted, marker
from mixbench.selection import Selection
from mixbench.stats import Summary
from mixbench.table import BASELINE_FIRST, Table, label

DODGE = 0.012  # of the axis between neighbouring methods' marks, so that their bars do not hide one another
REACH = 0.5  # of the means' range that an interval may stick out of it; a longer one runs out of the picture


def accuracy(selection: Selection, table: Table, log: bool = False, limit: float | None = None) -> Figure:
    """Accuracy against the first row key, a line for each column: mean of the runs and its 95 % interval.

    Where the rows are names, they stand below one another, and between them there is nothing to draw a line through.
    log: logarithmic axis. limit: leave out what lies beyond. Published numbers are hollow marks on a dotted line.
    Colour tells columns apart, the kind of line and mark what else rows differ in.
    """
    if not numbers(table):
        return _accuracy_by_name(selection, table)
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    variants = list(dict.fromkeys(row[1:] for row in table.rows))
    palette = colours(table.columns)
    shown = [n for n in numbers(table) if limit is None or n <= limit]
    for i, column in enumerate(table.columns):
        for j, variant in enumerate(variants):
            rows = [row for row in table.rows if row[1:] == variant and row[0] in shown]
            ours = {row[0]: table.cell(row, column) for row in rows if table.cell(row, column).count}
            theirs = {row[0]: table.published[row, column].accuracy for row in rows if (row, column) in table.published}
            if ours or theirs:
                mark = marker(column, i) if j == 0 else MARKERS[(i + j) % len(MARKERS)]
                look = {"color": palette[column], "marker": mark}
                places = [_dodged(n, i - (len(table.columns) - 1) / 2, shown, log) for n in ours]
                means = [s.mean for s in ours.values()]
                name = _series(table, column, variant)
                axes.plot(places, means, ls=LINES[j % len(LINES)], ms=5, label=name, **look)
                if theirs:
                    axes.plot(list(theirs), list(theirs.values()), ls=":", ms=6, mfc="none", lw=1, **look)
                low, high = _ends(ours.values())
                axes.vlines(places, low, high, color=palette[column], lw=1)
    axes.set_ylim(_limits(table, [row for row in table.rows if row[0] in shown]))
    _label_axes(axes, selection, table, log)
    _legend(axes, table, ":")
    return figure


def _dodged(n: float, steps: float, shown: list[float], log: bool) -> float:
    """Moved sideways by so many steps on the axis, which shows these numbers."""
    if len(shown) < 2:
        return n
    if log:
        return n * (max(shown) / min(shown)) ** (DODGE * steps)
    return n + (max(shown) - min(shown)) * DODGE * steps


def _ends(summaries: Iterable[Summary]) -> tuple[list[float], list[float]]:
    """The ends of the intervals; the mean itself where there is none."""
    intervals = [s.interval or (s.mean, s.mean) for s in summaries]
    return [low for low, _ in intervals], [high for _, high in intervals]


def _limits(table: Table, rows: list[tuple]) -> tuple[float, float]:
    """The range of the means and published numbers, and of the intervals as far as they stay near it.

    Two runs can have an interval of a hundred points; next to it nothing else would be seen.
    """
    cells = [table.cell(row, c) for row in rows for c in table.columns if table.cell(row, c).count]
    points = [cell.mean for cell in cells]
    points += [table.published[row, c].accuracy for row in rows for c in table.columns if (row, c) in table.published]
    if not points:
        return 0, 100
    low, high = min(points), max(points)
    reach = max(REACH * (high - low), 1.0)
    ends = [end for cell in cells if cell.interval for end in cell.interval]
    low, high = max(low - reach, min([low, *ends])), min(high + reach, max([high, *ends]))
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _accuracy_by_name(selection: Selection, table: Table) -> Figure:
    """A line of marks for each row, one mark for each column; the baseline's mean runs through all rows."""
    figure = Figure(figsize=(5.8, 1.4 + 0.32 * len(table.rows)), layout="constrained")
    axes = figure.add_subplot()
    palette = colours(table.columns)
    baselines = [row for row in table.rows if row[0] in BASELINE_FIRST]
    for i, column in enumerate(table.columns):
        # Side by side within the row's line, so that equal accuracies do not hide one another.
        place = {row: k + 0.6 * ((i + 0.5) / len(table.columns) - 0.5) for k, row in enumerate(table.rows)}
        ours = {place[row]: table.cell(row, column) for row in table.rows if table.cell(row, column).count}
        beside = [row for row in table.rows if (row, column) in table.published]
        theirs = {place[row]: table.published[row, column].accuracy for row in beside}
        look = {"color": palette[column], "marker": marker(column, i), "ls": "None"}
        axes.plot([s.mean for s in ours.values()], list(ours), ms=5, label=_series(table, column, ()), **look)
        axes.plot(list(theirs.values()), list(theirs), ms=6, mfc="none", **look)
        low, high = _ends(ours.values())
        axes.hlines(list(ours), low, high, color=palette[column], lw=1.2)
        if len(baselines) == 1 and table.cell(baselines[0], column).count:
            axes.axvline(table.cell(baselines[0], column).mean, color=palette[column], lw=0.8, ls=":")
    names = [fitted(", ".join([label(row[0]), *_extra(table, row[1:])])) for row in table.rows]
    axes.set_yticks(range(len(table.rows)), names)
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set_xlim(_limits(table, table.rows))
    axes.set_title(textwrap.fill(selection.title, 52), fontsize=11)
    axes.set_xlabel(_accuracy_label(selection))
    _legend(axes, table, "None", outside=True)
    return figure


def _series(table: Table, column: Any, variant: tuple) -> str:
    return ", ".join([table.heading(column), *_extra(table, variant)])


def _extra(table: Table, variant: tuple) -> list[str]:
    """What a row says beside its first key."""
    return [f"{key}={label(value)}" for key, value in zip(table.row_keys[1:], variant, strict=False)]


def _legend(axes: Axes, table: Table, published: str, outside: bool = False) -> None:
    handles, names = axes.get_legend_handles_labels()
    if table.published:
        handles.append(Line2D([], [], ls=published, color="#555555", marker="o", mfc="none"))
        names.append("published")
    over = {"subsets": "over subsets", "seeds": "over seeds,\nthis subset only"}
    title = f"bars: 95 % interval {' or '.join(over[kind] for kind in sorted(table.over, reverse=True))}"
    look = {"title": title if table.over else None, "title_fontsize": 8, "fontsize": 9}
    if outside or len(names) > 8:
        axes.figure.legend(handles, names, loc="outside lower center", ncols=3, **look)
    else:
        axes.legend(handles, names, loc="best", **look)


def numbers(table: Table) -> list[float]:
    """The rows' values where all are numbers, else nothing."""
    values = sorted({row[0] for row in table.rows}) if all(isinstance(r[0], (int, float)) for r in table.rows) else []
    return values if all(value == value for value in values) else []


def _label_axes(axes: Axes, selection: Selection, table: Table, log: bool) -> None:
    axes.set_title(textwrap.fill(selection.title, 52), fontsize=11)
    axes.set_xlabel("labelled training images n" if selection.rows == "n" else selection.rows)
    axes.set_ylabel(_accuracy_label(selection))
    if log:
        axes.set_xscale("log")
        shown = numbers(table)
        axes.xaxis.set_major_locator(FixedLocator(shown) if len(shown) <= 10 else LogLocator())
        if len(shown) > 5:
            axes.tick_params(axis="x", rotation=45)
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))


def _accuracy_label(selection: Selection) -> str:
    return f"{selection.on} accuracy (%), {evaluated.rule(selection.rule, selection.on).short}"
