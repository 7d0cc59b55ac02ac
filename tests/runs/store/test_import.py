"""Import: the same tables elsewhere, nothing finished is overwritten, an end half way leaves no litter."""

import os
import shutil
import signal
import subprocess
import sys
import time

import processes
import pytest
from archive_inputs import OTHER, RUN, changed_metrics, refused

from mixbench.runs.store import importing, store
from mixbench.runs.store.store import INCOMING

BRING = ["import", "runs.mixbench.zip", "results_dir=elsewhere"]


# Merging


def test_an_imported_study_gives_the_same_table(mixbench, results, bring, elsewhere, packed, counts, contents):
    call = bring()
    assert (call.status, call.err) == (0, "")
    assert call.out.startswith("runs.mixbench.zip: ")
    assert call.out.endswith("elsewhere/runs/\n")
    assert (counts(call.out), call.out.count("\n")) == ({"imported": 15}, 1)
    for words in (["demo"], ["dataset=digits", "rows=method", "columns=n"]):
        for folder in ("results", "elsewhere"):
            assert mixbench("table", *words, f"results_dir={folder}").status == 0
    for table in ("demo/accuracy.csv", "demo/runs.csv", "selection,dataset=digits/accuracy.csv"):
        assert (results.root / table).read_text() == (elsewhere.root / table).read_text()
    (results.folder(RUN) / "weights.pt").unlink()
    assert contents(elsewhere.folder(RUN)) == contents(results.folder(RUN))
    assert {path.name for path in elsewhere.runs.iterdir()} - {*results.ids()} == {".locks", "schema.json"}
    again = bring()
    assert (again.status, again.err) == (0, "")
    assert again.out.startswith("runs.mixbench.zip: ")
    assert (counts(again.out), again.out.count("\n")) == ({"already": 15}, 1)


def test_an_imported_run_is_found_by_the_command_that_made_it(mixbench, tiny, tmp_path):
    assert mixbench("run", *tiny).status == 0
    assert mixbench("export").status == 0
    assert mixbench("import", "runs.mixbench.zip", "results_dir=elsewhere").status == 0
    assert "(finished before)" in mixbench("run", *tiny, "results_dir=elsewhere").out


def test_several_archives_are_merged_and_missing_files_are_added(mixbench, results, bring, elsewhere, counts):
    assert mixbench("export", "n=20", "out=twenty.zip", "predictions=false").status == 0
    assert mixbench("export", "out=all.zip").status == 0
    call = bring("twenty.zip", "all.zip")
    assert (call.status, call.err) == (0, "")
    first, *added, last = call.out.splitlines()
    assert first.startswith("twenty.zip: ")
    assert last.startswith("all.zip: ")
    assert (counts(first), counts(last)) == ({"imported": 9}, {"already": 9, "imported": 6})
    assert [line for line in added if RUN in line and "predictions.npz" in line]
    assert (elsewhere.folder(RUN) / "predictions.npz").read_bytes() == f"predictions.npz of {RUN}".encode()


def test_other_results_of_a_run_are_a_conflict_and_the_rest_is_imported(
    mixbench, results, bring, elsewhere, packed, counts, numbers, contents
):
    assert bring().status == 0
    changed_metrics(elsewhere, RUN, final_accuracy=12.5, device="another device")
    changed_metrics(elsewhere, OTHER, seconds=99.0)
    history = elsewhere.folder("digits-n50-none-s0-5dc3b611c1") / "history.csv"
    history.write_text(history.read_text().replace(",1.0\n", ",1.5\n"))
    shutil.rmtree(elsewhere.folder("digits-n50-none-s1-3e6c33016b"))
    before = contents(elsewhere.runs)
    call = bring()
    assert call.status == 1
    assert counts(call.out) == {"already": 11, "imported": 1, "not": 3}
    names, reasons = zip(*(line.split(": ", 2)[1:] for line in call.err.splitlines()), strict=True)
    assert names == (RUN, OTHER, history.parent.name)
    assert all("conflict" in reason for reason in reasons)
    assert "final_accuracy" in reasons[0]
    assert numbers(reasons[0]) == [12.5, 60.0]  # what is here stands first
    assert reasons[0].index("another device") < reasons[0].index("test device")
    assert "seconds" in reasons[1]
    assert "history.csv" in reasons[2]
    after = contents(elsewhere.runs)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("file", ["checkpoint.pt", "failed.json", None])
def test_a_finished_run_takes_the_place_of_an_unfinished_one(bring, elsewhere, packed, contents, results, file):
    elsewhere.folder(RUN).mkdir(parents=True)
    if file:
        (elsewhere.folder(RUN) / file).write_text("{}")
    call = bring()
    assert (call.status, call.err) == (0, "")
    state = "failed" if file == "failed.json" else "interrupted"
    (line,) = [line for line in call.out.splitlines() if RUN in line]
    assert state in line
    assert elsewhere.state(RUN).name == "finished"
    assert not (elsewhere.folder(RUN) / "checkpoint.pt").exists()
    assert {path.name for path in elsewhere.runs.iterdir()} - {*results.ids()} == {".locks", "schema.json"}


