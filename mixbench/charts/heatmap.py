"""A heat map over n and a number of the method, such as α: accuracies, shaded by gain over the baseline. No torch."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mixbench import evaluated
from mixbench.charts.style import fitted
from mixbench.comparison import Setting
from mixbench.selection import Selection
from mixbench.table import Table, label

COLOUR_MAP = "cividis"  # runs from dark to light evenly: it reads in grey, and without red and green
CELL = (0.85, 0.42)  # inches


def heatmap(selection: Selection, table: Table, settings: list[Setting]) -> Figure | None:
    """A panel for each column, n to the right, the row's number upwards; None where the table is not over these two.

    The shade is the gain over the baseline's mean at the same n, or where that has not been run the accuracy.
    """
    panels = _panels(table)
    if panels is None:
        return None
    baseline = {s.n: s.baseline.summary.mean for s in settings if s.baseline}
    if len(baseline) < len({s.n for s in settings}) or len(settings) > len(baseline):
        baseline = {}
    ns = sorted({n for cells in panels.values() for n, _ in cells})
    values = sorted({value for cells in panels.values() for _, value in cells})
    shades = {name: _shades(cells, ns, values, baseline) for name, cells in panels.items()}
    every = np.concatenate([shade.ravel() for shade in shades.values()])
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    across, down = max(1.9, CELL[0] * len(ns)), max(1.2, CELL[1] * len(values))
    figure = Figure(figsize=(1.6 + (across + 0.25) * len(panels), 1.2 + down), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (name, cells) in zip(grid, panels.items(), strict=True):
        image = axes.pcolormesh(shades[name], cmap=COLOUR_MAP, vmin=low, vmax=max(high, low + 1e-9), rasterized=False)
        _write_numbers(axes, cells, ns, values, shades[name], (low + high) / 2)
        axes.set_xticks(np.arange(len(ns)) + 0.5, [f"{n:,}" for n in ns])
        axes.set_yticks(np.arange(len(values)) + 0.5, [label(value) for value in values])
        axes.set_xlabel("n")
        axes.set_title(fitted(name), fontsize=10)
        axes.grid(visible=False)
    grid[0].set_ylabel(table.row_keys[0])
    rule = evaluated.rule(selection.rule, selection.on)
    shade = "gain over none (points)" if baseline else f"{selection.on} accuracy (%), {rule.short}"
    figure.colorbar(image, ax=list(grid), label=shade, pad=0.02)
    return figure


def _panels(table: Table) -> dict[str, dict[tuple[int, float], Any]] | None:
    """Panel -> (n, number) -> summary, where the table has n and one other number as its keys; else None."""
    if table.row_keys[1:] == ["n"] and table.column_key != "n":
        panels: dict[str, dict] = {table.heading(column): {} for column in table.columns}
        for (row, column), cell in table.cells.items():
            if row[0] is not None and cell.count:
                panels[table.heading(column)][row[1], row[0]] = cell
        panels = {name: cells for name, cells in panels.items() if cells}
    elif len(table.row_keys) == 1 and table.column_key == "n" and table.row_keys[0] != "n":
        cells = {(c, row[0]): cell for (row, c), cell in table.cells.items() if row[0] is not None and cell.count}
        panels = {"": cells}
    else:
        return None
    numbers = {value for cells in panels.values() for _, value in cells}
    number = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in numbers)
    return (
        panels if number and len(numbers) > 1 and len({n for cells in panels.values() for n, _ in cells}) > 1 else None
    )


def _number_key(table: Table) -> str:
    return table.row_keys[0]


def _shades(cells: dict, ns: list[int], values: list[float], baseline: dict[int, float]) -> np.ndarray:
    means = [[cells[n, v].mean - baseline.get(n, 0.0) if (n, v) in cells else math.nan for n in ns] for v in values]
    return np.array(means)


def _write_numbers(axes: Axes, cells: dict, ns: list[int], values: list[float], shades: np.ndarray, mid: float) -> None:
    for (n, value), cell in cells.items():
        row, column = values.index(value), ns.index(n)
        ink = "black" if shades[row, column] > mid else "white"
        axes.text(column + 0.5, row + 0.5, f"{cell.mean:.1f}", ha="center", va="center", color=ink, fontsize=9)
