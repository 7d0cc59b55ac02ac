"""Repeated runs and their units: what counts as one independent observation.

Runs of one experiment are a mapping from (subset, seed) to an accuracy in percent, where `subset` says which images
were drawn (None where there is one choice alone). Subsets, where there are several, are the units: seeds of one subset
share its images and say nothing of others.
"""

import statistics
from collections.abc import Mapping
from typing import Any

Runs = Mapping[tuple[Any, int], float]

ALPHA = 0.05  # a difference with a smaller p, after Holm's correction, is significant
LEVEL = 1 - ALPHA  # of every interval
# Values that are all the same are a chance of the number of test images: their spread is not 0, it is not known.
SAME = 1e-9


def units_of(runs: Runs) -> tuple[list[float], str]:
    """The subsets' means where there are several subsets, else the runs; and what they are."""
    of_subset: dict[Any, list[float]] = {}
    for (subset, _), value in runs.items():
        of_subset.setdefault(subset, []).append(value)
    if len(of_subset) > 1:
        return [statistics.fmean(values) for values in of_subset.values()], "subsets"
    return list(runs.values()), "seeds"
