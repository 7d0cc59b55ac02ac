"""Anything may stand where a file of the store belongs: no command waits for it, takes all memory, or ends badly."""

import io
import json
import os
import shutil
import signal
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mixbench.runs.estimate import last_row
from mixbench.runs.store import history
from mixbench.runs.store.metrics_schema import LARGEST
from mixbench.runs.store.predictions import read_predictions
from mixbench.runs.store.store import Store

STORE = Path(__file__).parents[2] / "fixtures" / "store"
RUN, OTHER = "digits-n20-none-s0-60107ed3fa", "digits-n20-none-s1-afcd4a2ba1"
THIRD = "digits-n50-label-mix-s0-9f2a246abb"
UNFINISHED = "digits-n20-none-s7-0123456789"
SECONDS = 100  # a command that takes longer waits for something
FILES = ("history.csv", "config.yaml", "provenance.json", "predictions.npz", "failed.json", "label_noise.csv")


@pytest.fixture(autouse=True)
def impatient():
    """Blocking calls of the system end with an error, in place of the test's waiting for ever."""

    waits = []

    def waited(*_):
        waits.append(1)
        raise TimeoutError("a command waits")

    before = signal.signal(signal.SIGALRM, waited)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    assert not waits  # a command may take the error for that of a damaged file


@pytest.fixture
def results(tmp_path):
    for name in (RUN, OTHER, THIRD):
        shutil.copytree(STORE / "runs" / name, tmp_path / "results/runs" / name)
    return Store(tmp_path / "results")


def a_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's name has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def a_large_file(path):
    with open(path, "wb") as file:
        file.truncate(50 * 10**9)  # takes no room


KINDS = {
    "fifo": os.mkfifo,
    "socket": a_socket,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": os.mkdir,
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to a fifo": lambda path: (os.mkfifo(f"{path}.fifo"), path.symlink_to(f"{path.name}.fifo")),
    "50 GB": a_large_file,
}


def put(kind, path):
    path.unlink(missing_ok=True)
    KINDS[kind](path)


@pytest.mark.parametrize("kind", KINDS)
def test_no_reader_waits_for_what_is_no_file_or_reads_without_end(mixbench, results, kind):
    put(kind, results.folder(RUN) / "metrics.json")
    for name in FILES:
        put(kind, results.folder(OTHER) / name)
    results.folder(UNFINISHED).mkdir()
    for name in FILES:
        put(kind, results.folder(UNFINISHED) / name)
    (results.folder(UNFINISHED) / "checkpoint.pt").write_text("…")
    for words in (["table"], ["report"]):
        call = mixbench(*words)
        assert call.status == 0, call.err
        assert "Traceback" not in call.err
        left_out = [line for line in call.err.splitlines() if RUN in line]
        assert len(left_out) == 1
    assert THIRD in Path("results/selection/runs.csv").read_text()
    assert OTHER in Path("results/selection/runs.csv").read_text()
    assert f"{OTHER}/history.csv: " in call.err
    call = mixbench("status")
    assert call.status == 0
    assert "2 finished" in call.out
    assert mixbench("status", "demo").status == 0
    assert mixbench("clean").status == 0
    exported = mixbench("export", "n=50")
    assert exported.status == 0
    assert mixbench("import", "runs,n=50.mixbench.zip").status == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_is_no_file_is_a_mistake(mixbench, results, tmp_path, kind):
    put(kind, tmp_path / "a.zip")
    call = mixbench("import", "a.zip", "results_dir=elsewhere")
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert not Path("elsewhere").exists()


