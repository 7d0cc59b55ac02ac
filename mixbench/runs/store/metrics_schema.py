"""What the metrics of a stored run must be so that every reader can rely on them. No torch."""

from functools import lru_cache
from typing import Any

from mixbench.core import numerics
from mixbench.training.measured import MEASURES, Measure

# code_sha256: of records that were made before there were numerics.
TEXTS = ("id", "called", "mixbench", "code_sha256", "device", "precision", "data_sha256", "train_sha256")
LARGEST = 1e100  # beyond, axes and standard deviations overflow
WIDEST = 2**64  # of whole numbers, as of seeds: beyond, NumPy has no type for them
DEEPEST = 4  # lists in lists of a setting
NOT_A_KEY = "id"  # a column of a table's rows that is none of the identity's


def check(metrics: dict[str, Any]) -> None:
    """Raises ValueError for the first entry of metrics.json that a reader could stumble over; unknown ones may be any.

    The identity's values are scalars, or lists of such, also nested; metrics are numbers, or null where a run has none.
    """
    check_identity(metrics.get("identity"))
    measured = {name: _measure(measure, metrics.get(name)) for name, measure in MEASURES.items()}
    measured |= {key: metrics.get(key) is None or _text(metrics[key]) for key in TEXTS}
    measured["numerics"] = metrics.get("numerics") is None or _versions(metrics["numerics"])
    for key, good in measured.items():
        if not good:
            raise ValueError(f"metrics.json has no usable {key}")


def check_identity(identity: Any) -> None:
    """Raises ValueError for the first of its keys that a reader could stumble over."""
    identity = identity if isinstance(identity, dict) else {}
    usable = {
        "dataset": _text(identity.get("dataset")),
        "n": _number(identity.get("n"), 1) and isinstance(identity["n"], int),
        "method": _text(identity.get("method")),
        "seed": _number(identity.get("seed"), 0) and isinstance(identity["seed"], int),
    }
    usable |= {key: _text(key) and key != NOT_A_KEY and _setting(identity[key]) for key in identity.keys() - usable}
    for key, good in usable.items():
        if not good:
            raise ValueError(f"the identity in metrics.json has no usable {key}")


def _measure(measure: Measure, value: Any) -> bool:
    if value is None:
        return not measure.in_every_run
    bounds = measure.bounds or (-LARGEST, LARGEST)
    if measure.of_each_class:
        return isinstance(value, list) and all(one is None or _number(one, *bounds) for one in value)
    return _number(value, *bounds)


def _versions(value: Any) -> bool:
    return numerics.is_usable(value) and all(map(_text, value)) and all(map(_number, value.values()))


def _number(value: Any, low: float = -LARGEST, high: float = LARGEST) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return low <= value <= high and (isinstance(value, float) or abs(value) < WIDEST)  # no NaN either


def _text(value: Any) -> bool:
    """Fit for a line of a table, and for a plot, where $ would begin a formula."""
    return isinstance(value, str) and _plain(value)


@lru_cache(maxsize=10_000)  # thousands of runs say the same few words
def _plain(text: str) -> bool:
    return text.isprintable() and "$" not in text


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool) or _number(value) or _text(value)


def _setting(value: Any, depth: int = DEEPEST) -> bool:
    if isinstance(value, list):
        return depth > 0 and all(_setting(inner, depth - 1) for inner in value)
    return _scalar(value)
