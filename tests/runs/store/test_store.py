"""The folder of runs: writes that are whole or not at all, scans over any litter, locks, status and clean."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from mixbench.core.files import write, write_json, write_text
from mixbench.runs.store.store import SCHEMA, Store, scan

PATIENCE = 120
HOLD_LOCK = """
import sys, time
from mixbench.runs.store.store import Store
with Store("results").lock(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny):
    """A results folder with one finished run."""
    from mixbench.cli.main import main

    results = tmp_path_factory.mktemp("finished") / "results"
    assert main(["run", *tiny, f"results_dir={results}"]) == 0
    return results


@pytest.fixture
def results(tmp_path, finished):
    """A copy of it in the test's own folder."""
    shutil.copytree(finished, tmp_path / "results")
    return Store(tmp_path / "results")


@pytest.fixture
def run_id(finished):
    return Store(finished).ids()[0]


def add(results, run_id, name, text=None, **changed):
    """A copy of a run under another name, its metrics.json changed, or replaced by `text`."""
    folder = Path(shutil.copytree(results.folder(run_id), results.folder(name)))
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics |= {"id": name} | changed
    text = json.dumps({key: value for key, value in metrics.items() if value is not None}) if text is None else text
    (folder / "metrics.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def unfinished(results, name, *files):
    folder = results.folder(name)
    folder.mkdir()
    for file in files:
        text = json.dumps({"error": "RuntimeError: injected", "traceback": "…"}) if file == "failed.json" else "…"
        (folder / file).write_text(text)
    return folder


# Writing


@pytest.mark.parametrize("place", ["fill", "fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, place, error):
    path = tmp_path / "metrics.json"
    write_text(path, "old\n")

    def fail(*_):
        raise error

    def fill(file):
        file.write(b"half of the ne")
        if place == "fill":
            raise error

    if place != "fill":
        monkeypatch.setattr(os, place, fail)
    with pytest.raises(type(error)):
        write(path, fill)
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.json"]
    assert path.read_text() == "old\n"


def test_a_write_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("fsync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda source, target: (done.append("replace"), replace(source, target)))
    write_json(tmp_path / "a.json", {"n": 1})
    assert done == ["fsync", "replace"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"n": 1}


def test_json_holds_no_number_that_other_readers_refuse(tmp_path):
    with pytest.raises(ValueError, match=r"JSON compliant"):
        write_json(tmp_path / "a.json", {"nll": float("nan")})
    assert list(tmp_path.iterdir()) == []


# Scanning

DAMAGED = {
    "empty": "",
    "cut": '{"schema": 1, "id": "digits-n2',
    "list": "[1, 2]",
    "null": "null",
    "binary": b"\xff\xfe\x00\x01",
    "other-schema": {"schema": SCHEMA + 1},
    "no-schema": {"schema": None},
    "no-identity": {"identity": None},
    "identity-is-text": {"identity": "digits"},
    "identity-without-n": {"identity": {"dataset": "digits", "method": "none", "seed": 0}},
    "n-is-text": {"identity": {"dataset": "digits", "n": "twenty", "method": "none", "seed": 0}},
    "no-accuracy": {"final_accuracy": None},
    "accuracy-is-text": {"final_accuracy": "high"},
    "accuracy-is-nan": {"final_accuracy": float("nan")},
    "no-best-accuracy": {"best_accuracy": None},
    "copy-under-another-name": {"id": "digits-n20-none-s0-ffffffffff"},
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_run_is_reported_and_left_out_and_fatal_to_no_command(mixbench, results, run_id, tiny, damage):
    changed = DAMAGED[damage]
    folder = add(results, run_id, damage, **(changed if isinstance(changed, dict) else {"text": changed}))
    for rule in ("final", "best"):
        call = mixbench("table", "dataset=digits", f"rule={rule}")
        assert call.status == 0
        assert "(1) |" in call.out.replace("  ", " ")
        assert "nan" not in call.out
        assert call.err.startswith(f"warning: {folder.relative_to(results.root.parent)}: left out (")
        assert call.err.count("\n") == 1
    assert (results.root / "selection,dataset=digits/runs.csv").read_text().count("\n") == 2
    found, problems = scan(results.runs)
    assert [metrics["id"] for metrics in found] == [run_id]
    assert len(problems) == 1
    listed = mixbench("status")
    assert listed.status == 0
    assert damage in listed.out
    assert mixbench("run", *tiny).status == 0
    assert mixbench("clean", "--yes").status == 0
    assert (folder / "metrics.json").exists()  # perhaps another version's run: a person decides


def test_all_litter_at_once_is_fatal_to_nothing(mixbench, results, run_id, tiny, contents):
    for damage, changed in DAMAGED.items():
        add(results, run_id, damage, **(changed if isinstance(changed, dict) else {"text": changed}))
    unfinished(results, "half-written", "checkpoint.pt", "history.csv", ".metrics.json.123")
    unfinished(results, "failed-badly", "failed.json")
    (results.folder("failed-badly") / "failed.json").write_text("{")
    results.folder("metrics-is-a-folder").mkdir()
    (results.folder("metrics-is-a-folder") / "metrics.json").mkdir()
    (results.runs / "a-file").write_text("…")
    (results.runs / "nowhere").symlink_to("gone")
    before = contents(results.runs)
    table = mixbench("table", "dataset=digits")
    assert table.status == 0
    assert table.err.count("left out (") == table.err.count("\n") == len(DAMAGED) + 2
    (unfinished_ones,) = [line for line in table.err.splitlines() if "half-written" in line]
    assert "failed-badly" in unfinished_ones
    assert "mixbench status" in unfinished_ones  # which tells more
    assert mixbench("plot", "dataset=digits").status == 0
    assert mixbench("report", "dataset=digits").status == 0
    assert mixbench("status").status == 0
    assert mixbench("table", "small-data").status == 1
    assert contents(results.runs) == before
    assert mixbench("run", *tiny, "seed=1").status == 0


def test_a_missing_history_is_reported_and_left_out_of_the_plot(mixbench, results, run_id):
    bad = add(results, run_id, "digits-n20-none-s1-0123456789", identity=identity(results, run_id) | {"seed": 1})
    (bad / "history.csv").write_text("step,train\n")
    call = mixbench("plot", "dataset=digits")
    assert call.status == 0
    assert (results.root / "selection,dataset=digits/loss.png").exists()
    assert f"{bad.name}/history.csv: " in call.err
    assert call.err.count("\n") == 1


def identity(results, run_id):
    return json.loads((results.folder(run_id) / "metrics.json").read_text())["identity"]


def test_a_damaged_run_is_trained_again(mixbench, results, run_id, tiny):
    path = results.folder(run_id) / "metrics.json"
    whole = json.loads(path.read_text())
    path.write_text(path.read_text()[:100])
    call = mixbench("run", *tiny)
    assert call.status == 0
    assert "finished before" not in call.out
    again = json.loads(path.read_text())
    assert again["final_accuracy"] == whole["final_accuracy"]


def test_other_versions_runs_are_never_overwritten(mixbench, results, run_id, tiny, contents):
    """Also where the mark of the folder's schema is lost."""
    path = results.folder(run_id) / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": SCHEMA + 1}))
    (results.runs / "schema.json").unlink()
    before = contents(results.folder(run_id))
    mixbench("run", *tiny)
    mixbench("clean", "--yes")
    assert contents(results.folder(run_id)) == before


def test_a_store_that_is_not_there_is_no_mistake(mixbench, tmp_path):
    call = mixbench("status", "results_dir=nowhere")
    assert (call.status, call.err, call.out.count("\n")) == (0, "", 1)
    assert call.out.startswith("nowhere/runs/: ")
    assert mixbench("clean", "--yes", "results_dir=nowhere").status == 0
    assert mixbench("table", "results_dir=nowhere").status == 1
    assert mixbench("plot", "results_dir=nowhere").status == 1
    assert list(tmp_path.iterdir()) == []


# Locks


@pytest.fixture
def other_process(tmp_path):
    """Start a process that holds the lock of a run."""
    started = []

    def other_process(run_id):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD_LOCK, run_id], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "locked\n"
        return process

    yield other_process
    for process in started:
        process.kill()
        process.wait(PATIENCE)
        process.stdout.close()


def test_a_lock_keeps_other_processes_off_until_its_owner_is_gone(mixbench, results, other_process):
    folder = unfinished(results, "digits-n20-none-s7-0123456789", "checkpoint.pt")
    assert results.state(folder.name).name == "interrupted"
    process = other_process(folder.name)
    assert results.locked(folder.name)
    assert not results.locked("digits-n20-none-s8-0123456789")
    with pytest.raises(Timeout), results.lock(folder.name):
        pass
    assert results.state(folder.name).name == "running"
    assert f"running      {folder.name}" in mixbench("status").out
    assert "nothing to delete" in mixbench("clean", "--yes").out
    assert (folder / "checkpoint.pt").exists()
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    assert not results.locked(folder.name)
    with results.lock(folder.name):  # what a dead process held is free at once
        assert results.locked(folder.name)
    assert results.state(folder.name).name == "interrupted"


# Status and clean


def test_status_of_every_kind_of_run(mixbench, results, run_id, other_process, counts):
    unfinished(results, "digits-n20-none-s1-0123456789", "failed.json", "checkpoint.pt")
    unfinished(results, "digits-n20-none-s2-0123456789", "checkpoint.pt", "history.csv")
    unfinished(results, "digits-n20-none-s3-0123456789")
    unfinished(results, "digits-n20-none-s4-0123456789", "checkpoint.pt")
    other_process("digits-n20-none-s4-0123456789")
    add(results, run_id, "digits-n20-none-s5-0123456789", "{")
    head, *lines = mixbench("status").out.splitlines()
    assert head.startswith("results/runs/: ")
    assert counts(head) == {"damaged": 1, "failed": 1, "finished": 1, "interrupted": 2, "running": 1}
    words = [line.split() for line in lines]
    assert [(word[1].split("-")[3], word[0]) for word in words] == [
        ("s1", "failed"),
        ("s2", "interrupted"),
        ("s3", "interrupted"),
        ("s4", "running"),
        ("s5", "damaged"),
    ]
    assert "RuntimeError: injected" in lines[0]
    assert "checkpoint" in lines[1]


def test_status_of_a_study_counts_what_is_missing(mixbench, results, counts, numbers):
    assert counts(mixbench("status", "demo").out.splitlines()[0]) == {"missing": 36}
    head, left, records = mixbench("status", "demo", "n=20,50", "seed=0").out.splitlines()
    assert all(word in head for word in ("demo", "results/runs/"))
    assert counts(head) == {"missing": 6}
    assert "runs.zip" in records  # of study demo, which are published
    assert numbers(left) == [6, 900]  # runs and steps; no time, which is not known


@pytest.fixture
def litter(results, run_id):
    """What clean is for, each beside something that it must keep."""
    (results.folder(run_id) / "checkpoint.pt").write_text("…")
    (results.folder(run_id) / ".checkpoint.pt.123").write_text("…")
    drops = [results.folder(run_id) / "checkpoint.pt", results.folder(run_id) / ".checkpoint.pt.123"]
    drops.append(unfinished(results, "digits-n20-none-s1-0123456789", "failed.json"))
    drops.append(unfinished(results, "digits-n20-none-s2-0123456789", "checkpoint.pt", "history.csv"))
    drops.append(unfinished(results, f"{run_id}.force", "checkpoint.pt"))
    return drops


def test_clean_shows_and_deletes_only_what_is_not_finished(mixbench, results, run_id, litter, contents, other_process):
    kept = contents(results.runs)
    running = unfinished(results, "digits-n20-none-s4-0123456789", "checkpoint.pt", "history.csv")
    other_process(running.name)
    forced = unfinished(results, "digits-n20-none-s5-0123456789.force", "checkpoint.pt")
    other_process(forced.name.removesuffix(".force"))
    before = contents(results.runs)
    shown = mixbench("clean")  # no terminal: it cannot ask
    assert shown.status == 0
    assert contents(results.runs) == before
    for path in litter:
        assert f"{path.relative_to(results.root.parent)}  (" in shown.out
    assert shown.out.count("  (") == len(litter)
    assert "nothing was deleted" in shown.out
    done = mixbench("clean", "--yes")
    assert (done.status, done.err) == (0, "")
    assert f"deleted {len(litter)}\n" in done.out
    assert not any(path.exists() for path in litter)
    assert (running / "checkpoint.pt").exists()
    assert (forced / "checkpoint.pt").exists()
    of_run = {name: text for name, text in kept.items() if name.startswith(f"{run_id}/")}
    now = contents(results.runs)
    assert {name for name in of_run if name not in now} == {f"{run_id}/{path.name}" for path in litter[:2]}
    assert all(now[name] == text for name, text in of_run.items() if name in now)
    assert "nothing to delete" in mixbench("clean", "--yes").out


@pytest.mark.parametrize(("answer", "drops"), [("y", True), ("yes", True), ("n", False), ("", False)])
def test_clean_asks_on_a_terminal(mixbench, results, litter, monkeypatch, answer, drops):
    asked = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt="": (asked.append(prompt), answer)[1])
    call = mixbench("clean")
    assert call.status == 0
    assert len(asked) == 1
    assert [path.exists() for path in litter] == [not drops] * len(litter)
    assert all(str(path.relative_to(results.root.parent)) in call.out for path in litter)


@pytest.mark.parametrize("files", [["notes.txt"], ["paper.pdf", "checkpoint.pt.bak"]])
def test_clean_keeps_folders_that_are_no_runs(mixbench, results, files):
    folder = unfinished(results, "notes", *files)
    call = mixbench("clean", "--yes")
    assert call.status == 0
    assert {path.name for path in folder.iterdir()} == set(files)
