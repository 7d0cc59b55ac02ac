"""Checkpoints that can be read and are not of the run: training starts anew, and nothing of them remains."""

import math
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.runs.run import prepare
from mixbench.training import loop
from mixbench.training.engine import Engine
from mixbench.training.loop import Reporter, Stopped

DEVICE, DTYPE = torch.device("cpu"), torch.float32
STEPS, STOP = 14, 7  # of the tiny run; where its checkpoint is made


@pytest.fixture(scope="module")
def make(tiny):
    """Train the tiny run in this process: (checkpoint, words, stop) -> its outcome, and what it warned of."""
    digits = data.load("digits", "", None, say=print)

    def make(checkpoint, *words, stop=None):
        given = [word for word in tiny if not (words and words[0].startswith("model=") and word.startswith("model."))]
        with Composer() as composer:
            made = job(composer.compose([*given, "method=label-mix", *words]))
        warnings = []
        reporter = Reporter(step=lambda k, loss: k == stop, warn=warnings.append)
        return loop.train(made.cfg, prepare(made, digits), DEVICE, DTYPE, checkpoint, save, reporter), warnings

    return make


def save(path, state):
    torch.save(state, path)


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def assert_same(first, second):
    assert without_seconds(first.history) == without_seconds(second.history)
    assert np.array_equal(first.eval_logits, second.eval_logits)
    assert np.array_equal(first.train_logits, second.train_logits)
    for one, other in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.fixture(scope="module")
def whole(make, tmp_path_factory):
    outcome, warnings = make(tmp_path_factory.mktemp("whole") / "checkpoint.pt")
    assert warnings == []
    return outcome


@pytest.fixture(scope="module")
def good(make, tmp_path_factory):
    """A checkpoint of step 7, as bytes."""
    path = tmp_path_factory.mktemp("good") / "checkpoint.pt"
    with pytest.raises(Stopped):
        make(path, stop=STOP)
    return path.read_bytes()


