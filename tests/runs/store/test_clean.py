"""clean: never what a link leads to, never what a live process writes; on a store that cannot be written one line."""

import cProfile
import errno
import os
import pstats
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixbench.cli.main import main
from mixbench.core import files
from mixbench.runs.store.store import INCOMING, Store

STORE = Path(__file__).parents[2] / "fixtures" / "store"
RUN = "digits-n20-none-s0-60107ed3fa"
UNFINISHED = "digits-n20-none-s{}-0123456789"
PATIENCE = 120
WRITE = """
import sys, time
from pathlib import Path
from mixbench.core import files
def fill(file):
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(600)
files.write(Path(sys.argv[1]), fill)
"""


@pytest.fixture
def results(tmp_path):
    """One finished run, two that are not."""
    for name in (RUN, "digits-n50-label-mix-s0-9f2a246abb"):
        shutil.copytree(STORE / "runs" / name, tmp_path / "results/runs" / name)
    for seed in (1, 2):
        unfinished(tmp_path / "results/runs" / UNFINISHED.format(seed))
    return Store(tmp_path / "results")


def unfinished(folder):
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").write_bytes(b"x" * 1000)
    (folder / "history.csv").write_text("step\n1\n")


# A store that cannot be written


def test_a_store_that_may_only_be_read_is_one_line_and_loses_nothing(mixbench, results, contents, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system is not allowed here")
    try:
        shutil.copytree(results.root, place / "results")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        before = contents(place)
        shown = mixbench("clean", "results_dir=disk/results")
        assert (shown.status, shown.err) == (0, "")
        assert shown.out.count("  (interrupted, ") == 2
        call = mixbench("clean", "--yes", "results_dir=disk/results")
        assert call.status == 1
        assert "Read-only file system" in call.err
        assert call.err.count("\n") == 1
        assert mixbench("status", "results_dir=disk/results").status == 0
        assert contents(place) == before
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("error", [errno.EROFS, errno.EIO, errno.EACCES])
def test_what_cannot_be_dropped_is_one_line_and_the_others_go(mixbench, results, monkeypatch, error):
    rmtree = shutil.rmtree

    def fails(path, *args, **named):
        if UNFINISHED.format(1) in str(path):
            raise OSError(error, os.strerror(error), str(path))
        rmtree(path, *args, **named)

    monkeypatch.setattr(shutil, "rmtree", fails)
    call = mixbench("clean", "--yes")
    assert call.status == 1
    assert UNFINISHED.format(1) in call.err
    assert os.strerror(error) in call.err
    assert call.err.count("\n") == 1
    assert "deleted 1\n" in call.out
    assert [results.folder(UNFINISHED.format(seed)).exists() for seed in (1, 2)] == [True, False]
    assert results.folder(RUN).exists()


# Links


def test_of_a_link_the_link_alone_is_dropped(mixbench, results, contents, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    unfinished(elsewhere / "run")
    unfinished(elsewhere / "again")
    (elsewhere / "incoming").mkdir()
    (elsewhere / "incoming/mine").write_text("mine")
    links = [results.folder(UNFINISHED.format(3)), results.folder(f"{RUN}.force"), results.folder(INCOMING)]
    for link, target in zip(links, ("run", "again", "incoming"), strict=True):
        link.symlink_to(elsewhere / target, target_is_directory=True)
    before = contents(elsewhere)
    shown = mixbench("clean")
    assert sum("link" in line for line in shown.out.splitlines()) == 2
    call = mixbench("clean", "--yes")
    assert (call.status, call.err) == (0, "")
    assert not any(os.path.lexists(link) for link in links)
    assert contents(elsewhere) == before
    assert len(before) == 8


def test_a_finished_run_behind_a_link_is_not_touched(mixbench, results, contents, tmp_path):
    elsewhere = tmp_path / "elsewhere" / RUN
    elsewhere.parent.mkdir()
    results.folder(RUN).rename(elsewhere)
    results.folder(RUN).symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "checkpoint.pt").write_text("mine")
    before = contents(elsewhere)
    assert mixbench("clean", "--yes").status == 0
    assert results.folder(RUN).is_symlink()
    assert contents(elsewhere) == before


def test_a_link_inside_a_run_that_is_dropped_leads_nowhere(mixbench, results, contents, tmp_path):
    kept = tmp_path / "kept"
    unfinished(kept)
    before = contents(kept)
    results.folder(UNFINISHED.format(1)).joinpath("link").symlink_to(kept, target_is_directory=True)
    assert mixbench("clean", "--yes").status == 0
    assert results.ids() == sorted([RUN, "digits-n50-label-mix-s0-9f2a246abb"])
    assert contents(kept) == before


# The question


def test_without_standard_input_nothing_is_dropped(mixbench, results, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdin", None)
    call = mixbench("clean")
    assert (call.status, call.err) == (0, "")
    assert "nothing was deleted" in call.out
    ended = subprocess.run(
        f"{sys.executable} -m mixbench clean <&-", shell=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "nothing was deleted" in ended.stdout
    assert len(results.ids()) == 4


def test_the_end_of_the_input_is_no_yes(mixbench, results, monkeypatch):
    def ends(_=""):
        raise EOFError

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", ends)
    assert mixbench("clean").status == 0
    assert len(results.ids()) == 4


# How much work it is


def calls_of_the_system(results_dir):
    """How often `clean --yes` calls the operating system."""
    profile = cProfile.Profile()
    assert profile.runcall(main, ["clean", "--yes", f"results_dir={results_dir}"]) == 0
    counts = pstats.Stats(profile).stats.items()
    return sum(of[0] for (_, _, name), of in counts if "posix." in name or "flock" in name or "scandir" in name)


def test_a_run_that_is_dropped_costs_few_calls_of_the_system(tmp_path, capsys):
    """Not seconds, which depend on the machine: 20,000 runs took over 75."""
    counts = []
    for runs in (20, 120):
        for seed in range(runs):
            unfinished(tmp_path / f"{runs}/runs" / UNFINISHED.format(seed))
        counts.append(calls_of_the_system(tmp_path / f"{runs}"))
        assert Store(tmp_path / f"{runs}").ids() == []
    capsys.readouterr()
    assert (counts[1] - counts[0]) / 100 < 60


# What killed processes leave


@pytest.fixture
def writer(tmp_path):
    """Start a process that is in the middle of writing a file; returns it and its temporary file."""
    started = []

    def writer(path):
        path = tmp_path / path
        path.parent.mkdir(parents=True, exist_ok=True)
        before = set(path.parent.iterdir())
        process = subprocess.Popen([sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        (made,) = set(path.parent.iterdir()) - before
        assert files.writer(made.name) == process.pid
        return process, made

    yield writer
    for process in started:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


def age(path):
    os.utime(path, (time.time() - 600,) * 2)


PLACES = [
    "results/runs/schema.json",
    "results/selection,dataset=digits/accuracy.csv",
    "results/gallery/digits/methods.png",
    "results/published/demo/runs.zip",
    "all.mixbench.zip",
    f"results/runs/{RUN}/metrics.json",
]


def test_temporary_files_of_killed_processes_are_dropped_and_those_of_live_ones_never(mixbench, results, writer):
    killed = [writer(path) for path in PLACES]
    live_process, live = writer(PLACES[1])
    _, in_run = writer(PLACES[5])
    for process, _ in killed:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    left = [path for _, path in killed]
    for path in (*left, live, in_run):
        assert path.exists()
        age(path)
    shown = mixbench("clean").out
    for path in left:
        assert path.name in shown
    assert live.name not in shown
    assert in_run.name not in shown
    assert mixbench("clean", "--yes").status == 0
    assert not any(path.exists() for path in left)
    assert live.exists()
    assert in_run.exists()
    live_process.send_signal(signal.SIGKILL)
    live_process.wait(PATIENCE)
    assert mixbench("clean", "--yes").status == 0
    assert not live.exists()


def test_a_file_that_was_written_just_now_may_be_another_machines(mixbench, results, writer):
    process, path = writer(PLACES[1])
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    assert "nothing to delete" not in mixbench("clean", "--yes").out
    assert path.exists()
    age(path)
    assert mixbench("clean", "--yes").status == 0
    assert not path.exists()


def test_older_names_are_dropped_and_other_hidden_files_stay(mixbench, results, tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(PATIENCE)
    table = results.root / "demo"
    table.mkdir()
    old = [
        results.runs / f".schema.json.{ended.pid}",
        table / f".accuracy.csv.{ended.pid}",
        tmp_path / f".x.mixbench.zip.{ended.pid}",
    ]
    mine = [
        table / ".notes.2024",
        table / f".accuracy.csv.{os.getpid()}",
        tmp_path / ".bashrc",
        tmp_path / f"x.{ended.pid}",
        results.folder(RUN) / ".DS_Store",
    ]
    for path in (*old, *mine):
        path.write_text("…")
        age(path)
    assert mixbench("clean", "--yes").status == 0
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in mine)
