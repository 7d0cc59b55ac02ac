"""Comparisons with a baseline, against SciPy, published examples, closed forms and simulations with a fixed seed."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from mixbench import stats
from mixbench.stats import comparison, variances

steady = settings(deadline=None, derandomize=True, max_examples=60)

UNBALANCED = {(0, 0): 50.1, (0, 1): 52.3, (0, 2): 51.7, (1, 0): 55.0, (2, 0): 53.2, (2, 5): 54.4}
accuracies = st.floats(0, 100).map(lambda value: round(value, 2))
many_runs = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 3)), accuracies, min_size=1)


def table_of(values):
    """A table with a row for each subset; the baseline is the first column."""
    values = np.asarray(values, float)
    pairs = [int(there.sum()) for there in ~np.isnan(values[:, 1:].T)]
    return stats.PairedTable(values, [[(s, 0)] for s in range(len(values))], pairs, "subsets")


def gains_of(values, **how):
    return stats.compare(table_of(values), **how).gains


def study(methods, subsets, seed=0, sd=1.2, gain=0.0):
    draw = np.random.Generator(np.random.PCG64(seed))
    values = 50 + 2 * draw.standard_normal((subsets, 1)) + sd * draw.standard_normal((subsets, methods))
    values[:, 1] += gain
    return values


@steady
@given(many_runs, many_runs)
def test_one_method_is_the_paired_t_test_over_common_units(runs, baseline):
    common = sorted(runs.keys() & baseline.keys())
    (found,) = stats.compare(stats.paired_table(baseline, [runs])).gains
    if not common:
        assert found is None
        return
    several = len({subset for subset, _ in common}) > 1
    by_unit = {}
    for subset, seed in common:
        difference = runs[subset, seed] - baseline[subset, seed]
        by_unit.setdefault(subset if several else seed, []).append(difference)
    differences = [statistics.fmean(of_unit) for of_unit in by_unit.values()]
    assert found.mean == found.expected == pytest.approx(np.mean(differences), abs=1e-9)
    assert (found.pairs, found.units) == (len(common), len(differences))
    assert found.over == ("subsets" if several else "seeds")
    if len(differences) < 2 or np.ptp(differences) < 1e-6:
        assert (found.p, found.interval, found.may_be_best) == (None, None, None)
        return
    test = scipy_stats.ttest_1samp(differences, 0)
    assert found.sd == pytest.approx(np.std(differences, ddof=1))
    assert found.p == pytest.approx(test.pvalue)
    assert found.interval == pytest.approx(tuple(test.confidence_interval(0.95)), rel=1e-5, abs=1e-5)


def test_a_comparison_uses_only_runs_with_a_partner():
    """The lone runs would turn the sign. Subset 2 has pairs at one seed alone, subset 0 at two."""
    baseline = UNBALANCED | {(3, 0): 99.0}
    runs = {(0, 0): 52.0, (0, 2): 53.0, (1, 0): 56.0, (2, 5): 57.0, (2, 1): 1.0, (4, 0): 1.0}
    means = [(52.0 - 50.1 + 53.0 - 51.7) / 2, 1.0, 57.0 - 54.4]
    (found,) = stats.compare(stats.paired_table(baseline, [runs])).gains
    assert (found.mean, found.p) == (pytest.approx(np.mean(means)), pytest.approx(scipy_stats.ttest_1samp(means, 0)[1]))
    assert (found.pairs, found.units, found.over) == (4, 3, "subsets")


def test_each_method_has_the_gain_of_its_own_pairs():
    """Also beside methods that have other seeds of the same subsets."""
    baseline = {(subset, seed): 50.0 + subset + 3 * seed for subset in range(3) for seed in range(2)}
    first = {key: value + 1 + key[0] / 10 for key, value in baseline.items() if key[1] == 0}
    second = {key: value + 2 for key, value in baseline.items() if key != (1, 1)}
    found = stats.compare(stats.paired_table(baseline, [first, second, {(9, 9): 1.0}])).gains
    assert [gain and gain.mean for gain in found] == [pytest.approx(1.1), pytest.approx(2.0), None]
    assert [gain.pairs for gain in found if gain] == [3, 5]


@pytest.mark.parametrize("step", [0.0, 0.1, 2.0])
def test_identical_differences_show_nothing(step):
    """Also where 50.3 + 0.1 - 50.3 is not the 0.1 of the others in binary."""
    (found,) = gains_of([[value, value + step] for value in (50.3, 61.7, 33.1)])
    assert found.mean == pytest.approx(step)
    assert (found.p, found.interval, found.units) == (None, None, 3)


def test_one_unit_has_gains_without_intervals():
    found = gains_of([[50.0, 52.0, 47.0]])
    assert [(gain.mean, gain.sd, gain.p, gain.interval) for gain in found] == [
        (2.0, None, None, None),
        (-3.0, None, None, None),
    ]


def test_the_same_runs_give_the_same_intervals():
    assert gains_of(study(5, 3)) == gains_of(study(5, 3))


def test_a_constant_moves_nothing_and_a_factor_scales():
    values = study(4, 3, gain=3)
    first = gains_of(values)
    moved = gains_of(values + 7)
    scaled = gains_of(values * 10)
    for gain, of_moved, of_scaled in zip(first, moved, scaled, strict=True):
        assert of_moved.interval == pytest.approx(gain.interval, abs=1e-6)
        assert of_scaled.interval == pytest.approx(np.multiply(gain.interval, 10), abs=1e-5)
        assert of_scaled.p == pytest.approx(gain.p, abs=1e-3)


def test_the_order_of_the_methods_hardly_matters():
    """It changes which random numbers a method gets, not what they mean."""
    values = study(5, 4, gain=3)
    first = gains_of(values)
    second = gains_of(values[:, [0, 4, 3, 2, 1]])[::-1]
    for gain, other in zip(first, second, strict=True):
        assert np.diff(gain.interval) == pytest.approx(np.diff(other.interval), rel=0.05)
        assert gain.p == pytest.approx(other.p, abs=0.02)


def test_with_many_units_p_lies_between_dunnett_and_tukey():
    """The errors of the gains and those of finding the best method share one budget, so Dunnett alone is a bound."""
    draw = np.random.Generator(np.random.PCG64(3))
    groups = draw.standard_normal((5, 60)) + np.array([0, 0.45, 0.35, 0.1, -0.3])[:, None]
    dunnett = scipy_stats.dunnett(*groups[1:], control=groups[0], random_state=0).pvalue
    tukey = scipy_stats.tukey_hsd(*groups).pvalue[0, 1:]
    found = np.array([gain.p for gain in gains_of(groups.T)])
    assert (found > dunnett - 0.02).all()
    assert (found < tukey + 0.02).all()


def test_intervals_and_p_values_agree():
    for gain in gains_of(study(6, 4, seed=5, gain=4)):
        low, high = gain.interval
        assert (low <= 0 <= high) == (gain.p >= 0.05) or gain.p == pytest.approx(0.05, abs=0.003)


@pytest.mark.parametrize(
    ("methods", "subsets", "factors"),
    [(5, 3, (1, 1)), (5, 3, (1, 2)), (5, 4, (3, 1)), (9, 3, (1, 2))],
)
def test_all_intervals_of_a_study_hold_together_in_95_of_100_studies(methods, subsets, factors):
    """Where spreads are equal, differ between methods, and where that of the baseline alone is three times as large."""
    draw = np.random.Generator(np.random.PCG64(8))
    studies, of_baseline, of_others = 300, *factors
    sd = np.where(np.arange(methods) % 2, of_others, 1)
    sd[0] = of_baseline
    values = 2 * draw.standard_normal((studies, subsets, 1)) + sd * draw.standard_normal((studies, subsets, methods))
    of_chains = np.broadcast_to(values[:, None], (studies, 4, subsets, methods))
    drawn = variances.variance_draws(of_chains, draw, steps=(40, 200)).transpose(1, 0, 2, 3)
    there = np.ones((subsets, methods - 1), bool)
    missed = best = 0
    for study_, of_study in zip(values, drawn.reshape(studies, -1, methods), strict=True):
        errors = comparison.errors_from_draws(of_study, there, None, draw)
        gains = (study_[:, 1:] - study_[:, :1]).mean(0)
        missed += bool((np.abs(gains) > errors.critical * errors.se).any())
        best += bool(errors.may_be_best(gains)[1])  # all are equally good, so each is the best
    assert missed / studies <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / studies)
    assert best / studies >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / studies)


def test_thirteen_methods_tell_more_about_the_spread_than_one():
    """The same gain, alone and beside twelve other methods with runs of the same spread."""
    values = study(14, 3, seed=2, gain=6)
    alone, beside = gains_of(values[:, :2])[0], gains_of(values)[0]
    bonferroni = scipy_stats.t.ppf(1 - 0.05 / 26, 2) * np.std(values[:, 1] - values[:, 0], ddof=1) / math.sqrt(3)
    assert beside.mean == alone.mean
    assert np.diff(beside.interval)[0] / 2 < bonferroni / 2


def test_the_published_example_of_readers_and_cases():
    """Van Dyke's five readers, 114 cases and two modalities, AUC, jackknife.

    From the book RJafrocBook, chapter on applications of the Obuchowski-Rockette method: MS(TR) = 5.5103062e-4, Cov2 =
    3.4407483e-4, Cov3 = 2.3902837e-4; the denominator of F with its degrees of freedom gives an interval of
    -0.0879595 to 0.0003589 for the difference of the modalities, p = 0.05167 and 15.26 degrees of freedom.
    """
    first = [0.9196, 0.8588, 0.9039, 0.9731, 0.8298]
    second = [0.9478, 0.9053, 0.9217, 0.9994, 0.9300]
    cov2, cov3, square = 3.4407483e-4, 2.3902837e-4, 5.5103062e-4
    (gain,) = gains_of(np.column_stack([second, first]), images=np.array([[cov2, cov3], [cov3, cov2]]) * 1.0)
    variance = gain.sd**2 / gain.units + gain.image_sd**2
    assert gain.mean == pytest.approx((-0.0879595 + 0.0003589) / 2, abs=1e-4)
    assert variance == pytest.approx(2 / 5 * (square + 5 * (cov2 - cov3)), rel=2e-3)  # AUCs have four digits
    half = scipy_stats.t.ppf(0.975, 15.26) * math.sqrt(variance)
    assert (gain.mean - half, gain.mean + half) == pytest.approx((-0.0879595, 0.0003589), abs=1e-4)
    # mixbench's own interval is a little longer: with three subsets Hillis' degrees of freedom give too short ones.
    assert gain.interval[0] < -0.0879595
    assert gain.interval[1] > 0.0003589
    assert gain.image_share == pytest.approx(5 * (cov2 - cov3) / (square + 5 * (cov2 - cov3)), rel=2e-3)


@pytest.mark.parametrize("df", [1, 2, 9])
@pytest.mark.parametrize("image_sd", [0.0, 0.3, 2.0])
def test_the_error_of_runs_and_images_is_their_sum(df, image_sd):
    draw = np.random.Generator(np.random.PCG64(1))
    errors = np.abs(0.7 * draw.standard_t(df, 400_000) + image_sd * draw.standard_normal(400_000))
    for value in (0.5, 1.5, 4.0):
        assert comparison.tail(value, 0.7, df, image_sd) == pytest.approx((errors > value).mean(), abs=0.003)


def test_expected_gains_are_those_of_james_and_stein_where_errors_are_independent():
    """The variance of the true gains by restricted likelihood is that of the measured ones minus the errors'."""
    gains = np.array([1.0, 5.0, -2.0, 3.0, 8.0])
    found = comparison.expected_gains(gains, 4 * np.eye(5))
    kept = 1 - 4 / gains.var(ddof=1)
    assert found == pytest.approx(3 + kept * (gains - 3), abs=0.15)
    assert comparison.expected_gains(gains, 1e-6 * np.eye(5)) == pytest.approx(gains, abs=1e-4)
    assert comparison.expected_gains(gains, 1e4 * np.eye(5)) == pytest.approx([3.0] * 5, abs=1e-2)
    assert comparison.expected_gains(np.array([4.0]), np.array([[9.0]])) == [4.0]


