"""What a race and its record must not mix up: methods of other commands, and those that were tried before."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixbench as mb
from mixbench.config.compose import Composer
from mixbench.config.jobs import job_of
from mixbench.decide import budget
from mixbench.runs import races
from mixbench.stats.rounds import Rounds
from mixbench.stats.sequential import judge


def record():
    (path,) = Path("results/races").glob("*.json")
    return json.loads(path.read_text()), path


def rows(folder="results"):
    """The gains of stored runs, by method: as a race if they have no p."""
    return mb.compare(mb.load_runs(folder)).set_index("method")


def test_a_command_at_the_same_setting_does_not_change_the_methods_of_this_one(mixbench, made_up, words, monkeypatch):
    """Another process adds its methods to the record while the first round is trained."""
    assert mixbench("decide", *words, "method=none,cutmix", "budget=3rounds").status == 0
    other, path = record()
    path.unlink()
    write, times = races.write, []

    def raced_by_another(root, race):
        if not times:
            path.write_text(json.dumps(other))
        times.append(1)
        return write(root, race)

    monkeypatch.setattr("mixbench.decide.race.races.write", raced_by_another)
    before = len(made_up.jobs)
    made_up.sd = 8.0
    assert mixbench("decide", *words, "method=none,label-mix", "budget=4rounds").status == 0
    now = [job.identity["method"] for job in made_up.jobs[before:]]
    assert set(now) == {"none", "label-mix"}  # `none` once: three of its four runs were stored
    assert now.count("label-mix") == 4
    assert {entry["identity"]["method"] for entry in record()[0]["entries"]} == {"none", "cutmix", "label-mix"}


def test_runs_of_a_race_stay_a_race_when_a_method_joins_in_vain(mixbench, made_up, words):
    made_up.sd = 3.0
    assert mixbench("decide", *words, "method=none,cutmix", "budget=7rounds", "results_dir=alone").status == 0
    assert mixbench("decide", *words, "method=none,cutmix", "budget=6rounds").status == 0
    made_up.failing = {"fmix"}
    assert mixbench("decide", *words, "method=none,fmix", "budget=7rounds").status == 1
    alone, among = rows("alone").loc["cutmix"], rows().loc["cutmix"]
    assert pd.isna(among["p_adjusted"])
    assert among["gain"] == pytest.approx(alone["gain"])
    assert among["low"] < alone["low"]  # a third method shares the error


def test_methods_that_were_tried_before_share_the_error(mixbench, made_up, words):
    """Runs of many methods, then a race of one of them: the others still count."""
    made_up.sd = 3.0
    assert mixbench("decide", *words, "method=none,cutmix", "budget=4rounds", "results_dir=alone").status == 0
    with Composer() as composer:
        of_first = (*words, "subset=random", "seed=0", "subset_seed=0")
        tried = [job_of(composer, [*of_first, f"method={method}"]) for method in ("fmix", "gridmix", "resizemix")]
    made_up.run_jobs(tried, "results")
    assert mixbench("decide", *words, "method=none,cutmix", "budget=4rounds").status == 0
    assert len(record()[0]["tried"]) == 3
    alone, among = rows("alone").loc["cutmix"], rows().loc["cutmix"]
    assert among["gain"] == pytest.approx(alone["gain"])
    assert among["high"] - among["low"] > alone["high"] - alone["low"]


def test_a_larger_family_is_as_wide_as_columns_without_knowledge():
    rng = np.random.default_rng(0)
    accuracies = rng.normal(50, 2, (6, 3))
    of_five = judge(accuracies, family=5)
    with_empty = judge(np.hstack([accuracies, np.full((6, 2), np.nan)]), left_out=(3, 4))
    np.testing.assert_allclose(of_five.low[1:3], with_empty.low[1:3])
    assert of_five.choice == with_empty.choice
    assert set(with_empty.in_race) <= {0, 1, 2}
    assert (of_five.low[1:] < judge(accuracies).low[1:]).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_choice_rests_on_bounds_that_are_above_zero(seed):
    """Where another method than the baseline is chosen, some method is shown to be better than the baseline."""
    rng = np.random.default_rng(seed)
    rounds = Rounds(3)
    while missing := rounds.missing:
        for method, round_ in missing:
            rounds.add(method, round_, float(rng.normal((50, 56, 51)[method], 1.5)), None)
        rounds.judge()
    standing = rounds.standing
    assert standing.choice == 1
    assert standing.at_least.max() >= 0
    assert (standing.at_least[1:] >= standing.low[1:]).all()  # one side of the error, and the best of all rounds


def test_a_record_of_the_first_version_is_read(mixbench, made_up, words):
    assert mixbench("decide", *words, "method=none,cutmix", "budget=3rounds").status == 0
    content, path = record()
    del content["tried"]
    path.write_text(json.dumps(content))
    (race,) = races.read_all(Path("results"))
    assert race.family == 2


def test_a_stop_in_the_last_step_of_a_round_is_a_stop(mixbench, made_up, words, monkeypatch):
    """The run is finished by then, so training itself is not interrupted."""
    train, stop = made_up.run_jobs, [False]

    def stopped_at_the_end(jobs, results_dir, warnings=(), observer=None, datasets=None):
        sweep = train(jobs, results_dir, warnings, observer, datasets)
        if stop[0]:
            observer.stopping()
        return sweep

    monkeypatch.setattr("mixbench.decide.race.run_jobs", stopped_at_the_end)
    stop[0] = True
    assert mixbench("decide", *words, "method=none,cutmix", "budget=4rounds").status == 130
    assert len(made_up.trained) == 2
    stop[0] = False
    assert mixbench("decide", *words, "method=none,cutmix", "budget=3rounds").status == 0
    assert len(made_up.trained) == 6


def test_a_time_budget_counts_the_next_round():
    """Rounds begin as long as the mean time of a run says that they end in time."""
    now = [0.0]
    spent = budget.Spent(budget.read("100s"), clock=lambda: now[0])
    assert spent.is_unknown
    assert spent.allows(4, 4)
    spent.expect(30.0)  # a few steps were measured
    assert not spent.allows(4, 4)
    assert spent.allows(3, 3)
    now[0] += 40
    spent.add(4, 40.0)
    assert spent.allows(4, 8)  # 40 + 40
    now[0] += 40
    spent.add(4, 40.0)
    assert not spent.allows(4, 12)  # 80 + 40
    assert spent.allows(2, 10)  # 80 + 20
