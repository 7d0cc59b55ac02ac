"""Runs read from archives: as from folders, and refused where they are damaged."""

import json
import pickle
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from archive_inputs import OTHER, RUN, STORE

import mixbench as mb
from mixbench.runs.store import archive, history, reading
from mixbench.runs.store.predictions import read_correct
from mixbench.runs.store.store import Store, scan

EVERY = (*archive.FILES, "predictions.npz")


@pytest.fixture
def store(tmp_path):
    """Made-up runs, two of them with logits of 21 evaluation images."""
    shutil.copytree(STORE, tmp_path / "r")
    generator = np.random.default_rng(1)
    for name in (RUN, OTHER):
        logits = generator.normal(size=(21, 10)).astype(np.float16)
        labels = np.where(generator.random(21) < 0.5, logits.argmax(axis=1), 3).astype(np.int32)
        np.savez(tmp_path / "r/runs" / name / "predictions.npz", logits=logits, labels=labels)
    return Store(tmp_path / "r")


def pack(store, path, names=archive.FILES):
    folders = [store.folder(name) for name in store.ids()]
    packed = archive.pack(folders, path, names)
    assert (packed.runs, packed.left_out) == (15, [])
    return path


def changed(path, change):
    """Pack the archive anew with `change(name, bytes)` in place of each member's bytes; None leaves it out."""
    with zipfile.ZipFile(path) as opened:
        members = {info.filename: opened.read(info) for info in opened.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            new = change(name, content)
            if new is not None:
                opened.writestr(name, new)
    return path


def recognised(folder):
    """Which images the logits in a folder recognise, written out."""
    with np.load(folder / "predictions.npz") as stored:
        pairs = zip(stored["logits"].tolist(), stored["labels"].tolist(), strict=True)
        return [max(range(len(logits)), key=logits.__getitem__) == label for logits, label in pairs]


def test_an_archive_gives_the_table_that_the_folders_give(store, tmp_path):
    of_folders, of_archive = mb.load_runs(store.root), mb.load_runs(pack(store, tmp_path / "some.zip"))
    pd.testing.assert_frame_equal(of_folders.drop(columns="folder"), of_archive.drop(columns="folder"))
    assert str(of_archive["folder"][0]) == f"{tmp_path / 'some.zip'}/{of_archive['id'][0]}"
    pd.testing.assert_frame_equal(mb.compare(of_folders), mb.compare(of_archive))


@pytest.mark.parametrize("names", [archive.FILES, EVERY])
def test_a_run_of_an_archive_is_the_run_of_the_folder(store, tmp_path, names):
    runs = mb.load_runs(pack(store, tmp_path / "some.zip", names))
    for row in runs.itertuples():
        packed, whole = mb.Run(row.id, row.folder), mb.Run(row.id, store.folder(row.id))
        assert packed.metrics == whole.metrics
        pd.testing.assert_frame_equal(packed.history(), whole.history())
        has_logits = row.id in (RUN, OTHER)
        if has_logits:
            assert packed.correct().tolist() == whole.correct().tolist() == recognised(whole.folder)
            assert packed.correct().dtype == bool
        else:  # as records that were made without logits
            with pytest.raises(FileNotFoundError, match=row.id):
                packed.correct()
        if has_logits and names is EVERY:
            for ours, theirs in zip(packed.predictions(), whole.predictions(), strict=True):
                assert (ours == theirs).all()
        else:
            with pytest.raises(FileNotFoundError, match=row.id):
                packed.predictions()


def test_histories_read_together_are_those_of_the_folders(store, tmp_path):
    places = reading.attach(pack(store, tmp_path / "some.zip")).places()
    ours, problems = history.read(places)
    theirs, _ = history.read([store.folder(place.name) for place in places])
    assert not problems
    pd.testing.assert_frame_equal(ours, theirs)


def test_the_same_runs_make_the_same_bytes_in_any_order_from_folders_and_from_archives(store, tmp_path):
    folders = [store.folder(name) for name in store.ids()]
    paths = [tmp_path / f"{name}.zip" for name in "abcd"]
    archive.pack(folders, paths[0], EVERY)
    for folder in folders:
        for path in folder.iterdir():
            path.touch()
    archive.pack(folders[::-1], paths[1], EVERY[::-1])
    archive.pack(reading.attach(paths[0]).places(), paths[2], EVERY)
    assert len({path.read_bytes() for path in paths[:3]}) == 1
    archive.pack(reading.attach(paths[0]).places(), paths[3], archive.FILES)  # without the logits
    assert paths[3].read_bytes() == pack(store, tmp_path / "e.zip").read_bytes() != paths[0].read_bytes()


def test_an_imported_record_keeps_which_images_are_recognised(store, tmp_path, mixbench):
    pack(store, tmp_path / "some.zip")
    assert mixbench("import", "some.zip", "results_dir=new").status == 0
    assert mb.Run(RUN, Path("new/runs") / RUN).correct().tolist() == recognised(store.folder(RUN))
    assert mixbench("import", "some.zip", "results_dir=r").status == 0
    assert not (store.folder(RUN) / "correct.json").exists(), "its logits say more"


def test_places_can_be_pickled_and_compared(store, tmp_path):
    place = reading.attach(pack(store, tmp_path / "some.zip")).places()[0]
    again = pickle.loads(pickle.dumps(place))
    assert again == place
    assert hash(again) == hash(place)
    assert reading.read_bytes(again, "metrics.json") == reading.read_bytes(place, "metrics.json")


def test_an_archive_is_closed_with_its_last_run_and_nothing_is_left_open(store, tmp_path):
    path = pack(store, tmp_path / "some.zip")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # ResourceWarning
        place = reading.attach(path).places()[0]
        file = place.archive.zip.fp
        assert reading.read_bytes(place, "metrics.json")
        del place
    assert file.closed


# Damage


@pytest.mark.parametrize("file", ["metrics.json", "history.csv", "correct.json"])
def test_a_file_with_another_checksum_is_refused(store, tmp_path, file):
    """Of equal size and readable: the checksum alone tells."""
    path = changed(
        pack(store, tmp_path / "some.zip"),
        lambda name, content: content.replace(b"1", b"2") if name == f"{RUN}/{file}" else content,
    )
    found, problems = scan(path)
    if file == "metrics.json":
        assert len(found) == 14
        (problem,) = problems
        assert RUN in problem
        assert "checksum" in problem
        with pytest.warns(UserWarning, match="checksum"):
            assert len(mb.load_runs(path)) == 14
        return
    assert len(found) == 15
    place = next(m["folder"] for m in found if m["id"] == RUN)
    if file == "correct.json":
        with pytest.raises(ValueError, match="checksum"):
            read_correct(place)
    else:
        (problem,) = history.read([m["folder"] for m in found])[1]
        assert RUN in problem
        assert "checksum" in problem


def test_bytes_that_changed_on_the_disk_are_noticed(store, tmp_path):
    path = pack(store, tmp_path / "some.zip")
    with zipfile.ZipFile(path) as opened:
        member = opened.getinfo(f"{RUN}/metrics.json")
    data = bytearray(path.read_bytes())
    middle = member.header_offset + 30 + len(member.filename) + member.compress_size // 2
    data[middle] ^= 0xFF
    path.write_bytes(data)
    found, problems = scan(path)
    assert len(found) == 14
    assert len(problems) == 1
    assert RUN in problems[0]


def test_a_run_without_its_metrics_is_left_out(store, tmp_path):
    path = changed(
        pack(store, tmp_path / "some.zip"), lambda name, content: None if name == f"{RUN}/metrics.json" else content
    )
    found, problems = scan(path)
    assert len(found) == 14
    assert [RUN in problem for problem in problems] == [True]


@pytest.mark.parametrize(
    "break_it",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"text"),
        lambda path: changed(path, lambda name, content: None if name == "manifest.json" else content),
        lambda path: changed(path, lambda name, content: b"{}" if name == "manifest.json" else content),
    ],
    ids=["cut", "empty", "text", "no manifest", "other manifest"],
)
def test_a_file_that_is_no_archive_is_a_mistake(store, tmp_path, break_it):
    path = pack(store, tmp_path / "some.zip")
    break_it(path)
    with pytest.raises(mb.UserError, match=r"some\.zip"):
        mb.load_runs(path)


