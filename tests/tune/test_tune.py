"""mixbench tune as a whole: equal trials, going on, which images take part, and the comparison of the winners."""

import contextlib
import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_runs import at_step, interrupt

from mixbench.cli.main import main
from mixbench.training.engine import Engine

TINY = ["dataset=digits", "n=50", "subset=balanced", "device=cpu", "precision=fp32", "model.width=2", "model.depth=10"]
TINY += ["train.steps=3", "train.batch_size=8"]
SPACE = ["method.alpha=0.05..8", "train.weight_decay=1e-5..1e-2"]


def trials_of(results="results"):
    """The rows of the only trials.csv."""
    (path,) = Path(results).glob("tune/*/trials.csv")
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def identity(run, results="results"):
    return json.loads((Path(results) / "runs" / run / "metrics.json").read_text())["identity"]


def runs_in(results="results"):
    return {path.parent.name: path for path in Path(results).glob("runs/*/metrics.json")}


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory):
    """A command with two new subsets: its folder of results, and what it printed."""
    results = tmp_path_factory.mktemp("confirmed") / "results"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        words = ["tune", *TINY, "method=mixup", *SPACE, "train.lr=0.05,0.1", "trials=3", "confirm=2"]
        assert main([*words, f"results_dir={results}"]) == 0
    return results, printed.getvalue()


# Trials


def test_every_method_has_as_many_trials_the_first_of_them_with_its_default_settings(confirmed):
    results, _ = confirmed
    rows = trials_of(results)
    assert [(row["method"], row["trial"]) for row in rows] == [
        (method, str(number)) for number in range(3) for method in ("none", "mixup")
    ]
    for row in rows:
        found = identity(row["runs"], results)
        assert found["eval"] == "validation"
        assert found["method"] == {"none": "none", "mixup": "label-mix"}[row["method"]]
        assert found.get("method.alpha") == (float(row["method.alpha"]) if row["method.alpha"] else None)
        assert found["train.weight_decay"] == float(row["train.weight_decay"])
        assert found["train.lr"] in (0.05, 0.1)
        metrics = json.loads((results / "runs" / row["runs"] / "metrics.json").read_text())
        assert float(row["validation_accuracy"]) == metrics["final_accuracy"]
        if row["trial"] == "0":
            assert (found.get("method.alpha", 1), found["train.weight_decay"], found["train.lr"]) == (1, 1e-4, 0.1)
    assert len({row["runs"] for row in rows}) == 6


def test_winners_are_trained_on_all_images_of_new_subsets_with_their_settings(confirmed):
    results, _ = confirmed
    rows, names = trials_of(results), {row["runs"] for row in trials_of(results)}
    confirming = [identity(name, results) for name in runs_in(results) if name not in names]
    assert sorted((one["method"], one["subset_seed"], one["seed"]) for one in confirming) == [
        (method, k, k) for method in ("label-mix", "none") for k in (1, 2)
    ]
    for method, called in (("none", "none"), ("label-mix", "mixup")):
        of_one = [row for row in rows if row["method"] == called]
        best = max(of_one, key=lambda row: (float(row["validation_accuracy"]), -int(row["trial"])))
        expected = {**identity(best["runs"], results), "eval": "test", "dataset.holdout": None}
        for one in confirming:
            if one["method"] == method:
                assert one == {**expected, "subset_seed": one["subset_seed"], "seed": one["seed"]}


