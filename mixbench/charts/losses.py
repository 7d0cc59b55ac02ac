"""Loss curves: training and evaluation loss by step, a panel for each cell, or one for many columns. No torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mixbench import history
from mixbench.charts.style import LINES, colours, fitted
from mixbench.selection import Selection
from mixbench.table import Table, label

GRID_LIMIT = 16  # rows and columns of panels that stay readable
PANELS_ABREAST = 4  # where there is one column alone
COLUMNS_ABREAST = 6  # more columns share a panel: side by side they would be wider than a page, and slow to draw
LEGEND_LINE, LEGEND_COLUMNS = 0.22, 4  # inches; names abreast
LOSS_FLOOR = 1e-4  # on the logarithmic axis; a memorised subset's loss goes to 0


def loss_curves(selection: Selection, table: Table) -> Figure | None:
    """Training and evaluation loss by step, a panel for each cell with runs; None where no history can be read."""
    histories, on = _histories(selection, table), selection.on
    rows = [r for r in table.rows if any((r, c) in histories for c in table.columns)][:GRID_LIMIT]
    columns = [c for c in table.columns if any((r, c) in histories for r in rows)][:GRID_LIMIT]
    if not rows:
        return None
    if len(columns) == 1 and len(rows) > PANELS_ABREAST:
        return _loss_panels(table, rows, columns[0], histories, on)
    if len(columns) > COLUMNS_ABREAST:
        return _losses_together(table, rows, columns, histories, on)
    lengths = {losses.index.max() for losses in histories.values()}
    figure, grid = _grid(len(rows), len(columns), sharex=True if len(lengths) == 1 else "row")
    _scale(grid[0, 0], [histories[r, c] for r in rows for c in columns if (r, c) in histories])
    palette = colours(table.columns)
    for row, of_row in zip(rows, grid, strict=True):
        of_row[0].set_xlim(0, max(histories[row, c].index.max() for c in columns if (row, c) in histories))
        for column, axes in zip(columns, of_row, strict=True):
            _draw_losses(axes, histories.get((row, column)), palette[column])
        of_row[0].set_ylabel(f"{_row_name(table, row)}\nloss")
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(table.heading(column), fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    _loss_legend(figure, on, ncols=2 if len(columns) > 1 else 1)
    return figure


def _loss_panels(
    table: Table, rows: Sequence[tuple], column: Any, histories: dict[tuple, pd.DataFrame], on: str
) -> Figure:
    """Several panels abreast, where below one another they would be a strip."""
    lines = -(-len(rows) // PANELS_ABREAST)
    figure, grid = _grid(lines, PANELS_ABREAST, sharex=False, titles=0.5)
    for axes in grid.flat[len(rows) :]:
        axes.set_axis_off()
    _scale(grid[0, 0], [histories[row, column] for row in rows])
    for axes, row in zip(grid.flat, rows, strict=False):
        axes.set_xlim(0, histories[row, column].index.max())
        _draw_losses(axes, histories[row, column], colours([row[0]])[row[0]])
        axes.set_title(_row_name(table, row), fontsize=10)
    for axes in grid[:, 0]:
        axes.set_ylabel("loss")
    for axes in grid.flat[max(0, len(rows) - PANELS_ABREAST) : len(rows)]:
        axes.set_xlabel("step")
    _loss_legend(figure, on, ncols=2)
    return figure


def _losses_together(
    table: Table, rows: Sequence[tuple], columns: Sequence[Any], histories: dict[tuple, pd.DataFrame], on: str
) -> Figure:
    """For each row all columns' training losses in one panel and evaluation losses in the other: means alone."""
    palette = colours(table.columns)
    looks = {c: {"color": palette[c], "ls": LINES[i % len(LINES)]} for i, c in enumerate(columns)}
    lines = -(-len(columns) // LEGEND_COLUMNS)
    figure, grid = _grid(len(rows), 2, sharex="row", width=3.4, legend=LEGEND_LINE * lines)
    _scale(grid[0, 0], [histories[r, c] for r in rows for c in columns if (r, c) in histories])
    for row, of_row in zip(rows, grid, strict=True):
        there = [column for column in columns if (row, column) in histories]
        of_row[0].set_xlim(0, max(histories[row, column].index.max() for column in there))
        for axes, key in zip(of_row, ("train_loss", "eval_loss"), strict=True):
            _prepare(axes)
            for column in there:
                means = histories[row, column][key]["mean"].clip(lower=LOSS_FLOOR)
                axes.plot(means.index, means, lw=1.2, **looks[column])
        of_row[0].set_ylabel(f"{_row_name(table, row)}\nloss")
    for axes, title in zip(grid[0], ("training loss, as trained", f"{on} loss"), strict=True):
        axes.set_title(title, fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    handles = [Line2D([], [], **look) for look in looks.values()]
    names = [table.heading(column) for column in columns]
    figure.legend(handles, names, loc="lower center", ncols=LEGEND_COLUMNS, fontsize=9)
    return figure


def _grid(
    lines: int, abreast: int, sharex: str | bool, titles: float = 0.1, width: float = 2.2, legend: float = LEGEND_LINE
) -> tuple[Figure, np.ndarray]:
    """Panels of one size with room for labels, titles and legend, all in inches.

    Reckoned by hand: matplotlib's layout engines measure every label of every panel, which takes seconds. titles: room
    for titles above every line of panels, beyond the first. width: of a panel. legend: height of the legend.
    """
    width = 3.9 if abreast == 1 else width  # the legend needs as much
    height = 1.5 if lines <= 5 else 1.1
    left, right, top, bottom, across = 0.95, 0.2, 0.4, 0.73 + legend, 0.3
    down = (0.1 if sharex is True else 0.3) + titles  # numbers below the last line of panels alone, or below each
    size = (left + abreast * width + (abreast - 1) * across + right, top + lines * (height + down) - down + bottom)
    figure = Figure(figsize=size)
    grid = figure.subplots(lines, abreast, sharey=True, sharex=sharex, squeeze=False)
    figure.subplots_adjust(
        left / size[0], bottom / size[1], 1 - right / size[0], 1 - top / size[1], across / width, down / height
    )
    return figure, grid


def _scale(axes: Axes, shown: Sequence[pd.DataFrame]) -> None:
    """Give all panels, which share this one's vertical axis, its limits at once: each would look for them anew."""
    low = min(losses.xs("min", axis=1, level=1).to_numpy().min() for losses in shown)
    high = max(losses.xs("max", axis=1, level=1).to_numpy().max() for losses in shown)
    low, high = max(low, LOSS_FLOOR), max(high, 10 * LOSS_FLOOR)
    axes.set_yscale("log")
    axes.set_ylim(low / 1.15, high * 1.15)
    within_a_decade = high / low < 30  # powers of ten alone would leave one number or none
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if within_a_decade else (1,), numticks=6))
    axes.yaxis.set_minor_locator(NullLocator())
    if within_a_decade:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def _prepare(axes: Axes) -> None:
    axes.set_autoscale_on(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _draw_losses(axes: Axes, losses: pd.DataFrame | None, colour: str) -> None:
    _prepare(axes)
    if losses is None:
        axes.text(0.5, 0.5, "no run", transform=axes.transAxes, ha="center", color="#777777")
        return
    for key, style in (("train_loss", "-"), ("eval_loss", "--")):
        steps = losses[key].clip(lower=LOSS_FLOOR)
        axes.plot(steps.index, steps["mean"], style, color=colour, lw=1.4)
        axes.fill_between(steps.index, steps["min"], steps["max"], color=colour, alpha=0.15, lw=0)


def _loss_legend(figure: Figure, on: str, ncols: int) -> None:
    kinds = [Line2D([], [], ls=style, color="#333333") for style in ("-", "--")]
    names = ["training loss, as trained (mixed images and labels)", f"{on} loss"]
    figure.legend(kinds, names, loc="lower center", ncols=ncols, fontsize=9)


def _row_name(table: Table, row: tuple) -> str:
    """`n = 500`; a name, such as a method's, stands for itself."""
    pairs = zip(table.row_keys, row, strict=True)
    words = (label(v) if isinstance(v, str) and k == table.row_keys[0] else f"{k} = {label(v)}" for k, v in pairs)
    return fitted(", ".join(words))


def _histories(selection: Selection, table: Table) -> dict[tuple, pd.DataFrame]:
    """Place -> mean, lowest and highest loss of its runs at each step."""
    rows, problems = history.read(list(selection.frame["folder"]))
    selection.problems += problems
    places = list(dict.fromkeys(table.places))
    of_run = np.array([places.index(place) for place in table.places]) if places else np.array([], dtype=int)
    rows["place"] = of_run[rows["run"].to_numpy(dtype=int)]
    losses = rows.groupby(["place", "step"])[["train_loss", "eval_loss"]].agg(["mean", "min", "max"])
    return {places[i]: losses.loc[i] for i in losses.index.unique("place")}
