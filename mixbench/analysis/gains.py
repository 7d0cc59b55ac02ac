"""The gains of methods over a baseline, with what is known about single test images. No torch."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixbench.analysis.correct import Read, correct_by_unit
from mixbench.analysis.setting import Experiment
from mixbench.config.identity import own_evaluation_images
from mixbench.config.validate import SEEDS
from mixbench.stats import Comparison, PairedTable, compare, image_covariance, paired_table
from mixbench.stats.comparison import CHAINS


def compare_experiments(
    baseline: Experiment,
    methods: Sequence[Experiment],
    frame: pd.DataFrame,
    read: Read,
    chains: int = CHAINS,
    same_images: bool = False,
) -> Comparison:
    """Compare methods with a baseline.

    baseline: the baseline.
    methods: the methods; their setting may have another n than the baseline's.
    frame: the runs that the experiments' places refer to.
    read: reads which images a run classifies correctly.
    chains: number of Gibbs samplers; fewer are faster, and their intervals less precise.
    same_images: whether all runs are evaluated on the same images, whatever their settings say of evaluation images.
    Returns the comparison, in the order of the methods.
    """
    table = paired_table(baseline.runs, [method.runs for method in methods])
    correct = _correct(table, [baseline, *methods], frame, read, same_images)
    if correct is None:
        return compare(table, chains=chains)
    rounding = 100 / correct.shape[-1] / math.sqrt(6)  # of a difference of two accuracies
    return compare(table, image_covariance(correct), rounding, chains)


def _correct(
    table: PairedTable, experiments: Sequence[Experiment], frame: pd.DataFrame, read: Read, same_images: bool
) -> np.ndarray | None:
    """Return which test images the runs of a table classify correctly, float [units, methods, images].

    Returns None if it is not stored for every run, and if subsets have test images of their own: then the variance
    between subsets includes that of the images.
    """
    first = frame.iloc[experiments[0].places[0]]
    own_images = not same_images and own_evaluation_images(first.to_dict())
    if len(table.keys) < 2 or (own_images and table.over == "subsets"):
        return None
    folders = [{key: frame.at[place, "folder"] for key, place in _places(e, frame)} for e in experiments]
    return correct_by_unit(folders, table.keys, ~np.isnan(table.values), read)


def _places(experiment: Experiment, frame: pd.DataFrame) -> list[tuple[tuple[Any, int], int]]:
    keys = zip(*(frame[key].iloc[experiment.places] for key in SEEDS[::-1]), strict=True)
    return list(zip(keys, experiment.places, strict=True))
