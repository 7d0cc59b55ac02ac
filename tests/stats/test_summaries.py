"""Means of repeated runs and their intervals, against SciPy and a simulation with a fixed seed."""

import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from mixbench import stats

steady = settings(deadline=None, derandomize=True)

UNBALANCED = {(0, 0): 50.1, (0, 1): 52.3, (0, 2): 51.7, (1, 0): 55.0, (2, 0): 53.2, (2, 5): 54.4}
accuracies = st.floats(0, 100).map(lambda value: round(value, 2))
many_runs = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 3)), accuracies, min_size=1)


def unit_means(runs):
    """The mean of each subset."""
    return [statistics.mean(v for (s, _), v in runs.items() if s == subset) for subset in {s for s, _ in runs}]


def oracle(values):
    """SciPy's 95 % t interval of a mean."""
    return scipy_stats.t.interval(0.95, len(values) - 1, np.mean(values), scipy_stats.sem(values))


@pytest.mark.parametrize("runs", [UNBALANCED, {(s, 0): v for s, v in enumerate([61.0, 64.5])}])
def test_several_subsets_are_the_units_whatever_their_numbers_of_seeds(runs):
    summary = stats.summarise(runs)
    means = unit_means(runs)
    assert summary.mean == pytest.approx(np.mean(means))
    assert summary.interval == pytest.approx(oracle(means))
    assert (summary.units, summary.over) == (len(means), "subsets")
    assert summary.sd == pytest.approx(np.std(list(runs.values()), ddof=1))
    assert (summary.low, summary.high, summary.count) == (min(runs.values()), max(runs.values()), len(runs))


@pytest.mark.parametrize("subset", [None, 0, 7])
def test_seeds_are_the_units_where_there_is_one_subset(subset):
    values = [70.0, 71.5, 69.0, 72.2]
    summary = stats.summarise({(subset, seed): value for seed, value in enumerate(values)})
    assert summary.interval == pytest.approx(oracle(values))
    assert (summary.units, summary.over, summary.count) == (4, "seeds", 4)
    assert summary.mean == pytest.approx(np.mean(values))


def test_one_run_has_no_spread_and_no_interval():
    summary = stats.summarise({(0, 0): 80.0})
    assert (summary.mean, summary.sd, summary.interval, summary.count) == (80.0, None, None, 1)


def test_no_runs_have_no_mean():
    summary = stats.summarise({})
    assert math.isnan(summary.mean)
    assert (summary.sd, summary.interval, summary.count, summary.units) == (None, None, 0, 0)


@steady
@given(many_runs, st.randoms(use_true_random=False))
def test_the_order_of_runs_is_irrelevant(runs, shuffler):
    items = list(runs.items())
    shuffler.shuffle(items)
    first, second = stats.summarise(runs), stats.summarise(dict(items))
    assert second.mean == pytest.approx(first.mean)
    assert second.count == first.count
    assert second.interval == (pytest.approx(first.interval, abs=1e-9) if first.interval else None)


def test_intervals_cover_as_often_as_they_say():
    """Three subsets of three seeds, 2,000 times: seeds of a subset share its luck."""
    draw = random.Random(0)
    covered = naive = 0
    for i in range(2000):
        runs = {}
        for subset in range(3):
            luck = draw.gauss(0, 2)
            runs |= {(subset, seed): 60 + luck + draw.gauss(0, 0.5) for seed in range(3)}
        low, high = stats.summarise(runs).interval
        covered += low <= 60 <= high
        if i < 200:
            low, high = oracle(list(runs.values()))
            naive += low <= 60 <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.02)
    assert naive / 200 < 0.85  # runs taken for units, nine of them, would be far too sure


def test_level_and_alpha_are_exact():
    assert (stats.LEVEL, stats.ALPHA) == (0.95, 0.05)  # 1 - 0.95 is more than 0.05: p = 0.05 would count as smaller


def test_mean_of_the_values_there_are():
    assert stats.mean_of([1.0, None, math.nan, 3.0, math.inf]) == 2.0
    assert stats.mean_of([None]) is None
    assert stats.mean_of([]) is None
