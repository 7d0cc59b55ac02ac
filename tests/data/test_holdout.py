"""Hold-outs: which training images are kept back, that every class is on both sides, and what they are called."""

import csv
import json
import re
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mixbench.config.compose import Composer
from mixbench.config.identity import cell_hash, job
from mixbench.config.validate import SUBSETS
from mixbench.core.errors import UserError
from mixbench.data import Dataset, split
from mixbench.data.holdout import stratified
from mixbench.runs.store import history, reading
from mixbench.training import metrics

CHECKOUT = Path(__file__).parents[2]
NESTED = [subset for subset in SUBSETS if subset != "disjoint"]


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


@pytest.fixture
def make(composer):
    return lambda *overrides: job(composer.compose(overrides))


def one_line(function, *arguments):
    with pytest.raises(UserError) as raised:
        function(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def pixels(count, seed=0):
    """Images that all differ: the first four bytes of each are its number."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 8, 8), np.uint8)
    images.reshape(count, -1)[:, :4] = np.arange(count, dtype="<u4").view(np.uint8).reshape(count, 4)
    return images


def by_class(counts, seed=0):
    """A training list sorted by class, as walking class folders makes it."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return Dataset(pixels(len(labels), seed)[..., None], labels)


# How many of each class


def nearest_counts(counts, held):
    """Every division of `held` over the classes with one image of each on both sides: those nearest to the shares."""
    total = sum(counts)

    def divisions(rest, left):
        if not rest:
            if left == 0:
                yield ()
            return
        for taken in range(1, min(rest[0] - 1, left) + 1):
            for others in divisions(rest[1:], left - taken):
                yield (taken, *others)

    def distance(division):
        return sum((Fraction(held * count, total) - taken) ** 2 for taken, count in zip(division, counts, strict=True))

    every = list(divisions(tuple(counts), held))
    best = min(map(distance, every))
    return {division for division in every if distance(division) == best}


@settings(deadline=None, derandomize=True, max_examples=150)
@given(counts=st.lists(st.integers(2, 9), min_size=1, max_size=4), data=st.data())
def test_every_class_gives_its_share_by_the_largest_remainder(counts, data):
    held = data.draw(st.integers(len(counts), sum(counts) - len(counts)))
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    mask = stratified(labels, held, subset_seed=3)
    assert tuple(np.bincount(labels[mask], minlength=len(counts))) in nearest_counts(counts, held)


@pytest.mark.parametrize(
    ("counts", "held", "expected"),
    [
        ([40, 40, 40], 24, [8, 8, 8]),
        ([10, 10, 10], 10, [4, 3, 3]),  # equal remainders: the lower class
        ([7, 2, 1 + 2], 4, [2, 1, 1]),  # shares 2.33, 0.67, 1
        ([100, 2, 2], 10, [8, 1, 1]),  # shares 9.6, 0.2, 0.2: at least one of each
        ([2, 2, 100], 90, [1, 1, 88]),  # shares 1.7, 1.7, 86.5: one of each is left to train on
        ([5000] * 10, 10_000, [1000] * 10),
    ],
)
def test_counts_by_hand(counts, held, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    assert np.bincount(labels[stratified(labels, held, 0)]).tolist() == expected


@settings(deadline=None, derandomize=True, max_examples=150)
@given(labels=st.lists(st.integers(0, 6), min_size=2, max_size=80), share=st.floats(0.01, 0.99))
def test_a_hold_out_has_as_many_images_as_asked_for_and_all_classes_or_is_refused(labels, share):
    labels = np.array(labels)
    held = round(share * len(labels))
    assume(0 < held < len(labels))
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    if counts.min() < 2 or not len(counts) <= held <= len(labels) - len(counts):
        assert "eval=stratified" in one_line(stratified, labels, held, 5)
        return
    mask = stratified(labels, held, 5)
    assert mask.sum() == held
    assert set(labels[mask]) == set(labels[~mask]) == set(labels)


def test_which_images_are_held_out_never_changes():
    """Stored runs name their hold-out by subset_seed and dataset.holdout alone."""
    labels = np.arange(40) % 4
    assert np.flatnonzero(stratified(labels, 8, 0)).tolist() == [8, 13, 25, 27, 30, 32, 34, 39]
    assert np.flatnonzero(stratified(labels, 8, 1)).tolist() == [1, 14, 22, 23, 24, 25, 36, 39]


def test_within_a_class_every_image_is_as_likely_to_be_held_out():
    labels = np.repeat([0, 1], [12, 8])
    times = sum(stratified(labels, 5, seed).astype(int) for seed in range(4000))
    assert times.sum() == 5 * 4000
    # 3 of 12 and 2 of 8: each image in a quarter of the hold-outs; a standard deviation is 27.
    assert np.abs(times - 1000).max() < 130


# Splits


@pytest.mark.parametrize("subset", NESTED)
@pytest.mark.parametrize("holdout", ["0.2", "24"])
def test_subsets_are_nested_and_never_touch_what_is_held_out(make, subset, holdout):
    data = by_class([40, 40, 40])
    words = ["dataset=npz", "dataset.path=x.npz", "eval=stratified", f"subset={subset}", f"dataset.holdout={holdout}"]
    of_seed = []
    for seed in (0, 1):
        smaller = None
        for n in (12, 30, 96):
            made = split(data, make(*words, f"n={n}", f"subset_seed={seed}").cfg)
            assert np.array_equal(made.train_images, data.train_images[made.indices])
            assert np.array_equal(made.train_labels, data.train_labels[made.indices])
            held = made.eval_images.reshape(24, -1)[:, :4].copy().view("<u4").ravel()  # the images' numbers
            assert np.array_equal(made.eval_labels, data.train_labels[held])
            assert np.bincount(made.eval_labels).tolist() == [8, 8, 8]
            assert sorted({*held.tolist(), *made.indices.tolist()}) == sorted([*held.tolist(), *made.indices.tolist()])
            if smaller is not None:
                assert np.array_equal(held, smaller[1])
                assert made.indices[: len(smaller[0])].tolist() == smaller[0].tolist()
            smaller = made.indices, held
        of_seed.append(smaller[1].tolist())
    assert of_seed[0] != of_seed[1]


def test_head_takes_the_first_images_that_are_not_held_out(make):
    data = by_class([6, 6])
    made = split(data, make("dataset=npz", "dataset.path=x.npz", "eval=stratified", "n=9").cfg)
    assert made.indices.tolist() == sorted(made.indices.tolist())
    assert len(made.eval_labels) == 2  # 0.2 of 12, rounded


def test_an_image_has_the_same_noisy_label_whatever_is_held_out(make):
    data = by_class([50, 50])
    words = ["dataset=npz", "dataset.path=x.npz", "n=80", "dataset.label_noise=0.5", "subset=random", "subset_seed=2"]
    given_label = {}
    for evaluated_on in ("stratified", "test"):
        whole = Dataset(data.train_images, data.train_labels, data.train_images[:4], np.array([0, 1, 0, 1]))
        made = split(whole, make(*words, f"eval={evaluated_on}").cfg)
        given_label[evaluated_on] = dict(zip(made.indices.tolist(), made.train_labels.tolist(), strict=True))
    both = given_label["test"].keys() & given_label["stratified"].keys()
    assert len(both) > 50
    assert all(given_label["test"][i] == given_label["stratified"][i] for i in both)


def test_a_stratified_hold_out_draws_on_the_training_list_alone(make):
    data = by_class([10, 10])
    made = split(data, make("dataset=npz", "dataset.path=x.npz", "n=9", "eval=stratified").cfg)
    assert made.checksums == {"data_sha256": data.sha256(), "train_sha256": data.train_sha256}


@pytest.mark.parametrize(
    ("counts", "holdout", "named"),
    [
        ([10, 1, 10], "0.2", ["class 1", "1 image"]),
        ([4, 4, 4], "2", ["dataset.holdout", " 2 ", "3 classes"]),
        ([4, 4, 4], "10", ["dataset.holdout", " 10 ", "3 classes"]),
        ([4, 4, 4], "0.9", ["dataset.holdout", " 11 ", "3 classes"]),
        ([4, 4, 4], "12", ["dataset.holdout=12", "12"]),
    ],
)
def test_what_cannot_be_stratified_is_refused(make, counts, holdout, named):
    words = ["dataset=npz", "dataset.path=x.npz", "n=2", "eval=stratified", f"dataset.holdout={holdout}"]
    told = one_line(split, by_class(counts), make(*words).cfg)
    for words in named:
        assert words in told


def test_the_end_of_a_list_that_lacks_a_class_is_no_hold_out(make):
    words = ["dataset=npz", "dataset.path=x.npz", "n=2", "eval=holdout"]
    told = one_line(split, by_class([40, 40, 40]), make(*words).cfg)
    assert "eval=stratified" in told
    assert "class 0, 1" in told
    # What is left to train on lacks a class: the last of the list are of all classes.
    labels = np.array([0] * 6 + [1, 0, 1, 0])
    told = one_line(split, Dataset(pixels(10)[..., None], labels), make(*words, "dataset.holdout=4").cfg)
    assert "eval=stratified" in told
    assert "class 1" in told
    shuffled = Dataset(pixels(30)[..., None], np.arange(30) % 3)
    assert split(shuffled, make(*words).cfg).eval_labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_a_class_that_the_list_lacks_is_in_no_hold_out(make):
    labels = np.arange(40) % 2 * 2  # classes 0 and 2
    for evaluated_on in ("holdout", "stratified"):
        words = ["dataset=npz", "dataset.path=x.npz", "n=2", f"eval={evaluated_on}"]
        made = split(Dataset(pixels(40)[..., None], labels), make(*words).cfg)
        assert np.bincount(made.eval_labels).tolist() == [4, 0, 4]
        assert made.num_classes == 3


# Identity


def test_the_seed_of_the_subset_decides_what_is_held_out(make):
    one, other = (make("eval=stratified", f"subset_seed={seed}") for seed in (0, 1))
    assert one.cfg.subset == "head"
    assert one.id != other.id
    assert (one.identity["subset_seed"], other.identity["subset_seed"]) == (0, 1)
    assert cell_hash(one.identity) == cell_hash(other.identity)
    assert make("eval=stratified", "dataset.holdout=0.3").id != one.id
    assert len({make(f"eval={kind}").id for kind in ("test", "holdout", "stratified")}) == 3


@pytest.mark.parametrize("evaluated_on", ["test", "holdout"])
def test_elsewhere_the_head_needs_no_seed(make, evaluated_on):
    one, other = (make(f"eval={evaluated_on}", f"subset_seed={seed}") for seed in (0, 1))
    assert one.id == other.id


def test_disjoint_subsets_and_hold_outs_of_each_seed_do_not_go_together(make):
    assert "subset=disjoint" in one_line(make, "eval=stratified", "subset=disjoint", "n=50")
    assert make("eval=holdout", "subset=disjoint", "n=50").id


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "0", "-1", "2.5", "1e400"])
def test_a_hold_out_is_a_share_or_a_number_of_images(make, value):
    for evaluated_on in ("test", "holdout", "stratified"):
        assert one_line(make, f"eval={evaluated_on}", f"dataset.holdout={value}").startswith("dataset.holdout=")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("key", ["mean", "std"])
