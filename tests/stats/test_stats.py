"""What repeated runs say, against SciPy, statsmodels and simulations with a fixed seed."""

import gc
import itertools
import math
import random
import statistics
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from mixbench import stats

steady = settings(deadline=None, derandomize=True)

UNBALANCED = {(0, 0): 50.1, (0, 1): 52.3, (0, 2): 51.7, (1, 0): 55.0, (2, 0): 53.2, (2, 5): 54.4}
accuracies = st.floats(0, 100).map(lambda value: round(value, 2))
many_runs = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 3)), accuracies, min_size=1)
p_values = st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.5, 1.0]) | st.floats(0, 1)


def unit_means(runs):
    """The mean of each subset."""
    return [statistics.mean(v for (s, _), v in runs.items() if s == subset) for subset in {s for s, _ in runs}]


def oracle(values):
    """SciPy's 95 % t interval of a mean."""
    return scipy_stats.t.interval(0.95, len(values) - 1, np.mean(values), scipy_stats.sem(values))


def difference(mean, sd, units=3):
    return stats.Difference(mean, sd, None, None, units, units, "subsets")


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


@steady
@given(many_runs, many_runs)
def test_a_difference_is_the_paired_t_test_over_common_units(runs, baseline):
    common = runs.keys() & baseline.keys()
    found = stats.paired_difference(runs, baseline)
    if not common:
        assert found is None
        return
    several = len({subset for subset, _ in common}) > 1
    ours, theirs = ({key: of[key] for key in sorted(common)} for of in (runs, baseline))
    ours, theirs = (unit_means(of) if several else list(of.values()) for of in (ours, theirs))
    differences = np.subtract(ours, theirs)
    assert found.mean == pytest.approx(differences.mean(), abs=1e-9)
    assert (found.pairs, found.units, found.over) == (len(common), len(ours), "subsets" if several else "seeds")
    if len(ours) < 2 or np.ptp(differences) < 1e-6:
        assert (found.p, found.interval) == (None, None)
        return
    test = scipy_stats.ttest_rel(ours, theirs)
    assert found.sd == pytest.approx(differences.std(ddof=1))
    assert found.p == pytest.approx(test.pvalue)
    assert found.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert (found.interval[0] <= 0 <= found.interval[1]) == (found.p >= 0.05) or found.p == pytest.approx(0.05)
    back = stats.paired_difference(baseline, runs)
    assert (back.mean, back.p) == (pytest.approx(-found.mean), pytest.approx(found.p))


def test_a_difference_uses_only_runs_with_a_partner():
    """The lone runs would turn the sign. Subset 2 has pairs at one seed alone, subset 0 at two."""
    baseline = UNBALANCED | {(3, 0): 99.0}
    runs = {(0, 0): 52.0, (0, 2): 53.0, (1, 0): 56.0, (2, 5): 57.0, (2, 1): 1.0, (4, 0): 1.0}
    means = [(52.0 - 50.1 + 53.0 - 51.7) / 2, 1.0, 57.0 - 54.4]
    found = stats.paired_difference(runs, baseline)
    test = scipy_stats.ttest_1samp(means, 0)
    assert (found.mean, found.p) == (pytest.approx(np.mean(means)), pytest.approx(test.pvalue))
    assert (found.pairs, found.units, found.over) == (4, 3, "subsets")
    assert stats.paired_difference(dict(reversed(runs.items())), baseline).p == pytest.approx(found.p)


def test_differences_of_one_subset_are_over_its_seeds_even_where_others_have_no_partner():
    runs = {(0, 0): 52.0, (0, 1): 53.0, (1, 0): 60.0}
    found = stats.paired_difference(runs, {(0, 0): 50.0, (0, 1): 52.0, (2, 0): 40.0})
    assert (found.units, found.over) == (2, "seeds")
    assert found.p == pytest.approx(scipy_stats.ttest_1samp([2.0, 1.0], 0).pvalue)


@pytest.mark.parametrize("step", [0.0, 0.1, 2.0])
def test_identical_differences_show_nothing(step):
    """Also where 50.3 + 0.1 - 50.3 is not the 0.1 of the others in binary."""
    baseline = {(subset, 0): value for subset, value in enumerate([50.3, 61.7, 33.1])}
    found = stats.paired_difference({key: value + step for key, value in baseline.items()}, baseline)
    assert found.mean == pytest.approx(step)
    assert (found.p, found.interval, found.units) == (None, None, 3)


def test_one_pair_gives_a_difference_without_spread():
    found = stats.paired_difference({(0, 0): 52.0, (1, 0): 50.0}, {(0, 0): 50.0})
    assert (found.mean, found.sd, found.p, found.interval, found.units) == (2.0, None, None, None, 1)


@pytest.mark.parametrize(
    ("runs", "baseline"),
    [({}, {}), ({(0, 0): 1.0}, {}), ({}, {(0, 0): 1.0}), ({(0, 0): 1.0}, {(0, 1): 1.0, (1, 0): 1})],
)
def test_without_pairs_there_is_no_difference(runs, baseline):
    assert stats.paired_difference(runs, baseline) is None


