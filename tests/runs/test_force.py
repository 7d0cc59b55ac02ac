"""A finished run is skipped; with force=true it is trained beside the old one and swapped at the end."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from made_runs import NAMES, Crash, assert_same_run, at_step, folder_of, interrupt, metrics, untrainable

from mixbench.cli.main import main
from mixbench.training.engine import Engine


def test_a_finished_run_is_skipped_and_not_touched(mixbench, tiny, contents, monkeypatch):
    assert mixbench("run", *tiny).status == 0
    before = contents(Path("results/runs"))
    monkeypatch.setattr(Engine, "step", untrainable)
    call = mixbench("run", *tiny)
    assert (call.status, call.err) == (0, "")
    assert "finished before" in call.out
    assert "other code" not in call.out
    # What does not bear on the outcome makes no other run of it.
    assert "finished before" in mixbench("run", *tiny, "train.checkpoint_every=5", "progress=off", "device=auto").out
    assert contents(Path("results/runs")) == before


def old_run(results="results"):
    """Mark the finished run, so that it can be told from one trained again."""
    folder = folder_of(results)
    path = folder / "metrics.json"
    path.write_text(json.dumps(metrics(folder) | {"seconds": -1.0}))
    return folder


def test_force_trains_beside_the_run_and_swaps_at_the_end(mixbench, tiny, contents, whole):
    assert mixbench("run", *tiny).status == 0
    old = old_run()
    before, seen = contents(old), []

    def look():
        assert contents(old) == before
        assert "results/runs/: 1 running\n" in mixbench_out("status")
        assert folder_of("results", f"{old.name}?*").is_dir()
        seen.append(True)

    def mixbench_out(*words):
        with redirect_stdout(io.StringIO()) as printed:
            main(words)
        return printed.getvalue().splitlines(keepends=True)[0]

    with at_step(9, look):
        call = mixbench("run", *tiny, "force=true")
    assert (call.status, seen) == (0, [True])
    assert "finished before" not in call.out
    assert metrics(folder_of("results"))["seconds"] > 0
    assert {path.name for path in old.iterdir()} == NAMES
    assert_same_run(old, whole["fp32"])


def test_force_that_fails_leaves_the_old_run_and_says_where_to_look(mixbench, tiny, contents):
    assert mixbench("run", *tiny).status == 0
    old = old_run()
    before = contents(old)

    def fail():
        raise RuntimeError("injected")

    with at_step(9, fail):
        call = mixbench("run", *tiny, "force=true")
    assert call.status == 1
    assert contents(old) == before
    record = Path(call.err.rpartition("(see ")[2].rstrip().rstrip(")"))
    assert "injected" in json.loads(record.read_text())["error"]


def test_force_that_was_interrupted_resumes(mixbench, tiny, contents, whole):
    assert mixbench("run", *tiny).status == 0
    old = old_run()
    before = contents(old)
    with at_step(9, interrupt):
        assert mixbench("run", *tiny, "force=true").status == 130
    assert contents(old) == before
    assert "finished before" in mixbench("run", *tiny).out
    with at_step(9, untrainable):  # the tenth update was made before
        assert mixbench("run", *tiny, "force=true").status == 0
    assert metrics(folder_of("results"))["seconds"] > 0
    assert_same_run(old, whole["fp32"])


@pytest.mark.parametrize("renames", [0, 1])
@pytest.mark.parametrize("then", ["run", "force", "clean", "sweep"])
def test_a_crash_in_the_swap_loses_nothing(mixbench, tiny, monkeypatch, whole, renames, then):
    """The new run is finished; the crash comes before one of the two renames that put it in the old one's place."""
    assert mixbench("run", *tiny).status == 0
    old, done, rename = old_run(), [], Path.rename

    def crashing(path, target):
        if len(done) == renames:
            raise Crash
        done.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crashing)
        with pytest.raises(Crash):
            mixbench("run", *tiny, "force=true")
    assert len(done) == renames
    if then == "clean":
        assert mixbench("clean", "--yes").status == 0
    elif then == "sweep":
        assert mixbench("sweep", *tiny, "seed=0,1").status == 0
    if then != "force":
        monkeypatch.setattr(Engine, "step", untrainable)
    call = mixbench("run", *tiny, f"force={str(then == 'force').lower()}")
    assert call.status == 0
    assert {path.name for path in old.iterdir()} == NAMES
    if then != "clean":  # which may take either of the two, but not both
        assert metrics(old)["seconds"] > 0
    assert_same_run(folder_of("results", f"{old.name}*"), whole["fp32"])
