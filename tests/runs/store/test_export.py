"""Archives: another selection has another name; what would unpack to absurdly much never is."""

import hashlib
import json
import os
import shutil
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from mixbench.cli.words import archive_name, select
from mixbench.config.compose import Composer
from mixbench.core import files
from mixbench.runs.store.store import Store

STORE = Path(__file__).parents[2] / "fixtures" / "store"
RUN = "digits-n20-none-s0-60107ed3fa"
OTHER = "digits-n20-none-s1-afcd4a2ba1"
MEGABYTE = 2**20
Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def results(tmp_path):
    shutil.copytree(STORE, tmp_path / "results")
    return Store(tmp_path / "results")


def archive(path, runs, method=zipfile.ZIP_DEFLATED):
    """An archive with an honest manifest: run -> file -> bytes."""
    manifest = {"schema": 1, "runs": {}}
    with zipfile.ZipFile(path, "w", method) as opened:
        for run, contents in runs.items():
            manifest["runs"][run] = {}
            for name, content in contents.items():
                opened.writestr(f"{run}/{name}", content)
                facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                manifest["runs"][run][name] = facts
        opened.writestr("manifest.json", json.dumps(manifest))


def contents(results, run):
    return {path.name: path.read_bytes() for path in results.folder(run).iterdir()}


# Names


def test_every_selection_has_an_archive_of_its_own(mixbench, results, tmp_path):
    selections = [
        [],
        ["n=20"],
        ["n=50"],
        ["n=20", "method=none"],
        ["n=20", "method=mixup"],
        ["dataset=digits"],
        ["demo"],
        ["demo", "n=20"],
        ["results_dir=elsewhere"],
        ["demo", "results_dir=elsewhere"],
    ]
    shutil.copytree("results", "elsewhere")
    names = []
    for words in selections:
        call = mixbench("export", *words)
        assert call.status == 0
        names.append(call.out.partition(": ")[0])
    assert names[0] == "runs.mixbench.zip"
    assert len(set(names)) == len(selections)
    assert {path.name for path in tmp_path.iterdir()} == {"results", "elsewhere", *names}


def test_a_name_has_none_but_plain_characters_and_no_two_become_one(mixbench, results, tmp_path):
    values = [
        "n=20,50",
        "n=[20]",
        "n='20'",
        "dataset='a/b'",
        "dataset='a?b'",
        f"dataset={'x' * 300}",
        f"dataset={'x' * 301}",
    ]
    with Composer() as composer:
        names = [archive_name(select(composer, [value])) for value in values]
    assert len(set(names)) == len(values)
    for name in names:
        assert len(name) < 150
        assert set(name) <= {*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+=,-"}


# Archives that unpack to too much


def refused(mixbench, results, monkeypatch, told, others=1):
    written = []
    write = files.write
    monkeypatch.setattr(files, "write", lambda path, fill: (written.append(path.name), write(path, fill))[1])
    call = mixbench("import", "a.zip", "results_dir=elsewhere")
    assert call.status == 1
    assert call.err.count("\n") == 1
    assert RUN in call.err
    assert told in call.err
    there = Store("elsewhere")
    assert RUN not in there.ids()
    assert len(there.ids()) == others
    assert not (there.runs / ".incoming").exists()
    return written


@pytest.mark.parametrize("name", ["predictions.npz", "weights.pt", "history.csv"])
def test_a_few_bytes_that_unpack_to_very_many_are_never_unpacked(mixbench, results, monkeypatch, name):
    bomb = contents(results, RUN) | {name: b"0" * (60 * MEGABYTE)}
    archive("a.zip", {RUN: bomb, OTHER: contents(results, OTHER)})
    assert Path("a.zip").stat().st_size < MEGABYTE
    written = refused(mixbench, results, monkeypatch, f"{name} has ")
    assert name == "history.csv" or name not in written


def test_honest_files_of_any_kind_are_imported(mixbench, results):
    honest = contents(results, RUN) | {"predictions.npz": os.urandom(2 * MEGABYTE), "weights.pt": b"\0" * MEGABYTE}
    archive("a.zip", {RUN: honest})
    assert mixbench("import", "a.zip", "results_dir=elsewhere").status == 0
    assert contents(Store("elsewhere"), RUN) == honest


def test_a_run_that_does_not_fit_the_disk_is_not_begun(mixbench, results, monkeypatch):
    large = contents(results, RUN) | {"predictions.npz": os.urandom(4 * MEGABYTE)}
    archive("a.zip", {RUN: large, OTHER: contents(results, OTHER)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**9, 10**9, 2 * MEGABYTE))
    assert "predictions.npz" not in refused(mixbench, results, monkeypatch, "2.1 MB")  # what is free


def test_files_that_lie_over_one_another_are_no_archive(mixbench, results):
    """Each of them is small for what it unpacks to, since all use the same bytes."""
    block = os.urandom(MEGABYTE)
    archive("a.zip", {RUN: contents(results, RUN) | {"weights.pt": block}}, zipfile.ZIP_STORED)
    with zipfile.ZipFile("a.zip", "a") as opened:
        first = opened.getinfo(f"{RUN}/weights.pt")
        for i in range(3):
            again = zipfile.ZipInfo(f"{OTHER}-{i}/weights.pt")
            for key in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(again, key, getattr(first, key))
            opened.filelist.append(again)
        opened._didModify = True
    call = mixbench("import", "a.zip", "results_dir=elsewhere")
    assert call.status == 2
    assert "a.zip" in call.err
    assert call.err.count("\n") == 1
    assert not Path("elsewhere").exists()


def test_a_manifest_that_unpacks_to_very_much_is_none(mixbench, tmp_path):
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("manifest.json", b'{"schema": 1, "runs": [' + b"[]," * (10 * MEGABYTE) + b"[]]}")
    call = mixbench("import", "a.zip", "results_dir=elsewhere")
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip"}


def test_large_files_are_packed_piece_by_piece_and_come_out_the_same(mixbench, results):
    weights = os.urandom(3 * MEGABYTE + 7)
    (results.folder(RUN) / "weights.pt").write_bytes(weights)
    assert mixbench("export", "n=20", "weights=true", "out=a.zip").status == 0
    assert mixbench("import", "a.zip", "results_dir=elsewhere").status == 0
    assert (Store("elsewhere").folder(RUN) / "weights.pt").read_bytes() == weights
