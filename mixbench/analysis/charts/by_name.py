"""Chart of the accuracies of named rows, one below the other. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mixbench.analysis.charts.intervals import PercentLocator, accuracy_label, interval_title, limits
from mixbench.analysis.charts.layout import (
    EDGE,
    LINE,
    POINT,
    SMALL,
    Legend,
    arrows,
    draw_title,
    panels,
    text_width,
    title_of,
    wrapped,
)
from mixbench.analysis.display import display_interval
from mixbench.analysis.select import Selection
from mixbench.analysis.table import Table
from mixbench.stats import Summary

MOST = 150  # most lines of a chart
WIDTH, LONGEST = 3.9, 2.6  # width of the axes, and of a name before it is wrapped, in inches


@dataclass
class Mark:
    """A mark of the chart.

    summary: summary of the runs' accuracies; None without runs.
    published: published accuracy in percent; None if there is none.
    look: colour and marker, as keywords of matplotlib.
    """

    summary: Summary | None
    published: float | None
    look: dict[str, Any]


@dataclass
class Line:
    """A named row of the chart.

    name: its name.
    marks: its marks; every row has the same number.
    baseline: whether vertical lines show its means in the whole chart.
    """

    name: str
    marks: Sequence[Mark]
    baseline: bool = False


def accuracy_by_name(selection: Selection, table: Table, lines: Sequence[Line], beside: str = "") -> Figure:
    """Draw a row of marks for each name, the first on top.

    selection: the runs.
    table: the selection's table.
    lines: the rows of the chart.
    beside: what all rows have in common, for the title.
    """
    lines, count = lines[:MOST], len(lines)
    names = [wrapped(line.name, LONGEST, SMALL) for line in lines]
    left = max((text_width(part, SMALL) for name in names for part in name.split("\n")), default=0) + 0.1 + EDGE
    abreast = max((len(line.marks) for line in lines), default=1)
    heights = [max(LINE * SMALL * POINT * (name.count("\n") + 1) + 0.1, 0.14 + 0.1 * abreast) for name in names]
    title, top = title_of(", ".join(filter(None, [selection.title, beside])), left + WIDTH + 0.2)
    marks = [mark for line in lines for mark in line.marks]
    summaries = [mark.summary for mark in marks if mark.summary]
    low, high = limits(summaries, [mark.published for mark in marks if mark.published is not None])
    beyond = any(i and (i[0] < low or i[1] > high) for i in map(display_interval, summaries))
    note = f"only {len(lines)} of {count} are shown; the table has all" * (len(lines) < count)
    legend = _legend(
        table, abreast, lines, left + WIDTH + 0.2, "; ".join(filter(None, [interval_title(table, beyond), note]))
    )
    figure, ((axes,),) = panels([(0, sum(heights))], 1, WIDTH, left=left, top=top, bottom=0.55 + legend.height)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(PercentLocator())
    axes.set_ylim(sum(heights), 0)
    middles = [sum(heights[:k]) + height / 2 for k, height in enumerate(heights)]
    for line, middle, height in zip(lines, middles, heights, strict=True):
        there = [mark for mark in line.marks if mark.summary or mark.published is not None]
        for i, mark in enumerate(there):
            # Marks of one line are below one another, so that equal accuracies do not hide each other.
            place = middle + 0.7 * height * ((i + 0.5) / len(there) - 0.5)
            if mark.summary:
                _draw(axes, mark.summary, mark.look, place)
            if mark.published is not None:
                axes.plot(mark.published, place, ms=6, mfc="none", ls="None", **mark.look)
    baselines = [line for line in lines if line.baseline]
    for mark in baselines[0].marks if len(baselines) == 1 else []:
        if mark.summary:
            axes.axvline(mark.summary.mean, color=mark.look["color"], lw=0.8, ls=":", zorder=1)
    axes.set_yticks(middles, names, fontsize=SMALL)
    draw_title(figure, title)
    axes.set_xlabel(accuracy_label(selection))
    legend.draw(figure)
    return figure


def _draw(axes: Axes, summary: Summary, look: dict[str, Any], place: float) -> None:
    axes.plot(summary.mean, place, ms=5, ls="None", zorder=2, **look)
    interval = display_interval(summary)
    if interval:
        axes.hlines(place, *interval, color=look["color"], lw=1.2, zorder=2)
        arrows(axes, place, interval, look["color"], vertical=False)


def _legend(table: Table, abreast: int, lines: Sequence[Line], width: float, title: str) -> Legend:
    """Return the legend: names of the columns if a line has several marks, and the notes on intervals."""
    handles, names = [], []
    if abreast > 1:
        for i, column in enumerate(table.columns):
            handles.append(Line2D([], [], ls="None", ms=5, **lines[0].marks[i].look))
            names.append(table.heading(column))
    if table.published:
        handles.append(Line2D([], [], ls="None", color="#555555", marker="o", mfc="none"))
        names.append("published")
    return Legend(handles, names, width, title or None)
