"""The units of repeated runs: what counts as one independent observation.

Runs of one experiment are a mapping from (subset, seed) to an accuracy in percent. `subset` identifies the images that
were drawn; it is None if only one choice exists. If there are several subsets, they are the units, because seeds of one
subset share its images and tell nothing about other images.
"""

import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Runs = Mapping[tuple[Any, int], float]

ALPHA = 0.05  # a difference is statistically significant if its adjusted p is smaller
LEVEL = 1 - ALPHA  # confidence level of every interval
# Equal values are a coincidence that comes from the finite number of test images. Their spread is unknown, not 0.
SAME = 1e-6


@dataclass(frozen=True)
class PairedTable:
    """The runs of a baseline and of other methods as a table of units and methods.

    values: float [units, 1 + methods], accuracies in percent; the baseline is the first column. NaN where a method has
        no run that shares subset and seed with a run of the baseline.
    keys: for each unit the (subset, seed) of its runs.
    pairs: for each method the number of its runs that have a partner.
    over: what the units are, `subsets` or `seeds`.
    """

    values: np.ndarray
    keys: list[list[tuple[Any, int]]]
    pairs: list[int]
    over: str


def paired_table(baseline: Runs, methods: Sequence[Runs]) -> PairedTable:
    """Arrange runs so that each row holds what was trained on the same subset.

    If the methods have different seeds for a subset, a method's value is the baseline's mean plus the mean difference
    to the baseline over the seeds that both have.

    baseline: runs of the baseline.
    methods: runs of each other method.
    Returns the table. Without any pair of runs it has no rows.
    """
    common = [[key for key in runs if key in baseline] for runs in methods]
    shared = sorted({key for keys in common for key in keys}, key=str)
    units, over = _units(shared)
    values = np.full((len(units), 1 + len(methods)), np.nan)
    for row, keys in enumerate(units):
        values[row, 0] = of_baseline = statistics.fmean(baseline[key] for key in keys)
        for column, runs in enumerate(methods, 1):
            differences = [runs[key] - baseline[key] for key in keys if key in runs]
            if differences:
                values[row, column] = of_baseline + statistics.fmean(differences)
    return PairedTable(values, units, [len(keys) for keys in common], over)


def _units(keys: Sequence[tuple[Any, int]]) -> tuple[list[list[tuple[Any, int]]], str]:
    """Return the keys of each unit, by subset if there are several, else each key by itself; and what the units are."""
    several = len({subset for subset, _ in keys}) > 1
    units: dict[Hashable, list[tuple[Any, int]]] = {}
    for subset, seed in keys:
        units.setdefault(subset if several else (subset, seed), []).append((subset, seed))
    return list(units.values()), "subsets" if several else "seeds"


def units_of(runs: Runs) -> tuple[list[float], str]:
    """Return the units and what they are: the means of the subsets if there are several, else the runs (`seeds`).

    runs: (subset, seed) -> value of a run.
    Returns one value for each unit, and `subsets` or `seeds`.
    """
    units, over = _units(list(runs))
    return [statistics.fmean(runs[key] for key in keys) for keys in units], over
