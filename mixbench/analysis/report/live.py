"""The data of the page's interactive chart: accuracy against n by every rule. No torch.

The page's script (report.js) draws it in place of matplotlib's chart, with the same marks and colours.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.markers import MarkerStyle

from mixbench.analysis.charts.accuracy import Series, numbers, series_of
from mixbench.analysis.charts.intervals import interval_title
from mixbench.analysis.charts.style import LINES
from mixbench.analysis.display import display_interval
from mixbench.analysis.select import Selection
from mixbench.analysis.table import Table, build, pivoted
from mixbench.core.baseline import BASELINE
from mixbench.stats import Summary
from mixbench.training import rules

LOG_FROM = 8  # the axis of n is logarithmic if the largest n is at least this many times the smallest
MOST_AT_FIRST = 6  # series that are switched on when the page opens
DASHES: dict[str, str] = dict(zip(LINES, ("", "6 3", "7 3 1 3", "2 2"), strict=True))  # line styles in SVG
DIGITS = 3  # decimals of an accuracy in percent


def live_chart(selection: Selection, built: Table) -> dict[str, Any] | None:
    """Return the data of the chart, which JSON can hold; None if the runs differ in no number, such as n.

    selection: at least one run.
    built: the selection's table.
    """
    tables = {name: built if name == selection.rule else build(replace(selection, rule=name)) for name in rules.RULES}
    found = {name: _over_numbers(table) for name, table in tables.items()}
    table = found[selection.rule]
    with_runs = {row[0] for row, _ in table.cells}
    across = [number for number in numbers(table) if number in with_runs]
    if len(across) < 2:
        return None
    series = series_of(table, across)
    cells = {name: {(s.column, s.variant): s.cells for s in series_of(one, across)} for name, one in found.items()}
    chosen = _at_first(series, across)
    return {
        "x": across,
        "label": "labelled training images n" if table.row_keys[0] == "n" else table.row_keys[0],
        "log": across[0] > 0 and across[-1] >= LOG_FROM * across[0],
        "note": interval_title(table, False),
        "rule": selection.rule,
        "rules": {name: rules.rule(name, selection.on).short for name in rules.RULES},
        "on": selection.on,
        "series": [
            {
                "name": one.name,
                "colour": one.look["color"],
                "mark": _mark(one.look["marker"]),
                "dash": DASHES[one.style],
                "baseline": one.column == BASELINE,
                "shown": k in chosen,
                "values": {
                    name: [_value(of_rule.get((one.column, one.variant), {}).get(x)) for x in across]
                    for name, of_rule in cells.items()
                },
                "published": [one.published.get(x) for x in across] if one.published else None,
            }
            for k, one in enumerate(series)
        ],
    }


def _over_numbers(table: Table) -> Table:
    """Return a table whose rows are numbers, as those of the chart in the file, or else n."""
    if table.column_key != "n" and len(numbers(table)) > 1:
        return table
    keys = [table.column_key, *table.row_keys]
    if "n" not in keys:
        return table
    columns = [key for key in ("method", "variant", *keys) if key in keys and key != "n"]
    return pivoted(table, columns[0]) if columns else table


def _at_first(series: Sequence[Series], across: Sequence[float]) -> set[int]:
    """Return which series to show first: all, or of many the baselines and those that are best somewhere."""
    if len(series) <= MOST_AT_FIRST:
        return set(range(len(series)))
    ranked = [
        sorted((k for k, s in enumerate(series) if x in s.cells), key=lambda k: -series[k].cells[x].mean)
        for x in across
    ]
    chosen = dict.fromkeys(k for k, s in enumerate(series) if s.column == BASELINE)
    for place in range(len(series)):  # the best at each number, then the second best
        for order in ranked:
            if place < len(order) and len(chosen) < MOST_AT_FIRST:
                chosen[order[place]] = None
    return set(chosen)


def _value(summary: Summary | None) -> list[float | None] | None:
    """Return mean, low and high end of the interval in percent, and the number of runs; None without runs."""
    if summary is None:
        return None
    ends = display_interval(summary) or (None, None)
    return [round(summary.mean, DIGITS), *(None if end is None else round(end, DIGITS) for end in ends), summary.count]


def _mark(name: str) -> str:
    """Return the outline of a matplotlib marker as the path of an SVG, within -0.5 to 0.5 on both axes."""
    style = MarkerStyle(name)
    outline = style.get_path().transformed(style.get_transform()).to_polygons()[0]
    points = [f"{x:.2f} {-y:.2f}" for x, y in np.asarray(outline)]
    return f"M{'L'.join(points)}Z"
