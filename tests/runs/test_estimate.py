"""What runs will cost, from what stored ones like them have cost: dry runs, time left."""

import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

from mixbench.config.compose import Composer
from mixbench.data.sources import npz
from mixbench.runs import cost, estimate, speed, study
from mixbench.runs.store.store import SCHEMA, Store

STUDY = ["demo", "n=20,50", "method=none,label-mix"]  # 150 steps, 3 seeds: 12 runs


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    """What an earlier test has measured in this process is forgotten."""
    monkeypatch.setattr(cost, "_MEASURED", {})


@pytest.fixture
def jobs():
    with Composer() as composer:
        return study.plan(composer, STUDY[0], STUDY[1:]).jobs


@pytest.fixture
def results(tmp_path):
    return Store(tmp_path / "results")


def finish(results, job, seconds, device="a card", at=None, **identity):
    """A finished run of the job; `at`: when, in seconds before now."""
    folder = results.folder(job.id)
    folder.mkdir(parents=True)
    accuracies = dict.fromkeys(("final_accuracy", "best_accuracy", "median10_accuracy"), 50.0)
    measured = {"schema": SCHEMA, "id": job.id, "identity": job.identity | identity, "device": device}
    (folder / "metrics.json").write_text(json.dumps(measured | accuracies | {"steps": 150, "seconds": seconds}))
    if at is not None:
        os.utime(folder / "metrics.json", (time.time() - at,) * 2)


def of(jobs, method, n, seed):
    return next(j for j in jobs if (j.cfg.method.name, j.cfg.n, j.cfg.seed) == (method, n, seed))


def test_rates_are_the_median_of_the_runs_that_are_most_alike(results, jobs):
    for seed, seconds in enumerate((15.0, 30.0, 90.0)):
        finish(results, of(jobs, "none", 20, seed), seconds)
    finish(results, of(jobs, "label-mix", 20, 0), 300.0)
    known = estimate.rates(results)
    assert known.seconds_per_step(of(jobs, "none", 50, 0).identity) == 30 / 150
    assert known.seconds_per_step(of(jobs, "label-mix", 50, 0).identity) == 300 / 150
    other_method = of(jobs, "none", 50, 0).identity | {"method": "fmix"}
    assert known.seconds_per_step(other_method) == pytest.approx((30 + 90) / 2 / 150)
    assert known.seconds_per_step(other_method | {"train.eval_every": 1, "n": 7}) is not None
    assert known.seconds_per_step(of(jobs, "none", 50, 0).identity | {"model.width": 64}) is None
    assert known.seconds_per_step(of(jobs, "none", 50, 0).identity | {"train.batch_size": 7}) is None


def test_rates_are_of_the_device_that_trained_last(results, jobs):
    finish(results, of(jobs, "none", 20, 0), 15.0, device="old", at=1000)
    finish(results, of(jobs, "none", 20, 1), 75.0, device="new", at=10)
    known = estimate.rates(results)
    assert known.device == "new"
    assert known.seconds_per_step(jobs[0].identity) == 0.5


def test_without_stored_runs_no_time_is_invented(results, jobs, numbers):
    assert numbers(estimate.time_left(jobs, results)) == [12, 1800]  # runs and steps alone


def test_time_left_adds_up_what_is_known_and_counts_the_rest(results, jobs, numbers):
    finish(results, of(jobs, "none", 20, 0), 1500.0)  # 10 s a step
    with Composer() as composer:
        wide = study.plan(composer, "demo", ["n=20", "method=none", "model.width=32"]).jobs
    line = estimate.time_left(jobs[-1:], results)
    assert numbers(line) == [1, 150, 25]
    assert "25 min" in line
    line = estimate.time_left([*jobs[-2:], *wide], results)
    assert numbers(line) == [5, 750, 50, 3]  # runs, steps, minutes, and how many runs are like no stored one
    assert "50 min" in line
    assert "a card" in line


def test_an_interrupted_run_goes_on_from_its_last_row(results, jobs):
    folder = results.folder(jobs[0].id)
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("step,train_loss\n15,1.0\n30,1.0\n")
    assert estimate.steps_left(jobs[0], results) == 150, "without a checkpoint it starts anew"
    (folder / "checkpoint.pt").write_text("…")
    assert estimate.steps_left(jobs[0], results) == 120
    (folder / "history.csv").write_text("no table")
    assert estimate.steps_left(jobs[0], results) == 150


