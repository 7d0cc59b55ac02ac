"""Plots of stored runs: accuracy against the table's rows, loss curves in a grid. PNG and SVG. No torch."""

import textwrap
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from mixbench import store
from mixbench.selection import Selection
from mixbench.stats import RULES, Summary
from mixbench.table import Table, build, label

# Okabe and Ito's palette, safe for colour-blind readers (Wong 2011); a method keeps its colour everywhere.
COLOURS = {
    "none": "#000000",
    "label-mix": "#0072B2",
    "data-mix": "#D55E00",
    "cutmix": "#009E73",
    "cutout": "#E69F00",
    "label-only": "#CC79A7",
}
# Tol's "muted" scheme, for methods that have no colour yet and for other columns (Tol 2021, Colour Schemes, figure 4).
SPARE_COLOURS = ("#332288", "#44AA99", "#882255", "#999933", "#88CCEE", "#AA4499", "#117733", "#CC6677", "#DDCC77")
MARKERS = "osD^vPX*<>ph"
LINES = ("-", "--", "-.", ":")
SMALL = 10_000  # the small-data report shows n up to here in a figure of its own
FIGURES = ("accuracy", "accuracy-log", f"accuracy-to-{SMALL}", "loss")
GRID_LIMIT = 8  # rows and columns of loss curves that stay readable
LOSS_FLOOR = 1e-4  # on the logarithmic axis; a memorised subset's loss goes to 0

STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "mixbench",  # the same runs give the same file
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "Noto Sans CJK JP", "sans-serif"],
}


def write(selection: Selection) -> list[Path]:
    """Draw what the selection allows into its folder; returns the files. It must hold at least one run."""
    table = build(selection)
    store.make_folder(selection.out)
    with mpl.rc_context(STYLE):
        figures = {"accuracy": accuracy(selection, table)}
        numbers = _numbers(table)
        if numbers and min(numbers) > 0 and len(numbers) > 1:
            figures["accuracy-log"] = accuracy(selection, table, log=True)
        if numbers and selection.rows == "n" and len([n for n in numbers if n <= SMALL]) > 1 and max(numbers) > SMALL:
            figures[f"accuracy-to-{SMALL}"] = accuracy(selection, table, limit=SMALL)
        curves = loss_curves(selection, table)
        if curves is not None:
            figures["loss"] = curves
        for name in set(FIGURES) - set(figures):  # of an earlier, larger selection: they would not fit the others
            for path in _paths(selection.out / name):
                path.unlink(missing_ok=True)
        return [path for name, figure in figures.items() for path in save(figure, selection.out / name)]