def test_what_another_process_trains_is_passed_over(bring, elsewhere, packed, counts):
    elsewhere.folder(RUN).mkdir(parents=True)
    (elsewhere.folder(RUN) / "checkpoint.pt").write_text("…")
    with elsewhere.lock(RUN):
        call = bring()
    assert "another process" in refused(call, RUN)
    assert call.err.count("\n") == 1
    assert counts(call.out) == {"imported": 14, "not": 1}
    assert [path.name for path in elsewhere.folder(RUN).iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("text", ["{", '{"schema": 2}', "a file in place of the folder"])
def test_what_cannot_be_read_stays_for_a_person_to_decide(bring, elsewhere, packed, text):
    elsewhere.runs.mkdir(parents=True)
    if text.startswith("{"):
        elsewhere.folder(RUN).mkdir()
    path = elsewhere.folder(RUN) / ("metrics.json" if text.startswith("{") else "")
    path.write_text(text)
    call = bring()
    assert f"elsewhere/runs/{RUN} " in refused(call, RUN)  # not the one of the archive
    assert call.err.count("\n") == 1
    assert path.read_text() == text


def test_runs_on_other_images_of_the_same_name_are_not_mixed(mixbench, results, bring, elsewhere, packed):
    assert bring().status == 0
    shutil.rmtree(elsewhere.folder(RUN))
    for name in elsewhere.ids():
        changed_metrics(elsewhere, name, data_sha256="f" * 64)
    call = bring()
    why = refused(call, RUN)
    assert "'digits'" in why
    assert "elsewhere/runs/" in why  # where a run on the other images is
    assert not elsewhere.folder(RUN).exists()


# Interruptions


def die_halfway():
    place = importing._place

    def dies(results, folder, metrics, known):
        if folder.name == OTHER:
            os.kill(os.getpid(), signal.SIGKILL)
        return place(results, folder, metrics, known)

    importing._place = dies


def test_a_killed_import_leaves_nothing_that_a_command_trips_over(mixbench, bring, elsewhere, packed, tmp_path):
    done = processes.call(BRING, tmp_path, before=die_halfway)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = elsewhere.runs / INCOMING
    assert (left / OTHER / "metrics.json").exists()
    assert OTHER not in elsewhere.ids(copies=True)
    for words in (["status"], ["table", "dataset=digits"], ["plot", "dataset=digits"]):
        call = mixbench(*words, "results_dir=elsewhere")
        assert (call.status, call.err) == (0, "")
        assert INCOMING not in call.out
    shown = mixbench("clean", "results_dir=elsewhere")
    (drop,) = [line for line in shown.out.splitlines() if f"elsewhere/runs/{INCOMING} " in line]
    assert "import" in drop.partition(INCOMING)[2]  # what left it
    assert "deleted 1" in mixbench("clean", "--yes", "results_dir=elsewhere").out
    assert not left.exists()
    left.mkdir()
    (left / "half").write_text("…")
    assert bring().status == 0  # and so does the next import
    assert not left.exists()
    assert len(elsewhere.ids()) == 15


def test_an_interrupted_import_tidies_up_and_keeps_what_is_in_place(bring, elsewhere, packed, monkeypatch):
    place = importing._place

    def interrupted(results, folder, metrics, known):
        if folder.name == OTHER:
            raise KeyboardInterrupt
        return place(results, folder, metrics, known)

    monkeypatch.setattr(importing, "_place", interrupted)
    assert bring().status == 130
    assert not (elsewhere.runs / INCOMING).exists()
    assert 0 < len(elsewhere.ids()) < 15
    monkeypatch.undo()


def test_a_full_disk_is_told_once_for_all_runs(bring, elsewhere, packed, numbers, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(store.Store, "open", lambda self: self.runs.mkdir(parents=True))
    call = bring()
    assert call.status == 1
    assert call.err.startswith("runs.mixbench.zip: ")
    assert "No space left on device" in call.err
    assert call.err.count("\n") == 1
    assert numbers(call.err) == [14]  # the others
    assert elsewhere.ids() == []


def test_imports_into_one_store_wait_for_one_another(elsewhere, packed, tmp_path):
    elsewhere.open()
    with elsewhere.lock(INCOMING):
        with open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
            waiting = processes.start(BRING, tmp_path, streams={1: out, 2: err})
        while "waiting" not in (tmp_path / "err").read_text():
            assert waiting.is_alive()
            time.sleep(0.02)
        time.sleep(0.2)
        assert elsewhere.ids() == []
    assert processes.ended(waiting) == 0
    assert (tmp_path / "err").read_text().count("\n") == 1
    assert "15 imported" in (tmp_path / "out").read_text()


def test_neither_command_imports_torch(results, tmp_path):
    script = """
import sys
from mixbench.cli.main import main
assert main(["export", "demo"]) == 0
assert main(["import", "demo.mixbench.zip", "results_dir=elsewhere"]) == 0
assert not {"torch", "torchvision"} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