def test_runs_that_have_begun_tell_the_rate_where_none_is_finished(results, jobs, numbers):
    folder = results.folder(jobs[0].id)
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_text("…")
    (folder / "history.csv").write_text("step,seconds\n15,30.0\n30,60.0\n")  # 2 s a step
    line = estimate.time_left(jobs[:2], results)
    assert numbers(line) == [2, 270, 9]
    assert "9 min" in line
    assert "a card" not in line
    finish(results, jobs[2], 15.0)
    line = estimate.time_left(jobs[:2], results)
    assert numbers(line) == [2, 270, 27]  # 0.1 s a step
    assert "a card" in line


def test_a_running_run_is_shown_with_its_step(mixbench, jobs, counts, numbers):
    results = Store("results")
    folder = results.folder(jobs[0].id)
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text("step,train_loss\n15,1.0\n30,1.0\n")
    with results.lock(jobs[0].id):
        lines = mixbench("status", *STUDY).out.splitlines()
    assert all(word in lines[0] for word in ("demo", "results/runs/"))
    assert counts(lines[0]) == {"missing": 11, "running": 1}
    assert numbers(lines[1])[:2] == [12, 1770]
    assert lines[2].split() == ["running", jobs[0].id, "(step", "30", "of", "150)"]


@pytest.mark.parametrize(
    "words",
    [
        ["study", "demo", "--dry-run"],
        ["study", "--dry-run", "demo"],
        ["sweep", "dataset=digits", "subset=balanced", "seed=0,1", "n=20", "train.steps=9", "--dry-run"],
        ["run", "dataset=digits", "subset=balanced", "n=20", "train.steps=9", "--dry-run"],
        ["study", "small-data", "model.width=2", "--dry-run"],  # its images are not there, and not asked for
    ],
)
def test_a_dry_run_trains_and_writes_nothing(mixbench, words):
    call = mixbench(*words)
    assert call.status == 0
    assert "dry run" in call.out
    assert list(Path.cwd().iterdir()) == []


def test_a_dry_run_says_what_would_be_trained_and_how_long_it_takes(mixbench, jobs, numbers, monkeypatch):
    finish(Store("results"), of(jobs, "none", 20, 0), 300.0)  # on another machine, so it says nothing of this one
    monkeypatch.setattr(cost, "_seconds", lambda job, dataset: (2.0, 0.0))  # of a step and of an evaluation
    call = mixbench("study", *STUDY, "--dry-run")
    lines = call.out.splitlines()
    assert numbers(lines[0]) == [12, 1]  # runs, and those that are finished already
    assert {line.split()[0] for line in lines[1:]} == {j.id for j in jobs} - {of(jobs, "none", 20, 0).id}
    assert all(re.fullmatch(r"  \S+  150 steps, about 5 min", line) for line in lines[1:])
    assert numbers(call.err) == [11, 55]
    assert "55 min" in call.err


def test_where_nothing_can_be_measured_stored_runs_tell_the_time(mixbench, jobs, numbers, monkeypatch):
    def fails(job, dataset):
        raise RuntimeError

    finish(Store("results"), of(jobs, "none", 20, 0), 300.0)
    monkeypatch.setattr(cost, "_seconds", fails)
    lines = mixbench("study", *STUDY, "--dry-run").out.splitlines()
    assert all(re.fullmatch(r"  \S+  150 steps, about 5 min", line) for line in lines[1:-1])
    assert numbers(lines[-1]) == [11, 1650, 55]
    assert "55 min" in lines[-1]


@pytest.mark.parametrize("command", ["run", "sweep", "decide"])
def test_above_an_hour_on_a_cpu_the_first_line_is_a_warning(mixbench, monkeypatch, command):
    monkeypatch.setattr(cost, "_seconds", lambda job, dataset: (30.0, 0.0))
    words = ["dataset=digits", "n=20", "subset=random", "train.steps=150", "device=cpu", "--dry-run"]
    call = mixbench(command, *words, *(["method=none,mixup"] if command != "run" else []))
    assert call.status == 0
    assert call.err.splitlines()[0].startswith("warning: ")
    assert "75 min" in call.err or "1.2 h" in call.err or "2.5 h" in call.err


