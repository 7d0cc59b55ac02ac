"""Equivalent data, against the published table, by hand, and against a bootstrap that is written out."""

import itertools
import math
import statistics
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    return equivalent_data({(None, 0): PUBLISHED[n][column]}, {m: {(None, 0): a} for m, a in NONE.items()})


def subsets(*values):
    """One run of each subset."""
    return {(subset, 0): value for subset, value in enumerate(values)}


def nearest_rank(values, share):
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return next(v for i, v in enumerate(ordered, 1) if i / len(ordered) >= share - 1e-9)


def test_data_mix_with_500_published_images_is_worth_1884():
    worth = published(500, 1)
    assert worth.text(worth.images) == "1,884"
    assert worth.images == pytest.approx(1884, abs=0.5)
    assert (worth.interval, worth.subsets) == (None, 1)
    assert (worth.smallest, worth.largest) == (100, 50_000)


@pytest.mark.parametrize("n", NONE)
def test_the_baseline_is_worth_its_own_images(n):
    assert published(n, 0).images == n


def test_outside_the_measured_range_nothing_is_extrapolated():
    worth = published(50_000, 2)
    assert worth.images == BEYOND
    assert worth.text(worth.images) == ">50,000"
    baseline = {n: {(None, 0): NONE[n]} for n in (100, 1000, 20_000)}
    assert (best := equivalent_data({(None, 0): 90.82}, baseline)).text(best.images) == ">20,000"
    assert (worst := equivalent_data({(None, 0): 26.78}, baseline)).text(worst.images) == "<100"
    assert worst.images == BELOW


def test_text():
    worth = Equivalent(1884.4, (BELOW, BEYOND), 3, 100, 20_000)
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


def test_without_two_n_or_without_runs_there_is_none():
    assert equivalent_data(subsets(50.0), {100: subsets(40.0)}) is None
    assert equivalent_data(subsets(50.0), {100: subsets(40.0), 200: {}}) is None
    assert equivalent_data(subsets(50.0), {}) is None
    assert equivalent_data({}, {100: subsets(40.0), 200: subsets(60.0)}) is None


def test_one_subset_has_no_interval_whatever_its_seeds():
    baseline = {n: {(None, seed): value + seed for seed in range(3)} for n, value in ((100, 40.0), (1000, 60.0))}
    worth = equivalent_data({(None, seed): 50.0 + seed for seed in range(3)}, baseline)
    assert worth.images == pytest.approx(math.sqrt(100 * 1000))
    assert (worth.interval, worth.subsets) == (None, 1)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_bootstrap_takes_every_resample_of_few_subsets(count):
    """Whole subsets are drawn, so that a subset's baseline at every n comes with its runs of the method."""
    ours = [52.0, 57.0, 49.0, 55.5][:count]
    theirs = {100: [40.0, 43.0, 38.0, 41.0], 500: [50.0, 51.0, 52.5, 54.0], 2000: [64.0, 61.0, 60.0, 66.0]}
    worth = equivalent_data(subsets(*ours), {n: subsets(*values[:count]) for n, values in theirs.items()})
    values = []
    for drawn in itertools.product(range(count), repeat=count):
        curve = {n: statistics.mean(of_n[s] for s in drawn) for n, of_n in theirs.items()}
        values.append(equivalent_images(curve, statistics.mean(ours[s] for s in drawn)))
    assert worth.interval == pytest.approx((nearest_rank(values, 0.025), nearest_rank(values, 0.975)))
    assert worth.subsets == count
    assert worth.interval[0] < worth.images < worth.interval[1]


def test_the_bootstrap_of_two_subsets_by_hand():
    """Drawn are 00, 01, 10 and 11; on straight lines they are worth 10^2.5, twice 10^2.75 and 10^3 images."""
    baseline = {100: subsets(40.0, 40.0), 10_000: subsets(80.0, 80.0)}
    worth = equivalent_data(subsets(50.0, 60.0), baseline)
    assert worth.images == pytest.approx(10**2.75)
    assert worth.interval == pytest.approx((10**2.5, 10**3))


def test_an_interval_may_end_outside_the_measured_range():
    """In the resample 11 the method has 85, where no baseline was measured."""
    baseline = {100: subsets(40.0, 40.0), 10_000: subsets(80.0, 80.0)}
    worth = equivalent_data(subsets(60.0, 85.0), baseline)
    assert worth.interval == (pytest.approx(1000), BEYOND)
    assert equivalent_data(subsets(30.0, 60.0), baseline).interval == (BELOW, pytest.approx(1000))


def test_seeds_of_a_subset_count_as_one():
    """Subset 0 has nine runs, subset 1 one: they weigh the same, in the estimate and in the resamples."""
    baseline = {n: subsets(a, a) for n, a in ((100, 40.0), (10_000, 80.0))}
    many = {(0, seed): 50.0 for seed in range(9)} | {(1, 0): 60.0}
    assert equivalent_data(many, baseline) == equivalent_data(subsets(50.0, 60.0), baseline)


@pytest.mark.parametrize("count", [6, 12])
def test_many_subsets_are_drawn_alike_in_every_call_and_quickly(count):
    draw = np.random.Generator(np.random.PCG64(count))
    baseline = {
        n: subsets(*(accuracy + draw.normal(0, 1, count)).tolist())
        for n, accuracy in ((100, 30.0), (250, 40.0), (500, 50.0), (1000, 60.0), (5000, 80.0))
    }
    runs = subsets(*(65 + draw.normal(0, 1, count)).tolist())
    begin = time.process_time()
    worth = equivalent_data(runs, baseline)
    assert time.process_time() - begin < 5
    assert equivalent_data(dict(reversed(runs.items())), baseline).interval == worth.interval
    low, high = worth.interval
    assert 1000 < low < worth.images < high < 5000
    assert worth.subsets == count


def test_a_subset_that_the_baseline_lacks_somewhere_takes_no_part():
    """Neither in the bootstrap nor in the estimate, which would lie outside the interval with it."""
    baseline = {100: subsets(40.0, 40.0, 40.0), 10_000: subsets(80.0, 80.0)}
    worth = equivalent_data(subsets(50.0, 60.0, 79.0), baseline)
    assert worth.images == pytest.approx(10**2.75)
    assert worth.interval == pytest.approx((10**2.5, 10**3))
    assert worth.subsets == 2
    lone = equivalent_data({(7, 0): 60.0}, baseline)
    assert (lone.interval, lone.subsets) == (None, 0)