def test_a_missing_file_and_a_file_with_a_study_are_mistakes(store, tmp_path):
    with pytest.raises(mb.UserError, match=r"none\.zip"):
        mb.load_runs(tmp_path / "none.zip")
    with pytest.raises(mb.UserError, match="study"):
        mb.load_runs(pack(store, tmp_path / "some.zip"), study="demo")


@pytest.mark.parametrize(
    "content",
    [
        {"images": 21, "bits": "AAAA"},
        {"images": 17, "bits": "AAAA/w=="},
        {"images": -1, "bits": ""},
        {"images": 24, "bits": "????"},
        {"images": True, "bits": "gA=="},
        {"bits": "AAAA"},
        [1],
    ],
)
def test_what_is_not_one_bit_an_image_is_refused(tmp_path, content):
    (tmp_path / "correct.json").write_text(json.dumps(content))
    if content == {"images": 21, "bits": "AAAA"}:  # three bytes are 17 to 24 images
        assert read_correct(tmp_path).tolist() == [False] * 21
        return
    with pytest.raises(ValueError, match=r"correct\.json"):
        read_correct(tmp_path)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 10_000])
def test_any_number_of_images_comes_back(tmp_path, count):
    from mixbench.runs.store.predictions import encoded

    correct = np.random.default_rng(count).random(count) < 0.4
    (tmp_path / "correct.json").write_bytes(encoded(correct))
    assert len(encoded(correct)) <= count / 6 + 40
    assert (read_correct(tmp_path) == correct).all()
    assert read_correct(tmp_path).shape == (count,)


def test_damaged_logits_are_not_replaced_by_silence(store):
    (store.folder(RUN) / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"predictions\.npz"):
        mb.Run(RUN, store.folder(RUN)).correct()