def accuracy(selection: Selection, table: Table, log: bool = False, limit: float | None = None) -> Figure:
    """Accuracy against the first row key, a line for each column: mean of the runs, band from lowest to highest.

    log: logarithmic axis. limit: leave out what lies beyond. Published numbers are hollow marks on a dotted line.
    Colour tells columns apart, the kind of line what else rows differ in.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    numeric = bool(_numbers(table))
    values = list(dict.fromkeys(row[0] for row in table.rows))
    position = {value: value if numeric else i for i, value in enumerate(values)}
    variants = list(dict.fromkeys(row[1:] for row in table.rows))
    palette = colours(table.columns)
    for i, column in enumerate(table.columns):
        for j, variant in enumerate(variants):
            rows = [row for row in table.rows if row[1:] == variant and (limit is None or row[0] <= limit)]
            ours = {position[row[0]]: table.cell(row, column) for row in rows if table.cell(row, column).count}
            theirs = {position[r[0]]: table.published[r, column] for r in rows if (r, column) in table.published}
            if ours or theirs:
                # Where the positions are names there is nothing between them: marks alone, which then tell rows apart.
                marker = MARKERS[(i if numeric else i + j) % len(MARKERS)]
                look = {"color": palette[column], "marker": marker}
                line = LINES[j % len(LINES)] if numeric else "None"
                extra = [f"{key}={label(value)}" for key, value in zip(table.row_keys[1:], variant, strict=True)]
                name = ", ".join([table.heading(column), *extra])
                axes.plot(list(ours), [s.mean for s in ours.values()], ls=line, ms=5, label=name, **look)
                if theirs:
                    dotted = ":" if numeric else "None"
                    axes.plot(list(theirs), list(theirs.values()), ls=dotted, ms=6, mfc="none", lw=1, **look)
                _draw_spread(axes, ours, palette[column], numeric)
    _label_axes(axes, selection, position, numeric, log)
    handles, names = axes.get_legend_handles_labels()
    if table.published:
        handles.append(Line2D([], [], ls=":", color="#555555", marker="o", mfc="none"))
        names.append("published")
    repeated = any(summary.count > 1 for summary in table.cells.values())
    spread = "shaded: lowest to highest run" if numeric else "bars: lowest to highest run"
    axes.legend(handles, names, loc="best", title=spread if repeated else None, title_fontsize=8)
    return figure


def _draw_spread(axes: Axes, ours: dict[float, Summary], colour: str, numeric: bool) -> None:
    low, high = [s.low for s in ours.values()], [s.high for s in ours.values()]
    if numeric:
        axes.fill_between(list(ours), low, high, color=colour, alpha=0.15, lw=0)
    else:
        axes.vlines(list(ours), low, high, color=colour, lw=1)


def loss_curves(selection: Selection, table: Table) -> Figure | None:
    """Training and test loss against the step, a panel for each cell with runs; None where no history can be read."""
    histories = _histories(selection, table)
    rows = [r for r in table.rows if any((r, c) in histories for c in table.columns)][:GRID_LIMIT]
    columns = [c for c in table.columns if any((r, c) in histories for r in rows)][:GRID_LIMIT]
    if not rows:
        return None
    figure = Figure(figsize=(1.2 + 2.5 * len(columns), 0.9 + 1.9 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), sharey=True, sharex="row", squeeze=False)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            axes = grid[i][j]
            axes.set_yscale("log")
            axes.yaxis.set_minor_locator(NullLocator())
            for key, style in (("train_loss", "-"), ("test_loss", "--")):
                if (row, column) not in histories:
                    axes.text(0.5, 0.5, "no run", transform=axes.transAxes, ha="center", color="#777777")
                    break
                steps = histories[row, column].groupby("step")[key].agg(["mean", "min", "max"]).clip(lower=LOSS_FLOOR)
                colour = colours(table.columns)[column]
                axes.plot(steps.index, steps["mean"], style, color=colour, lw=1.4)
                axes.fill_between(steps.index, steps["min"], steps["max"], color=colour, alpha=0.15, lw=0)
            if i == 0:
                axes.set_title(table.heading(column), fontsize=10)
            if j == 0:
                name = ", ".join(f"{k} = {label(v)}" for k, v in zip(table.row_keys, row, strict=True))
                axes.set_ylabel(f"{name}\nloss")
            if i == len(rows) - 1:
                axes.set_xlabel("step")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
            axes.locator_params(axis="x", nbins=4)
    kinds = [Line2D([], [], ls=style, color="#333333") for style in ("-", "--")]
    names = ["training loss, as trained (mixed images and labels)", "test loss"]
    figure.legend(kinds, names, loc="outside lower center", ncols=2 if len(columns) > 1 else 1, fontsize=9)
    return figure


def colours(names: Sequence[Any]) -> dict[Any, str]:
    """A colour for each name: a known method's own, another method's by its name; for what is no name in order."""
    chosen = {name: COLOURS[name] for name in names if name in COLOURS}
    for i, name in enumerate(name for name in names if name not in COLOURS):
        start = zlib.crc32(name.encode()) if isinstance(name, str) else i
        free = [SPARE_COLOURS[(start + k) % len(SPARE_COLOURS)] for k in range(len(SPARE_COLOURS))]
        chosen[name] = next((colour for colour in free if colour not in chosen.values()), free[0])
    return chosen


def _numbers(table: Table) -> list[float]:
    """The rows' values where all are numbers, else nothing."""
    values = sorted({row[0] for row in table.rows}) if all(isinstance(r[0], (int, float)) for r in table.rows) else []
    return values if all(value == value for value in values) else []


def _label_axes(axes: Axes, selection: Selection, position: dict, numeric: bool, log: bool) -> None:
    axes.set_title(textwrap.fill(selection.title, 60), fontsize=11)
    axes.set_xlabel("labelled training images n" if selection.rows == "n" else selection.rows)
    images = "held-out" if set(selection.frame.get("eval", [])) == {"holdout"} else "test"
    axes.set_ylabel(f"{images} accuracy (%), {RULES[selection.rule].short}")
    if log:
        axes.set_xscale("log")
        shown = [value for value in position if value > 0]
        axes.xaxis.set_major_locator(FixedLocator(shown) if len(shown) <= 10 else LogLocator())
        axes.xaxis.set_minor_locator(NullLocator())
    if numeric:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))
    else:
        axes.set_xticks(list(position.values()), [label(value) for value in position])


def _histories(selection: Selection, table: Table) -> dict[tuple, pd.DataFrame]:
    found: dict[tuple, list[pd.DataFrame]] = {}
    for place, folder in zip(table.places, selection.frame["folder"], strict=True):
        try:
            history = pd.read_csv(folder / "history.csv", usecols=["step", "train_loss", "test_loss"])
        except (OSError, ValueError) as error:
            selection.problems.append(f"{folder / 'history.csv'}: left out of the loss curves ({error})")
            continue
        found.setdefault(place, []).append(history)
    return {where: pd.concat(histories) for where, histories in found.items()}


def _paths(stem: Path) -> list[Path]:
    return [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write the figure as stem.png and stem.svg; returns both."""
    paths = _paths(stem)
    for path in paths:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths
