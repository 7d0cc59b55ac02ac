"""A heat map of accuracies over n and an option of the method, such as α, coloured by the gain. No torch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mixbench.analysis.charts.intervals import accuracy_label
from mixbench.analysis.charts.layout import (
    SMALL,
    draw_title,
    heading,
    panels,
    text_height,
    text_width,
    title_of,
    wrapped,
)
from mixbench.analysis.display import label
from mixbench.analysis.select import Selection
from mixbench.analysis.setting import Setting
from mixbench.analysis.table import Table

COLOUR_MAP = "cividis"  # its lightness is monotone, so it works in grey and for colour-blind readers
CELL = (0.72, 0.36)  # width and height in inches
WIDEST = 9.0  # most width of one row of panels, in inches


def heatmap(selection: Selection, table: Table, settings: Sequence[Setting]) -> Figure | None:
    """Draw a panel for each column, with n on the horizontal and the rows' number on the vertical axis.

    The colour shows the gain over the mean of the baseline at the same n. If a baseline is missing, it shows accuracy.
    The best number of each n is bold.

    selection: at least one run.
    table: the selection's table.
    settings: the selection's settings, from analysis.compare.
    Returns the figure; None if the table is not over n and one other number.
    """
    found = _panels(table)
    if found is None:
        return None
    baseline = {s.n: s.baseline.summary.mean for s in settings if s.baseline}
    if len(baseline) < len({s.n for s in settings}) or len(settings) > len(baseline):
        baseline = {}
    ns = sorted({n for cells in found.values() for n, _ in cells})
    values = sorted({value for cells in found.values() for _, value in cells})
    best = {n: max(cell.mean for cells in found.values() for (m, _), cell in cells.items() if m == n) for n in ns}
    shades = {name: _shades(cells, ns, values, baseline) for name, cells in found.items()}
    every = np.concatenate([shade.ravel() for shade in shades.values()])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    width, height = max(1.9, CELL[0] * len(ns)), max(1.2, CELL[1] * len(values))
    across, right = 0.25, 1.3
    abreast = max(1, min(len(found), int(WIDEST / (width + across))))
    left = max(text_width(label(value), 10) for value in values) + 0.55
    wide = left + abreast * width + (abreast - 1) * across + right
    names = [wrapped(name, width, SMALL) if name else "" for name in found]
    lines = []
    for start in range(0, len(names), abreast):
        tallest = max(text_height(name, SMALL) if name else 0.0 for name in names[start : start + abreast])
        lines.append((tallest + (0.12 if start == 0 else 0.6), height))
    title, top = title_of(selection.title, wide)
    figure, grid = panels(
        lines, abreast, width, left=left, top=top, bottom=0.6, right=right, across=across, count=len(found)
    )
    flat = [axes for row in grid for axes in row]
    scale = Normalize(low, max(high, low + 1e-9))
    for axes, (name, cells), head in zip(flat, found.items(), names, strict=True):
        axes.pcolormesh(shades[name], cmap=COLOUR_MAP, norm=scale, rasterized=False)
        _write_numbers(axes, cells, ns, values, shades[name], (low + high) / 2, best)
        axes.set_xticks(np.arange(len(ns)) + 0.5, [f"{n:,}" for n in ns])
        axes.set_yticks(np.arange(len(values)) + 0.5, [label(value) for value in values])
        axes.set_xlabel("n")
        axes.grid(visible=False)
        if head:
            heading(axes, head, weight="normal")
    for row in grid:
        row[0].set_ylabel(table.row_keys[0])
    high_inches = figure.get_figheight()
    tall = high_inches - top - lines[0][0] - 0.6
    place = (1 - (right - 0.2) / wide, 0.6 / high_inches, 0.15 / wide, tall / high_inches)
    shade = "gain over no mixing (percentage points)" if baseline else accuracy_label(selection)
    bar = figure.colorbar(ScalarMappable(scale, COLOUR_MAP), cax=figure.add_axes(place))
    bar.set_label(wrapped(shade, tall, SMALL, lines=4), fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    draw_title(figure, title)
    return figure


def _panels(table: Table) -> dict[str, dict[tuple[int, float], Any]] | None:
    """Return panel -> (n, number) -> summary; None if the table is not over n and one other number."""
    keys, column_key = table.row_keys, table.column_key
    found: dict[str, dict] = {}
    for (row, column), cell in table.cells.items():
        if row[0] is None or not cell.count:
            continue
        if keys[1:] == ["n"] and column_key != "n":
            found.setdefault(table.heading(column), {})[row[1], row[0]] = cell
        elif column_key == "n" and keys[0] != "n" and keys[1:] in ([], ["method"]):
            found.setdefault(label(row[1], keys[1]) if keys[1:] else "", {})[column, row[0]] = cell
        else:
            return None
    numbers = {value for cells in found.values() for _, value in cells}
    ns = {n for cells in found.values() for n, _ in cells}
    number = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in numbers)
    return found if number and len(numbers) > 1 and len(ns) > 1 else None


def _shades(cells: dict, ns: list[int], values: list[float], baseline: dict[int, float]) -> np.ndarray:
    means = [[cells[n, v].mean - baseline.get(n, 0.0) if (n, v) in cells else math.nan for n in ns] for v in values]
    return np.array(means)


def _write_numbers(
    axes: Axes,
    cells: dict,
    ns: list[int],
    values: list[float],
    shades: np.ndarray,
    mid: float,
    best: dict[int, float],
) -> None:
    for (n, value), cell in cells.items():
        row, column = values.index(value), ns.index(n)
        ink = "black" if shades[row, column] > mid else "white"
        weight = "bold" if cell.mean == best[n] else "normal"
        text = axes.text(column + 0.5, row + 0.5, f"{cell.mean:.1f}", color=ink, fontsize=9, fontweight=weight)
        text.set(ha="center", va="center")
