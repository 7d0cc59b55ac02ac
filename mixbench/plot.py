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
from mixbench.stats import RULES
from mixbench.table import BASELINE_FIRST, Table, build, label

# Okabe and Ito's palette, safe for colour-blind readers (Wong 2011); a method keeps its colour everywhere.
COLOURS = {
    "none": "#000000",
    "label-mix": "#0072B2",
    "data-mix": "#D55E00",
    "cutmix": "#009E73",
    "cutout": "#E69F00",
    "label-only": "#CC79A7",
    "manifold": "#56B4E9",
    "mixture": "#661100",
    # From here Tol's "muted": of so many colours some come close to others, and the markers tell them apart.
    "fmix": "#332288",
    "saliencymix": "#882255",
    "resizemix": "#117733",
    "gridmix": "#999933",
    "smoothmix": "#44AA99",
    "random-erasing": "#CC6677",
}
# Tol's "muted" scheme, for methods that have no colour yet and for other columns (Tol 2021, Colour Schemes, figure 4).
SPARE_COLOURS = ("#332288", "#44AA99", "#882255", "#999933", "#88CCEE", "#AA4499", "#117733", "#CC6677", "#DDCC77")
MARKERS = "osD^vPX*<>ph"
LINES = ("-", "--", "-.", ":")
SMALL = 10_000  # the small-data report shows n up to here in a figure of its own
FIGURES = ("accuracy", "accuracy-log", f"accuracy-to-{SMALL}", "loss")
GRID_LIMIT = 16  # rows and columns of loss curves that stay readable
BANDS = 6  # shaded bands that can be told apart
PANELS_ABREAST = 4  # where there is one column alone
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

    Where the rows are names, they stand below one another, and between them there is nothing to draw a line through.
    log: logarithmic axis. limit: leave out what lies beyond. Published numbers are hollow marks on a dotted line.
    Colour tells columns apart, the kind of line what else rows differ in.
    """
    if not _numbers(table):
        return _accuracy_by_name(selection, table)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    variants = list(dict.fromkeys(row[1:] for row in table.rows))
    palette = colours(table.columns)
    for i, column in enumerate(table.columns):
        for j, variant in enumerate(variants):
            rows = [row for row in table.rows if row[1:] == variant and (limit is None or row[0] <= limit)]
            ours = {row[0]: table.cell(row, column) for row in rows if table.cell(row, column).count}
            theirs = {row[0]: table.published[row, column] for row in rows if (row, column) in table.published}
            if ours or theirs:
                look = {"color": palette[column], "marker": MARKERS[i % len(MARKERS)]}
                name = _series(table, column, variant)
                means = [s.mean for s in ours.values()]
                axes.plot(list(ours), means, ls=LINES[j % len(LINES)], ms=5, label=name, **look)
                if theirs:
                    axes.plot(list(theirs), list(theirs.values()), ls=":", ms=6, mfc="none", lw=1, **look)
                low, high = [s.low for s in ours.values()], [s.high for s in ours.values()]
                if len(table.columns) <= BANDS:
                    axes.fill_between(list(ours), low, high, color=palette[column], alpha=0.15, lw=0)
                else:
                    axes.vlines(list(ours), low, high, color=palette[column], lw=0.8)
    _label_axes(axes, selection, table, log)
    _legend(axes, table, f"{'shaded' if len(table.columns) <= BANDS else 'bars'}: lowest to highest run", ":")
    return figure


def _accuracy_by_name(selection: Selection, table: Table) -> Figure:
    """A line of marks for each row, one mark for each column; the baseline's mean runs through all rows."""
    figure = Figure(figsize=(6.4, 1.4 + 0.32 * len(table.rows)), layout="constrained")
    axes = figure.add_subplot()
    palette = colours(table.columns)
    baselines = [row for row in table.rows if row[0] in BASELINE_FIRST]
    for i, column in enumerate(table.columns):
        # Side by side within the row's line, so that equal accuracies do not hide one another.
        place = {row: k + 0.6 * ((i + 0.5) / len(table.columns) - 0.5) for k, row in enumerate(table.rows)}
        ours = {place[row]: table.cell(row, column) for row in table.rows if table.cell(row, column).count}
        theirs = {place[row]: table.published[row, column] for row in table.rows if (row, column) in table.published}
        look = {"color": palette[column], "marker": MARKERS[i % len(MARKERS)], "ls": "None"}
        axes.plot([s.mean for s in ours.values()], list(ours), ms=5, label=_series(table, column, ()), **look)
        axes.plot(list(theirs.values()), list(theirs), ms=6, mfc="none", **look)
        low, high = [s.low for s in ours.values()], [s.high for s in ours.values()]
        axes.hlines(list(ours), low, high, color=palette[column], lw=1.2)
        if len(baselines) == 1 and table.cell(baselines[0], column).count:
            axes.axvline(table.cell(baselines[0], column).mean, color=palette[column], lw=0.8, ls=":")
    names = [_fitted(", ".join([label(row[0]), *_extra(table, row[1:])])) for row in table.rows]
    axes.set_yticks(range(len(table.rows)), names)
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set_title(textwrap.fill(selection.title, 60), fontsize=11)
    axes.set_xlabel(_accuracy_label(selection))
    _legend(axes, table, "lines: lowest to highest run", "None", outside=True)
    return figure


