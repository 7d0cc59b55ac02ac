"""Runs with label noise and protected classes: what training saw, and what is kept of it."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
from made_runs import (
    NAMES,
    assert_same_run,
    at_step,
    folder_of,
    interrupt,
    metrics,
)

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.runs import run as run_module
from mixbench.training import loop
from mixbench.training.engine import Engine

# Label noise


def labels_seen(monkeypatch):
    """What the engines of later runs in this process hold: [(labels, protected)]."""
    seen, init = [], Engine.__init__

    def spy(self, cfg, split, *more):
        init(self, cfg, split, *more)
        seen.append((self.labels.tolist(), self.plan.protected))

    monkeypatch.setattr(Engine, "__init__", spy)
    return seen


def noise_of(folder):
    with open(folder / "label_noise.csv", newline="") as file:
        return [{key: int(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_a_run_with_label_noise_keeps_what_training_saw(mixbench, tiny, monkeypatch):
    seen = labels_seen(monkeypatch)
    assert mixbench("run", *tiny, "dataset.label_noise=0.5", "subset_seed=1").status == 0
    folder = folder_of("results")
    assert {path.name for path in folder.iterdir()} == NAMES | {"label_noise.csv"}
    with Composer() as composer:
        made = job(composer.compose([*tiny, "dataset.label_noise=0.5", "subset_seed=1"]))
    digits = data.load("digits", "", None, say=print)
    split = run_module.prepare(made, digits)
    rows = noise_of(folder)
    assert [row["index"] for row in rows] == sorted(split.indices[split.replaced].tolist())
    assert [row["true"] for row in rows] == [digits.train_labels[row["index"]] for row in rows]
    given = {row["index"]: row["given"] for row in rows}
    trained = [given.get(i, digits.train_labels[i]) for i in split.indices.tolist()]
    assert seen[0] == (trained, None)

    source = json.loads((folder / "provenance.json").read_text())
    wrong = sum(row["true"] != row["given"] for row in rows)
    digest = hashlib.sha256(np.array(trained, dtype="<i8").tobytes()).hexdigest()
    expected = {"rate": 0.5, "replaced": len(rows), "wrong": wrong, "train_labels_sha256": digest}
    assert source["label_noise"] == expected
    assert 0 < wrong < 20
    assert source["class_counts"] == [2] * 10
    assert metrics(folder)["identity"]["dataset.label_noise"] == 0.5


def test_learning_wrong_labels_by_heart_shows_in_the_training_accuracies(mixbench, tiny, monkeypatch):
    def by_heart(cfg, images, *more):
        outcome = loop.train(cfg, images, *more)
        outcome.train_logits = np.eye(10)[images.train_labels]
        return outcome

    monkeypatch.setattr(run_module, "train", by_heart)
    assert mixbench("run", *tiny, "dataset.label_noise=0.5").status == 0
    folder = folder_of("results")
    wrong = json.loads((folder / "provenance.json").read_text())["label_noise"]["wrong"]
    assert metrics(folder)["clean_train_accuracy"] == 100
    assert metrics(folder)["true_train_accuracy"] == 100 * (20 - wrong) / 20
    call = mixbench("table", "dataset=digits")
    assert call.status == 0
    with open("results/selection,dataset=digits/runs.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["true_train_accuracy"]) == 100 * (20 - wrong) / 20


def test_noise_that_replaced_no_label_leaves_a_list_without_rows(mixbench, tiny):
    assert mixbench("run", *tiny, "dataset.label_noise=1e-9").status == 0
    folder = folder_of("results")
    assert (folder / "label_noise.csv").read_text() == "index,true,given\n"
    assert json.loads((folder / "provenance.json").read_text())["label_noise"]["replaced"] == 0


def test_without_noise_nothing_is_said_of_it(whole):
    folder = whole["fp32"]
    assert "true_train_accuracy" not in metrics(folder)
    assert "label_noise" not in json.loads((folder / "provenance.json").read_text())


def test_noise_is_the_same_for_all_methods_and_seeds(mixbench, tiny, monkeypatch):
    seen = labels_seen(monkeypatch)
    words = [*tiny, "dataset.label_noise=0.5", "subset=head"]
    assert mixbench("sweep", *words, "method=none,mixup", "seed=0,1").status == 0
    assert mixbench("run", *words, "subset_seed=1").status == 0
    labels = [tuple(labels) for labels, _ in seen]
    assert len(labels) == 5
    assert len(set(labels[:4])) == 1
    assert labels[4] != labels[0]
    texts = [path.read_text() for path in Path("results/runs").glob("*/label_noise.csv")]
    assert sorted(map(texts.count, texts)) == [1, 4, 4, 4, 4]


def test_a_resumed_run_has_the_same_noise(mixbench, tiny):
    words = [*tiny, "dataset.label_noise=0.5", "method=mixup"]
    with at_step(7, interrupt):
        assert mixbench("run", *words).status == 130
    folder = folder_of("results")
    before = (folder / "label_noise.csv").read_bytes()
    assert mixbench("run", *words).status == 0
    assert (folder / "label_noise.csv").read_bytes() == before
    assert mixbench("run", *words, "results_dir=whole").status == 0
    assert_same_run(folder, folder_of("whole"))


# Protected classes


def test_protected_classes_reach_the_plan_of_every_run(mixbench, tiny, monkeypatch):
    seen = labels_seen(monkeypatch)
    assert mixbench("sweep", *tiny, "method=mixup", "protect=[],['3',0],[0,3],[7]").status == 0
    assert len(seen) == 3
    for (labels, protected), classes in zip(seen, ([], [0, 3], [7]), strict=True):
        assert (protected is None) == (not classes)
        assert protected is None or protected.tolist() == [label in classes for label in labels]
    assert mixbench("run", *tiny, "method=mixup", "protect=3").status == 0
    assert seen[-1][1].sum() == 2
    found = {str(metrics(folder)["identity"]["protect"]) for folder in Path("results/runs").glob("digits-*")}
    assert found == {"[]", "[0, 3]", "[7]", "[3]"}
    call = mixbench("table", "dataset=digits", "rows=protect", "columns=n")
    assert all(f"| {shown} |" in " ".join(call.out.split()) for shown in found)


def test_the_baseline_is_shared_by_runs_that_protect_classes(mixbench, tiny):
    assert mixbench("run", *tiny).status == 0
    assert "finished before" in mixbench("run", *tiny, "protect=[3]").out