def test_the_expected_gain_of_the_best_of_many_is_not_too_large():
    draw = np.random.Generator(np.random.PCG64(4))
    measured = expected = 0.0
    covariance = np.full((13, 13), 0.5) + 0.5 * np.eye(13)
    for _ in range(400):
        true = 1 + draw.standard_normal(13)
        gains = draw.multivariate_normal(true, covariance)
        best = gains.argmax()
        measured += (gains[best] - true[best]) / 400
        expected += (comparison.expected_gains(gains, covariance)[best] - true[best]) / 400
    assert measured > 0.5
    assert abs(expected) < 0.15


def test_missing_runs_cost_precision_but_no_method():
    values = study(6, 6, gain=5)
    values[2:, 1] = np.nan
    values[0, 2] = np.nan
    found = gains_of(values)
    assert [gain.units for gain in found] == [2, 5, 6, 6, 6]
    assert found[0].mean == pytest.approx((values[:2, 1] - values[:2, 0]).mean())
    assert np.diff(found[0].interval) > 1.2 * np.diff(found[2].interval)
    assert found[0].p < 0.05


def test_test_images_are_part_of_the_uncertainty():
    values = study(4, 5)
    without, few = gains_of(values), gains_of(values, images=np.diag([4.0, 4.0, 4.0, 4.0]))
    for gain, of_few in zip(without, few, strict=True):
        assert (gain.image_sd, gain.image_share) == (None, None)
        assert of_few.image_sd == pytest.approx(math.sqrt(8))
        assert of_few.image_share > 0.8
        assert np.diff(of_few.interval) > 2 * np.diff(gain.interval)
        assert of_few.interval[0] + of_few.interval[1] == pytest.approx(2 * gain.mean)
