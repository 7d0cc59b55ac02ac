"""Mistakes with a user's own data: one line that names the value and the remedy, exit status 2, nothing written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SMALL = ("model.width=2", "model.depth=10", "train.steps=2", "train.batch_size=8", "device=cpu", "progress=off")


def save(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)).save(path)


@pytest.fixture
def pics(tmp_path):
    for k in range(40):
        save(tmp_path / "photos" / "ab"[k % 2] / f"{k}.png", k)
    return tmp_path / "photos"


@pytest.fixture
def refused(mixbench, contents, tmp_path):
    """Call a command that must be refused, and return its one line."""

    def refused(*words):
        before = contents(tmp_path)
        call = mixbench(*words)
        assert call.status == 2
        assert call.out == ""
        assert contents(tmp_path) == before
        assert call.err.count("\n") == 1, call.err
        return call.err

    return refused


@pytest.mark.parametrize("command", ["decide", "study", "report", "table", "plot"])
def test_a_word_that_is_neither_a_study_nor_data_here(refused, pics, command):
    told = refused(command, "fotos")
    assert "fotos" in told
    assert "photos?" in told  # the nearest name here
    assert "demo?" in refused(command, "dem")


def test_a_class_with_one_picture_is_named(refused, pics):
    save(pics / "rare" / "1.png")
    for command in ("decide", "study"):
        assert "class rare" in refused(command, "photos")


def test_a_table_of_semicolons_is_read(mixbench, pics, tmp_path):
    rows = [f"photos/{'ab'[k % 2]}/{k}.png;{'ab'[k % 2]};say, one" for k in range(40)]
    (tmp_path / "labels.csv").write_text("\n".join(["path;label;remark", *rows]))
    call = mixbench("decide", "labels.csv", *SMALL, "--dry-run")
    assert call.status == 0
    assert "a 20, b 20" in call.err


def test_files_of_a_table_that_are_not_there_are_not_found(refused, mixbench, pics, tmp_path):
    (tmp_path / "tables").mkdir()
    rows = [f"photos/{'ab'[k % 2]}/{k}.png,{'ab'[k % 2]}" for k in range(40)]
    text = "\n".join(["path,label", *rows])
    (tmp_path / "tables" / "labels.csv").write_text(text)  # its paths are relative to another folder
    told = refused("decide", "tables/labels.csv")
    assert "not found" in told
    assert "tables/photos/" in told
    assert "decode" not in told
    (tmp_path / "labels.csv").write_text(f"{text}\nphotos/a/gone.png,a")
    call = mixbench("decide", "labels.csv", *SMALL, "--dry-run")
    assert call.status == 0
    assert "photos/a/gone.png (not found in photos/a/)" in call.err
    (tmp_path / "labels.csv").write_text(f"{text}\nphotos/a/gone.png,c\nphotos/a/lost.png,c")
    assert "'c'" in refused_after_a_line(mixbench("decide", "labels.csv"))


def refused_after_a_line(call):
    """The last line of a call whose files that are left out were named before."""
    assert (call.status, call.out) == (2, "")
    return call.err.splitlines()[-1]


def test_a_folder_that_hides_a_study_is_announced(mixbench, pics, tmp_path):
    pics.rename(tmp_path / "demo")
    for command in ("decide", "study"):
        call = mixbench(command, "demo", *SMALL, "--dry-run")
        assert call.status == 0
        assert call.err.splitlines()[0].startswith("demo: ")
    shutil.rmtree(tmp_path / "demo")
    call = mixbench("study", "demo", "n=20", "method=none", "--dry-run")
    assert (call.status, "demo:" in call.err) == (0, False)


def test_an_n_that_is_too_large_is_refused_before_anything_is_said(refused, pics):
    for command in ("decide", "study"):
        told = refused(command, "photos", "n=20,33")
        assert "n=33" in told
        assert "32 " in told
    assert "n=1298" in refused("decide", "dataset=digits", "n=1298", "method=none,mixup", *SMALL)


def test_every_n_is_explained(mixbench, pics):
    told = mixbench("decide", "photos", "n=20,all", *SMALL, "--dry-run").err
    lines = [line for line in told.splitlines() if line.startswith(("n=20", "n=32"))]
    assert len(lines) == 2


def test_pictures_beside_the_class_folders_are_named(mixbench, pics):
    save(pics / "loose.png")
    (pics / "README.txt").write_text("about these pictures")
    call = mixbench("decide", "photos", *SMALL, "--dry-run")
    assert call.status == 0
    assert "loose.png" in call.err
    assert "README" not in call.err
    shutil.move(pics / "a", pics / "train" / "a")
    shutil.move(pics / "b", pics / "train" / "b")
    save(pics / "train" / "more.png")
    call = mixbench("decide", "photos", *SMALL, "--dry-run")
    assert "train/more.png" in call.err
    assert "loose.png" in call.err


@pytest.mark.parametrize("command", ["decide", "study", "audit"])
def test_one_rule_for_paths_with_an_equals_sign(mixbench, pics, tmp_path, command):
    pics.rename(tmp_path / "n=20")
    given = [*SMALL, "--dry-run"] if command != "audit" else []
    assert mixbench(command, "./n=20", *given).status == 0
    assert mixbench(command, str(tmp_path / "n=20"), *given).status == 0
    assert mixbench(command, "n=20", *given).status in ((2,) if command == "audit" else (0, 2))
    gone = mixbench(command, "./n=21", *given)
    assert gone.status == 2
    assert "./n=21" in gone.err


def test_reports_find_runs_by_the_columns_of_a_table(mixbench, refused, pics, tmp_path):
    rows = [f"photos/{'ab'[k % 2]}/{k}.png,{'xy'[k % 2]},{'pq'[k // 20]}" for k in range(40)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,mood", *rows]))
    column = "dataset.label_column=mood"
    assert mixbench("study", "labels.csv", column, *SMALL, "n=8", "method=none,mixup").status == 0
    for command in ("report", "table"):
        assert "dataset.label_column" in refused(command, "labels.csv")
        assert mixbench(command, "labels.csv", column, "out=page").status == 0
        assert "no_such" in refused(command, "labels.csv", "dataset.label_column=no_such")
        assert "table" in refused(command, "photos", column)
    assert "n=8" in Path("page/accuracy.md").read_text() or "8" in Path("page/accuracy.md").read_text()


def test_reports_find_runs_by_the_name_that_they_were_given(mixbench, pics):
    assert mixbench("study", "photos", "dataset.name=mine", *SMALL, "n=8", "method=none,mixup").status == 0
    assert mixbench("report", "photos", "dataset.name=mine").status == 0
    assert mixbench("report", "photos").status == 2


def test_one_path_is_printed_at_the_end(mixbench, pics):
    call = mixbench("decide", "photos", *SMALL, "method=none,mixup", "budget=3rounds")
    assert call.status == 0
    (page,) = Path("results").glob("decide,*/report.html")
    assert str(page) in call.out.splitlines()[-1]
    assert call.out.count(str(page.parent)) == 1
