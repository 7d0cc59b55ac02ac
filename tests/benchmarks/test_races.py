"""The simulation of races: its accuracies, its rules, and the shipped rule played by `judge` on the same studies."""

import numpy as np
import pytest

from benchmarks.races import __main__ as benchmark
from benchmarks.races import rules
from benchmarks.races.studies import ROUNDS, Cell, Studies, simulate, summarised
from mixbench.stats.sequential import judge


def philox(seed):
    return np.random.Generator(np.random.Philox(seed))


def without_images(cell, studies, seed):
    """Accuracies whose test images are all images of the world."""
    rng = philox(seed)
    own = cell.spreads() * rng.standard_normal((studies, ROUNDS, cell.methods))
    accuracies = cell.truth() + 2 * rng.standard_normal((studies, ROUNDS, 1)) + own
    nothing = np.zeros((studies, ROUNDS, cell.methods, cell.methods))
    return accuracies, summarised(accuracies, nothing, nothing)


@pytest.mark.parametrize("images", [100, 2000])
def test_variances_add_up_to_that_of_the_studies(images):
    cell = Cell(3, "one better by 4", "equal", images, 2.0)
    data = summarised(*simulate(cell, 400, philox(1)))
    for r in (5, ROUNDS):
        at = data.mean[:, r - 1, 0, 1]
        parts = data.variance[:, r - 1, 0, 1] / r + data.images[:, r - 1, 0, 1]
        assert at.mean() == pytest.approx(4, abs=4 * (at.var() / 400) ** 0.5)
        assert parts.mean() == pytest.approx(at.var(), rel=0.2)


@pytest.mark.parametrize(("effect", "spread"), [("equal", "equal"), ("one better by 4", "none × 2")])
def test_judge_plays_the_shipped_rule(effect, spread):
    cell = Cell(4, effect, spread, 10_000, 2.0)
    accuracies, data = without_images(cell, 12, 3)
    played = rules.run(rules.RULES["shipped"], cell, data)
    for k, one in enumerate(accuracies):
        seen = np.empty((0, 4))
        standing = judge(seen)
        while standing.ended is None:
            row = np.full(4, np.nan)
            row[list(standing.in_race)] = one[len(seen), list(standing.in_race)]
            seen = np.vstack([seen, row])
            standing = judge(seen, most_rounds=ROUNDS)
        assert len(seen) == played["rounds"][k]
        assert (-1 if standing.choice is None else standing.choice) == played["choice"][k]
        assert np.isfinite(seen).sum() == played["runs"][k]


# normal_mixture_bound(v, alpha, v_opt, alpha, is_one_sided=False) of confseq 0.0.11's uniform_boundaries.h
@pytest.mark.parametrize(
    ("v", "alpha", "v_opt", "bound"),
    [
        (0.5, 0.05, 1, 2.18041234818),
        (10, 0.05, 10, 9.59817358421),
        (40, 0.05, 1, 21.7181469573),
        (3, 0.0077, 10, 6.56536215627),
        (40, 0.0077, 10, 23.5924345049),
    ],
)
def test_the_normal_mixture_is_that_of_confseq(v, alpha, v_opt, bound):
    log = 2 * np.log(1 / alpha)
    prior = v_opt / (log + np.log1p(log))  # its choice of the mixture that is narrowest at v_opt
    half = rules.mixture_width(1 / v, 1e9, alpha, prior)  # of a mean of v observations with variance 1
    assert half * v == pytest.approx(bound, rel=1e-6)


def test_lines_hold_a_brownian_motion():
    steps, paths = 2000, 2000
    motion = philox(2).standard_normal((paths, steps)).cumsum(1) / 10
    time = np.arange(1, steps + 1) / 100
    half = rules.lines(1 / time, 1e9, 0.1, 1.0, None)
    crossed = (motion / time > half).any(1).mean()
    assert 0.05 < crossed < 0.1 + 3 * (0.1 * 0.9 / paths) ** 0.5


def test_kim_and_nelson_leave_the_better_of_two():
    cell = Cell(2, "one better by 8", "equal", 10_000, 2.0)
    _, data = without_images(cell, 50, 4)
    played = rules.run(rules.RULES["Kim–Nelson, 10 rounds first"], cell, data)
    assert (played["choice"] == 1).all()
    assert (played["runs"] == 20).all()


def test_tables_have_a_line_for_each_rule():
    cell = Cell(2, "one better by 8", "equal", 10_000, 2.0)
    text = benchmark.tables([benchmark.measured(cell, 20)])
    assert all(f"| {name} |" in text for name in rules.RULES)
    assert "| 2 | 10,000 | 2 | one better by 8 | 100 % | 0 % |" in text


def test_one_look_decides_more_with_more_rounds():
    cell = Cell(3, "one better by 4", "equal", 10_000, 2.0)
    data = summarised(*simulate(cell, 100, philox(5)))
    assert isinstance(data, Studies)
    shares = rules.decided_by_fixed(cell, data)
    assert shares[-1] == 1
    assert shares[0] < 0.9