def _series(table: Table, column: Any, variant: tuple) -> str:
    return ", ".join([table.heading(column), *_extra(table, variant)])


def _extra(table: Table, variant: tuple) -> list[str]:
    """What a row says beside its first key."""
    return [f"{key}={label(value)}" for key, value in zip(table.row_keys[1:], variant, strict=False)]


def _legend(axes: Axes, table: Table, spread: str, published: str, outside: bool = False) -> None:
    handles, names = axes.get_legend_handles_labels()
    if table.published:
        handles.append(Line2D([], [], ls=published, color="#555555", marker="o", mfc="none"))
        names.append("published")
    repeated = any(summary.count > 1 for summary in table.cells.values())
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1)} if outside or len(names) > 8 else {"loc": "best"}
    axes.legend(handles, names, title=spread if repeated else None, title_fontsize=8, fontsize=9, **place)


def loss_curves(selection: Selection, table: Table) -> Figure | None:
    """Training and test loss against the step, a panel for each cell with runs; None where no history can be read."""
    histories = _histories(selection, table)
    rows = [r for r in table.rows if any((r, c) in histories for c in table.columns)][:GRID_LIMIT]
    columns = [c for c in table.columns if any((r, c) in histories for r in rows)][:GRID_LIMIT]
    if not rows:
        return None
    if len(columns) == 1 and len(rows) > PANELS_ABREAST:
        return _loss_panels(table, rows, columns[0], histories)
    height = 1.9 if len(rows) <= 5 else 1.4
    figure = Figure(figsize=(1.2 + 2.5 * len(columns), 0.9 + height * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), sharey=True, sharex="row", squeeze=False)
    for row, of_row in zip(rows, grid, strict=True):
        for column, axes in zip(columns, of_row, strict=True):
            _draw_losses(axes, histories.get((row, column)), colours(table.columns)[column])
        of_row[0].set_ylabel(f"{_row_name(table, row)}\nloss")
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(table.heading(column), fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    _loss_legend(figure, ncols=2 if len(columns) > 1 else 1)
    return figure


def _loss_panels(table: Table, rows: Sequence[tuple], column: Any, histories: dict[tuple, pd.DataFrame]) -> Figure:
    """Several panels abreast, where below one another they would be a strip."""
    lines = -(-len(rows) // PANELS_ABREAST)
    figure = Figure(figsize=(1.2 + 2.3 * PANELS_ABREAST, 0.9 + 1.9 * lines), layout="constrained")
    grid = figure.subplots(lines, PANELS_ABREAST, sharey=True, squeeze=False)
    for axes in grid.flat[len(rows) :]:
        axes.set_axis_off()
    for axes, row in zip(grid.flat, rows, strict=False):
        _draw_losses(axes, histories[row, column], colours([row[0]])[row[0]])
        axes.set_title(_row_name(table, row), fontsize=10)
    for axes in grid[:, 0]:
        axes.set_ylabel("loss")
    for axes in grid.flat[max(0, len(rows) - PANELS_ABREAST) : len(rows)]:
        axes.set_xlabel("step")
    _loss_legend(figure, ncols=2)
    return figure


def _draw_losses(axes: Axes, history: pd.DataFrame | None, colour: str) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    axes.locator_params(axis="x", nbins=4)
    if history is None:
        axes.text(0.5, 0.5, "no run", transform=axes.transAxes, ha="center", color="#777777")
        return
    for key, style in (("train_loss", "-"), ("test_loss", "--")):
        steps = history.groupby("step")[key].agg(["mean", "min", "max"]).clip(lower=LOSS_FLOOR)
        axes.plot(steps.index, steps["mean"], style, color=colour, lw=1.4)
        axes.fill_between(steps.index, steps["min"], steps["max"], color=colour, alpha=0.15, lw=0)


def _loss_legend(figure: Figure, ncols: int) -> None:
    kinds = [Line2D([], [], ls=style, color="#333333") for style in ("-", "--")]
    names = ["training loss, as trained (mixed images and labels)", "test loss"]
    figure.legend(kinds, names, loc="outside lower center", ncols=ncols, fontsize=9)


def _row_name(table: Table, row: tuple) -> str:
    """`n = 500`; a name, such as a method's, stands for itself."""
    pairs = zip(table.row_keys, row, strict=True)
    words = (label(v) if isinstance(v, str) and k == table.row_keys[0] else f"{k} = {label(v)}" for k, v in pairs)
    return _fitted(", ".join(words))


def _fitted(name: str) -> str:
    """In at most three lines; the table has the whole of it."""
    return textwrap.fill(name, 36, max_lines=3, placeholder=" …", break_long_words=False)


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


def _label_axes(axes: Axes, selection: Selection, table: Table, log: bool) -> None:
    axes.set_title(textwrap.fill(selection.title, 60), fontsize=11)
    axes.set_xlabel("labelled training images n" if selection.rows == "n" else selection.rows)
    axes.set_ylabel(_accuracy_label(selection))
    if log:
        axes.set_xscale("log")
        shown = _numbers(table)
        axes.xaxis.set_major_locator(FixedLocator(shown) if len(shown) <= 10 else LogLocator())
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))


def _accuracy_label(selection: Selection) -> str:
    images = "held-out" if set(selection.frame.get("eval", [])) == {"holdout"} else "test"
    return f"{images} accuracy (%), {RULES[selection.rule].short}"


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