def test_stored_times_and_measured_ones_are_of_the_same_runs(jobs):
    """Runs that train alike are timed once, and every key that changes the time counts in both."""
    one = of(jobs, "none", 20, 0).identity
    assert speed.same_step(one) == speed.same_step(of(jobs, "none", 50, 2).identity)
    assert speed.same_step(one) == speed.same_step(one | {"train.eval_every": 7, "train.lr": 3.0})
    for key in ("dataset.size", "model.width", "model.depth", "train.batch_size", "eval", "precision"):
        for similarity in speed.SIMILARITIES:
            assert similarity(one) != similarity(one | {key: "other"}), key
    for key in ("method", "augment", "loss", "train.optimizer"):
        assert speed.same_step(one) != speed.same_step(one | {key: "other"})
        assert speed.same_network(one) == speed.same_network(one | {key: "other"})


def test_a_dry_run_of_a_finished_study_has_nothing_to_do(mixbench, jobs, numbers):
    finish(Store("results"), of(jobs, "none", 20, 0), 300.0)
    out = mixbench("study", "demo", "n=20", "method=none", "seed=0", "--dry-run").out
    assert (numbers(out), out.count("\n")) == ([1, 1], 1)
    assert "dry run" in out


def test_a_dry_run_tells_mistakes(mixbench):
    call = mixbench("study", "demo", "n=0", "--dry-run")
    assert call.status == 2
    assert "n=0" in call.err


def test_runs_of_other_makers_are_passed_over(results, jobs):
    finish(results, jobs[0], 30.0)
    path = results.folder(jobs[0].id) / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["identity"] = {"dataset": "digits", "n": 20, "method": "none", "seed": 0}
    path.write_text(json.dumps(metrics))
    assert estimate.rates(results).seconds_per_step(jobs[0].identity) is None


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "my.npz"
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8), dtype=np.uint8)
    np.savez(path, train_images=images, train_labels=np.arange(90) % 3)
    return str(path)


@pytest.mark.parametrize(
    "words",
    [
        ["dataset.path=missing.npz"],
        ["dataset.path=text.npz"],
        ["n=73"],  # 18 of the 90 images are held out
        ["subset=balanced", "n=2"],
        ["eval=test"],
        ["dataset.classes=[a,b]"],
        ["method=none", "protect=[5]"],
        ["method=mixup", "protect=[5]"],
        ["dataset.mean=[0.5,0.5,0.5]", "dataset.std=[1,1,1]"],
    ],
)
def test_a_dry_run_refuses_data_as_the_run_does(mixbench, tmp_path, archive, words):
    (tmp_path / "text.npz").write_text("text")
    given = ["run", "dataset=npz", f"dataset.path={archive}", "n=72", "eval=stratified", "train.steps=1", "device=cpu"]
    dry, real = (mixbench(*given, *words, *flags) for flags in (["--dry-run"], []))
    assert (dry.status, real.status) == (2, 2)
    assert dry.err == real.err != ""
    assert [path.name for path in tmp_path.iterdir()] == ["text.npz"]


def test_a_dry_run_reads_no_image_and_downloads_nothing(mixbench, tmp_path, archive, monkeypatch):
    read = []
    original = npz._read
    monkeypatch.setattr(
        npz, "_read", lambda file, array: [read.append(array.member.filename), original(file, array)][1]
    )
    monkeypatch.setattr("torchvision.datasets.CIFAR10", None)
    words = ["eval=stratified", "n=72", "train.steps=1", "model.width=2", "model.depth=10", "--dry-run"]
    assert mixbench("run", "dataset=npz", f"dataset.path={archive}", *words).status == 0
    assert read == ["train_labels.npy"]
    assert mixbench("run", "n=40000", *words[:1], *words[2:]).status == 0
    assert mixbench("run", "n=40001", *words[:1], *words[2:]).status == 2
    assert list(tmp_path.iterdir()) == []
