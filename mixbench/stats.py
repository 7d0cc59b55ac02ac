"""Accuracy rules and the summary of repeated runs. No torch."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """Which accuracy of a run is meant: its key in metrics.json, and what to tell a reader, in a word and in full."""

    key: str
    short: str
    meaning: str


RULES = {
    "final": Rule("final_accuracy", "final", "final accuracy: after the last step"),
    "median10": Rule("median10_accuracy", "median of last 10", "median of the last 10 evaluations (Zhang et al. 2018)"),
    "best": Rule(
        "best_accuracy",
        "best on test",
        "best test accuracy over the run: optimistic, since the test images choose the step",
    ),
}


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation, lowest and highest of `count` values; sd is None for fewer than two values."""

    mean: float
    sd: float | None
    low: float
    high: float
    count: int


def summarise(values: Sequence[float]) -> Summary:
    """The summary of repeated runs of one experiment. An empty sequence has mean NaN."""
    if not values:
        return Summary(math.nan, None, math.nan, math.nan, 0)
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Summary(statistics.fmean(values), sd, min(values), max(values), len(values))
