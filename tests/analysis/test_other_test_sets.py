"""Further test sets of runs: what is stored, and what reports say. A copy of the first test set is the truth."""

import io
import json
import shutil
from contextlib import redirect_stderr

import numpy as np
import pytest

import mixbench as mb
from mixbench.analysis import frame as frames
from mixbench.analysis.compare import compare
from mixbench.analysis.test_sets import on_test_sets
from mixbench.cli.main import main
from mixbench.runs.store import metrics_schema, store
from mixbench.runs.store.predictions import from_bits

RNG = np.random.default_rng(0)
SMALL = ["model.width=2", "train.steps=3", "train.batch_size=8", "device=cpu", "progress=off"]
DATA = ["dataset=npz", "dataset.path=my.npz", "n=12", "subset=random"]
METHODS = ["method=none,mixup,cutmix"]


def write(path, **sets):
    """40 + 30 images whose brightness tells the class, and further test sets."""

    def part(count):
        labels = np.arange(count) % 3
        return (60 * labels[:, None, None] + RNG.integers(0, 120, (count, 8, 8))).astype(np.uint8), labels

    (train, train_labels), (test, test_labels) = part(40), part(30)
    arrays = {"train_images": train, "train_labels": train_labels, "test_images": test, "test_labels": test_labels}
    for name, (low, high) in sets.items():
        arrays |= {f"test_{name}_images": test[low:high], f"test_{name}_labels": test_labels[low:high]}
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A sweep over subsets, and a race; each on a copy of the test set and on the first ten of its images."""
    folder = tmp_path_factory.mktemp("sets")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write("my.npz", copy=(0, 30), few=(0, 10))
        assert main(["sweep", *DATA, *SMALL, *METHODS, "subset_seed=0,1,2", "results_dir=swept"]) == 0
        assert main(["decide", *DATA, *SMALL, *METHODS, "budget=3rounds", "results_dir=raced"]) == 0
    return folder


def metrics_of(results):
    return [store.read_metrics(folder) | {"folder": folder} for folder in sorted((results / "runs").glob("my-*"))]


@pytest.mark.parametrize("results", ["swept", "raced"])
def test_what_a_run_stores_of_a_test_set_is_what_it_stores_of_the_first(trained, results):
    found = metrics_of(trained / results)
    assert len(found) == 9
    for metrics in found:
        with np.load(metrics["folder"] / "predictions.npz") as stored:
            correct = stored["logits"].argmax(axis=1) == stored["labels"]
        assert set(metrics["test_sets"]) == {"copy", "few"}
        copy, few = metrics["test_sets"]["copy"], metrics["test_sets"]["few"]
        assert copy["accuracy"] == metrics["final_accuracy"]
        assert copy["nll"] == pytest.approx(metrics["nll"])
        assert copy["per_class_accuracy"] == metrics["per_class_accuracy"]
        assert np.array_equal(from_bits(copy), correct)
        assert np.array_equal(from_bits(few), correct[:10])
        assert few["accuracy"] == 100 * correct[:10].mean()


@pytest.mark.parametrize("results", ["swept", "raced"])
def test_gains_on_a_copy_are_those_on_the_first_test_set(trained, results):
    """By the same statistics, also where methods were raced."""
    frame = frames.run_frame(metrics_of(trained / results))
    settings = compare(frame, "final")
    ((setting, seen),) = on_test_sets(settings, frame)
    assert (setting.race is not None) == (results == "raced")
    copy, few = seen
    assert (copy.name, copy.images, copy.without) == ("copy", 30, 0)
    assert (few.name, few.images, few.without) == ("few", 10, 0)
    assert set(copy.changes.values()) == {0.0}
    for first, again in zip(setting.experiments, copy.setting.experiments, strict=True):
        assert (first.name, first.runs, first.summary) == (again.name, again.runs, again.summary)
        assert (first.gain is None) == (again.gain is None)
        if first.gain is not None:
            assert again.gain.mean == pytest.approx(first.gain.mean)
            assert again.gain.interval == pytest.approx(first.gain.interval)
            assert again.gain.p == pytest.approx(first.gain.p)
    for one in few.setting.experiments:
        mean = np.mean([frame["test_sets"][place]["few"]["accuracy"] for place in one.places])
        assert one.summary.mean == pytest.approx(mean)


def test_tables_and_frames_have_a_column_for_each(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    runs = mb.load_runs("swept")
    assert np.allclose(runs["test_copy_accuracy"].astype(float), runs["final_accuracy"].astype(float))
    assert np.allclose(runs["test_copy_nll"].astype(float), runs["nll"].astype(float))
    assert runs["test_few_accuracy"].notna().all()
    assert main(["table", "results_dir=swept", "out=table"]) == 0
    header = (trained / "table" / "runs.csv").read_text().splitlines()[0].split(",")
    assert {"test_copy_accuracy", "test_few_nll"} <= set(header)
    assert "test_sets" not in header


def test_a_report_shows_them_and_an_archive_keeps_them(trained, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(trained)
    assert main(["export", "results_dir=swept", f"out={tmp_path}/all.zip"]) == 0
    assert main(["import", f"{tmp_path}/all.zip", f"results_dir={tmp_path}/there"]) == 0
    texts = []
    for results in ("swept", f"{tmp_path}/there"):
        assert main(["report", f"results_dir={results}", f"out={tmp_path}/out"]) == 0
        text = (tmp_path / "out" / "report.md").read_text()
        texts.append(text[text.index("## Other test sets") : text.index("## Equivalent")])
        assert (tmp_path / "out" / "test-sets.png").is_file()
        assert "Other test sets" in (tmp_path / "out" / "report.html").read_text()
    assert texts[0] == texts[1]
    assert "test-sets.png" in texts[0]
    assert "| few " in texts[0]


def test_a_test_set_that_comes_later(trained, monkeypatch, tmp_path, capsys):
    """The runs keep their names and are not trained again; it is said that they do not know it, until force=true."""
    monkeypatch.chdir(tmp_path)
    given = dict(np.load(trained / "my.npz"))
    shutil.copytree(trained / "swept", tmp_path / "results")
    given |= {"test_new_images": given["test_images"][:6], "test_new_labels": given["test_labels"][:6]}
    given["test_few_images"] = 255 - given["test_few_images"]
    np.savez("my.npz", **given)
    before = {folder.name for folder in (tmp_path / "results" / "runs").glob("my-*")}
    words = ["sweep", *DATA, *SMALL, *METHODS, "subset_seed=0,1,2"]
    with redirect_stderr(io.StringIO()) as told:
        assert main(words) == 0
    lines = [line for line in told.getvalue().splitlines() if line.startswith("warning: ")]
    assert len(lines) == 2
    assert all("9 finished runs" in line for line in lines)
    assert main([*words[:-1], "subset_seed=0", "force=true"]) == 0
    found = metrics_of(tmp_path / "results")
    assert {metrics["id"] for metrics in found} == before
    assert sum("new" in metrics["test_sets"] for metrics in found) == 3
    frame = frames.run_frame(found)
    ((_, seen),) = on_test_sets(compare(frame, "final"), frame)
    assert {one.name: one.without for one in seen} == {"copy": 0, "few": 3, "new": 6}


@pytest.mark.parametrize(
    "changed", [[], {"a": 1}, {"a": {"accuracy": 101}}, {"a": {"accuracy": 50, "nll": "x", "sha256": "0"}}]
)
def test_damaged_values_are_refused(trained, changed):
    folder = sorted((trained / "swept" / "runs").glob("my-*"))[0]
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics_schema.check(metrics)
    with pytest.raises(ValueError, match="test_sets"):
        metrics_schema.check(metrics | {"test_sets": changed})


def test_damaged_bits_leave_intervals_for_these_images(trained):
    found = metrics_of(trained / "swept")
    for metrics in found:
        metrics["test_sets"]["copy"]["bits"] = "?"
    frame = frames.run_frame(found)
    ((_, (copy, _)),) = on_test_sets(compare(frame, "final"), frame)
    assert all(gain.image_sd is None for _, gain in copy.setting.gains)
    assert copy.setting.gains