def test_methods_with_other_common_settings_are_compared_in_one_setting(confirmed):
    results, printed = confirmed
    (page,) = results.glob("tune/*/report.md")
    report = page.read_text()
    assert "no mixing" in report
    assert "No comparison" not in printed + report
    with open(page.with_name("accuracy.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    runs = {name: json.loads(path.read_text()) for name, path in runs_in(results).items()}
    for method in ("none", "label-mix"):
        values = [m["final_accuracy"] for m in runs.values() if m["identity"]["eval"] == "test"
                  and m["identity"]["method"] == method]  # fmt: skip
        (mean,) = [float(row[f"{method}_mean"]) for row in rows if row[f"{method}_mean"]]
        assert mean == pytest.approx(np.mean(values))
    gain = next(line for line in printed.splitlines() if line.startswith("n = 50:"))
    assert "2 subsets" in gain


def test_tables_leave_out_the_runs_that_chose_settings_unless_they_are_asked_for(confirmed, mixbench):
    results, _ = confirmed
    for words, count in ((["n=50"], 4), (["n=50", "eval=validation"], 6)):
        call = mixbench("table", *words, f"results_dir={results}", "out=out")
        assert call.status == 0
        with open("out/runs.csv", newline="") as file:
            assert len(list(csv.DictReader(file))) == count
        assert ("eval=validation" in call.err) == (count == 4)


def test_a_comparison_needs_the_tuned_keys_to_belong_to_the_methods():
    """Two methods with other weight decay are two settings for every report, but one for tuning."""
    from mixbench.analysis.compare import compare
    from mixbench.analysis.frame import run_frame
    from mixbench.tune.confirm import with_tuned_keys_of_methods

    def made(method, decay, seed, accuracy):
        keys = {"dataset": "d", "n": 50, "subset": "random", "subset_seed": seed, "seed": seed, "eval": "test"}
        keys |= {"method": method, "train.weight_decay": decay, "augment": "none", "model": "m", "loss": "ce"}
        return {"id": f"{method}{seed}", "identity": keys, "final_accuracy": accuracy, "folder": None}

    runs = [made("none", 1e-4, seed, 50.0 + seed) for seed in range(3)]
    runs += [made("cutmix", 1e-3, seed, 54.0 + 2 * seed) for seed in range(3)]
    frame = run_frame(runs)
    assert [setting.gains for setting in compare(frame, "final")] == [[], []]
    (setting,) = compare(with_tuned_keys_of_methods(frame), "final")
    ((_, gain),) = setting.gains
    assert gain.mean == pytest.approx(5.0)
    assert gain.units == 3


# Going on


def test_the_same_command_trains_nothing_again_and_more_trials_go_on(mixbench, monkeypatch):
    words = ["tune", *TINY, "method=mixup", *SPACE, "confirm=0"]
    assert mixbench(*words, "trials=2").status == 0
    first, before = trials_of(), {name: path.stat().st_mtime_ns for name, path in runs_in().items()}
    assert mixbench(*words, "trials=3").status == 0
    assert trials_of()[:4] == first
    assert len(trials_of()) == 6
    assert {name: runs_in()[name].stat().st_mtime_ns for name in before} == before
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "step", None)  # nothing can train
        assert mixbench(*words, "trials=3").status == 0
    dry = mixbench(*words, "trials=5", "--dry-run")
    assert dry.status == 0
    assert dry.out.splitlines()[0].startswith("10 runs")
    assert dry.out.count("3 of them finished") == 2


@pytest.mark.slow
@pytest.mark.parametrize(("step", "finished"), [(1, 3), (2, 4)], ids=["within a run", "in its last step"])
def test_an_interrupted_command_goes_on_and_ends_as_without_the_stop(mixbench, numbers, step, finished):
    words = ["tune", *TINY, "method=mixup", *SPACE, "trials=3", "confirm=0"]
    assert mixbench(*words, "results_dir=whole").status == 0
    steps = []

    def fourth_run():
        steps.append(None)
        if len(steps) == 4:
            interrupt()

    with at_step(step, fourth_run):
        call = mixbench(*words, "results_dir=stopped")
    assert call.status == 130
    assert numbers(call.err.splitlines()[-1]) == [finished, 6]
    assert len(runs_in("stopped")) == finished
    before = {name: path.read_bytes() for name, path in runs_in("stopped").items()}
    assert mixbench(*words, "results_dir=stopped").status == 0
    assert trials_of("stopped") == trials_of("whole")
    assert {name: runs_in("stopped")[name].read_bytes() for name in before} == before


@pytest.mark.slow
def test_a_trial_of_several_splits_is_their_mean(mixbench):
    words = ["tune", *TINY, "method=none", "train.lr=0.01..0.5", "trials=2", "splits=3", "confirm=0", "seed=5"]
    assert mixbench(*words).status == 0
    for row in trials_of():
        names = row["runs"].split()
        assert [identity(name)["seed"] for name in names] == [5, 6, 7]
        accuracies = [json.loads(runs_in()[name].read_text())["final_accuracy"] for name in names]
        assert float(row["validation_accuracy"]) == pytest.approx(np.mean(accuracies))


# Images


def archive(path, break_test=False, test=True):
    """Digits as an archive, with damaged test images or without any."""
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 4
    arrays = {"train_images": rng.integers(0, 256, (80, 8, 8), np.uint8), "train_labels": labels}
    if test:
        arrays |= {"test_images": rng.integers(0, 256, (40, 8, 8), np.uint8), "test_labels": labels[:40]}
    np.savez(path, **arrays)
    if break_test:
        content = bytearray(path.read_bytes())
        with zipfile.ZipFile(path) as opened:
            offset = opened.getinfo("test_images.npy").header_offset
        content[offset + 400 : offset + 600] = bytes(200)
        path.write_bytes(bytes(content))


def test_trials_need_no_test_images_and_read_none(mixbench, tmp_path):
    words = [word for word in TINY if not word.startswith(("dataset", "n="))]
    words += ["dataset=npz", "n=40", "method=none", "train.lr=0.01..0.5", "trials=2"]
    archive(tmp_path / "without.npz", test=False)
    assert mixbench("tune", *words, "dataset.path=without.npz", "confirm=0").status == 0
    archive(tmp_path / "damaged.npz", break_test=True)
    assert mixbench("run", *words[:-2], "dataset.path=damaged.npz").status == 2
    call = mixbench("tune", *words, "dataset.path=damaged.npz", "confirm=0", "results_dir=other")
    assert call.status == 0, call.err
    call = mixbench("tune", *words, "dataset.path=without.npz", "results_dir=third")
    assert (call.status, Path("third").exists()) == (2, False)
    assert "test_images" in call.err


@pytest.mark.slow
def test_held_out_images_that_trials_have_seen_are_reported(mixbench, numbers):
    words = ["tune", *TINY, "method=none", "train.lr=0.01..0.5", "trials=1", "eval=stratified", "confirm=1"]
    call = mixbench(*words)
    assert call.status == 0
    (warning,) = [line for line in call.err.splitlines() if "warning" in line]
    seen, of = numbers(warning)[:2]
    assert of == 259  # a fifth of 1,297
    assert 0 < seen <= 50


@pytest.mark.slow
def test_the_head_of_the_list_is_compared_with_new_seeds(mixbench):
    words = [word for word in TINY if not word.startswith("subset")]
    call = mixbench("tune", *words, "subset=head", "method=mixup", "method.alpha=0.1..8", "trials=1", "confirm=2")
    assert call.status == 0
    assert "these images only" in call.err
    assert "2 seeds of one subset" in call.out
    tests = [identity(name) for name in runs_in() if identity(name)["eval"] == "test"]
    assert {(one["subset_seed"], one["seed"]) for one in tests} == {(None, 1), (None, 2)}


# Settings that cannot be trained


def test_settings_that_do_not_fit_together_are_trials_that_lose(mixbench):
    """Whole numbers between two depths that exist are mostly no depths."""
    words = [word for word in TINY if not word.startswith("model.depth")]
    call = mixbench("tune", *words, "method=none", "model.depth=10..18", "trials=6", "confirm=0")
    assert call.status == 0, call.err
    rows = trials_of()
    assert len(rows) == 6
    failed = [row for row in rows if not row["validation_accuracy"]]
    assert failed
    assert all(row["note"] for row in failed)
    assert all((row["model.depth"] in ("10", "18")) == bool(row["validation_accuracy"]) for row in rows)


@pytest.mark.slow
def test_a_diverging_run_is_a_failed_trial_and_the_exit_status_says_so(mixbench):
    call = mixbench("tune", *TINY, "method=none", "train.lr=0.1,1e30", "trials=5", "confirm=1")
    assert call.status == 1
    rows = trials_of()
    assert {row["train.lr"] for row in rows} == {"0.1", "1e+30"}
    assert all((row["train.lr"] == "0.1") == bool(row["validation_accuracy"]) for row in rows)
    assert [identity(name)["train.lr"] for name in runs_in() if identity(name)["eval"] == "test"] == [0.1]