@pytest.mark.parametrize("kind", ["fifo", "device", "50 GB"])
def test_a_run_into_a_store_whose_mark_is_no_file_is_a_mistake(mixbench, results, tiny, kind):
    put(kind, results.runs / "schema.json")
    call = mixbench("run", *tiny)
    assert (call.status, call.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_a_run_is_trained_where_its_files_are_none(mixbench, tiny, kind):
    assert mixbench("run", *tiny).status == 0
    (folder,) = [Store("results").folder(name) for name in Store("results").ids()]
    whole = {path.name for path in folder.iterdir()}
    for name in ("metrics.json", "history.csv", "provenance.json", "checkpoint.pt"):
        put(kind, folder / name)
    call = mixbench("run", *tiny)
    assert (call.status, call.err.count("checkpoint.pt")) == (0, 1)
    assert {path.name for path in folder.iterdir()} == whole
    assert "finished before" in mixbench("run", *tiny).out


@pytest.mark.parametrize("value", ["1e300", "-1e300", "1e101", "inf", "9" * 200])
@pytest.mark.parametrize("column", ["step", "train_loss", "test_loss", "test_accuracy"])
def test_absurd_numbers_of_a_history_are_told_and_left_out(results, value, column):
    path = results.folder(RUN) / "history.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    rows[-1][rows[0].index(column)] = value
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    frame, problems = history.read([results.folder(RUN), results.folder(OTHER)])
    assert len(problems) == 1
    assert f"{RUN}/history.csv" in problems[0]
    assert set(frame["run"]) == {1}


@pytest.mark.parametrize("value", [1e300, LARGEST, -LARGEST, 1e-300, 0])
def test_plots_go_on_whatever_a_history_holds(mixbench, results, value):
    path = results.folder(RUN) / "history.csv"
    header, *rows = path.read_text().splitlines()
    keys = header.split(",")
    changed = dict(zip(keys, rows[-1].split(","), strict=True)) | {"train_loss": value, "test_loss": value}
    path.write_text("\n".join([header, *rows[:-1], ",".join(str(changed[key]) for key in keys)]) + "\n")
    call = mixbench("plot", "n=20")
    assert call.status == 0
    assert call.err.count("\n") == call.err.count(f"{RUN}/history.csv: ") == (value == 1e300)
    assert Path("results/selection,n=20/loss.png").exists()


ABSURD = ["5,inf", "5,nan", "5,1e300", "5,-1", "-5,1", "1e5,1", f"{'9' * 400},1", f"{'9' * 5000},1"]


@pytest.mark.parametrize("row", ABSURD)
def test_absurd_numbers_of_an_unfinished_run_end_no_estimate(mixbench, results, row):
    folder = results.folder(UNFINISHED)
    folder.mkdir()
    (folder / "checkpoint.pt").write_text("…")
    (folder / "history.csv").write_text(f"step,seconds\n{row}\n")
    steps, seconds = last_row(UNFINISHED, results)
    assert (steps, seconds) == (0, 0)
    assert mixbench("status").status == 0


def npz(path, **heads):
    """Arrays of the given shapes, of which the archive holds only ten numbers each."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (shape, dtype) in heads.items():
            file = io.BytesIO()
            np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
            archive.writestr(f"{name}.npy", file.getvalue() + b"\0" * 10 * np.dtype(dtype).itemsize)


@pytest.mark.parametrize("count", [11, 10**7, 10**12, 10**18, 10**30])
def test_predictions_that_claim_more_than_there_is_are_none(tmp_path, count):
    npz(tmp_path / "predictions.npz", logits=((count, 1), "<f2"), labels=((count,), "<i4"))
    assert read_predictions(tmp_path) is None
    npz(tmp_path / "predictions.npz", logits=((10, 1), "<f2"), labels=((10,), "<i4"))
    assert read_predictions(tmp_path)[0].shape == (10, 1)


def test_predictions_that_unpack_to_very_much_are_none(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "predictions.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("logits.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "<f2", "fortran_order": False, "shape": (600 * 2**20, 1)})
        for _ in range(600):
            file.write(b"\0" * 2**21)
    assert (tmp_path / "predictions.npz").stat().st_size < 2 * 2**20
    assert read_predictions(tmp_path) is None


BOMB = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12))
LISTS = "b0: &b0 [x]\n" + "".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 12))
CONFIGS = {
    "merged": BOMB + "dataset: {classes: *a11}\n",
    "lists": LISTS + "dataset: {classes: *b11}\n",
    "deep": "dataset: {classes: " + "[" * 5000 + "]" * 5000 + "}\n",
    "large": "dataset: {classes: [" + "a, " * 10**6 + "a]}\n",
    "code": "dataset: !!python/object/apply:os.system ['touch called']\n",
}


@pytest.mark.parametrize("config", CONFIGS)
def test_settings_that_are_a_bomb_hold_up_neither_reports_nor_archives(mixbench, results, tmp_path, config):
    for name in (RUN, OTHER, THIRD):
        (results.folder(name) / "config.yaml").write_text(CONFIGS[config])
        metrics = json.loads((results.folder(name) / "metrics.json").read_text())
        metrics |= {"per_class_accuracy": [50.0] * 10}
        (results.folder(name) / "metrics.json").write_text(json.dumps(metrics))
    call = mixbench("report")
    assert (call.status, call.err) == (0, "")
    assert "class 3" in Path("results/selection/report.md").read_text()
    assert mixbench("export").status == 0
    with zipfile.ZipFile("runs.mixbench.zip") as opened:
        assert opened.read(f"{RUN}/config.yaml").decode() == CONFIGS[config]
    assert not (tmp_path / "called").exists()
