"""How many images the accuracies of stored runs are measured on. No torch."""

import math

import pandas as pd

from mixbench.analysis.correct import read_or_none
from mixbench.runs.store.reading import Place
from mixbench.training.rules import VALIDATION

ENOUGH = 200  # evaluation images; with fewer, chance moves an accuracy of 80 % by more than 2.8 percentage points
DECIDING = ("dataset", "eval", "dataset.holdout", "validated n")  # what decides how many images evaluate


def image_counts(frame: pd.DataFrame) -> pd.Series:
    """Return the number of evaluation images of each run; None where no run with the same images stores it.

    frame: stored runs, one row each.
    """
    validated = [n if kind == VALIDATION else None for n, kind in zip(frame["n"], frame["eval"], strict=True)]
    frame = frame.assign(**{"validated n": validated})  # with eval=validation the images are a part of the n images
    keys = [key for key in DECIDING if key in frame]
    found: dict[tuple, int | None] = {}
    groups = list(frame[keys].astype(str).itertuples(index=False, name=None))
    for group, place in zip(groups, frame["folder"], strict=True):
        if found.get(group) is None:
            found[group] = _count(place)
    return pd.Series([found[group] for group in groups], index=frame.index, dtype=object)


def _count(place: Place) -> int | None:
    correct = read_or_none(place)
    return None if correct is None else len(correct)


def evaluation_images(frame: pd.DataFrame, on: str) -> list[str]:
    """Return a sentence on the number of evaluation images, and one if they are too few; none if it is not known.

    frame: stored runs, one row each.
    on: name of the images: test, held-out, validation or evaluation.
    """
    counts = image_counts(frame) if len(frame) else pd.Series(dtype=object)
    if not len(counts) or counts.isna().any():
        return []
    low, high = int(counts.min()), int(counts.max())
    number = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    lines = [f"Each run is evaluated on {number} {on} images."]
    if low < ENOUGH:
        lines.append(
            "Differences of a few percentage points cannot be seen with so few images: chance alone moves an accuracy "
            f"of 80 % by {100 * math.sqrt(0.8 * 0.2 / low):.1f} percentage points (one standard deviation)."
        )
    return [" ".join(lines)]
