"""A disk that is full, broken or read-only: one line and exit 1, old files or whole new ones, no temporary ones."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from mixbench.cli import record
from mixbench.cli.progress import RunProgress
from mixbench.core import files
from mixbench.core.errors import CannotWrite
from mixbench.runs import run
from mixbench.runs.store.store import Store

STORE = Path(__file__).parents[1] / "fixtures" / "store"
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
SELECTION = ("dataset=digits", "n=20", "method=none,mixup")
GALLERY = ("gallery", "dataset=digits", "n=4", "method=cutout", "out=pictures")


@pytest.fixture
def results(tmp_path):
    shutil.copytree(STORE, tmp_path / "results")
    return Store(tmp_path / "results")


def tree(folder, without=()):
    """Every path below a folder with its bytes, the lock files aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if ".locks" not in path.parts and not any(part in without for part in path.parts)
    }


def temporary(folder):
    return [path for path in folder.rglob(".*") if files.writer(path.name) is not None]


# A real file system


@pytest.fixture
def disk(tmp_path):
    """Mount a small file system at `disk`, of `disk(bytes)`."""
    place, mounted = tmp_path / "disk", []

    def mount(size):
        place.mkdir()
        try:
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small file system is not allowed here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", place], check=True)


def fill(place):
    """Take all the room there is."""
    with open(place / "filler", "wb", buffering=0) as file:
        for size in (2**16, 2**10, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def one_line(call):
    assert call.status == 1, call.err
    assert call.err.startswith("mixbench: disk"), call.err
    assert call.err.count("\n") == 1
    assert "No space left on device" in call.err


def test_a_full_disk_is_one_line_for_every_command_that_writes_and_changes_nothing(mixbench, results, disk, tiny):
    assert mixbench("export", "n=20", "out=twenty.zip").status == 0
    place = disk("256k")
    (place / "old").mkdir()
    for name in ("accuracy.csv", "accuracy.png", "report.html"):
        (place / "old" / name).write_text("old")
    fill(place)
    before = tree(place)
    for words in (
        ["import", "twenty.zip", "results_dir=disk/new"],
        ["run", *tiny, "results_dir=disk/new"],
        ["table", *SELECTION, "out=disk/old"],
        ["plot", *SELECTION, "out=disk/old"],
        ["report", *SELECTION, "out=disk/old"],
        ["report", *SELECTION, "out=disk/new"],
        [*GALLERY[:-1], "out=disk/new/pictures"],
        ["export", "out=disk/all.zip"],
    ):
        one_line(mixbench(*words))
        assert tree(place) == before, words


def test_an_import_that_fills_the_disk_keeps_what_is_in_place_and_goes_on_later(mixbench, results, disk):
    assert mixbench("export").status == 0
    place = disk("100k")
    call = mixbench("import", "runs.mixbench.zip", "results_dir=disk/new")
    assert call.status == 1
    assert "No space left on device" in call.err
    assert call.err.count("\n") == 1
    there = Store(place / "new")
    assert 0 < len(there.ids()) < 15
    for run_id in there.ids():
        assert tree(there.folder(run_id)) == tree(results.folder(run_id))
    assert not (there.runs / ".incoming").exists()
    assert temporary(place) == []
    subprocess.run(["mount", "-o", "remount,size=4m", place], check=True)
    assert mixbench("import", "runs.mixbench.zip", "results_dir=disk/new").status == 0
    assert len(there.ids()) == 15


def test_a_training_whose_disk_fills_up_fails_and_resumes_when_there_is_room(mixbench, disk, tiny, monkeypatch):
    place, saves, save = disk("2m"), [], run._save

    def save_and_fill(path, state):
        save(path, state)
        saves.append(path)
        if len(saves) == 2:
            fill(place)

    monkeypatch.setattr(run, "_save", save_and_fill)
    call = mixbench("run", *tiny, "results_dir=disk")
    assert call.status == 1
    assert "No space left on device" in call.err
    assert "Traceback" not in call.err
    assert temporary(place) == []
    kept = torch.load(saves[-1], weights_only=True)
    assert kept["progress"]["step"] == 6
    monkeypatch.undo()
    monkeypatch.chdir(place.parent)
    (place / "filler").unlink()
    steps = []
    step = RunProgress.step
    monkeypatch.setattr(RunProgress, "step", lambda self, k, loss: (steps.append(k), step(self, k, loss))[1])
    assert mixbench("run", *tiny, "results_dir=disk").status == 0
    assert len(steps) == 14 - 6
    assert mixbench("run", *tiny, "results_dir=elsewhere").status == 0
    (one,), (other,) = ([*Path(name).glob("runs/digits*/history.csv")] for name in ("disk", "elsewhere"))
    without_seconds = [[line.rsplit(",", 1)[0] for line in path.read_text().splitlines()] for path in (one, other)]
    assert without_seconds[0] == without_seconds[1]


# Any file-system call


class Broken:
    """Every call that writes below a folder fails from the k-th on, or the k-th alone."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.count, self.fails, self.error = str(folder), 0, range(0), 0
        for name in ("mkdir", "open", "write", "fsync", "replace", "rename"):
            self._replace(monkeypatch, name)

    def _replace(self, monkeypatch, name):
        real = getattr(os, name)

        def call(*args, **named):
            here = name != "open" or (args[1] & (os.O_WRONLY | os.O_RDWR) and self.folder in os.path.abspath(args[0]))
            if here and (name != "write" or args[0] > 2):
                self.count += 1
                if self.count - 1 in self.fails:
                    raise OSError(self.error, os.strerror(self.error))
            return real(*args, **named)

        monkeypatch.setattr(os, name, call)

    def set(self, fails=range(0), error=0):
        self.count, self.fails, self.error = 0, fails, error


COMMANDS = {
    "table": ["table", *SELECTION, "out=made"],
    "plot": ["plot", *SELECTION, "out=made"],
    "report": ["report", *SELECTION, "out=made"],
    "gallery": [*GALLERY[:-1], "out=made"],
    "export": ["export", "n=20", "out=made/twenty.zip"],
    "import": ["import", "twenty.zip", "results_dir=made"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_any_call_of_the_file_system_may_fail(mixbench, results, tmp_path, monkeypatch, command):
    assert mixbench("export", "n=20", "method=none", "out=twenty.zip").status == 0
    broken = Broken(tmp_path, monkeypatch)
    assert mixbench(*COMMANDS[command]).status == 0
    new = tree(tmp_path / "made")
    broken.set()
    assert mixbench(*COMMANDS[command]).status == 0
    count = broken.count
    assert count > 3
    for i, k in enumerate(sorted({0, 1, 2, count // 3, count // 2, count - 1})):
        once = i % 2 == 1
        broken.set()
        shutil.rmtree("made", ignore_errors=True)
        if i > 2 and command not in ("import", "export"):
            shutil.copytree(STORE / "runs", "made/old")  # anything that was there
            Path("made/accuracy.png").write_text("old")
        old = tree(tmp_path / "made")
        broken.set(range(k, k + 1) if once else range(k, 10**9), ERRORS[i % len(ERRORS)])
        call = mixbench(*COMMANDS[command])
        broken.set()
        told = (command, k, count, os.strerror(ERRORS[i % len(ERRORS)]))
        assert call.status == 1 or (call.status == 2 and k == 0 and ERRORS[i % len(ERRORS)] == errno.EROFS), told
        assert "Traceback" not in call.err, told
        assert call.err.count("\n") == 1, told
        assert temporary(tmp_path) == [], told
        now = tree(tmp_path / "made") if Path("made").exists() else {}
        for path, content in now.items():
            assert content in (old.get(path, b"none"), new.get(path, b"none")), (told, path)
        assert old.keys() <= now.keys(), told
        if command == "import":
            for run_id in Store("made").ids():
                assert {path.name for path in Store("made").folder(run_id).iterdir()} == {"metrics.json", "history.csv"}
    assert mixbench(*COMMANDS[command]).status == 0
    assert new.items() <= tree(tmp_path / "made").items()


def test_a_run_that_cannot_be_written_is_a_failed_run_and_the_next_call_makes_it(mixbench, tiny, tmp_path, monkeypatch):
    broken = Broken(tmp_path, monkeypatch)
    assert mixbench("run", *tiny).status == 0
    count = broken.count
    whole = tree(tmp_path / "results")
    for i, k in enumerate(range(0, count, max(1, count // 9))):
        broken.set()
        shutil.rmtree("results", ignore_errors=True)
        broken.set(range(k, k + 1) if i % 2 else range(k, 10**9), ERRORS[i % len(ERRORS)])
        call = mixbench("run", *tiny)
        broken.set()
        assert call.status == 1 or (call.status == 2 and k == 0), (k, call)
        assert "Traceback" not in call.err, (k, call)
        assert temporary(tmp_path) == [], k
        assert mixbench("run", *tiny).status == 0
        assert tree(tmp_path / "results").keys() == whole.keys()


def test_a_checkpoint_that_cannot_be_removed_makes_no_finished_run_a_failed_one(mixbench, tiny, monkeypatch):
    unlink = Path.unlink

    def fails(path, *args, **named):
        if path.name == "checkpoint.pt" and (path.parent / "metrics.json").exists():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        unlink(path, *args, **named)

    monkeypatch.setattr(Path, "unlink", fails)
    call = mixbench("run", *tiny)
    assert (call.status, call.err.count("failed")) == (0, 0)
    assert "finished before" in mixbench("run", *tiny).out
    assert len([*Path("results/runs").glob("*/checkpoint.pt")]) == 1


@pytest.mark.parametrize("kind", [torch.save, lambda value, file: file.write(b"x" * 10**6)], ids=["torch", "bytes"])
def test_the_reason_is_the_disks_whatever_the_writer_makes_of_it(tmp_path, monkeypatch, kind):
    (tmp_path / "checkpoint.pt").write_text("old")
    broken = Broken(tmp_path, monkeypatch)
    broken.set(range(2, 10**9), errno.ENOSPC)
    with pytest.raises(CannotWrite, match=r"checkpoint\.pt: .*No space left on device") as raised:
        files.write(tmp_path / "checkpoint.pt", lambda file: kind({"weights": torch.zeros(10**5)}, file))
    assert raised.value.errno == errno.ENOSPC
    assert tree(tmp_path) == {"checkpoint.pt": b"old"}


def test_a_bug_of_the_writer_is_not_the_disks(tmp_path):
    with pytest.raises(ZeroDivisionError):
        files.write(tmp_path / "a", lambda file: file.write(b"x" * (1 // 0)))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("free", [0, 32_768, 65_536])
def test_records_that_do_not_fit_the_disk_are_told_in_one_line(disk, capsys, free):
    place = disk("4m")
    shutil.copytree(STORE / "runs", place / "runs")
    for folder in (place / "runs").glob("digits-*"):
        (folder / "config.yaml").write_text("n: 20\n")
        (folder / "provenance.json").write_text("{}")
    fill(place)
    os.truncate(place / "filler", (place / "filler").stat().st_size - free)
    assert record.main(["demo", f"results_dir={place}"]) == 1, capsys.readouterr()
    assert capsys.readouterr().err.count("\n") == 1
    assert record.main(["no-such-study"]) == 2
