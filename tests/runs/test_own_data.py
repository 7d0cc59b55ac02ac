"""A path in place of a study's name: the settings that fit the data, and the images that runs on them get."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from mixbench import data
from mixbench.cli.main import main
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError
from mixbench.data import load_for, split
from mixbench.data.sources.pictures import reading
from mixbench.runs import own_data
from mixbench.runs.datasets import Datasets

TINY = ["model.width=2", "model.depth=10", "train.steps=2", "train.batch_size=8", "device=cpu"]


def folder(root, size=12, **counts):
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(rng.integers(0, 256, (size, size + 4, 3), np.uint8)).save(root / name / f"{k}.png")
    return root


def fitted(path, *given):
    with Composer() as composer:
        words = own_data.fitted(composer, str(path), given, f"{path}-results", Datasets(lambda line: None)).words
        one = [*(w for w in words if w.partition("=")[0] not in ("method", "n")), "method=mixup"]
        return words, [job(composer.compose([*one, f"n={value(words, 'n')[0].split(',')[-1]}"]))]


def cfg_of(*words):
    with Composer() as composer:
        return job(composer.compose(words)).cfg


def value(words, key):
    return [word.partition("=")[2] for word in words if word.partition("=")[0] == key]


def test_all_images_that_are_not_held_out_are_trained_on(tmp_path):
    words, (one,) = fitted(folder(tmp_path / "my photos", a=20, b=30))
    assert value(words, "n") == ["40"]
    assert value(words, "dataset.size") == ["12"]  # larger would only cost time
    images = split(load_for(one.cfg, print), one.cfg)
    assert np.bincount(images.eval_labels).tolist() == [4, 6]
    assert re.match(r"my-photos-12px-[0-9a-f]{6}-n40-", one.id)


def test_a_test_folder_is_evaluated_on(tmp_path):
    folder(tmp_path / "train", a=8, b=8)
    folder(tmp_path / "test", a=2, b=3)
    words, (one,) = fitted(tmp_path)
    assert value(words, "n") == ["16"]
    assert len(split(load_for(one.cfg, print), one.cfg).eval_labels) == 5


def test_what_the_user_says_stays(tmp_path):
    given = ["n=10,all", "dataset.size=16", "train.steps=7", "model.width=8", "dataset.holdout=0.5", "seed=3"]
    words, _ = fitted(folder(tmp_path / "a", a=20, b=20), *given)
    assert value(words, "n") == ["10,20"]
    for word in given[1:]:
        assert value(words, word.partition("=")[0]) == [word.partition("=")[2]]
    assert value(words, "dataset.pad") == ["2"]
    with pytest.raises(UserError):
        fitted(tmp_path / "a", "dataset=digits")


def test_an_archive_and_a_table(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"train_images": rng.integers(0, 256, (40, 9, 9, 3), np.uint8), "train_labels": np.arange(40) % 4}
    np.savez(tmp_path / "a.npz", **arrays)
    assert value(fitted(tmp_path / "a.npz")[0], "n") == ["32"]
    np.savez(tmp_path / "b.npz", **arrays, test_images=arrays["train_images"], test_labels=arrays["train_labels"])
    assert value(fitted(tmp_path / "b.npz")[0], "n") == ["40"]
    folder(tmp_path / "c", a=20)
    lines = [f"c/a/{k}.png,{'xy'[k % 2]}" for k in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *lines]))
    assert value(fitted(tmp_path / "t.csv")[0], "n") == ["16"]


def test_one_split_for_all_subsets_unless_each_has_its_own(tmp_path):
    np.savez(tmp_path / "a.npz", train_images=np.zeros((60, 8, 8), np.uint8), train_labels=np.arange(60) % 3)
    common = ["dataset=npz", f"dataset.path={tmp_path}/a.npz", "eval=stratified", "n=30", "subset=random"]
    dataset = load_for(cfg_of(*common), print)

    def places(*words):
        return [part.tolist() for part in data.positions(dataset, cfg_of(*common, *words))]

    (train0, held0), (train1, held1) = (places("split_seed=5", f"subset_seed={k}") for k in (0, 1))
    assert held0 == held1
    assert train0 != train1
    assert held0 == places("subset_seed=5")[1]  # a split has one meaning, whichever key draws it
    assert places("subset_seed=0")[1] != places("subset_seed=1")[1]


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_on_both_sides(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 25, 200)
    labels = rng.integers(0, 3, 200)
    from mixbench.data.holdout import held_out

    mask = held_out(labels, "stratified", 0.2, seed, groups)
    assert not {*groups[mask]} & {*groups[~mask]}
    assert set(labels[mask]) == set(labels[~mask]) == {0, 1, 2}
    assert 20 <= mask.sum() <= 60
    assert np.array_equal(mask, held_out(labels, "stratified", 0.2, seed, groups))
    with pytest.raises(UserError):
        held_out(labels, "stratified", 0.2, seed, labels)  # each class in one group
    with pytest.raises(UserError):
        held_out(labels, "holdout", 0.2, seed, groups)


def test_ids_of_runs_without_the_new_keys_have_not_changed():
    with Composer() as composer:
        one = job(composer.compose(["dataset=digits", "n=50", "method=mixup", "train.steps=100"]))
        same = job(composer.compose(["dataset=digits", "n=50", "method=mixup", "train.steps=100", "split_seed=null"]))
        other = job(composer.compose(["dataset=digits", "n=50", "method=mixup", "train.steps=100", "eval=stratified"]))
        fixed = job(
            composer.compose(
                ["dataset=digits", "n=50", "method=mixup", "train.steps=100", "eval=stratified", "split_seed=0"]
            )
        )
    assert one.id == same.id
    assert len({one.id, other.id, fixed.id}) == 3


def test_from_a_folder_to_a_verdict(tmp_path, monkeypatch, capsys):
    """One command on two classes that differ in brightness; report finds the runs by the same path."""
    monkeypatch.chdir(tmp_path)
    for k in range(40):
        (tmp_path / "pics" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), 40 + 150 * (k % 2) + k).save(tmp_path / "pics" / "ab"[k % 2] / f"{k}.png")
    (tmp_path / "pics" / "a" / "broken.png").write_bytes(b"no")
    small = ["model.width=2", "train.steps=3", "device=cpu", "progress=off", "n=all"]
    assert main(["decide", "pics/", *small, "budget=3rounds"]) == 0
    assert (tmp_path / "results" / "runs").is_dir()
    (page,) = tmp_path.glob("results/*/report.html")
    metrics = [json.loads(file.read_text()) for file in tmp_path.glob("results/runs/*/metrics.json")]
    assert {m["identity"]["n"] for m in metrics} == {32}
    assert {m["identity"]["method"] for m in metrics} == {"none", "label-mix", "cutmix"}
    assert len({m["train_sha256"] for m in metrics}) == 1
    capsys.readouterr()
    assert main(["report", "pics"]) == 0
    assert main(["table", "pics"]) == 0
    assert main(["decide", "pics/", *small, "budget=3rounds"]) == 0  # nothing is trained again
    assert page.is_file()
    assert len(list(tmp_path.glob("results/runs/*/metrics.json"))) == len(metrics)


@pytest.mark.parametrize("command", ["decide", "report", "table"])
def test_a_path_that_is_no_data_is_a_mistake(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos.zip").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for path in ("./gone", "gone.csv", "photos.zip", "empty", "nosuchstudy"):
        assert main([command, path]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert path in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "photos.zip"]


def test_other_pictures_in_a_folder_of_the_same_name_are_other_data(tmp_path, monkeypatch, capsys):
    """Stored runs on other pictures, or on these as they were earlier, are never the answer."""
    monkeypatch.chdir(tmp_path)
    small = ["model.width=2", "train.steps=2", "device=cpu", "progress=off", "method=none,mixup", "budget=3rounds"]
    folder(tmp_path / "x" / "pics", a=10, b=10)
    folder(tmp_path / "y" / "pics", b=10, a=10)  # as many pictures, and others
    assert main(["decide", "x/pics", *small]) == 0
    assert main(["report", "y/pics"]) == 2
    assert main(["decide", "y/pics", *small]) == 0
    runs = [json.loads(file.read_text()) for file in tmp_path.glob("results/runs/*/metrics.json")]
    assert len(runs) == 12
    assert len({run["train_sha256"] for run in runs}) == 2
    for where in ("x", "y"):
        capsys.readouterr()
        assert main(["table", f"{where}/pics", "out=table"]) == 0
        assert "(3)" in (tmp_path / "table" / "accuracy.md").read_text()
    shutil.copy(tmp_path / "x/pics/a/0.png", tmp_path / "x/pics/a/more.png")
    assert main(["report", "x/pics"]) == 2
    assert main(["decide", "x/pics", *small]) == 0
    assert len(list(tmp_path.glob("results/runs/*/metrics.json"))) == 18
    assert len(list(tmp_path.glob("results/decide,*"))) == 3  # no report takes the place of another one


def test_long_form_runs_on_other_pictures_are_refused(tmp_path, monkeypatch):
    """There the name is the user's, so a stored run must be on these pictures, also where nothing is trained."""
    monkeypatch.chdir(tmp_path)
    small = ["model.width=2", "train.steps=2", "device=cpu", "method=none,mixup", "budget=3rounds", "dataset.size=12"]
    long = ["dataset=folder", "eval=stratified", "n=8", "subset=random", *small]
    folder(tmp_path / "x" / "pics", a=10, b=10)
    folder(tmp_path / "y" / "pics", b=10, a=10)
    assert main(["decide", *long, "dataset.path=x/pics"]) == 0
    assert main(["decide", *long, "dataset.path=y/pics"]) == 2
    assert main(["decide", *long, "dataset.path=x/pics"]) == 0


