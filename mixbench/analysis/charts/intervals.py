"""Intervals in charts of accuracies: how far an axis follows them, and what is said of them. No torch."""

from collections.abc import Sequence

from mixbench.analysis.display import display_interval
from mixbench.analysis.select import Selection
from mixbench.analysis.table import Table
from mixbench.stats import Summary
from mixbench.training import rules

REACH = 0.5  # of the means' range that an interval may stick out of it; a longer one runs out of the picture


def limits(summaries: Sequence[Summary], published: Sequence[float]) -> tuple[float, float]:
    """The range of the means and published numbers, and of the intervals as far as they stay near it.

    Two runs can have an interval of a hundred points; next to it nothing else would be seen.
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


def interval_title(table: Table, beyond: bool) -> str | None:
    """What the bars are, for a legend; beyond: whether arrows stand where some run out of the picture."""
    if not table.over:
        return None
    over = {"subsets": "over subsets", "seeds": "over seeds, this subset only"}
    told = " or ".join(over[kind] for kind in sorted(table.over, reverse=True))
    return f"bars: 95 % interval {told}{arrow_note(beyond)}"


def arrow_note(beyond: bool) -> str:
    return "; arrow: it goes on" * beyond


def accuracy_label(selection: Selection) -> str:
    return f"{selection.on} accuracy (%), {rules.rule(selection.rule, selection.on).short}"
