"""A bank on disk: what it holds, how it goes on after an interruption, a full disk, and which folders are refused."""

import errno
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from mixbench.core import banks, files
from mixbench.core.errors import CannotWrite, UserError
from mixbench.data import read_bank
from mixbench.generation.fractals import fractals
from mixbench.generation.making import Wanted, make_bank

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 8, 9, 3), dtype=np.uint8)
INDICES = np.array([12, 3, 40, 7, 0, 25, 8])
WANTED = Wanted("mine", "5" * 64, IMAGES, INDICES, seed=1, fractals=2)


class Shifted:
    """A backend whose variants are the image plus 1 and plus 2; it can be interrupted."""

    name, variants, per_file = "shifted", ("one", "two"), 3

    def __init__(self, until=None):
        self.until, self.made = until, []

    def recipe(self):
        return {"shifts": [1, 2]}

    def make(self, images, indices, seed):
        if self.until is not None and len(self.made) >= self.until:
            raise KeyboardInterrupt
        self.made.extend(indices.tolist())
        return np.stack([images + np.uint8(1), images + np.uint8(2)], axis=1)


def test_a_run_reads_the_variants_of_its_own_images(tmp_path):
    made = make_bank(tmp_path / "bank", WANTED, Shifted())
    wanted = np.array([8, 12, 0])
    part = read_bank(str(tmp_path / "bank"), wanted, "5" * 64, ["shifted"])
    for index, variants in zip(wanted, part.variants, strict=True):
        image = IMAGES[INDICES.tolist().index(index)]
        assert np.array_equal(variants, [image + np.uint8(1), image + np.uint8(2)])
    assert np.array_equal(part.fractals, fractals(1, 2, 8, 9, 3))
    assert part.source["sha256"] == made.manifest["sha256"] == banks.read_manifest(str(tmp_path / "bank"))["sha256"]
    assert (part.source["backend"], part.source["variants"], made.before) == ("shifted", ["one", "two"], 0)
    for name, checksum in made.manifest["files"].items():
        assert hashlib.sha256((tmp_path / "bank" / name).read_bytes()).hexdigest() == checksum
    assert {path.name for path in (tmp_path / "bank").iterdir()} == {"bank.json", *made.manifest["files"]}


def test_an_interrupted_bank_goes_on_and_is_the_same_to_the_last_byte(tmp_path, contents):
    make_bank(tmp_path / "whole", WANTED, Shifted())
    stopped = Shifted(until=3)
    seen = []
    with pytest.raises(KeyboardInterrupt):
        make_bank(tmp_path / "parts", WANTED, stopped, seen.append)
    assert (stopped.made, seen) == (INDICES[:3].tolist(), [3])
    with pytest.raises(UserError, match="not complete"):
        banks.read_manifest(str(tmp_path / "parts"))
    (tmp_path / "parts/.variants-00001.npy.99.0123abcd.mixbench").write_bytes(b"cut off")  # as a killed process does
    rest = Shifted()
    made = make_bank(tmp_path / "parts", WANTED, rest, seen.append)
    assert (rest.made, made.before, seen) == (INDICES[3:].tolist(), 3, [3, 3, 3, 1])
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    again = Shifted()
    assert make_bank(tmp_path / "parts", WANTED, again).before == 7
    assert again.made == []
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_file_that_was_deleted_is_made_again(tmp_path, contents):
    make_bank(tmp_path / "bank", WANTED, Shifted())
    before = contents(tmp_path / "bank")
    (tmp_path / "bank" / banks.part_name(1)).unlink()
    again = Shifted()
    make_bank(tmp_path / "bank", WANTED, again)
    assert again.made == INDICES[3:6].tolist()
    assert contents(tmp_path / "bank") == before


def test_a_full_disk_leaves_whole_files_and_the_bank_goes_on_later(tmp_path, contents, monkeypatch):
    real, written = files.write, []

    def full(path, fill):
        if len(written) == 3:
            raise CannotWrite(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        real(path, fill)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", full)
        with pytest.raises(CannotWrite):
            make_bank(tmp_path / "bank", WANTED, Shifted())
    assert {path.name for path in (tmp_path / "bank").iterdir()} - {".lock"} == {path.name for path in written}
    make_bank(tmp_path / "bank", WANTED, Shifted())
    make_bank(tmp_path / "other", WANTED, Shifted())
    assert contents(tmp_path / "bank") == contents(tmp_path / "other")


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"fractals": 3}, {"train_sha256": "6" * 64}, {"indices": INDICES[::-1].copy()}],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("complete", [True, False])
def test_a_bank_of_other_settings_is_never_mixed_with_this_one(tmp_path, contents, change, complete):
    if complete:
        make_bank(tmp_path / "bank", WANTED, Shifted())
    else:
        with pytest.raises(KeyboardInterrupt):
            make_bank(tmp_path / "bank", WANTED, Shifted(until=3))
    before = contents(tmp_path / "bank")
    with pytest.raises(UserError, match="other settings"):
        make_bank(tmp_path / "bank", replace(WANTED, **change), Shifted())
    assert contents(tmp_path / "bank") == before


def test_a_folder_with_other_files_and_a_bank_that_is_being_made_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(UserError, match="other files"):
        make_bank(tmp_path / "mine", WANTED, Shifted())
    (tmp_path / "busy").mkdir()
    with FileLock(tmp_path / "busy/.lock"), pytest.raises(UserError, match="another process"):
        make_bank(tmp_path / "busy", WANTED, Shifted())


def test_equal_images_have_equal_checksums_whatever_made_them(tmp_path):
    first = make_bank(tmp_path / "first", WANTED, Shifted()).manifest
    newer = Shifted()
    newer.recipe = lambda: {"shifts": [1, 2], "library": "2.0"}
    assert make_bank(tmp_path / "second", WANTED, newer).manifest["sha256"] == first["sha256"]
    other = replace(WANTED, images=IMAGES[::-1].copy())
    assert make_bank(tmp_path / "third", other, Shifted()).manifest["sha256"] != first["sha256"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("data set", "data set mine"),
        ("backend", "backend=shifted.*backend=filters"),
        ("images", "lacks 2 of 3"),
        ("damaged", r"variants-00000\.npy is damaged"),
        ("missing", r"fractals\.npy cannot be read"),
        ("edited", "damaged"),
        ("none", "there is no bank"),
        ("memory", "free"),
    ],
)
def test_a_bank_that_does_not_fit_is_refused_in_one_line(tmp_path, monkeypatch, kind, told):
    folder = tmp_path / "bank"
    make_bank(folder, WANTED, Shifted())
    indices, train_sha256, backends = INDICES[:3], "5" * 64, ["shifted"]
    if kind == "data set":
        train_sha256 = "6" * 64
    elif kind == "backend":
        backends = ["filters"]
    elif kind == "images":
        indices = np.array([12, 1, 99])
    elif kind == "damaged":
        content = bytearray((folder / banks.part_name(0)).read_bytes())
        content[-1] ^= 1
        (folder / banks.part_name(0)).write_bytes(content)
    elif kind == "missing":
        (folder / banks.FRACTALS).unlink()
    elif kind == "edited":
        manifest = json.loads((folder / banks.MANIFEST).read_text())
        manifest["recipe"]["backend"] = "filters"
        (folder / banks.MANIFEST).write_text(json.dumps(manifest))
    elif kind == "none":
        folder = tmp_path / "nowhere"
    else:
        monkeypatch.setattr("mixbench.core.memory.available", lambda: 100)
    with pytest.raises(UserError, match=told) as error:
        read_bank(str(folder), indices, train_sha256, backends)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("method.bank=")
