"""Methods over several settings, against rliable, SciPy and counting."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mixbench.stats.across import average_ranks, performance_profile, probability_of_improvement

# Three settings in columns. rliable 1.2.0 gives 0.79166… for the first against the second.
FIRST = [[65.3, 61.2, 62.9], [66.7, 65.6, 57.1], [62.9, 59.5, 59.7], [61.2, 60.4, 64.4]]
SECOND = [
    [65.3, 58.4, 59.3],
    [59.0, 62.5, 57.4],
    [58.9, 55.4, 50.3],
    [60.0, 60.6, 55.8],
    [64.8, 53.6, 58.1],
]


def test_the_probability_of_improvement_is_that_of_rliable():
    first, second = np.transpose(FIRST).tolist(), np.transpose(SECOND).tolist()
    found = probability_of_improvement(first, second)
    assert found == pytest.approx(0.7916666666666666)
    assert found + probability_of_improvement(second, first) == pytest.approx(1)
    tests = [scipy_stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in zip(first, second, strict=True)]
    assert found == pytest.approx(np.mean(tests))


def test_the_performance_profile_is_that_of_rliable():
    """rliable's share of runs above 58, 60 and 63 is ours within 7, 5 and 2 points of a best method with 65."""
    found = performance_profile(np.transpose(FIRST).tolist(), [65.0] * 3, [6.999, 4.999, 1.999])
    assert found == pytest.approx([0.9166666666666666, 0.75, 0.3333333333333333])


def test_settings_count_alike_whatever_their_number_of_runs():
    assert performance_profile([[50.0] * 9, [60.0]], [60.0, 60.0], [1.0]) == [0.5]
    assert probability_of_improvement([[50.0] * 9, [60.0]], [[55.0], [55.0]]) == 0.5


def test_ranks_are_those_of_the_means_and_ties_share_them():
    settings = [
        {"none": [50.0, 52.0], "a": [60.0], "b": [51.0]},
        {"none": [70.0], "a": [65.0], "b": [60.0], "c": [99.0]},
    ]
    assert average_ranks(settings) == {"none": (2.5 + 1) / 2, "a": (1 + 2) / 2, "b": (2.5 + 3) / 2}
    assert average_ranks([{"none": [], "a": []}]) == {}
    for order in itertools.permutations(settings[0].items()):
        assert average_ranks([dict(order), settings[1]]) == average_ranks(settings)
