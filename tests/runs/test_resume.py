"""Killed runs start again where their checkpoint is, and end as if nothing had happened."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from made_runs import NAMES, Crash, assert_same_run, at_step, before_update, die, folder_of, interrupt, start
from processes import ended

from mixbench.training import loop


def die_at_step(step):
    loop.learning_rate = before_update(step, die)


def die_writing(name):
    """Die when a file of that name is written and not yet renamed."""
    replace = os.replace

    def dying(source, target):
        if Path(target).name == name:
            die()
        replace(source, target)

    os.replace = dying


@pytest.mark.parametrize(
    ("precision", "deaths"),
    [
        (
            "fp32",
            [  # how the process dies, and the step of the checkpoint that it leaves
                (partial(die_at_step, 1), None),
                (partial(die_at_step, 4), 3),
                (partial(die_at_step, 8), 6),
                (partial(die_writing, "checkpoint.pt"), 6),
                (partial(die_at_step, 13), 12),
                (partial(die_writing, "predictions.npz"), 12),
                (partial(die_writing, "metrics.json"), 12),
            ],
        ),
        (
            "bf16",
            [(partial(die_at_step, 5), 3), (partial(die_at_step, 11), 9), (partial(die_writing, "history.csv"), 9)],
        ),
    ],
)
def test_a_run_killed_and_started_again_is_the_run_that_was_never_killed(
    mixbench, tiny, tmp_path, whole, precision, deaths
):
    words = ["run", *tiny, f"precision={precision}"]
    for sabotage, step in deaths:
        assert ended(start(words, tmp_path, sabotage=sabotage)) == -signal.SIGKILL, Path("log").read_text()
        folder = folder_of("results")
        assert not (folder / "metrics.json").exists()
        checkpoint = folder / "checkpoint.pt"
        assert checkpoint.exists() == (step is not None)
        if step is not None:
            assert torch.load(checkpoint, weights_only=True)["progress"]["step"] == step
    assert "1 interrupted" in mixbench("status").out
    assert mixbench(*words).status == 0
    assert_same_run(folder, whole[precision])
    assert mixbench("clean", "--yes").status == 0  # half-written files of the dead
    assert {path.name for path in folder.iterdir()} == NAMES


def test_a_kill_between_commit_and_cleaning_up_leaves_a_finished_run(mixbench, tiny, monkeypatch, whole):
    unlink = Path.unlink

    def crashing(path, missing_ok=False):
        if path.name == "checkpoint.pt":
            raise Crash
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crashing)
        with pytest.raises(Crash):
            mixbench("run", *tiny)
    folder = folder_of("results")
    assert {path.name for path in folder.iterdir()} == NAMES | {"checkpoint.pt"}
    assert "finished before" in mixbench("run", *tiny).out
    assert mixbench("clean", "--yes").status == 0
    assert {path.name for path in folder.iterdir()} == NAMES
    assert_same_run(folder, whole["fp32"])


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("state", ["pickle", "cut"])
def test_a_checkpoint_that_cannot_be_trusted_or_read_is_not_used(mixbench, tiny, whole, state):
    with at_step(6, interrupt):
        assert mixbench("run", *tiny).status == 130
    checkpoint = folder_of("results") / "checkpoint.pt"
    if state == "pickle":
        torch.save({"progress": Evil()}, checkpoint)
    else:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-500])
    call = mixbench("sweep", *tiny, "seed=0,1")
    assert not Path("owned").exists()
    assert call.status in (0, 1)
    assert (folder_of("results", "digits-*-s1-*") / "metrics.json").exists()
    assert mixbench("clean", "--yes").status == 0
    assert mixbench("run", *tiny).status == 0
    assert_same_run(folder_of("results", "digits-*-s0-*"), whole["fp32"])
