"""The schema of a stored run's metrics, which all readers rely on. No torch."""

from functools import lru_cache
from typing import Any

from mixbench.core import numerics
from mixbench.training.measured import MEASURES, Measure

# code_sha256: older records have it instead of numerics.
TEXTS = ("id", "called", "mixbench", "code_sha256", "device", "precision", "data_sha256", "train_sha256")
LARGEST = 1e100  # largest number; with larger ones, axes and standard deviations overflow
WIDEST = 2**64  # limit of whole numbers, such as seeds; NumPy has no type for larger ones
DEEPEST = 4  # most levels of nested lists in a setting
NOT_A_KEY = "id"  # a column of the frame that must not be a key of an identity


def check(metrics: dict[str, Any]) -> None:
    """Check the entries of metrics.json that readers use. Unknown entries are ignored.

    Values of the identity must be scalars or nested lists of scalars. Metrics must be numbers, or null if unknown.

    metrics: content of the file.
    Raises ValueError for the first entry that readers cannot use.
    """
    check_identity(metrics.get("identity"))
    measured = {name: _measure(measure, metrics.get(name)) for name, measure in MEASURES.items()}
    measured |= {key: metrics.get(key) is None or _text(metrics[key]) for key in TEXTS}
    measured["test_sets"] = metrics.get("test_sets") is None or _test_sets(metrics["test_sets"])
    measured["numerics"] = metrics.get("numerics") is None or _versions(metrics["numerics"])
    for key, good in measured.items():
        if not good:
            raise ValueError(f"metrics.json has no usable {key}")


def check_identity(identity: Any) -> None:
    """Check the keys of an identity.

    identity: any value that was read from a file.
    Raises ValueError for the first key that readers cannot use.
    """
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


def _test_sets(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _text(name)
        and isinstance(found, dict)
        and _number(found.get("accuracy"), 0, 100)
        and _number(found.get("nll"))
        and _text(found.get("sha256"))
        for name, found in value.items()
    )


def _versions(value: Any) -> bool:
    return numerics.is_usable(value) and all(map(_text, value)) and all(map(_number, value.values()))


def _number(value: Any, low: float = -LARGEST, high: float = LARGEST) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return low <= value <= high and (isinstance(value, float) or abs(value) < WIDEST)  # false for NaN


def _text(value: Any) -> bool:
    """Whether a value is a text that tables and plots can show; in a plot, $ would begin a formula."""
    return isinstance(value, str) and _plain(value)


@lru_cache(maxsize=10_000)  # thousands of runs have the same few texts
def _plain(text: str) -> bool:
    return text.isprintable() and "$" not in text


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool) or _number(value) or _text(value)


def _setting(value: Any, depth: int = DEEPEST) -> bool:
    if isinstance(value, list):
        return depth > 0 and all(_setting(inner, depth - 1) for inner in value)
    return _scalar(value)
