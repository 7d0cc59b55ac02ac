"""Races of methods, against SciPy, brute force, hand-made examples and simulations with a fixed seed."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mixbench.stats.race import half_width, moderated_variance, race, reachable, variance_of_mean
from mixbench.stats.sequential import BUDGET, CHOSEN, IMAGES, RULED_OUT, WORSE, judge, rounds_for
from mixbench.stats.spending import FIRST, LAST, levels


def rounds_of(gains, rounds, seed=0, sd=1.2):
    """Accuracies of methods with a common spread of 2 over subsets and their own spread."""
    rng = np.random.default_rng(seed)
    common = 50 + 2 * rng.standard_normal((rounds, 1))
    return common + np.asarray(gains) + sd * rng.standard_normal((rounds, len(gains)))


def play(accuracies, **options):
    """Let a race run round by round: only methods in the race are seen. Returns its end and what was seen."""
    seen = np.empty((0, accuracies.shape[1]))
    standing = judge(seen, **options)
    while standing.ended is None:
        row = np.full(accuracies.shape[1], np.nan)
        methods = list(standing.in_race)
        row[methods] = accuracies[len(seen), methods]
        seen = np.vstack([seen, row])
        standing = judge(seen, most_rounds=len(accuracies), **options)
    return standing, seen


@pytest.mark.parametrize("error", [0.05, 0.05 / 13])
def test_the_error_is_spent_evenly_over_doublings_of_the_rounds(error):
    rounds = np.arange(FIRST, 8)
    bounds = scipy_stats.norm.isf(levels(error)[rounds])
    for looks in range(1, len(rounds) + 1):
        r = rounds[:looks]
        correlation = np.sqrt(np.minimum.outer(r, r) / np.maximum.outer(r, r))
        inside = scipy_stats.multivariate_normal(cov=correlation, allow_singular=True, seed=0).cdf(bounds[:looks])
        assert 1 - inside == pytest.approx(error * np.log(r[-1] / 2) / np.log(LAST / 2), rel=0.01)


def test_the_whole_error_is_spent_in_the_longest_race():
    rng = np.random.default_rng(1)
    sums = rng.standard_normal((40_000, LAST)).cumsum(1) / np.sqrt(np.arange(1, LAST + 1))
    crossed = (sums[:, FIRST - 1 :] > scipy_stats.norm.isf(levels(0.05)[FIRST:])).any(1).mean()
    assert crossed == pytest.approx(0.05, abs=0.004)
    assert not levels(0.05)[:FIRST].any()


def test_no_test_has_no_bound():
    assert half_width(np.array([1.0]), 3.0, np.array([0.0])) == np.inf
    assert half_width(4.0, 3.0, 0.01) == pytest.approx(2 * scipy_stats.t.isf(0.01, 3))


def test_the_common_variance_is_that_of_the_two_way_layout():
    x = rounds_of([0, 1, 2, 3, 4], rounds=6)
    pairs = x[:, None, :] - x[:, :, None]
    variance, df = moderated_variance(pairs.var(0, ddof=1), np.full((5, 5), 6.0), np.array(6.0 * 5 - 6 - 5 + 1))
    residuals = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
    common = 2 * (residuals**2).sum() / 20
    for i, j in itertools.permutations(range(5), 2):
        assert variance[i, j] == pytest.approx((6 * common + 5 * np.var(x[:, j] - x[:, i], ddof=1)) / 11)
        assert df[i, j] == 11


def test_two_methods_have_their_own_variance():
    own = np.array([[0.0, 3.0], [3.0, 0.0]])
    variance, df = moderated_variance(own, np.full((2, 2), 4.0), np.array(3.0))
    assert variance[0, 1] == pytest.approx(3.0)
    assert df[0, 1] == 3


def test_image_noise_counts_in_full_at_any_number_of_rounds():
    few, many = (
        variance_of_mean(np.array(2.0), np.array(5.0), np.array(r), np.array(0.7), np.array(0.1))[0] for r in (4, 400)
    )
    assert few == pytest.approx(0.5 + 0.7)
    assert many == pytest.approx(0.005 + 0.7)


def slow_race(upper, margin, baseline):
    """The rule, spelled out: who can be the best, who is chosen, who runs on."""
    methods = range(len(upper))
    worse = {j for j in methods if any(upper[i, j] <= 0 for i in methods if i != j)}
    if len(worse) == len(upper):
        worse = set()
    shortfall = [max([0.0, *(upper[i, j] for j in methods if j != i and j not in worse)]) for i in methods]
    if baseline in worse:
        fit = [i for i in methods if i not in worse]
        still = {i: sum(upper[i, j] > margin for j in fit if j != i) for i in fit}
        candidate = min(fit, key=lambda i: (still[i], shortfall[i]))
    else:
        candidate = baseline
    chosen = shortfall[candidate] <= margin
    runs = {candidate} | {j for j in methods if j not in worse and j != candidate and upper[candidate, j] > margin}
    return worse, shortfall, candidate if chosen else -1, set() if chosen else runs


@pytest.mark.parametrize("methods", [2, 3, 6])
def test_the_rule_is_that_of_its_words(methods):
    rng = np.random.default_rng(methods)
    upper = rng.normal(1.5, 2.0, (400, methods, methods))
    now = race(upper, 2.0, methods - 1)
    for k, one in enumerate(upper):
        worse, shortfall, choice, runs = slow_race(one, 2.0, methods - 1)
        assert set(np.flatnonzero(now.worse[k])) == worse
        assert now.shortfall[k] == pytest.approx(shortfall)
        assert now.choice[k] == choice
        assert set(np.flatnonzero(now.runs[k])) == runs


def test_a_choice_that_bounds_allow_is_reachable():
    rng = np.random.default_rng(3)
    upper = rng.normal(2.5, 2.0, (2000, 4, 4))
    least = upper - rng.exponential(1.0, upper.shape)
    between = least + rng.random(upper.shape) * (upper - least)
    chosen = race(between, 2.0, 0).choice >= 0
    circle = race(upper, 2.0, 0).worse.sum(1) > 2  # bounds that contradict one another
    assert chosen.any()
    assert reachable(upper, least, 2.0, 0)[chosen & ~circle].all()


def test_two_methods_after_three_rounds_are_a_t_interval():
    x = np.array([[50.0, 55.0], [52.0, 55.0], [48.0, 53.0]])
    differences = x[:, 1] - x[:, 0]
    standing = judge(x)
    half = scipy_stats.t.isf(levels(0.025)[3], 2) * scipy_stats.sem(differences)
    assert standing.gain.tolist() == pytest.approx([0, 13 / 3])
    assert standing.low.tolist() == pytest.approx([0, 13 / 3 - half])
    assert standing.high.tolist() == pytest.approx([0, 13 / 3 + half])
    shortfall = scipy_stats.t.isf(levels(0.05)[3], 2) * scipy_stats.sem(differences) - 13 / 3
    assert standing.shortfall[1] == pytest.approx(max(shortfall, 0))


@pytest.mark.parametrize("missing", [False, True])
def test_the_part_of_the_test_images_is_the_mean_covariance_of_two_rounds(missing):
    rng = np.random.default_rng(0)
    taste = rng.random((3, 40))
    correct = rng.random((5, 3, 40)) < taste
    accuracies = 100 * correct.mean(2)
    if missing:
        accuracies[1, 2] = np.nan
    share = judge(accuracies, correct=correct).image_share
    for m in (1, 2):
        rounds = [r for r in range(5) if np.isfinite(accuracies[r, m])]
        per_image = [100.0 * correct[r, m] - 100.0 * correct[r, 0] for r in rounds]
        covariances = [np.cov(a, b)[0, 1] for a, b in itertools.combinations(per_image, 2)]
        images = max(np.mean(covariances) / 40, 0)
        pairs = {}
        for i, j in itertools.combinations(range(3), 2):
            d = accuracies[:, j] - accuracies[:, i]
            pairs[i, j] = d[np.isfinite(d)]
        df = {pair: len(d) - 1 for pair, d in pairs.items()}
        common = sum(df[p] * np.var(d, ddof=1) for p, d in pairs.items()) / sum(df.values())
        prior = min(6, np.isfinite(accuracies).sum() - 5 - 3 + 1)
        own = np.var(pairs[0, m], ddof=1)
        over_rounds = (prior * common + df[0, m] * own) / (prior + df[0, m]) / len(rounds)
        assert share[m] == pytest.approx(images / (over_rounds + images), rel=1e-4)
    assert np.isnan(share[0])


def test_one_much_better_method_is_chosen_and_the_others_leave():
    standing, seen = play(rounds_of([0, 8, 0, 1], 30))
    assert standing.ended == CHOSEN
    assert standing.choice == 1
    assert standing.qualified == (1,)
    assert {each.method for each in standing.exits} == {0, 2, 3}
    assert all(each.reason == WORSE for each in standing.exits)
    assert standing.in_race == ()
    assert standing.more_rounds == 0
    assert len(seen) < 8
    assert standing.low[1] > 0


def test_equal_methods_end_with_the_baseline():
    standing, _ = play(rounds_of([0, 0, 0], 60, sd=0.6), baseline=2)
    assert standing.choice == 2
    assert standing.shortfall[2] <= 2
    assert any(each.reason == RULED_OUT and each.by == 2 for each in standing.exits)


def test_a_gain_below_the_margin_need_not_be_told_from_none():
    accuracies = rounds_of([0, 1.0], 6)
    standing = judge(accuracies, margin=2.0)
    assert standing.choice is None
    assert 1 in standing.qualified  # near the best, but not shown to be better than the baseline
    assert standing.low[1] < 0 < standing.high[1]
    assert standing.more_rounds


@pytest.mark.parametrize("rounds", [2, 5, 12])
def test_order_level_and_scale_do_not_matter(rounds):
    accuracies = rounds_of([0, 3, 1, 0.5], rounds)
    one = judge(accuracies, margin=2.0)
    order = [2, 0, 3, 1]
    moved = accuracies[:, order] + 7 * np.arange(rounds)[:, None]
    scaled = judge(3 * moved, baseline=1, margin=6.0)
    assert scaled.gain == pytest.approx(3 * one.gain[order])
    assert scaled.low == pytest.approx(3 * one.low[order])
    assert scaled.shortfall == pytest.approx(3 * one.shortfall[order])
    assert sorted(order[m] for m in scaled.in_race) == sorted(one.in_race)
    assert (None if scaled.choice is None else order[scaled.choice]) == one.choice
    assert scaled.more_rounds == one.more_rounds
    left = {(each.round, each.method, each.by, each.reason) for each in one.exits}
    assert {(each.round, order[each.method], order[each.by], each.reason) for each in scaled.exits} == left


def test_missing_runs_leave_the_other_pairs_as_they_are():
    accuracies = rounds_of([0, 1, 2], 8)
    accuracies[3, 1] = np.nan
    standing = judge(accuracies)
    both = np.isfinite(accuracies[:, 1])
    assert standing.gain[1] == pytest.approx((accuracies[both, 1] - accuracies[both, 0]).mean())
    assert standing.gain[2] == pytest.approx((accuracies[:, 2] - accuracies[:, 0]).mean())
    assert judge(np.vstack([accuracies, np.full(3, np.nan)])).gain == pytest.approx(standing.gain)


def test_a_method_that_was_never_trained_stays_in_the_race():
    accuracies = np.column_stack([rounds_of([0, 9], 10), np.full(10, np.nan)])
    standing = judge(accuracies)
    assert standing.choice is None
    assert 2 in standing.in_race
    assert np.isnan(standing.gain[2])
    assert standing.high[2] == np.inf


def test_more_methods_make_every_interval_wider():
    accuracies = rounds_of([0, 1], 6)
    alone = judge(accuracies)
    among = judge(np.column_stack([accuracies, np.full((6, 5), np.nan)]))
    assert among.high[1] - among.low[1] > alone.high[1] - alone.low[1]


def test_equal_accuracies_are_no_knowledge():
    standing = judge(np.full((5, 3), 40.0))
    assert standing.choice is None
    assert set(standing.in_race) == {0, 1, 2}
    assert standing.shortfall[0] == np.inf


def test_too_few_test_images_end_the_race():
    rng = np.random.default_rng(0)
    right = rng.random((2, 60)) < 0.5  # each method always knows its own half of the images
    correct = np.array([right ^ (rng.random((2, 60)) < 0.02) for _ in range(30)])
    accuracies = 100 * correct.mean(2)
    standing = judge(accuracies, correct=correct)
    assert standing.ended == IMAGES
    assert standing.choice is None
    assert standing.in_race == ()
    assert standing.more_rounds is None
    assert standing.image_share[1] > 0.9
    assert judge(accuracies).ended == CHOSEN  # for these very images


def test_the_budget_ends_the_race_but_it_can_go_on():
    accuracies = rounds_of([0, 1, 1], 4)
    standing = judge(accuracies, most_rounds=4)
    assert standing.ended == BUDGET
    assert standing.in_race
    assert judge(accuracies, most_rounds=5).ended is None


@pytest.mark.parametrize(("methods", "half"), [(2, 2.0), (2, 1.0), (5, 2.0), (14, 1.0)])
def test_bounds_are_as_narrow_as_was_said_beforehand(methods, half):
    needed = rounds_for(half, methods, spread=1.7)
    for rounds in (needed - 1, needed):
        # Orthogonal columns with mean 0: all differences have the same spread and mean 0.
        columns = np.random.default_rng(0).standard_normal((rounds, methods))
        columns = np.linalg.qr(np.column_stack([np.ones(rounds), columns]))[0][:, 1:]
        accuracies = 50 + columns * 1.7 * ((rounds - 1) / 2) ** 0.5
        high = judge(accuracies, level=0.9).high[1:]  # an interval of 90 % has two bounds of 95 %
        assert high == pytest.approx(high[0])
        assert (high[0] <= half) == (rounds == needed)


def test_a_margin_below_the_image_noise_is_never_reached():
    assert rounds_for(2.0, 2, 1.7, images=0.2) > rounds_for(2.0, 2, 1.7)
    assert rounds_for(2.0, 2, 1.7, images=1.5) is None
    assert rounds_for(0.3, 14, 1.7) is None


def test_before_the_first_round_everything_is_open():
    standing = judge(np.empty((0, 3)))
    assert standing.in_race == (0, 1, 2)
    assert standing.ended is standing.choice is None
    assert standing.exits == standing.qualified == ()


@pytest.mark.parametrize(
    ("shape", "options", "named"),
    [
        ((4, 1), {}, "two methods"),
        ((4, 3), {"baseline": 3}, "baseline=3"),
        ((4, 3), {"margin": 0.0}, "margin=0"),
        ((4, 3), {"level": 1.0}, "level=1"),
        ((LAST + 1, 3), {}, "at most 60"),
        ((4, 3), {"correct": np.zeros((4, 2, 9), bool)}, "correct"),
    ],
)
def test_mistakes_are_named(shape, options, named):
    with pytest.raises(ValueError, match=named):
        judge(np.zeros(shape), **options)


@pytest.mark.parametrize("studies", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_the_chosen_method_is_rarely_worse_by_the_margin(studies):
    wrong = 0
    for seed in range(studies):
        standing, _ = play(rounds_of([0, 2.0, 0], 25, seed), margin=2.0)
        wrong += standing.choice in (0, 2)
    assert wrong / studies <= 0.05 + 3 * (0.05 * 0.95 / studies) ** 0.5
