"""Loss curves: training and evaluation loss against the step, with a panel per cell or two per row. No torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mixbench.analysis.charts.layout import (
    SMALL,
    Legend,
    apart,
    draw_title,
    heading,
    panels,
    text_height,
    text_width,
    title_of,
    wrapped,
)
from mixbench.analysis.charts.loss_axis import LOSS_CEILING, LOSS_FLOOR, cut_off, scale
from mixbench.analysis.charts.style import LINES, colours
from mixbench.analysis.display import NAMES, name_of
from mixbench.analysis.select import Selection
from mixbench.analysis.table import Table, pivoted
from mixbench.core.baseline import BASELINE
from mixbench.runs.store import history

GRID_LIMIT, MOST_PANELS = 16, 48  # most rows and columns of a grid, and most single panels
PANELS_ABREAST = 4  # single panels in one row
COLUMNS_ABREAST = 6  # with more columns, all columns share a panel; side by side they would be wider than a page
FULL = 0.7  # a grid is drawn if at least this share of its cells has runs, otherwise single panels
TRAINED, EVALUATED = history.COLUMNS[1:3]
AS_TRAINED = "training loss, as trained (mixed images and labels)"
LEFT, BOTTOM = 0.75, 0.55  # inches for the numbers and labels of the axes
NUMBERS = 0.6  # inches for the numbers of an axis between two panels
RIGHT = 0.2  # inches right of the last panel
ACROSS = 0.45  # inches between panels, so that the last step of one panel and the first of the next lie apart

Histories = dict[tuple, pd.DataFrame]


def loss_curves(selection: Selection, table: Table) -> Figure | None:
    """Draw training and evaluation loss against the step.

    Many methods share panels, wherever the table has them: one row of panels for each would be too long to compare.

    selection: at least one run. Runs whose history cannot be read are added to its problems.
    table: the selection's table.
    Returns the figure; None if no history can be read.
    """
    table = _methods_as_columns(table)
    histories = _histories(selection, table)
    every = [r for r in table.rows if any((r, c) in histories for c in table.columns)]
    rows = every[:GRID_LIMIT]
    columns = [c for c in table.columns if any((r, c) in histories for r in rows)]
    if not rows:
        return None
    cells = [(r, c) for r in every for c in columns if (r, c) in histories]
    if len(columns) > COLUMNS_ABREAST:
        left_out = max(len(every) - GRID_LIMIT, 0), max(len(columns) - GRID_LIMIT, 0)
        return _losses_together(selection, table, rows, columns[:GRID_LIMIT], histories, _missing(left_out))
    full = len(cells) >= FULL * len(every) * len(columns)
    if full and (len(columns) > 1 or len(rows) <= PANELS_ABREAST):
        left_out = max(len(every) - GRID_LIMIT, 0), 0
        return _loss_grid(selection, table, rows, columns, histories, _missing(left_out))
    firsts = list(dict.fromkeys(row[0] for row in every))
    cells.sort(key=lambda cell: (firsts.index(cell[0][0]), columns.index(cell[1])))
    return _loss_panels(selection, table, cells, histories)


def _methods_as_columns(table: Table) -> Table:
    """Return a table whose columns are the methods, if its rows have too many of them; otherwise the table itself."""
    for key in NAMES:
        if key in table.row_keys and len({row[table.row_keys.index(key)] for row in table.rows}) > COLUMNS_ABREAST:
            return pivoted(table, key)
    return table


def _missing(left_out: tuple[int, int]) -> str:
    parts = [f"{count} more {what}" for count, what in zip(left_out, ("rows", "columns"), strict=True) if count]
    return f"{' and '.join(parts)} of the table are not shown" if parts else ""


def _loss_grid(
    selection: Selection, table: Table, rows: Sequence[tuple], columns: Sequence[Any], histories: Histories, note: str
) -> Figure:
    """Draw panels in the rows and columns of the table."""
    abreast, width, height = len(columns), (2.2 if len(columns) > 1 else 3.9), (1.5 if len(rows) <= 5 else 1.15)
    wide = LEFT + abreast * width + (abreast - 1) * ACROSS + RIGHT
    heads = [wrapped(name_of(table.row_keys, row, " = "), wide - 0.2, SMALL, weight="bold") for row in rows]
    names = [wrapped(table.heading(column), width, 10) for column in columns] if abreast > 1 or table.columns else []
    above = max(text_height(name, 10) for name in names) + 0.08
    spaces = [text_height(head, SMALL) + (above if k == 0 else 0.42) + 0.06 for k, head in enumerate(heads)]
    title, top = title_of(selection.title, wide)
    shown = [histories[r, c] for r in rows for c in columns if (r, c) in histories]
    legend = _legend(selection, wide, _with_band(histories, "; ".join([*cut_off(shown), *filter(None, [note])])))
    figure, grid = panels(
        [(space, height) for space in spaces],
        abreast,
        width,
        left=LEFT,
        top=top,
        bottom=BOTTOM + legend.height,
        across=ACROSS,
    )
    scale(grid[0][0], shown)
    palette = colours(table.columns)
    for row, of_row, head in zip(rows, grid, heads, strict=True):
        last = max(_last_step(histories[row, c]) for c in columns if (row, c) in histories)
        for column, axes in zip(columns, of_row, strict=True):
            axes.set_xlim(0, last)
            _draw_losses(axes, histories.get((row, column)), palette[column])
        of_row[0].set_ylabel("loss")
        heading(of_row[0], head, left=LEFT - 0.1)
    for axes, name in zip(grid[0], names, strict=True):
        _name_column(axes, name, heads[0])
    for axes in grid[-1]:
        axes.set_xlabel("step")
    draw_title(figure, title)
    legend.draw(figure)
    return figure


def _name_column(axes: Axes, name: str, head: str) -> None:
    """Write a column's name above its first panel and above the heading of the row. head: that heading."""
    axes.annotate(
        name,
        (0.5, 1),
        xycoords="axes fraction",
        xytext=(0, 72 * (text_height(head, SMALL) + 0.06) + 5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=10,
        annotation_clip=False,
    )


def _loss_panels(selection: Selection, table: Table, cells: list[tuple], histories: Histories) -> Figure:
    """Draw single panels one after the other, each with its full name."""
    drawn = cells[:MOST_PANELS]
    several = len({column for _, column in cells}) > 1
    keys = [*([table.column_key] if several else []), *table.row_keys]
    abreast, width, height, across = min(PANELS_ABREAST, len(drawn)), 2.0, 1.3, ACROSS
    wide = LEFT + abreast * width + (abreast - 1) * across + RIGHT
    names = [
        wrapped(name_of(keys, [*([column] if several else []), *row]), width + RIGHT, SMALL) for row, column in drawn
    ]
    lines = []
    for start in range(0, len(drawn), abreast):
        tallest = max(text_height(name, SMALL) for name in names[start : start + abreast])
        lines.append((tallest + (0.12 if start == 0 else 0.42), height))
    title, top = title_of(selection.title, wide)
    note = [f"only {len(drawn)} of {len(cells)} panels are shown"] if len(drawn) < len(cells) else []
    shown = [histories[cell] for cell in drawn]
    legend = _legend(selection, wide, _with_band(histories, "; ".join([*cut_off(shown), *note])))
    figure, grid = panels(
        lines, abreast, width, left=LEFT, top=top, bottom=BOTTOM + legend.height, across=across, count=len(drawn)
    )
    flat = [axes for row in grid for axes in row]
    scale(flat[0], shown)
    palette = _colours_of(table)
    for axes, cell, name in zip(flat, drawn, names, strict=True):
        axes.set_xlim(0, _last_step(histories[cell]))
        _draw_losses(axes, histories[cell], palette[cell])
        heading(axes, name, weight="normal")
    for of_row in grid:
        of_row[0].set_ylabel("loss")
    for axes in flat[-abreast:]:
        axes.set_xlabel("step")
    draw_title(figure, title)
    legend.draw(figure)
    return figure


def _losses_together(
    selection: Selection, table: Table, rows: Sequence[tuple], columns: Sequence[Any], histories: Histories, note: str
) -> Figure:
    """Draw for each row a panel with the training losses of all columns, and one with their evaluation losses.

    The two kinds have an axis each: the training loss of a memorised subset would flatten all evaluation losses. Only
    means are drawn. Each line has its name at its end, because so many colours cannot be distinguished.
    """
    palette = colours(table.columns)
    looks: dict[Any, dict[str, Any]] = {
        c: {"color": palette[c], "ls": LINES[i % len(LINES)]} for i, c in enumerate(columns)
    }
    names = {c: wrapped(table.heading(c), 1.2, SMALL - 1, lines=1) for c in columns}
    room = max(text_width(name, SMALL - 1) for name in names.values()) + 0.3
    width, gap = 2.6, 0.125
    height = max(1.5, gap * len(columns))
    wide = LEFT + 2 * width + 2 * room + NUMBERS
    heads = [wrapped(name_of(table.row_keys, row, " = "), wide - 0.2, SMALL, weight="bold") for row in rows]
    spaces = [text_height(head, SMALL) + (0.36 if k == 0 else 0.42) for k, head in enumerate(heads)]
    title, top = title_of(selection.title, wide)
    shown = [histories[r, c] for r in rows for c in columns if (r, c) in histories]
    by_kind = {key: [losses.loc[:, [key]] for losses in shown] for key in (TRAINED, EVALUATED)}
    cut = dict.fromkeys(text for of_kind in by_kind.values() for text in cut_off(of_kind))
    note = "; ".join([*cut, *filter(None, [note])])
    legend = Legend([], [], wide, note or None)
    figure, grid = panels(
        [(space, height) for space in spaces],
        2,
        width,
        left=LEFT,
        right=room,
        top=top,
        bottom=BOTTOM + legend.height * bool(note),
        across=room + NUMBERS,
        share_y=False,
    )
    for row, of_row, head in zip(rows, grid, heads, strict=True):
        there = [column for column in columns if (row, column) in histories]
        last = max(_last_step(histories[row, column]) for column in there)
        for axes, (key, of_kind) in zip(of_row, by_kind.items(), strict=True):
            _prepare(axes)
            scale(axes, of_kind)
            bottom, high = axes.get_ylim()
            axes.set_xlim(0, last)
            ends = []
            for column in there:
                losses = histories[row, column]
                means = losses.loc[:, (key, "mean")].clip(LOSS_FLOOR, LOSS_CEILING)
                axes.plot(losses.index, means, lw=2 if column == BASELINE else 1.2, **looks[column])
                last_loss = np.clip(means.iloc[-1], bottom, high)
                ends.append(np.log(last_loss / bottom) / np.log(high / bottom) * height)
            places = apart(ends, gap, 0, height)
            _name_lines(axes, [names[c] for c in there], [palette[c] for c in there], ends, places)
        of_row[0].set_ylabel("loss")
        heading(of_row[0], head, left=LEFT - 0.1)
    for axes, name in zip(grid[0], ("training loss, as trained", _evaluated(selection)), strict=True):
        _name_column(axes, name, heads[0])
    for axes in grid[-1]:
        axes.set_xlabel("step")
    draw_title(figure, title)
    legend.draw(figure)
    return figure


def _name_lines(
    axes: Axes, names: Sequence[str], palette: Sequence[str], ends: Sequence[float], places: Sequence[float]
) -> None:
    """Write names right of a panel and connect them with the ends of the lines.

    ends: heights of the lines' ends above the bottom of the panel, in inches.
    places: heights of the names, in inches.
    """
    wide, high = axes.figure.figure.get_size_inches() * axes.get_position().size
    joints = [[(1.01, end / high), (1 + 0.14 / wide, place / high)] for end, place in zip(ends, places, strict=True)]
    lines = LineCollection(joints, colors=palette, linewidths=0.6, transform=axes.transAxes, clip_on=False)
    axes.add_collection(lines, autolim=False)
    look = {"fontsize": SMALL - 1, "va": "center", "transform": axes.transAxes}
    for name, colour, place in zip(names, palette, places, strict=True):
        axes.text(1 + 0.17 / wide, place / high, name, color=colour, **look)


def _last_step(losses: pd.DataFrame) -> float:
    return float(losses.index.to_numpy().max())


def _prepare(axes: Axes) -> None:
    axes.set_autoscale_on(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.tick_params(labelsize=SMALL)


def _draw_losses(axes: Axes, losses: pd.DataFrame | None, colour: str) -> None:
    _prepare(axes)
    if losses is None:
        axes.text(0.5, 0.5, "no run", transform=axes.transAxes, ha="center", color="#777777")
        return
    for key, style in ((TRAINED, "-"), (EVALUATED, "--")):
        steps = losses[key].clip(LOSS_FLOOR, LOSS_CEILING)
        axes.plot(steps.index, steps["mean"], style, color=colour, lw=1.4)
        axes.fill_between(steps.index, steps["min"], steps["max"], color=colour, alpha=0.15, lw=0)


def _evaluated(selection: Selection) -> str:
    """Return the name of the evaluation loss. It adds `cross-entropy` if runs train with another loss."""
    losses = set(selection.frame["loss"].dropna()) if "loss" in selection.frame else set()
    return f"{selection.on} loss" if losses <= {"ce"} else f"{selection.on} loss (cross-entropy)"


def _legend(selection: Selection, width: float, note: str) -> Legend:
    kinds = [Line2D([], [], ls=style, color="#333333") for style in ("-", "--")]
    return Legend(kinds, [AS_TRAINED, _evaluated(selection)], width, note or None)


def _with_band(histories: Histories, note: str) -> str:
    """Return the note, preceded by an explanation of the bands if there are any."""
    ends = ([losses.xs(end, axis=1, level=1) for end in ("min", "max")] for losses in histories.values())
    banded = any(not low.equals(high) for low, high in ends)
    bands = ["line: mean of the runs, band: lowest to highest"] if banded else []
    return "; ".join([*bands, *([note] if note else [])])


def _colours_of(table: Table) -> dict[tuple, str]:
    """Return place -> colour: that of its method if the table has the method as a key, otherwise that of its column."""
    keys = [table.column_key, *table.row_keys]
    at = keys.index("method") if "method" in keys else 0
    values = {(row, column): (column, *row)[at] for row in table.rows for column in table.columns}
    if at == 0 and len(table.columns) == 1:
        values = {(row, column): row[0] for row, column in values}
    palette = colours(list(dict.fromkeys(values.values())))
    return {place: palette[value] for place, value in values.items()}


def _histories(selection: Selection, table: Table) -> Histories:
    """Return place -> mean, lowest and highest loss of its runs at each step."""
    rows, problems = history.read(list(selection.frame["folder"]))
    selection.problems += problems
    places = list(dict.fromkeys(table.places))
    of_run = np.array([places.index(place) for place in table.places]) if places else np.array([], dtype=int)
    rows["place"] = of_run[rows["run"].to_numpy(dtype=int)]
    rows[[TRAINED, EVALUATED]] = rows[[TRAINED, EVALUATED]].astype(float).clip(-LOSS_CEILING, LOSS_CEILING)
    losses = rows.groupby(["place", "step"])[[TRAINED, EVALUATED]].agg(["mean", "min", "max"])
    return {places[i]: losses.loc[i] for i in losses.index.unique("place")}
