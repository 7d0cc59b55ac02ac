"""Values as readers see them: names and their order, and intervals cut to what is possible. No torch."""

from collections.abc import Sequence
from typing import Any

from mixbench.config.method_aliases import with_alias
from mixbench.core.baseline import BASELINE
from mixbench.stats import Difference, Summary

NAMES = ("method", "variant")  # keys whose value alone says what a row is


def display_interval(summary: Summary) -> tuple[float, float] | None:
    """The interval of an accuracy as readers see it: a t interval of two or three runs may go beyond 0 and 100 %.

    What is left, such as 0 to 100, says that nothing is known, which is true. accuracy.csv has the interval itself.
    """
    return summary.interval and (max(summary.interval[0], 0.0), min(summary.interval[1], 100.0))


def display_gain(gain: Difference) -> tuple[float, float] | None:
    """The same for the difference of two accuracies, which is from -100 to 100 points."""
    return gain.interval and (max(gain.interval[0], -100.0), min(gain.interval[1], 100.0))


def order(value: Any) -> tuple:
    """Numbers by size, then the baseline, then names."""
    if value is None:
        return (2, 0, "")
    if isinstance(value, (int, float)):
        return (0, value, "")
    return (1, value != BASELINE, str(value))


def name_of(keys: Sequence[str], values: Sequence[Any], equals: str = "=") -> str:
    """What a row, or a series of a chart, is called, such as `cutmix, alpha=0.2, n=100`: its method first.

    A key that it does not have is not spoken of. A name in the first key's place stands for itself.
    """
    pairs = [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]
    pairs.sort(key=lambda pair: pair[0] not in NAMES)
    told = []
    for key, value in pairs:
        bare = isinstance(value, str) and key in (*NAMES, keys[0])
        told.append(label(value, key) if bare else f"{key.removeprefix('method.')}{equals}{label(value)}")
    return ", ".join(told) or "–"


def shown_experiment(name: str) -> str:
    """The name of an experiment, such as `label-mix, alpha=0.2`, with the method's other name: a method comes first."""
    method, comma, rest = name.partition(", ")
    return f"{with_alias(method)}{comma}{rest}"


def label(value: Any, key: str | None = None) -> str:
    """A key's value as readers see it; where the key names a method, with the method's other name."""
    if value is None:
        return "–"
    if key in NAMES:
        return with_alias(str(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
