"""Methods over several settings: ranks, the probability of improvement, and performance profiles. No significance.

A setting here is a mapping from the name of each method to the accuracies of its runs, in percent.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

Accuracies = Mapping[str, Sequence[float]]


def average_ranks(settings: Sequence[Accuracies]) -> dict[str, float]:
    """Return each method's rank by mean accuracy, averaged over settings; the best method of a setting has rank 1.

    settings: at least one setting. Only methods count that have runs in all of them. Equal methods share their ranks.
    Source: Demšar 2006, Journal of Machine Learning Research 7, 1-30, section 3.2.2.
    """
    methods = [name for name in settings[0] if all(setting.get(name) for setting in settings)]
    means = np.array([[np.mean(setting[name]) for name in methods] for setting in settings])
    return dict(zip(methods, stats.rankdata(-means, axis=1).mean(axis=0).tolist(), strict=True)) if methods else {}


def probability_of_improvement(method: Sequence[Sequence[float]], baseline: Sequence[Sequence[float]]) -> float:
    """Return the probability that a method's run is more accurate than the baseline's, averaged over settings.

    method: for each setting the accuracies of the method's runs.
    baseline: the same of the baseline.
    Returns a number from 0 to 1. Equal runs count half.
    Source: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice, section 4.3.
    """
    of_settings = []
    for ours, theirs in zip(method, baseline, strict=True):
        differences = np.subtract.outer(np.asarray(ours, float), np.asarray(theirs, float))
        of_settings.append(((differences > 0) + (differences == 0) / 2).mean())
    return float(np.mean(of_settings))


def performance_profile(
    method: Sequence[Sequence[float]], best: Sequence[float], within: Sequence[float]
) -> list[float]:
    """Return the share of a method's runs that are close to the best method's mean accuracy.

    method: for each setting the accuracies of the method's runs.
    best: for each setting the mean accuracy of its best method.
    within: distances in percentage points.
    Returns the share for each distance, from 0 to 1; each setting counts alike.
    Source: performance profiles of run-score distributions, Agarwal et al. 2021, section 4.2.
    """
    behind = [top - np.asarray(runs, float) for runs, top in zip(method, best, strict=True)]
    return [float(np.mean([(of_setting <= distance).mean() for of_setting in behind])) for distance in within]
