"""Equivalent data, against the published table, by hand, and against a grid."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from mixbench.stats.equivalents import BELOW, BEYOND, Equivalent, equivalent_data, equivalent_images

steady = settings(deadline=None, derandomize=True)

# The small-data mixup report (2018), CIFAR-10: n -> none, data-mix, label-mix.
PUBLISHED = {
    50_000: (95.00, 95.71, 96.00),
    20_000: (90.81, 92.26, 93.09),
    10_000: (85.47, 88.26, 88.80),
    5_000: (79.52, 83.16, 82.86),
    1_000: (47.83, 57.43, 53.25),
    500: (44.60, 58.59, 57.84),
    250: (36.34, 50.29, 50.08),
    100: (26.79, 31.72, 33.84),
}
NONE = {n: row[0] for n, row in PUBLISHED.items()}

sizes = st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True)
heights = st.floats(0, 100).map(lambda value: round(value, 2))
curves = sizes.flatmap(lambda ns: st.fixed_dictionaries(dict.fromkeys(ns, heights)))


def published(n, column):
    """What the report's method is worth at n: its one run against the baseline's one run at each n."""
    return equivalent_data(PUBLISHED[n][column], NONE, {})


def test_data_mix_with_500_published_images_is_worth_1884():
    worth = published(500, 1)
    assert worth.text(worth.images) == "1,884"
    assert worth.images == pytest.approx(1884, abs=0.5)
    assert worth.interval is None
    assert (worth.smallest, worth.largest) == (100, 50_000)


@pytest.mark.parametrize("n", NONE)
def test_the_baseline_is_worth_its_own_images(n):
    assert published(n, 0).images == n


def test_outside_the_measured_range_nothing_is_extrapolated():
    worth = published(50_000, 2)
    assert worth.images == BEYOND
    assert worth.text(worth.images) == ">50,000"
    baseline = {n: NONE[n] for n in (100, 1000, 20_000)}
    assert (best := equivalent_data(90.82, baseline, {})).text(best.images) == ">20,000"
    assert (worst := equivalent_data(26.78, baseline, {})).text(worst.images) == "<100"
    assert worst.images == BELOW


def test_text():
    worth = Equivalent(1884.4, (BELOW, BEYOND), 100, 20_000)
    assert [worth.text(x) for x in (worth.images, *worth.interval)] == ["1,884", "<100", ">20,000"]
    assert worth.text(20_000.0) == "20,000"


def test_two_points_are_a_straight_line_in_log_n():
    """(60 - 40) / (80 - 40) of the way from log 100 to log 10,000 is log 1,000; in n it would be 5,050."""
    assert equivalent_images({100: 40.0, 10_000: 80.0}, 60.0) == pytest.approx(1000)
    assert equivalent_images({10_000: 80.0, 100: 40.0}, 50.0) == pytest.approx(100**1.25)


def test_equal_steps_are_a_straight_line_too():
    """PCHIP through points on a line is the line."""
    curve = {100: 30.0, 1000: 50.0, 10_000: 70.0}
    for accuracy in (31.0, 44.4, 50.1, 69.9):
        assert equivalent_images(curve, accuracy) == pytest.approx(10 ** (2 + (accuracy - 30) / 20))


@steady
@given(curves, st.lists(heights, min_size=2, max_size=6))
def test_a_higher_accuracy_is_never_worth_fewer_images(curve, accuracies):
    images = [equivalent_images(curve, accuracy) for accuracy in sorted(accuracies)]
    assert all(b >= a * (1 - 1e-9) for a, b in itertools.pairwise(images) if math.isfinite(b))
    assert images == sorted(images) or all(math.isfinite(i) for i in images)
    assert all(i in (BELOW, BEYOND) or min(curve) * (1 - 1e-9) <= i <= max(curve) * (1 + 1e-9) for i in images)


@steady
@given(sizes, st.data())
def test_the_equivalent_lies_between_the_measured_n_that_enclose_the_accuracy(ns, data):
    ns = sorted(ns)
    steps = data.draw(st.lists(st.floats(0.01, 10), min_size=len(ns), max_size=len(ns)))
    curve = dict(zip(ns, np.cumsum(steps).tolist(), strict=True))
    i = data.draw(st.integers(0, len(ns) - 2))
    accuracy = curve[ns[i]] + data.draw(st.floats(0.05, 0.95)) * (curve[ns[i + 1]] - curve[ns[i]])
    assert ns[i] < equivalent_images(curve, accuracy) < ns[i + 1]
    assert [equivalent_images(curve, curve[n]) for n in ns] == ns


def test_a_baseline_that_falls_is_pooled():
    """50 and 46 make 48 at both n, so that 48 is reached at 250 and 52 between 500 and 1,000."""
    curve, pooled = ({100: 40.0, 250: a, 500: b, 1000: 60.0} for a, b in ((50.0, 46.0), (48.0, 48.0)))
    for accuracy in (40, 41, 47.9, 48, 48.1, 52, 60):
        assert equivalent_images(curve, accuracy) == pytest.approx(equivalent_images(pooled, accuracy))
    assert equivalent_images(curve, 48.0) == 250
    assert 500 < equivalent_images(curve, 52.0) < 1000
    assert equivalent_images({100: 60.0, 1000: 50.0}, 55.0) == 100
    assert equivalent_images({100: 60.0, 1000: 50.0}, 55.1) == BEYOND
    assert equivalent_images({100: 60.0, 1000: 50.0}, 54.9) == BELOW


@pytest.mark.parametrize("noise", [0, 1e-14, -1e-14])
def test_rounding_does_not_move_an_accuracy_past_a_flat_piece_or_out_of_the_range(noise):
    flat = {100: 40.0, 250: 48.0, 500: 48.0, 1000: 60.0, 2000: 60.0}
    assert equivalent_images(flat, 48.0 * (1 + noise)) == 250
    assert equivalent_images(flat, 40.0 * (1 + noise)) == 100
    assert equivalent_images(flat, 60.0 * (1 + noise)) == 1000
    assert equivalent_images({100: 0.1 + 0.2, 200: 0.3}, 0.3) == 100


def test_a_curve_that_is_flat_all_over():
    flat = {100: 48.0, 500: 48.0}
    assert [equivalent_images(flat, accuracy) for accuracy in (47.0, 48.0, 49.0)] == [BELOW, 100, BEYOND]


def test_without_two_n_there_is_none():
    assert equivalent_data(50.0, {100: 40.0}, {100: 1.0}) is None
    assert equivalent_data(50.0, {}, {}) is None


def test_without_all_errors_there_is_no_interval():
    worth = equivalent_data(50.0, {100: 40.0, 1000: 60.0}, {100: 1.0, 1000: None})
    assert worth.images == pytest.approx(math.sqrt(100 * 1000))
    assert worth.interval is None


@steady
@given(curves, heights, st.floats(0, 20), st.floats(0, 20))
def test_the_interval_has_the_numbers_of_images_that_the_error_does_not_exclude(curve, accuracy, first, last):
    """Against a fine grid, on which the curve is read off by its inverse."""
    sizes = sorted(curve)
    errors = dict(zip(sizes, np.linspace(first, last, len(sizes)).tolist(), strict=True))
    low, high = equivalent_data(accuracy, curve, errors).interval
    assert low <= equivalent_images(curve, accuracy) <= high
    heights_ = isotonic_regression([curve[n] for n in sizes]).x
    for left, right, n, more in zip(heights_, heights_[1:], sizes, sizes[1:], strict=False):
        for height in np.linspace(left, right, 9):
            images = equivalent_images(dict(zip(sizes, heights_.tolist(), strict=True)), float(height))
            if abs(height - accuracy) < max(errors[n], errors[more]) - 1e-6:
                assert low - 1e-6 <= images <= high + 1e-6


def test_the_interval_ends_where_the_error_does():
    """On a straight line from 40 at 100 to 80 at 10,000 images, 10 points are half an order of magnitude."""
    worth = equivalent_data(60.0, {100: 40.0, 10_000: 80.0}, {100: 10.0, 10_000: 5.0})
    assert worth.images == pytest.approx(1000)
    assert worth.interval == pytest.approx((10**2.5, 10**3.5))


def test_an_interval_may_end_outside_the_measured_range():
    curve = {100: 40.0, 10_000: 80.0}
    assert equivalent_data(60.0, curve, {100: 25.0, 10_000: 25.0}).interval == (BELOW, BEYOND)
    assert equivalent_data(60.0, curve, {100: 1.0, 10_000: 25.0}).interval == (100, BEYOND)
    assert equivalent_data(75.0, curve, {100: 10.0, 10_000: 10.0}).interval == (pytest.approx(10**3.25), BEYOND)
    assert equivalent_data(90.0, curve, {100: 5.0, 10_000: 5.0}).interval == (BEYOND, BEYOND)
    assert equivalent_data(30.0, curve, {100: 5.0, 10_000: 5.0}).interval == (BELOW, BELOW)
