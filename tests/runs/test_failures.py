"""Runs that fail: what is recorded, and that the others go on."""

import errno
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from made_runs import NAMES, STEPS, assert_same_run, folder_of

from mixbench.training import metrics as stored_metrics
from mixbench.training.engine import Engine


def failing(function, call, error):
    """The function, but that its call number `call` (from 1) fails."""
    calls = []

    def wrapped(*arguments, **options):
        calls.append(None)
        if len(calls) == call:
            raise error
        return function(*arguments, **options)

    return wrapped


@pytest.mark.parametrize(
    ("place", "name", "call"),
    [
        (Engine, "step", STEPS + 6),
        (Engine, "logits", 5 + 2),
        (Engine, "__init__", 2),
        (torch, "save", 4 + 2),
        (stored_metrics, "of_logits", 2),
        (np, "savez_compressed", 2),
    ],
    ids=["training", "evaluation", "building", "checkpoint", "measuring", "writing"],
)
def test_a_failure_is_recorded_and_the_sweep_goes_on_and_the_next_call_tries_again(
    mixbench, tiny, monkeypatch, whole, numbers, place, name, call
):
    words = [*tiny, "seed=1,0,2"]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, failing(getattr(place, name), call, OSError(errno.ENOSPC, "injected")))
        swept = mixbench("sweep", *words)
    assert swept.status == 1
    assert numbers(swept.out.splitlines()[-1]) == [2, 3]  # finished, of all
    folder = folder_of("results", "digits-*-s0-*")
    assert f"failed: {folder.name}" in swept.err
    assert "injected" in swept.err
    assert "Traceback" not in swept.err
    record = json.loads((folder / "failed.json").read_text())
    assert "injected" in record["error"]
    assert record["traceback"].startswith("Traceback (most recent call last):")
    assert "in wrapped" in record["traceback"]
    assert not (folder / "metrics.json").exists()
    assert f"failed       {folder.name}" in mixbench("status").out

    again = mixbench("sweep", *words)
    assert again.status == 0
    assert numbers(again.out.splitlines()[0]) == [3, 2]  # runs, and those that are finished already
    assert {path.name for path in folder.iterdir()} == NAMES
    assert_same_run(folder, whole["fp32"])


@pytest.mark.parametrize("cause", ["train.lr=1e20", "dataset.std=[1e-60]"])
def test_a_loss_that_is_not_finite_fails_the_run_and_names_the_step(mixbench, tiny, monkeypatch, cause):
    losses, step = [], Engine.step

    def spy(engine, *arguments):
        loss = step(engine, *arguments)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(Engine, "step", spy)
    call = mixbench("run", *tiny, cause)
    bad = next(k for k, loss in enumerate(losses, start=1) if not math.isfinite(loss))
    assert call.status == 1
    assert call.err.startswith("failed: digits-n20-none-s0-")
    assert f"the loss is {losses[bad - 1]} at step {bad};" in call.err
    assert call.err.count("\n") == 1
    folder = folder_of("results")
    assert f"at step {bad};" in json.loads((folder / "failed.json").read_text())["error"]
    assert not (folder / "metrics.json").exists()
    assert mixbench("run", *tiny, cause).status == 1  # tried again


def test_a_sweep_goes_on_after_a_loss_that_is_not_finite(mixbench, tiny, numbers):
    call = mixbench("sweep", *tiny, "train.lr=1e20,0.1")
    assert call.status == 1
    assert numbers(call.out.splitlines()[-1]) == [1, 2]  # finished, of all
    assert call.err.count("failed: ") == 1
    assert "at step" in call.err
    assert mixbench("table").status == 0


def test_weights_that_are_not_finite_after_the_last_step_fail_the_run(mixbench, tiny, numbers):
    """The loss of a step is that of the weights before its update: the last update has none to betray it."""
    call = mixbench("sweep", *tiny, "train.steps=1", "train.lr=1e20,0.1")
    assert call.status == 1
    assert numbers(call.out.splitlines()[-1]) == [1, 2]  # finished, of all
    assert "at step 1;" in call.err or "after step 1" in call.err
    assert len(list(Path("results/runs").glob("*/metrics.json"))) == 1
    assert len(list(Path("results/runs").glob("*/failed.json"))) == 1
