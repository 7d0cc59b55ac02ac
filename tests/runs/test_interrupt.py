"""Ctrl-C, and two processes on one run."""

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from made_runs import (
    NAMES,
    STEPS,
    assert_same_run,
    at_step,
    before_update,
    die,
    folder_of,
    interrupt,
    start,
    untrainable,
)
from processes import ended

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.runs.store.store import Store
from mixbench.training import loop
from mixbench.training.engine import Engine

PATIENCE = 120  # seconds until a process that should have ended counts as hanging


def wait_for(path, text=""):
    """Until the file is there and holds the text."""
    end = time.monotonic() + PATIENCE
    while not (Path(path).exists() and text in Path(path).read_text()):
        assert time.monotonic() < end, f"{path} never held {text!r}"
        time.sleep(0.02)


def meet_another(step, then):
    """At `step`, wait until the other process has seen that this one trains; then do `then`."""

    def meet():
        Path("training").touch()
        wait_for("second.log", "another process trains it")
        then()

    loop.learning_rate = before_update(step, meet)


def nothing():
    pass


def never_train():
    Engine.step = untrainable


# Ctrl-C


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_keeps_what_is_finished_and_the_same_command_resumes(mixbench, tiny, whole, numbers, times):
    words = ["sweep", *tiny, "seed=1,0,2"]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    updates = []

    def second_run():
        updates.append(None)
        if len(updates) == 2:
            interrupt(times)

    with at_step(7, second_run):
        call = mixbench(*words)
    assert call.status == 130
    assert numbers(call.err.splitlines()[-1]) == [1, 3]  # finished, of all
    assert "Traceback" not in call.err
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    folder = folder_of("results", "digits-*-s0-*")
    # Once: at the end of the step. Twice: at once, back to the last checkpoint.
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["progress"]["step"] == {1: 8, 2: 6}[times]
    assert not list(Path("results/runs").glob("digits-*-s2-*"))
    call = mixbench(*words)
    assert call.status == 0
    assert numbers(call.out.splitlines()[0]) == [3, 1]  # runs, and those that are finished already
    assert_same_run(folder, whole["fp32"])


def test_ctrl_c_in_the_last_step_keeps_the_run(mixbench, tiny, numbers):
    with at_step(STEPS - 1, interrupt):
        call = mixbench("sweep", *tiny, "seed=0,1")
    assert call.status == 130
    assert (folder_of("results") / "metrics.json").exists()
    assert numbers(call.err.splitlines()[-1]) == [1, 2]  # finished, of all


def test_ctrl_c_ends_the_program_with_130(tmp_path, tiny):
    """The program itself, with its own streams and signal handlers."""
    words = [*tiny, "train.steps=100000", "train.eval_every=1", "train.checkpoint_every=1"]
    process = start(["run", *words], tmp_path)
    end = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("results/runs/*/checkpoint.pt")) and process.is_alive():
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert ended(process) == 130
    told = (tmp_path / "log").read_text()
    assert "Traceback" not in told
    assert "0 of 1 runs are finished" in told


def test_ctrl_c_ends_waiting_for_another_process(mixbench, tiny, tmp_path, monkeypatch):
    """One Ctrl-C is enough where no step is being made."""
    with Composer() as composer:
        run_id = job(composer.compose(list(tiny))).id
    taken, waiting, release = threading.Event(), threading.Event(), threading.Event()
    signals, attempts, lock = [], [], Store.lock

    def other():
        with lock(Store(tmp_path / "results"), run_id):
            taken.set()
            release.wait(PATIENCE)

    def watched(*arguments, **options):
        attempts.append(None)
        if len(attempts) == 2:  # the first attempt found that the run is taken
            waiting.set()
        return lock(*arguments, **options)

    def press():
        waiting.wait(PATIENCE)
        for _ in range(2):
            time.sleep(0.2)
            signals.append(None)
            os.kill(os.getpid(), signal.SIGINT)
            if release.wait(3):
                return

    monkeypatch.setattr(Store, "lock", watched)
    holder = threading.Thread(target=other)
    holder.start()
    assert taken.wait(PATIENCE)
    presser = threading.Thread(target=press)
    presser.start()
    call = mixbench("run", *tiny)
    release.set()
    presser.join()
    holder.join()
    assert call.status == 130
    assert len(signals) == 1


# Two processes


@pytest.mark.parametrize("end", ["is done", "dies"])
def test_two_processes_on_one_run(mixbench, tiny, tmp_path, whole, end):
    """One trains; the other waits and picks the run up at the end, or where the first one died."""
    words = ["run", *tiny]
    first = start(words, tmp_path, "first.log", partial(meet_another, 7, nothing if end == "is done" else die))
    wait_for(tmp_path / "training")
    assert "running" in mixbench("status").out
    assert "nothing to delete" in mixbench("clean", "--yes").out
    second = start(words, tmp_path, "second.log", never_train if end == "is done" else None)
    codes = ended(first), ended(second)
    told = Path("second.log").read_text()
    assert codes == (0 if end == "is done" else -signal.SIGKILL, 0), told
    assert ("finished before" in told) == (end == "is done")
    assert "finished before" not in Path("first.log").read_text()
    folder = folder_of("results")
    assert {path.name for path in folder.iterdir()} == NAMES
    assert_same_run(folder, whole["fp32"])
