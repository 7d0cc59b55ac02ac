"""The units of repeated runs: what counts as one independent observation.

Runs of one experiment are a mapping from (subset, seed) to an accuracy in percent. `subset` identifies the images that
were drawn; it is None if only one choice exists. If there are several subsets, they are the units, because seeds of one
subset share its images and tell nothing about other images.
"""

import statistics
from collections.abc import Mapping
from typing import Any

Runs = Mapping[tuple[Any, int], float]

ALPHA = 0.05  # a difference is statistically significant if its p, after Holm's correction, is smaller
LEVEL = 1 - ALPHA  # confidence level of every interval
# Equal values are a coincidence that comes from the finite number of test images. Their spread is unknown, not 0.
SAME = 1e-9


def units_of(runs: Runs) -> tuple[list[float], str]:
    """Return the units and what they are: the means of the subsets if there are several, else the runs (`seeds`).

    runs: (subset, seed) -> value of a run.
    Returns one value for each unit, and `subsets` or `seeds`.
    """
    of_subset: dict[Any, list[float]] = {}
    for (subset, _), value in runs.items():
        of_subset.setdefault(subset, []).append(value)
    if len(of_subset) > 1:
        return [statistics.fmean(values) for values in of_subset.values()], "subsets"
    return list(runs.values()), "seeds"
