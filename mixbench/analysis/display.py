"""Values as readers see them: names and their order, and intervals limited to possible values. No torch."""

from collections.abc import Sequence
from typing import Any

from mixbench.analysis.wording import p_text, signed
from mixbench.config.method_aliases import with_alias
from mixbench.core.baseline import BASELINE
from mixbench.stats import Gain, Summary

NAMES = ("method", "variant")  # keys whose value is enough to name a row


def display_interval(summary: Summary) -> tuple[float, float] | None:
    """Return the interval of an accuracy, limited to 0 to 100 %.

    A t interval of two or three runs can exceed these limits. accuracy.csv has the interval without limits.

    summary: accuracies in percent.
    Returns (low, high) in percent; None if there is no interval.
    """
    return summary.interval and (max(summary.interval[0], 0.0), min(summary.interval[1], 100.0))


def display_gain(gain: Gain) -> tuple[float, float] | None:
    """Return the interval of a difference of two accuracies, limited to -100 to 100 percentage points.

    gain: the difference to the baseline.
    Returns (low, high) in percentage points; None if there is no interval.
    """
    return gain.interval and (max(gain.interval[0], -100.0), min(gain.interval[1], 100.0))


def order(value: Any) -> tuple:
    """Return a sort key: numbers by size, then the baseline, then other names, then missing values.

    value: a value of a key; None if it is missing.
    """
    if value is None:
        return (2, 0, "")
    if isinstance(value, (int, float)):
        return (0, value, "")
    return (1, value != BASELINE, str(value))


def name_of(keys: Sequence[str], values: Sequence[Any], equals: str = "=") -> str:
    """Return the name of a row or of a series of a chart, such as `cutmix, alpha=0.2, n=100`.

    The method comes first. Keys without a value are left out. The value of a method, and a text as the first value,
    stand without their key.

    keys: keys of the row.
    values: their values, in the same order.
    equals: what stands between a key and its value.
    """
    pairs = [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]
    pairs.sort(key=lambda pair: pair[0] not in NAMES)
    parts = []
    for key, value in pairs:
        bare = isinstance(value, str) and key in (*NAMES, keys[0])
        shown = label(value, key) if bare or key == "n" else label(value)
        parts.append(shown if bare else f"{key.removeprefix('method.')}{equals}{shown}")
    return ", ".join(parts) or "–"


def shown_experiment(name: str) -> str:
    """Return the name of an experiment with both names of its method.

    name: the experiment's name, which begins with the method, such as `label-mix, alpha=0.2`.
    Returns such as `mixup (label-mix), alpha=0.2`.
    """
    method, comma, rest = name.partition(", ")
    return f"{with_alias(method)}{comma}{rest}"


def baseline_text(name: str) -> str:
    """Return the name of the baseline in a sentence: `no mixing` for the method none, otherwise its own name.

    name: name of the baseline's method.
    """
    return "no mixing" if name == BASELINE else name


def label(value: Any, key: str | None = None) -> str:
    """Return a value as readers see it: a method has both of its names, and n has separators, such as 1,000.

    value: the value; None gives a dash.
    key: the value's key, if the value can be a method or n.
    """
    if value is None:
        return "–"
    if key in NAMES:
        return with_alias(str(value))
    if key == "n" and isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def gain_texts(gain: Gain) -> list[str]:
    """Return a gain, its interval and p as the texts of a table.

    gain: the gain of a method.
    """
    ends = display_gain(gain)
    interval = " to ".join(map(signed, ends)) if ends else "–"
    return [f"{gain.mean:+.2f}", interval, "–" if gain.p is None else p_text(gain.p)]