@pytest.mark.parametrize("words", [["pics"], ["dataset=folder", "dataset.path=pics", "eval=stratified", "n=all"]])
def test_decoded_pictures_are_kept_in_the_folder_of_the_results(tmp_path, monkeypatch, words):
    """A dry run writes nothing, and uses what is kept."""
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "pics", a=10, b=10)
    given = [*words, "method=none,mixup", "results_dir=kept", *TINY]
    assert main(["decide", *given, "--dry-run"]) == 0
    assert [place.name for place in tmp_path.iterdir()] == ["pics"]
    assert main(["decide", *given, "budget=3rounds"]) == 0
    assert len(list((tmp_path / "kept" / "cache").iterdir())) == 1

    def never(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(reading, "decode", never)
    assert main(["decide", *given, "--dry-run"]) == 0


def test_a_folder_with_an_equals_sign_and_one_class(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "a=b", a=10, b=10)
    assert main(["decide", "./a=b", "--dry-run"]) == 0
    folder(tmp_path / "one", a=10)
    assert main(["decide", "one", "--dry-run"]) == 2


def test_steps_leave_the_batch_and_the_learning_rate_that_fit(tmp_path):
    words, _ = fitted(folder(tmp_path / "a", a=20, b=20), "train.steps=7")
    assert value(words, "train.batch_size") == ["32"]
    assert value(words, "train.lr") == ["0.025"]


def test_a_decision_shows_its_own_runs_alone(tmp_path, monkeypatch):
    """Other runs in the same results folder are not part of its report and table."""
    monkeypatch.chdir(tmp_path)
    small = ["model.width=2", "train.steps=2", "device=cpu", "progress=off", "subset=random", "method=none,mixup"]
    assert main(["decide", "dataset=digits", "n=20", *small, "budget=3rounds"]) == 0
    assert main(["decide", "dataset=digits", "n=30", *small, "budget=3rounds", "out=second"]) == 0
    table = (tmp_path / "second" / "accuracy.csv").read_text()
    assert {line.split(",")[0] for line in table.splitlines()[1:]} == {"30"}
    assert "n = 20" not in (tmp_path / "second" / "report.md").read_text()


def test_where_nothing_can_be_written_nothing_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    words = ["dataset=digits", "n=20", "model.width=2", "train.steps=2", "method=none,mixup", "out=file"]
    assert main(["decide", *words]) == 2
    assert main(["decide", *words[:-1], "budget=5runs"]) == 2  # three rounds of two methods have six
    assert main(["study", "demo", "n=20", "out=file"]) == 2
    assert not (tmp_path / "results").exists()


def test_n_all_in_other_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "pics", a=10, b=10)
    words = ["dataset=folder", "dataset.path=pics", "eval=stratified", "n=8,all", "subset=random", *TINY, "--dry-run"]
    assert main(["sweep", *words]) == 0
    out = capsys.readouterr().out
    assert "-n8-" in out
    assert "-n16-" in out
    assert main(["sweep", "dataset=folder", "dataset.path=pics", "eval=test,stratified", "n=all"]) == 2
