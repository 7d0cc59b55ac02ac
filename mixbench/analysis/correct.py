"""Which evaluation images the runs of a comparison classify correctly, as one array. No torch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mixbench.runs.store.predictions import read_correct
from mixbench.runs.store.reading import Place

Read = Callable[[Place | None], np.ndarray | None]  # read_or_none, or a function that remembers what it read

LARGEST = 2**28  # most values of an array, 2 GiB; for larger ones the test images count as given


def correct_by_unit(
    folders: Sequence[Mapping[tuple[Any, int], Place | None]],
    units: Sequence[Sequence[tuple[Any, int]]],
    used: np.ndarray,
    read: Read,
) -> np.ndarray | None:
    """Return for each image how often the runs of a unit classify it correctly.

    folders: for each method, (subset, seed) -> folder of the run; None if it is not known.
    units: for each unit the (subset, seed) of its runs.
    used: bool [units, methods], which of them are compared.
    read: reads a run.
    Returns float [units, methods, images] from 0 to 1, NaN where nothing is compared; None if a run does not have it
        stored, or if runs have different numbers of images.
    """
    found: np.ndarray | None = None
    for unit, method in zip(*np.nonzero(used), strict=True):
        there = [folders[method][key] for key in units[unit] if key in folders[method]]
        arrays = [correct for place in there if (correct := read(place)) is not None]
        if not arrays or len(arrays) < len(there):
            return None
        if found is None:
            shape = (len(units), len(folders), len(arrays[0]))
            if len(arrays[0]) < 2 or np.prod(shape) > LARGEST:
                return None
            found = np.full(shape, np.nan)
        if any(len(correct) != found.shape[-1] for correct in arrays):
            return None
        found[unit, method] = np.mean(arrays, axis=0)
    return found


def read_or_none(place: Place | None) -> np.ndarray | None:
    """Return which evaluation images a run classifies correctly; None if that is not known or cannot be read.

    place: the run; None if a table of runs lacks its folder.
    """
    try:
        return None if place is None else read_correct(place)
    except (OSError, ValueError):
        return None