def test_a_normalisation_is_finite(make, key, value):
    given = {"mean": "[0.5,0.5,0.5]", "std": "[0.5,0.5,0.5]", key: f"[0.5,{value},0.5]"}
    words = [f"dataset.{name}={values}" for name, values in given.items()]
    assert one_line(make, *words).startswith(f"dataset.{key}=")


# The names of columns


OLD = "step,epoch,lr,train_loss,test_loss,test_accuracy,seconds\n10,1.0,0.1,2.0,2.5,11.5,0.5\n"
NEW = OLD.replace("test_", "eval_")


def test_histories_of_both_names_are_read_together(tmp_path):
    for name, text in (("old", OLD), ("new", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.csv").write_text(text)
    rows, problems = history.read([tmp_path / "old", tmp_path / "new"])
    assert problems == []
    assert not [key for key in rows.columns if "test" in key]
    assert rows.drop(columns="run").drop_duplicates().to_dict("records") == [
        {"step": 10, "train_loss": 2.0, "eval_loss": 2.5, "eval_accuracy": 11.5}
    ]


def test_the_histories_of_all_stored_runs_are_read():
    archives = sorted((CHECKOUT / "results/published").glob("*/runs.zip"))
    places = [place for archive in archives for place in reading.attach(archive).places()]
    assert places
    rows, problems = history.read(places)
    assert problems == []
    assert rows["run"].nunique() == len(places)
    for i in range(0, len(places), 40):
        with zipfile.ZipFile(places[i].archive.path) as opened:
            (name,) = [name for name in opened.namelist() if name.endswith(f"{places[i].name}/history.csv")]
            alone = pd.read_csv(opened.open(name)).rename(columns=lambda key: key.replace("test_", "eval_"))
        assert rows[rows["run"] == i]["eval_loss"].tolist() == alone["eval_loss"].tolist()


def test_accuracies_of_a_history_under_either_name():
    rows = [{"step": k, "eval_accuracy": float(a)} for k, a in enumerate([5, 9, 7])]
    expected = {"final_accuracy": 7.0, "best_accuracy": 9.0, "median10_accuracy": 7.0}
    assert metrics.of_history(rows) == expected
    older = [{"step": row["step"], "test_accuracy": row["eval_accuracy"]} for row in rows]
    assert metrics.of_history([*older[:2], rows[2]]) == expected


def columns(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_new_run_calls_no_column_test(mixbench, tiny):
    assert mixbench("run", *tiny).status == 0
    rows = columns(next(Path("results/runs").glob("digits-*")))
    assert list(rows[0]) == ["step", "epoch", "lr", "train_loss", "eval_loss", "eval_accuracy", "seconds"]


def test_a_run_begun_under_the_old_names_ends_under_the_new_ones(mixbench, tiny, monkeypatch):
    assert mixbench("run", *tiny, "results_dir=whole").status == 0
    whole = next(Path("whole/runs").glob("digits-*"))

    from mixbench.runs import run

    def stopping(path, state):
        """Save as an older version did, then lose power."""
        rows = state["progress"]["history"]
        old = [{key.replace("eval_", "test_"): value for key, value in row.items()} for row in rows]
        torch.save(state | {"progress": state["progress"] | {"history": old}}, path)
        if state["progress"]["step"] >= 9:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "_save", stopping)
        assert mixbench("run", *tiny).status == 130
    assert mixbench("run", *tiny).status == 0
    resumed = next(Path("results/runs").glob("digits-*"))
    strip = {"seconds": None}
    assert [row | strip for row in columns(resumed)] == [row | strip for row in columns(whole)]


# As a user meets it


@pytest.fixture
def sorted_archive(tmp_path):
    """What walking three class folders of 40 images makes: sorted by class. Class k is brightest in its own rows."""
    labels = np.repeat(np.arange(3), 40)
    images = np.random.default_rng(0).integers(0, 100, (120, 12, 12, 3), np.uint8)
    for i, label in enumerate(labels):
        images[i, 4 * label : 4 * label + 4] += 150
    path = tmp_path / "my photos, sorted.npz"
    np.savez_compressed(path, train_images=images, train_labels=labels)
    return path


SMALL = ["n=60", "subset=balanced", "device=cpu", "model.width=16", "model.depth=10"]
SMALL += ["train.steps=40", "train.batch_size=16"]


def test_an_archive_sorted_by_class(mixbench, tmp_path, sorted_archive):
    words = ["dataset=npz", f"dataset.path='{sorted_archive}'", *SMALL]
    call = mixbench("run", *words, "eval=holdout")
    assert (call.status, call.out, call.err.count("\n")) == (2, "", 1)
    assert "eval=stratified" in call.err
    call = mixbench("run", *words)  # eval=test, and there are no test images
    assert (call.status, call.out, call.err.count("\n")) == (2, "", 1)
    assert "test_images" in call.err
    assert "eval=stratified" in call.err
    assert not (tmp_path / "results").exists()

    call = mixbench("sweep", *words, "eval=stratified", "method=none,label-mix")
    assert call.status == 0, call.err
    assert "test" not in call.out
    folders = sorted(path.parent for path in Path("results/runs").glob("*/metrics.json"))
    assert len(folders) == 2
    for folder in folders:
        found = json.loads((folder / "metrics.json").read_text())
        assert found["identity"]["eval"] == "stratified"
        assert len(found["per_class_accuracy"]) == 3
        assert None not in found["per_class_accuracy"]
        with np.load(folder / "predictions.npz") as predictions:
            assert np.bincount(predictions["labels"]).tolist() == [8, 8, 8]
    best = [json.loads((f / "metrics.json").read_text())["final_accuracy"] for f in folders if "none" in f.name]
    assert min(best) > 60  # bright rows are learned in 40 steps; guessing gives 33 %

    call = mixbench("report", "eval=stratified", "rule=best", "out=page")
    assert call.status == 0, call.err
    for page in ("report.md", "report.html"):
        text = re.sub(r"paired t test", "", Path("page", page).read_text())
        assert "held-out" in text
        assert "test accuracy" not in text
        assert "test images" not in text
        assert "best on test" not in text
        assert "test loss" not in text


@pytest.mark.parametrize(
    ("evaluated_on", "said", "never"),
    [
        ("test", "best on test", ["held-out"]),
        ("stratified", "held-out", ["on test", "test accuracy", "test loss", "test images"]),
        ("holdout,stratified", "held-out", ["on test", "test accuracy", "test loss", "test images"]),
        ("test,holdout", "best evaluation", ["best on", "test loss", "held-out loss"]),
    ],
)
def test_what_runs_are_evaluated_on_is_called_by_its_name(mixbench, tiny, evaluated_on, said, never):
    call = mixbench("sweep", *tiny, f"eval={evaluated_on}")
    assert call.status == 0
    lines = [line for line in call.out.splitlines() if "accuracy" in line]
    for line, kind in zip(lines, evaluated_on.split(","), strict=True):
        assert ("best on test" in line) == (kind == "test")
        assert ("held-out" in line) == (kind != "test")
    assert mixbench("report", "rule=best", "out=page").status == 0
    text = Path("page/report.md").read_text() + Path("page/report.html").read_text()  # which holds the pictures' text
    assert said in text
    for words in never:
        assert words not in text.replace("paired t test", "")


def test_test_labels_that_lack_a_class_are_warned_of(mixbench, tmp_path):
    labels = np.arange(30) % 3
    np.savez(
        "my.npz",
        train_images=pixels(30),
        train_labels=labels,
        test_images=pixels(6, 1),
        test_labels=np.array([0, 2, 0, 2, 0, 2]),
    )
    words = ["dataset=npz", "dataset.path=my.npz", "n=9", "subset=balanced", "device=cpu", "model.width=16"]
    call = mixbench("run", *words, "model.depth=10", "train.steps=2")
    assert call.status == 0
    warnings = [line for line in call.err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "class 1" in warnings[0]
    assert "test" in warnings[0]
    assert "warning" not in mixbench("run", *words, "model.depth=10", "train.steps=2", "eval=stratified").err


def test_other_names_of_classes_train_nothing_anew(mixbench, tmp_path):
    np.savez("my.npz", train_images=pixels(30), train_labels=np.arange(30) % 3)
    words = ["dataset=npz", "dataset.path=my.npz", "eval=stratified", "n=9", "device=cpu", "model.width=16"]
    words += ["model.depth=10", "train.steps=2"]
    assert mixbench("run", *words).status == 0
    folder = next(Path("results/runs").glob("my-*"))
    before = (folder / "metrics.json").stat().st_mtime_ns
    for names in ("[a,b,c]", "[x,y,z]", "null"):
        call = mixbench("run", *words, f"dataset.classes={names}")
        assert call.status == 0
        assert "finished before" in call.out
    assert (folder / "metrics.json").stat().st_mtime_ns == before
    call = mixbench("run", *words, "dataset.classes=[a,b]")
    assert call.status == 2
    assert "3 classes" in call.err
    assert len(list(Path("results/runs").glob("my-*"))) == 1