@pytest.fixture
def checkpoint(good, tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(good)
    return path


def first_weight(state):
    return next(name for name, values in state["model"].items() if values.dim() == 4)


def swap(part, key, value):
    def change(state):
        state[part][key] = value(state[part][key]) if callable(value) else value

    return change


def change_weight(change):
    def changed(state):
        name = first_weight(state)
        state["model"][name] = change(state["model"][name])

    return changed


def change_group(**settings):
    return lambda state: state["optimizer"]["param_groups"][0].update(settings)


def change_last_row(change):
    return lambda state: change(state["progress"]["history"])


CHANGES = {
    "empty": lambda state: state.clear(),
    "no network": lambda state: state.pop("model"),
    "no optimizer": lambda state: state.pop("optimizer"),
    "no progress": lambda state: state.pop("progress"),
    "a part more": lambda state: state.update(more=1),
    "network is a list": lambda state: state.update(model=[1]),
    "network lacks a layer": lambda state: state["model"].pop(first_weight(state)),
    "network has a layer more": lambda state: state["model"].update(more=torch.zeros(1)),
    "other shape": change_weight(lambda weight: weight[:1]),
    "shape that could be broadcast": change_weight(lambda weight: weight.mean()),
    "other type": change_weight(lambda weight: weight.double()),
    "no tensor": change_weight(lambda weight: weight.tolist()),
    "last layer of other shape": lambda state: state["model"].update(
        {list(state["model"])[-1]: torch.zeros(99), first_weight(state): state["model"][first_weight(state)] + 1}
    ),
    "optimizer is a number": lambda state: state.update(optimizer=3),
    "no groups": swap("optimizer", "param_groups", []),
    "two groups": swap("optimizer", "param_groups", lambda groups: groups * 2),
    "fewer parameters": change_group(params=[0]),
    "other momentum": change_group(momentum=0.5),
    "other weight decay": change_group(weight_decay=0.5),
    "rate is a text": change_group(lr="0.1"),
    "no momentum buffers": swap("optimizer", "state", {}),
    "a momentum buffer of other shape": lambda state: state["optimizer"]["state"][0].update(
        momentum_buffer=torch.zeros(3)
    ),
    "a momentum buffer that is None": lambda state: state["optimizer"]["state"][3].update(momentum_buffer=None),
    "step 0": swap("progress", "step", 0),
    "step -1": swap("progress", "step", -1),
    "step at the end": swap("progress", "step", STEPS),
    "step beyond the end": swap("progress", "step", 10**9),
    "step nan": swap("progress", "step", math.nan),
    "step 7.0": swap("progress", "step", 7.0),
    "step true": swap("progress", "step", True),
    "step is a text": swap("progress", "step", "7"),
    "another step": swap("progress", "step", 9),
    "seconds nan": swap("progress", "seconds", math.nan),
    "seconds below 0": swap("progress", "seconds", -1.0),
    "progress lacks a key": lambda state: state["progress"].pop("losses"),
    "progress has a key more": lambda state: state["progress"].update(more=1),
    "history is a text": swap("progress", "history", "step"),
    "history is a dict": swap("progress", "history", {}),
    "history of numbers": swap("progress", "history", [1]),
    "history is empty": swap("progress", "history", []),
    "history has a row more": change_last_row(lambda history: history.append(dict(history[-1], step=8))),
    "a row of another step": change_last_row(lambda history: history[-1].update(step=3)),
    "a row lacks a column": change_last_row(lambda history: history[-1].pop("train_loss")),
    "a row has a column more": change_last_row(lambda history: history[-1].update(more=1.0)),
    "a row holds a text": change_last_row(lambda history: history[-1].update(train_loss="low")),
    "no losses": swap("progress", "losses", []),
    "losses are a number": swap("progress", "losses", 1.0),
    "a loss is nan": swap("progress", "losses", [math.nan]),
    "a loss is a text": swap("progress", "losses", ["1"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_that_does_not_fit_is_not_used(make, whole, checkpoint, change):
    state = torch.load(checkpoint, weights_only=True)
    # Were anything of it loaded, the numbers would show it.
    for name, values in state["model"].items():
        state["model"][name] = values + 1
    change(state)
    torch.save(state, checkpoint)
    outcome, warnings = make(checkpoint)
    assert len(warnings) == 1
    assert str(checkpoint) in warnings[0]
    assert_same(outcome, whole)


@pytest.mark.parametrize("state", [[], [1, 2], "text", 3, None, torch.zeros(3)], ids=str)
def test_a_checkpoint_that_is_something_else_is_not_used(make, whole, checkpoint, state):
    torch.save(state, checkpoint)
    outcome, warnings = make(checkpoint)
    assert len(warnings) == 1
    assert_same(outcome, whole)


def test_a_checkpoint_that_fits_is_used(make, whole, checkpoint, monkeypatch):
    steps, step = [], Engine.step
    monkeypatch.setattr(Engine, "step", lambda *arguments: steps.append(1) or step(*arguments))
    outcome, warnings = make(checkpoint)
    assert (len(steps), warnings) == (STEPS - STOP, [])
    assert_same(outcome, whole)


def test_a_checkpoint_that_holds_every_loss_is_used(make, whole, checkpoint):
    """As it was before losses were added up: the losses of the steps since the last row."""
    losses, step = [], Engine.step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "step", lambda *arguments: losses.append(step(*arguments)) or losses[-1])
        make(checkpoint.with_name("other.pt"))
    state = torch.load(checkpoint, weights_only=True)
    told = [loss.item() for loss in losses[4:STOP]]
    assert state["progress"]["losses"] != told
    state["progress"]["losses"] = told
    torch.save(state, checkpoint)
    outcome, warnings = make(checkpoint)
    assert warnings == []
    assert_same(outcome, whole)


OTHERS = {
    "no momentum": ["train.momentum=0", "train.nesterov=false"],
    "resnet18": ["model=resnet18", "model.width=2"],
    "wrn": ["model=wrn", "model.depth=10", "model.widen=1"],
}


@pytest.mark.parametrize("words", OTHERS.values(), ids=OTHERS)
def test_checkpoints_of_other_networks_and_optimizers_are_used(make, tmp_path, words):
    words = [*words, "train.steps=6", "train.eval_every=2"]
    whole, _ = make(tmp_path / "none.pt", *words)
    with pytest.raises(Stopped):
        make(tmp_path / "checkpoint.pt", *words, stop=3)
    outcome, warnings = make(tmp_path / "checkpoint.pt", *words)
    assert warnings == []
    assert_same(outcome, whole)


def test_the_command_line_warns_and_makes_the_run(mixbench, tiny):
    assert mixbench("run", *tiny, "results_dir=whole").status == 0
    folder = Path("results/runs") / next(Path("whole/runs").glob("digits-*")).name
    folder.mkdir(parents=True)
    torch.save({}, folder / "checkpoint.pt")
    call = mixbench("run", *tiny)
    assert call.status == 0
    assert call.err.count("\n") == 1
    assert "warning: " in call.err
    assert str(folder / "checkpoint.pt") in call.err
    assert not (folder / "checkpoint.pt").exists()
    with np.load(folder / "predictions.npz") as ours, np.load(f"whole/runs/{folder.name}/predictions.npz") as theirs:
        assert np.array_equal(ours["logits"], theirs["logits"])


# The mean of the losses


@pytest.mark.parametrize("kept", [1, 2, 3, 100])
def test_losses_that_are_added_up_in_parts_have_the_mean_of_all(make, whole, monkeypatch, tmp_path, kept):
    seen, step = [], Engine.step
    monkeypatch.setattr(Engine, "step", lambda *arguments: seen.append(step(*arguments)) or seen[-1])
    monkeypatch.setattr(loop, "KEPT_LOSSES", kept)
    outcome, _ = make(tmp_path / "checkpoint.pt")
    assert_same(outcome, whole)
    losses, begin = [loss.item() for loss in seen], 0
    for row in outcome.history:
        between = losses[begin : row["step"]]
        assert row["train_loss"] == math.fsum(between) / len(between)
        begin = row["step"]


def test_the_parts_of_an_exact_sum_have_the_sum_of_the_numbers():
    dice = random.Random(0)
    for count in (0, 1, 5, 4096):
        for spread in (0, 20, 120):
            numbers = [
                dice.choice((-1, 1)) * dice.random() * 2.0 ** dice.uniform(-spread, spread) for _ in range(count)
            ]
            kept = loop._exact_sum(numbers)
            assert sum(map(Fraction, kept)) == sum(map(Fraction, numbers))
            assert 0 < len(kept) <= 10


def test_an_interval_longer_than_the_run_takes_no_memory(mixbench, tiny):
    call = mixbench("run", *tiny, "train.eval_every=1000000000")
    assert call.status == 0, call.err
    (history,) = Path("results/runs").glob("*/history.csv")
    assert [line.split(",")[0] for line in history.read_text().splitlines()[1:]] == ["14"]
