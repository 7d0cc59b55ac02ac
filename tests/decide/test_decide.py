"""mixbench decide: which runs it trains, when it stops, and what it and later reports say, against the bare rule."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixbench as mb
from mixbench.stats.sequential import judge

METHODS = ("none", "data-mix", "label-mix", "cutmix")


def by_the_rule(accuracies, margin, most_rounds):
    """The race of these accuracies [rounds, methods], played with the rule alone. Returns its end and what was seen."""
    seen = np.full_like(accuracies, np.nan)
    in_race, rounds, standing = range(accuracies.shape[1]), 0, None
    while rounds < most_rounds:
        rounds += 1
        seen[:rounds, list(in_race)] = accuracies[:rounds, list(in_race)]
        standing = judge(seen[:rounds], margin=margin, most_rounds=most_rounds)
        in_race = standing.in_race
        if standing.ended:
            break
    return standing, seen[:rounds]


def matrix(made_up, jobs, rounds, methods=METHODS):
    """The accuracies of all methods in all rounds, also of runs that were not trained."""
    first = {job.identity["method"]: job for job in reversed(jobs)}
    accuracies = np.empty((rounds, len(methods)))
    for m, method in enumerate(methods):
        for r in range(rounds):
            job = first[method]
            of_round = type(job)(job.cfg, job.identity | {"seed": r, "subset_seed": r}, job.id)
            accuracies[r, m] = made_up.accuracy(of_round)
    return accuracies


def trained(made_up):
    """Method -> the seeds of its runs."""
    seeds = {}
    for job in made_up.jobs:
        seeds.setdefault(job.identity["method"], []).append(job.identity["seed"])
    return seeds


@pytest.mark.parametrize("case", range(6))
def test_a_race_trains_and_says_what_the_rule_says(mixbench, made_up, words, case):
    rng = np.random.default_rng(case)
    made_up.means = dict(zip(METHODS, 50 + rng.choice([0, 0, 1, 4, -6], len(METHODS)), strict=True))
    made_up.sd = rng.choice([0.3, 1.0, 2.0])
    call = mixbench("decide", *words, f"method={','.join(METHODS)}", "budget=12rounds", "margin=2")
    assert call.status == 0
    standing, seen = by_the_rule(matrix(made_up, made_up.jobs, 12), 2.0, 12)
    runs = {method: np.flatnonzero(~np.isnan(seen[:, m])).tolist() for m, method in enumerate(METHODS)}
    assert {method: sorted(seeds) for method, seeds in trained(made_up).items()} == runs

    stored = mb.load_runs("results")
    assert len(stored) == (~np.isnan(seen)).sum()
    gains = mb.compare(stored).set_index("method")
    for m, method in enumerate(METHODS[1:], 1):
        row = gains.loc[method]
        assert row["gain"] == pytest.approx(standing.gain[m])
        if math.isfinite(standing.low[m]):
            assert (row["low"], row["high"]) == pytest.approx((standing.low[m], standing.high[m]))
    verdict = next(line for line in call.out.splitlines() if line.startswith("n = 20:"))
    chosen = None if standing.choice is None else METHODS[standing.choice]
    start = {None: "Undecided", "none": "Do not bother"}.get(chosen, "Use ")
    assert start in verdict
    if chosen not in (None, "none"):
        assert chosen in verdict.partition("Use ")[2].partition(":")[0]


def test_all_methods_of_a_round_share_images_and_seed_and_rounds_do_not(mixbench, made_up, words):
    assert mixbench("decide", *words, "method=none,cutmix", "budget=4rounds", "seed=7").status == 0
    seeds = {(job.identity["subset_seed"], job.identity["seed"]) for job in made_up.jobs}
    assert seeds == {(k, k) for k in range(7, 11)}
    assert {job.identity["subset"] for job in made_up.jobs} == {"random"}
    counts = Counter(job.identity["seed"] for job in made_up.jobs)
    assert set(counts.values()) == {2}


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_a_stopped_race_goes_on(mixbench, made_up, words, stop_after, tmp_path):
    made_up.means = {"label-mix": 51.0}
    command = ("decide", *words, f"method={','.join(METHODS)}", "budget=5rounds")
    whole = mixbench(*command, "results_dir=whole")
    all_at_once = made_up.trained.copy()
    made_up.trained.clear()
    made_up.stop_after = stop_after
    assert mixbench(*command, "results_dir=parts").status == 130
    made_up.stop_after = None
    parts = mixbench(*command, "results_dir=parts")
    assert made_up.trained == all_at_once  # `run_jobs` refuses a run that is there
    verdicts = [next(line for line in call.out.splitlines() if line.startswith("n = 20:")) for call in (whole, parts)]
    assert verdicts[0] == verdicts[1]
    again = mixbench(*command, "results_dir=parts")
    assert made_up.trained == all_at_once
    assert verdicts[0] in again.out


def test_methods_of_earlier_commands_stay_in_the_race(mixbench, made_up, words):
    made_up.means, made_up.sd = {"cutmix": 60.0}, 0.5
    assert mixbench("decide", *words, "method=none,cutmix,data-mix", "budget=4rounds").status == 0
    before = len(made_up.trained)
    call = mixbench("decide", *words, "method=none,label-mix", "budget=6rounds")
    assert call.status == 0
    assert "Use cutmix" in call.out, "the best method of the earlier command is still the best"
    assert trained(made_up)["label-mix"][:3] == [0, 1, 2], "a new method begins with the first round"
    assert len(made_up.trained) > before
    (record,) = Path("results/races").glob("*.json")
    names = [entry["name"] for entry in json.loads(record.read_text())["entries"]]
    assert names == ["none", "cutmix", "data-mix", "label-mix"]


def test_runs_with_other_seeds_do_not_count(mixbench, made_up, words, monkeypatch):
    made_up.sd = 3.0
    command = ("decide", *words, "method=none,cutmix", "budget=3rounds")
    assert mixbench(*command).status == 0
    gains = mb.compare(mb.load_runs("results"))
    later = mixbench(*command, "seed=30", "results_dir=other")
    assert later.status == 0
    for folder in Path("other/runs").iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            folder.rename(Path("results/runs") / folder.name)
    runs = mb.load_runs("results")
    assert len(runs) == 12
    pd.testing.assert_frame_equal(mb.compare(runs)[["gain", "low", "high"]], gains[["gain", "low", "high"]])


def test_a_method_outside_the_race_gets_no_interval(mixbench, made_up, words):
    assert mixbench("decide", *words, "method=none,cutmix", "budget=4rounds").status == 0
    assert mixbench("decide", *words, "method=none,fmix", "budget=4rounds", "results_dir=other").status == 0
    for folder in Path("other/runs").glob("*fmix*"):
        folder.rename(Path("results/runs") / folder.name)
    gains = mb.compare(mb.load_runs("results")).set_index("method")
    assert np.isfinite(gains.loc["cutmix", "low"])
    assert pd.isna(gains.loc["fmix", "low"])
    assert np.isfinite(gains.loc["fmix", "gain"])


def test_settings_are_raced_each_on_its_own(mixbench, made_up, words):
    made_up.sd = 0.2
    of_n = {20: 60.0, 40: 50.0}
    plain = made_up.accuracy
    made_up.accuracy = lambda job: plain(job) + (of_n[job.identity["n"]] - 50) * (job.identity["method"] == "cutmix")
    words = [word for word in words if not word.startswith("n=")]
    call = mixbench("decide", *words, "n=20,40", "method=none,cutmix", "budget=20rounds")
    lines = [line for line in call.out.splitlines() if line.startswith("n = ")]
    assert "Use cutmix" in lines[0]
    assert "Do not bother" in lines[1]
    assert len(list(Path("results/races").glob("*.json"))) == 2


@pytest.mark.parametrize(
    ("budget", "runs"),
    [("3rounds", 6), ("5rounds", 10), ("7runs", 6), ("8runs", 8), ("0.001s", 2)],
)
def test_a_budget_is_kept(mixbench, made_up, words, budget, runs):
    made_up.sd = 8.0  # never decided
    call = mixbench("decide", *words, "method=none,cutmix", f"budget={budget}")
    assert call.status == 0
    if budget == "0.001s":  # a first round has no known time; its runs say that they took longer
        assert 0 <= len(made_up.trained) <= runs
    else:
        assert len(made_up.trained) == runs
    assert "Use" not in call.out


def test_more_budget_goes_on(mixbench, made_up, words):
    made_up.sd = 8.0
    for rounds in (3, 4, 9):
        assert mixbench("decide", *words, "method=none,cutmix", f"budget={rounds}rounds").status == 0
        assert len(made_up.trained) == 2 * rounds


def test_a_larger_margin_is_decided_by_the_same_runs(mixbench, made_up, words):
    made_up.sd = 1.5
    command = ("decide", *words, "method=none,cutmix", "budget=8rounds")
    assert "Undecided" in mixbench(*command, "margin=0.1").out
    runs = len(made_up.trained)
    assert "Do not bother" in mixbench(*command, "margin=20").out
    assert len(made_up.trained) == runs
    assert "20 points" in mixbench("report", "dataset=digits").out, "the report has the last margin"


MISTAKES = [
    ("method=cutmix",),
    ("method=none",),
    ("method=none,cutmixx",),
    ("method=none,cutmix", "margin=0"),
    ("method=none,cutmix", "margin=nan"),
    ("method=none,cutmix", "margin=two"),
    ("method=none,cutmix", "budget=2"),
    ("method=none,cutmix", "budget=2weeks"),
    ("method=none,cutmix", "budget=2rounds"),
    ("method=none,cutmix", "budget=61rounds"),
    ("method=none,cutmix", "budget=0h"),
    ("method=none,cutmix", "budget=1.5runs"),
    ("method=none,cutmix", "seed=0,1"),
    ("method=none,cutmix", "seed=-1"),
    ("method=none,cutmix", "subset=head"),
    ("method=none,cutmix", "force=true"),
    ("method=none,cutmix", "n=100000"),
    ("method=none,cutmix", "rule=worst"),
    ("no-such-study",),
    ("demo", "n=20", "method=cutmix"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=" ".join)
def test_a_mistake_is_one_line_and_nothing_is_written(mixbench, words, mistake, tmp_path):
    named = [word.partition("=")[0] for word in mistake]
    words = [word for word in words if word.partition("=")[0] not in named] if "=" in mistake[0] else []
    call = mixbench("decide", *words, *mistake)
    assert call.status == 2
    assert len([line for line in call.err.splitlines() if line.startswith("mixbench:")]) == 1
    assert list(tmp_path.iterdir()) == []


def test_other_first_seeds_are_another_race(mixbench, made_up, words, contents, tmp_path):
    command = ("decide", *words, "method=none,cutmix", "budget=3rounds")
    assert mixbench(*command).status == 0
    before = contents(tmp_path)
    assert mixbench(*command, "seed=5").status == 2
    assert contents(tmp_path) == before


def test_a_damaged_record_is_not_taken_for_a_fixed_number_of_runs(mixbench, made_up, words):
    assert mixbench("decide", *words, "method=none,cutmix", "budget=3rounds").status == 0
    (record,) = Path("results/races").glob("*.json")
    record.write_text(record.read_text()[:-30])
    assert mixbench("report", "dataset=digits").status == 2
    assert mixbench("decide", *words, "method=none,cutmix", "budget=3rounds").status == 2


def test_a_dry_run_trains_nothing(mixbench, words, tmp_path, numbers):
    call = mixbench("decide", *words, "method=none,cutmix", "--dry-run")
    assert call.status == 0
    assert list(tmp_path.iterdir()) == []
    assert 6 in numbers(call.out), "three rounds of two methods"


def test_real_runs_of_a_study(mixbench):
    cell = ("demo", "n=20", "method=none,label-mix", "model.depth=10", "model.width=4", "train.steps=20")
    small = ("train.batch_size=8", "train.eval_every=20", "device=cpu", "progress=off", "budget=3rounds")
    call = mixbench("decide", *cell, *small)
    assert call.status == 0
    (page,) = Path("results").glob("demo*/report.html")
    assert str(page) in call.out.splitlines()[-1]
    runs = mb.load_runs("results")
    assert sorted(zip(runs["method"], runs["seed"], strict=True)) == [
        (method, seed) for method in ("label-mix", "none") for seed in range(3)
    ]
    assert mb.compare(runs)["low"].notna().all()