@pytest.fixture(scope="module")
def quick_collection():
    """statsmodels collects garbage in every call: let there be little to look through."""
    gc.freeze()
    yield
    gc.unfreeze()


@steady
@given(st.lists(p_values | st.none(), max_size=12))
def test_holm_is_statsmodels(quick_collection, values):
    there = [p for p in values if p is not None]
    corrected = stats.holm(values)
    assert [p is None for p in corrected] == [p is None for p in values]
    expected = multipletests(there, method="holm")[1] if there else []
    assert [p for p in corrected if p is not None] == pytest.approx(list(expected))


@steady
@given(st.lists(p_values, min_size=1, max_size=5), p_values)
def test_holm_rejects_what_the_closed_bonferroni_tests_reject(values, level):
    """Holm (1979): a hypothesis falls at a level if in every set with it the smallest p is <= level / its size."""
    for i, p in enumerate(stats.holm(values)):
        others = [j for j in range(len(values)) if j != i]
        sets = [[i, *more] for size in range(len(values)) for more in itertools.combinations(others, size)]
        closed = max(min(1.0, len(chosen) * min(values[j] for j in chosen)) for chosen in sets)
        assert p == pytest.approx(closed)
        if abs(closed - level) > 1e-12:
            assert (p <= level) == (closed <= level)


def test_holm_by_hand():
    assert stats.holm([0.01, None, 0.04, 0.03, 0.005]) == pytest.approx([0.03, None, 0.06, 0.06, 0.02])
    assert stats.holm([0.02, 0.02]) == pytest.approx([0.04, 0.04])
    assert stats.holm([]) == []
    assert stats.holm([None]) == [None]


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3, 0.05 / 13])
@pytest.mark.parametrize("effect", [0.01, -0.2, 0.5, 1, -2, 5, 10])
def test_power_is_statsmodels(effect, alpha):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = [(stats.power(effect, n, alpha), TTestPower().power(effect, n, alpha)) for n in (2, 3, 5, 20, 300)]
    known = [pair for pair in pairs if math.isfinite(pair[1])]  # statsmodels has no number where it is nearly 1
    assert len(known) >= 2
    assert [ours for ours, _ in known] == pytest.approx([theirs for _, theirs in known], abs=1e-9)


@steady
@given(st.floats(0.01, 10), st.floats(1, 10), st.integers(2, 900), st.integers(1, 100), st.integers(1, 20))
def test_power_grows_with_effect_and_units_and_falls_with_the_number_of_tests(effect, times, units, more, tests):
    base = stats.power(effect, units, 0.05 / tests)
    assert 0.05 / tests - 1e-9 <= base <= 1
    assert stats.power(effect * times, units, 0.05 / tests) >= base - 1e-9
    assert stats.power(effect, units + more, 0.05 / tests) >= base - 1e-9
    assert stats.power(effect, units, 0.05 / (tests + 1)) <= base + 1e-9


@pytest.mark.parametrize("tests", [1, 2, 13])
@pytest.mark.parametrize(("mean", "sd"), [(1.0, 0.8), (-1.0, 1.0), (2.0, 5.0), (0.5, 4.0)])
def test_units_needed_are_statsmodels_rounded_up(mean, sd, tests):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = TTestPower().solve_power(effect_size=abs(mean) / sd, alpha=0.05 / tests, power=0.8)
    assert stats.units_needed(difference(mean, sd), tests) == math.ceil(float(exact))


@steady
@given(st.floats(0.05, 100), st.integers(1, 20))
def test_units_needed_are_the_first_with_the_power(ratio, tests):
    count = stats.units_needed(difference(ratio, 1.0), tests)
    if count is None:
        assert stats.power(ratio, 1000, 0.05 / tests) < 0.8
    else:
        assert stats.power(ratio, count, 0.05 / tests) >= 0.8
        assert count == 2 or stats.power(ratio, count - 1, 0.05 / tests) < 0.8


def test_units_needed_where_nothing_can_be_said():
    assert stats.units_needed(difference(0.0, 1.0), 1) is None
    assert stats.units_needed(difference(1.0, None), 1) is None
    assert stats.units_needed(difference(1.0, 0.0), 1) is None
    assert stats.units_needed(difference(0.01, 5.0), 1) is None  # nearly two million
    assert stats.units_needed(difference(50.0, 1e-8), 1) == 2  # SciPy's tail has no numbers there


def test_at_the_units_needed_the_t_test_decides_four_times_in_five():
    count = stats.units_needed(difference(1.0, 1.5), 3)
    draws = np.random.Generator(np.random.PCG64(0)).normal(1.0, 1.5, (4000, count))
    shown = sum(
        stats.paired_difference({(s, 0): 50 + d for s, d in enumerate(row)}, {(s, 0): 50 for s in range(count)}).p
        < 0.05 / 3
        for row in draws.tolist()
    )
    assert shown / 4000 == pytest.approx(0.8, abs=0.03)


def test_mean_of_the_values_there_are():
    assert stats.mean_of([1.0, None, math.nan, 3.0, math.inf]) == 2.0
    assert stats.mean_of([None]) is None
    assert stats.mean_of([]) is None
