"""Chart of accuracy against the rows of a table: lines over numbers such as n, one mark per row for names. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from mixbench.analysis.charts.by_name import Line, Mark, accuracy_by_name
from mixbench.analysis.charts.intervals import PercentLocator, accuracy_label, interval_title, limits
from mixbench.analysis.charts.layout import (
    SMALL,
    Legend,
    arrows,
    draw_title,
    fitting_ticks,
    heading,
    panels,
    text_height,
    title_of,
    wrapped,
)
from mixbench.analysis.charts.style import FAINT, LINES, colours, marker
from mixbench.analysis.display import display_interval, name_of
from mixbench.analysis.select import Selection
from mixbench.analysis.table import Table
from mixbench.core.baseline import BASELINE
from mixbench.stats import Summary

DODGE = 0.012  # distance between the marks of two series, as a share of the axis, so that their bars do not overlap
SPREAD = 0.35  # most room for the marks of all series, as a share of the smallest gap between two numbers of the axis
TOGETHER = 6  # most series in one panel; of more, each has its own panel with the others in grey
ABREAST, MOST_PANELS = 4, 48  # panels in a row, and in all


@dataclass
class Series:
    """One line of a chart: a column of the table, in rows that differ only in the first key.

    name: name in the legend.
    column: the column's value.
    variant: values of the other row keys.
    look: colour and marker, as keywords of matplotlib.
    style: line style.
    cells: value of the first key -> summary of the accuracies.
    published: value of the first key -> published accuracy in percent.
    """

    name: str
    column: Any
    variant: tuple
    look: dict[str, Any]
    style: str
    cells: dict[float, Summary]
    published: dict[float, float]


def accuracy(selection: Selection, table: Table, log: bool = False, limit: float | None = None) -> Figure:
    """Draw accuracy against the first row key, with one line per column: mean of the runs and its 95 % interval.

    Rows that are names, or only one number, are drawn below one another. If there are many series, each has its own
    panel with the baseline, and the others in grey. Colours show the columns; line styles and markers show other
    differences between rows. Published numbers are hollow marks on a dotted line.

    selection: at least one run.
    table: the selection's table.
    log: whether the axis is logarithmic.
    limit: largest number of the axis; None: no limit.
    """
    shown = [n for n in numbers(table) if limit is None or n <= limit]
    if not shown:
        return accuracy_by_name(selection, table, _lines_of_rows(table))
    found = series_of(table, shown)
    if len(shown) == 1:
        lines = [Line(s.name, [_mark(s, shown[0])], s.column == BASELINE) for s in found]
        return accuracy_by_name(selection, table, lines, name_of([selection.rows], shown, " = "))
    if len(found) > TOGETHER:
        return _in_panels(selection, table, found, shown, log)
    return _in_one(selection, table, found, shown, log)


def numbers(table: Table) -> list[float]:
    """Return the values of the rows if all are numbers, otherwise an empty list.

    table: the table whose first row key is the horizontal axis.
    """
    values = [row[0] for row in table.rows]
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and v == v for v in values):
        return []
    return sorted(set(values))


def series_of(table: Table, shown: Sequence[float]) -> list[Series]:
    """Return the lines of a chart over the first row key.

    table: the table.
    shown: values of the first row key that the chart shows.
    """
    variants = list(dict.fromkeys(row[1:] for row in table.rows))
    palette = colours(table.columns)
    made = []
    for i, column in enumerate(table.columns):
        count = 0  # number of this column's variants; a column need not have all variants
        for variant in variants:
            rows = [row for row in table.rows if row[1:] == variant and row[0] in shown]
            ours = {row[0]: table.cell(row, column) for row in rows if table.cell(row, column).count}
            theirs = {row[0]: table.published[row, column].accuracy for row in rows if (row, column) in table.published}
            if ours or theirs:
                name = name_of([table.column_key, *table.row_keys[1:]], [column, *variant])
                look = {"color": palette[column], "marker": marker(column, i, count)}
                made.append(Series(name, column, variant, look, LINES[count % len(LINES)], ours, theirs))
                count += 1
    return made


def _mark(series: Series, n: float) -> Mark:
    return Mark(series.cells.get(n), series.published.get(n), series.look)


def _lines_of_rows(table: Table) -> list[Line]:
    palette = colours(table.columns)
    looks = {c: {"color": palette[c], "marker": marker(c, i)} for i, c in enumerate(table.columns)}
    lines = []
    for row in table.rows:
        marks = []
        for column in table.columns:
            cell, number = table.cell(row, column), table.published.get((row, column))
            marks.append(Mark(cell if cell.count else None, number.accuracy if number else None, looks[column]))
        lines.append(Line(name_of(table.row_keys, row), marks, row[0] == BASELINE))
    return lines


def _in_one(selection: Selection, table: Table, found: Sequence[Series], shown: list[float], log: bool) -> Figure:
    width, height, left = 4.6, 3.2, 0.7
    title, top = title_of(selection.title, left + width + 0.2)
    handles = [Line2D([], [], ls=s.style, ms=5, **s.look) for s in found]
    names = [s.name for s in found]
    if table.published:
        handles.append(Line2D([], [], ls=":", color="#555555", marker="o", mfc="none"))
        names.append("published")
    bounds = _bounds(found)
    low, high = limits(*bounds)
    beyond = any(i and (i[0] < low or i[1] > high) for i in map(display_interval, bounds[0]))
    legend = Legend(handles, names, left + width + 0.2, interval_title(table, beyond))
    figure, ((axes,),) = panels([(0, height)], 1, width, left=left, top=top, bottom=0.55 + legend.height)
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(PercentLocator())
    _set_scale(axes, shown, log, width)
    for i, series in enumerate(found):
        _draw(axes, series, shown, log, i - (len(found) - 1) / 2, len(found))
    draw_title(figure, title)
    axes.set_xlabel(_x_label(selection))
    axes.set_ylabel(accuracy_label(selection))
    legend.draw(figure)
    return figure


def _in_panels(selection: Selection, table: Table, found: list[Series], shown: list[float], log: bool) -> Figure:
    """Draw one panel for each series except the baselines, which are drawn in every panel."""
    own = [s for s in found if s.column != BASELINE] or found
    drawn = own[:MOST_PANELS]
    width, height, left, across = 1.7, 1.4, 0.7, 0.35
    wide = left + ABREAST * width + (ABREAST - 1) * across + 0.2
    title, top = title_of(selection.title, wide)
    names = [wrapped(s.name, width, SMALL) for s in drawn]
    lines = []
    for start in range(0, len(drawn), ABREAST):
        tallest = max(text_height(name, SMALL) for name in names[start : start + ABREAST])
        lines.append((tallest + (0.12 if start == 0 else 0.4), height))
    bounds = _bounds(found)
    low, high = limits(*bounds)
    beyond = any(i and (i[0] < low or i[1] > high) for i in map(display_interval, bounds[0]))
    handles, labels = [], []
    baselines = [s for s in found if s.column == BASELINE and s not in own]
    if baselines:
        handles.append(Line2D([], [], ms=4, ls=baselines[0].style, **baselines[0].look))
        labels.append(table.heading(baselines[0].column))
    handles.append(Line2D([], [], color=FAINT, lw=1))
    labels.append("all others")
    if table.published:
        handles.append(Line2D([], [], ls=":", color="#555555", marker="o", mfc="none"))
        labels.append("published")
    note = interval_title(table, beyond)
    if len(own) > len(drawn):
        note = "; ".join([*([note] if note else []), f"only {len(drawn)} of {len(own)} are shown; the table has all"])
    legend = Legend(handles, labels, wide, note)
    figure, grid = panels(
        lines, ABREAST, width, left=left, top=top, bottom=0.55 + legend.height, across=across, count=len(drawn)
    )
    flat = [axes for row in grid for axes in row]
    flat[0].set_ylim(low, high)
    flat[0].yaxis.set_major_locator(PercentLocator())
    for k, (axes, series, name) in enumerate(zip(flat, drawn, names, strict=True)):
        _set_scale(axes, shown, log, width)
        others = [[(n, s.mean) for n, s in other.cells.items()] for other in found if other is not series]
        axes.add_collection(LineCollection(others, colors=FAINT, linewidths=0.8, zorder=1), autolim=False)
        beside = _baseline(series, baselines)
        for i, one in enumerate([beside, series] if beside else [series]):
            _draw(axes, one, shown, log, i - 0.5 if beside else 0, 2)
        heading(axes, name, weight="normal")
        axes.tick_params(labelsize=SMALL)
        if k + ABREAST >= len(drawn):
            axes.set_xlabel(_x_label(selection, short=True), fontsize=SMALL)
    draw_title(figure, title)
    figure.supylabel(accuracy_label(selection), x=0.1 / wide, ha="left", fontsize=10)
    legend.draw(figure)
    return figure


def _baseline(series: Series, baselines: Sequence[Series]) -> Series | None:
    """Return the baseline of a series: the one that agrees in most keys. It does not have the keys of methods."""
    alike = [sum(a == b for a, b in zip(series.variant, s.variant, strict=True)) for s in baselines]
    return baselines[int(np.argmax(alike))] if baselines else None


def _bounds(found: Sequence[Series]) -> tuple[list[Summary], list[float]]:
    return [cell for s in found for cell in s.cells.values()], [v for s in found for v in s.published.values()]


def _draw(axes: Axes, series: Series, shown: list[float], log: bool, steps: float, count: int) -> None:
    places = [_dodged(n, steps, count, shown, log) for n in series.cells]
    means = [s.mean for s in series.cells.values()]
    axes.plot(places, means, ls=series.style, ms=5, lw=1.5, label=series.name, zorder=2, **series.look)
    if series.published:
        theirs = series.published
        axes.plot(list(theirs), list(theirs.values()), ls=":", ms=6, mfc="none", lw=1, **series.look)
    bars = [(place, display_interval(s)) for place, s in zip(places, series.cells.values(), strict=True)]
    bars = [(place, interval) for place, interval in bars if interval]
    ends = np.array([interval for _, interval in bars]).reshape(-1, 2)
    axes.vlines([place for place, _ in bars], ends[:, 0], ends[:, 1], color=series.look["color"], lw=1, zorder=2)
    for place, interval in bars:
        arrows(axes, place, interval, series.look["color"], vertical=True)


def _dodged(n: float, steps: float, count: int, shown: list[float], log: bool) -> float:
    """Return n moved sideways by a number of steps, so that bars do not overlap; always closer to n than to another.

    steps: number of steps, also negative or half.
    count: number of series.
    shown: all numbers of the axis.
    log: whether the axis is logarithmic.
    """
    scaled = np.log(shown) if log else np.array(shown, dtype=float)
    span = scaled[-1] - scaled[0]
    step = min(DODGE * span, SPREAD * np.diff(scaled).min() / max(count - 1, 1))
    moved = (np.log(n) if log else n) + step * steps
    return float(np.exp(moved) if log else moved)


def _set_scale(axes: Axes, shown: list[float], log: bool, width: float) -> None:
    """Set the scale of the horizontal axis. On a logarithmic axis the ticks are the numbers, if they have room."""
    scaled = np.log(shown) if log else np.array(shown, dtype=float)
    margin = 0.06 * (scaled[-1] - scaled[0])
    low, high = scaled[0] - margin, scaled[-1] + margin
    if log:
        axes.set_xscale("log")
        axes.set_xlim(np.exp(low), np.exp(high))
        axes.xaxis.set_major_locator(FixedLocator(fitting_ticks(shown, (scaled - low) / (high - low), width)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(low, high)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=max(3, int(width / 0.75)), steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))


def _x_label(selection: Selection, short: bool = False) -> str:
    return ("n" if short else "labelled training images n") if selection.rows == "n" else selection.rows
