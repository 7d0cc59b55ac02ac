"""Intervals in charts of accuracies: the limits of the axis, and notes for the legend. No torch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import AutoLocator

from mixbench.analysis.display import display_interval
from mixbench.analysis.select import Selection
from mixbench.analysis.table import Table
from mixbench.stats import Summary
from mixbench.training import rules

REACH = 0.5  # how far an interval may exceed the range of the means, as a share of it; longer ones are cut off


def limits(summaries: Sequence[Summary], published: Sequence[float]) -> tuple[float, float]:
    """Return the limits of the axis: they include all means and published numbers, and intervals near them.

    Two runs can have an interval of 100 percentage points. An axis that shows all of it would hide everything else.

    summaries: summaries of accuracies in percent.
    published: published accuracies in percent.
    """
    points = [summary.mean for summary in summaries] + list(published)
    if not points:
        return 0, 100
    low, high = min(points), max(points)
    reach = max(REACH * (high - low), 1.0)
    ends = [end for summary in summaries if (interval := display_interval(summary)) for end in interval]
    low, high = max(low - reach, min([low, *ends])), min(high + reach, max([high, *ends]))
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


class PercentLocator(AutoLocator):
    """Places ticks as matplotlib does, but only from 0 to 100: a margin of the axis can reach beyond."""

    def tick_values(self, vmin: float, vmax: float) -> np.ndarray:
        """Return the places of the ticks.

        vmin, vmax: limits of the axis in percent.
        """
        ticks = np.asarray(super().tick_values(max(vmin, 0.0), min(vmax, 100.0)))
        return ticks[(ticks >= 0) & (ticks <= 100)]


def interval_title(table: Table, beyond: bool) -> str | None:
    """Return the note on the bars for the legend; None if there are no intervals.

    table: the table of the chart.
    beyond: whether some intervals are cut off and end in an arrow.
    """
    if not table.over:
        return None
    over = {"subsets": "over subsets", "seeds": "over the seeds of one subset"}
    units = " or ".join(over[kind] for kind in sorted(table.over, reverse=True))
    return f"bars: 95 % interval {units}{arrow_note(beyond)}"


def arrow_note(beyond: bool) -> str:
    """Return the note on arrows, to be added to another note.

    beyond: whether any interval continues beyond the axis.
    Returns an empty text if there are no arrows.
    """
    return "; arrow: interval continues" if beyond else ""


def accuracy_label(selection: Selection) -> str:
    """Return the label of an axis of accuracies.

    selection: the runs that the chart shows; its rule and evaluation images are named.
    """
    return f"{selection.on} accuracy (%), {rules.rule(selection.rule, selection.on).short}"
