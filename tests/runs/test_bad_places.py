"""Places in the store that are not what they should be: that run fails, in one line, and the others are made."""

import json
import os
import shutil
from pathlib import Path

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import LONGEST_ID, job
from mixbench.runs.store.store import FORCE
from mixbench.training.engine import Engine

SEEDS = "seed=1,0,2"  # seed 0 meets the bad place, in the middle of the sweep


@pytest.fixture
def run_id(tiny):
    with Composer() as composer:
        return job(composer.compose(list(tiny))).id


STRANGE = "not what belongs here"


def a_file(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STRANGE)


def a_folder(path):
    (path / "with" / "content").mkdir(parents=True)


def a_link_to(target):
    def link(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    return link


def a_loop(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.name)


BAD = {
    "a file for the folder": ("{id}", a_file),
    "a link to nothing for the folder": ("{id}", a_link_to("nowhere")),
    "a loop for the folder": ("{id}", a_loop),
    "a link to a file for the folder": ("{id}", a_link_to("/dev/null")),
    "a folder for the lock": (".locks/{id}", a_folder),
    "a loop for the lock": (".locks/{id}", a_loop),
    "a folder for the metrics": ("{id}/metrics.json", a_folder),
    "a loop for the metrics": ("{id}/metrics.json", a_loop),
    "a folder for the provenance": ("{id}/provenance.json", a_folder),
    "a folder for the history": ("{id}/history.csv", a_folder),
    "a folder for the checkpoint": ("{id}/checkpoint.pt", a_folder),
}


@pytest.mark.parametrize(("place", "make"), BAD.values(), ids=BAD)
def test_a_bad_place_is_one_runs_failure(mixbench, tiny, run_id, numbers, place, make):
    path = Path("results/runs") / place.format(id=run_id)
    make(path)
    before = os.lstat(path)
    call = mixbench("sweep", *tiny, SEEDS)
    assert call.status == 1
    assert "Traceback" not in call.err
    assert numbers(call.out.splitlines()[-1]) == [2, 3]  # finished, of all
    (failed,) = [line for line in call.err.splitlines() if line.startswith("failed: ")]
    assert run_id in failed
    assert len(list(Path("results/runs").glob("*-s[12]-*/metrics.json"))) == 2
    assert os.lstat(path).st_ino == before.st_ino  # a person decides what it is
    # A record is named where there is one, and only there.
    record = Path("results/runs") / run_id / "failed.json"
    assert (f"(see {record})" in failed) == record.is_file()
    # The readers of the store, and a run of another seed, live with it.
    for words in (["status"], ["table"], ["clean"], ["run", *tiny, "seed=3"]):
        assert mixbench(*words).status == 0, words
    # Once it is out of the way, the run is made.
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    assert mixbench("sweep", *tiny, SEEDS).status == 0
    assert json.loads((record.parent / "metrics.json").read_text())["id"] == run_id


def test_a_run_that_cannot_be_stored_is_not_trained(mixbench, tiny, run_id, monkeypatch):
    a_folder(Path("results/runs") / run_id / "metrics.json")
    monkeypatch.setattr(Engine, "step", lambda *_: pytest.fail("trained for nothing"))
    assert mixbench("run", *tiny).status == 1


def test_a_file_for_all_locks_fails_every_run_and_writes_nothing_else(mixbench, tiny, contents):
    a_file(Path("results/runs/.locks"))
    call = mixbench("sweep", *tiny, SEEDS)
    assert call.status == 1
    assert call.err.count("failed: ") == call.err.count("\n") == 3
    assert set(contents(Path("results"))) == {"runs", "runs/.locks", "runs/schema.json"}
    assert mixbench("status").status == 0
    Path("results/runs/.locks").unlink()
    assert mixbench("sweep", *tiny, SEEDS).status == 0


def test_a_bad_place_for_training_again_leaves_the_run(mixbench, tiny, run_id, contents):
    assert mixbench("run", *tiny).status == 0
    folder = Path("results/runs") / run_id
    before = contents(folder)
    a_file(folder.with_name(run_id + FORCE))
    call = mixbench("run", *tiny, "force=true")
    assert call.status == 1
    assert call.err.count("\n") == 1
    assert contents(folder) == before


def test_force_does_not_take_a_file_for_a_run(mixbench, tiny, run_id):
    path = Path("results/runs") / run_id
    a_file(path)
    assert mixbench("run", *tiny, "force=true").status == 1
    assert path.read_text() == STRANGE


def test_a_replacement_that_cannot_be_finished_is_no_one_elses_failure(mixbench, tiny, run_id):
    """A crash left the new run beside the old one; the lock that guards both is a folder."""
    assert mixbench("run", *tiny).status == 0
    folder = Path("results/runs") / run_id
    shutil.copytree(folder, folder.with_name(run_id + FORCE))
    (Path("results/runs/.locks") / run_id).unlink()
    a_folder(Path("results/runs/.locks") / run_id)
    assert mixbench("run", *tiny, "seed=3").status == 0
    assert folder.with_name(run_id + FORCE).is_dir()


# Names that file systems cannot hold


def test_a_name_that_no_folder_can_have_is_refused(mixbench, tiny, tmp_path):
    call = mixbench("sweep", *tiny, f"dataset.name={'a' * 300}", SEEDS)
    assert call.status == 2
    assert call.err.count("\n") == 1
    assert "dataset.name=aaa" in call.err
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_makes_a_run_also_when_it_is_trained_again(mixbench, tiny, run_id):
    longest = "a" * (LONGEST_ID - len(run_id) + len("digits"))
    words = [*tiny, f"dataset.name={longest}"]
    assert mixbench("run", *tiny, f"dataset.name={longest}a").status == 2
    assert mixbench("run", *words).status == 0
    assert mixbench("run", *words, "force=true").status == 0
    assert [len(path.name) for path in Path("results/runs").glob("a*")] == [LONGEST_ID]
    assert "1 finished" in mixbench("status").out
