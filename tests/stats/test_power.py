"""The number of runs that would show a gain, against statsmodels and the rule itself."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower

from mixbench import stats

steady = settings(deadline=None, derandomize=True)


def gain_of(mean, sd, image_sd=None, units=3):
    return stats.Gain(mean, None, None, mean, sd, image_sd, units, units, "subsets", None)


@pytest.mark.parametrize("effect", [0.01, -0.2, 0.5, 1, -2, 5, 10])
def test_for_one_method_it_is_the_power_of_the_t_test(effect):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        units = (2, 3, 5, 20, 300)
        pairs = [(stats.power(effect, 1.0, n, 1), TTestPower().power(effect, n, 0.05)) for n in units]
    known = [pair for pair in pairs if math.isfinite(pair[1])]  # statsmodels has no number where it is nearly 1
    assert len(known) >= 2
    assert [ours for ours, _ in known] == pytest.approx([theirs for _, theirs in known], abs=1e-9)


@steady
@given(st.floats(0.01, 10), st.floats(1, 10), st.integers(2, 300), st.integers(1, 100), st.integers(1, 20))
def test_it_grows_with_gain_and_units_and_falls_with_the_spread(gain, times, units, more, methods):
    base = stats.power(gain, 1.0, units, methods)
    assert 0.05 / methods - 1e-9 <= base <= 1
    assert stats.power(gain * times, 1.0, units, methods) >= base - 1e-9
    assert stats.power(gain, 1.0, units + more, methods) >= base - 1e-9
    assert stats.power(gain, times, units, methods) <= base + 1e-9
    assert stats.power(gain, 1.0, units, methods, image_sd=1.0) <= base + 1e-9


@steady
@given(st.floats(0.05, 100), st.integers(1, 20))
def test_units_needed_are_the_first_with_the_power(ratio, methods):
    count = stats.units_needed(gain_of(ratio, 1.0), methods)
    if count is None:
        assert stats.power(ratio, 1.0, 1000, methods) < 0.8
    else:
        assert stats.power(ratio, 1.0, count, methods) >= 0.8
        assert count == 2 or stats.power(ratio, 1.0, count - 1, methods) < 0.8


def test_units_needed_where_nothing_can_be_said():
    assert stats.units_needed(gain_of(0.0, 1.0), 1) is None
    assert stats.units_needed(gain_of(1.0, None), 1) is None
    assert stats.units_needed(gain_of(0.01, 5.0), 1) is None  # nearly two million
    assert stats.units_needed(gain_of(1.0, 1.0, image_sd=1.0), 1) is None  # no number of subsets helps
    assert stats.units_needed(gain_of(50.0, 1e-8), 1) == 2  # SciPy's tail has no numbers there


@pytest.mark.parametrize(("gain", "methods", "subsets"), [(4.0, 4, 3), (3.0, 4, 5)])
def test_it_is_roughly_how_often_the_rule_finds_the_gain(gain, methods, subsets):
    draw = np.random.Generator(np.random.PCG64(6))
    studies, found = 60, 0
    for _ in range(studies):
        values = 50 + draw.standard_normal((subsets, 1)) + 1.2 * draw.standard_normal((subsets, methods + 1))
        values[:, 1] += gain
        table = stats.PairedTable(values, [[(s, 0)] for s in range(subsets)], [subsets] * methods, "subsets")
        found += stats.compare(table, chains=8).gains[0].p < 0.05
    expected = stats.power(gain, 1.2 * math.sqrt(2), subsets, methods)
    assert found / studies == pytest.approx(expected, abs=0.22)  # an approximation, and 60 studies
