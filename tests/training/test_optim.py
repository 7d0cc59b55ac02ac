"""The optimizers against plain torch loops, which weights decay, gradient clipping, and resuming to the bit."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.schema import TrainConfig
from mixbench.core.errors import UserError
from mixbench.data import split
from mixbench.models.vit import VisionTransformer
from mixbench.runs.run import prepare
from mixbench.training import loop
from mixbench.training.engine import Engine
from mixbench.training.loop import Reporter, Stopped
from mixbench.training.optim import build_optimizer
from mixbench.training.schedule import learning_rate

WORDS = ("dataset=digits", "n=12", "subset=balanced", "device=cpu", "precision=fp32", "train.batch_size=6")
VIT = ("model=vit", "model.dim=6", "model.depth=2", "model.patch=2", "train=vit", "train.batch_size=6")
STEPS = ("train.steps=9", "train.warmup=3", "train.eval_every=4", "train.checkpoint_every=3")


def job_of(*words):
    with Composer() as composer:
        return job(composer.compose([*WORDS, *words]))


def engine_of(*words):
    cfg = job_of(*words).cfg
    return Engine(cfg, split(data.load("digits", "", None, say=print), cfg), torch.device("cpu"), torch.float64)


@pytest.mark.parametrize("clip", ["null", "0.5"])
@pytest.mark.parametrize("network", [VIT, ("model.width=2", "model.depth=10", "train=vit", "train.batch_size=6")])
def test_adamw_is_torchs_in_a_plain_loop(network, clip):
    words = (*network, *STEPS, "method=cutmix", "train.lr=0.01", f"train.clip_norm={clip}")
    ours, theirs = engine_of(*words), engine_of(*words)
    named = dict(theirs.model.named_parameters())
    plain = {name for name, value in named.items() if value.ndim > 1 and name not in ("class_token", "position")}
    groups = [
        {"params": [value for name, value in named.items() if name in plain], "weight_decay": 0.05},
        {"params": [value for name, value in named.items() if name not in plain], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8, foreach=False, fused=False)
    chunk, clipped = ours.plans(0, 9), 0
    for k in range(9):
        decided = {name: values[k] for name, values in chunk.items()}
        mixed = theirs.batch(decided)
        loss = nn.functional.cross_entropy(theirs.model(mixed.images), mixed.targets)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.stack([value.grad.square().sum() for value in named.values()]).sum().sqrt()
        if clip != "null" and norm > 0.5:
            clipped += 1
            for value in named.values():
                value.grad.mul_(0.5 / (norm + 1e-6))  # torch adds 1e-6 too
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(ours.cfg.train, k)
        optimizer.step()
        taken = ours.step(decided, learning_rate(ours.cfg.train, k))
        torch.testing.assert_close(taken, loss.detach(), rtol=1e-9, atol=1e-12)
    assert (clipped > 0) == (clip != "null")
    for name, value in ours.model.named_parameters():
        torch.testing.assert_close(value, named[name], rtol=1e-7, atol=1e-10)


def groups_of(model, **changes):
    train = TrainConfig(lr=0.1, momentum=0.9, weight_decay=0.3, nesterov=False, **changes)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optimizer(model, train).param_groups
    return [(group["weight_decay"], {names[id(parameter)] for parameter in group["params"]}) for group in groups]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_norms_biases_and_embeddings_do_not_decay(optimizer):
    model = VisionTransformer(3, 10, (8, 8), dim=6, depth=1, heads=3)
    every = {name for name, _ in model.named_parameters()}
    assert groups_of(model, optimizer=optimizer) == [(0.3, every)]
    (decay, decaying), (none, constant) = groups_of(model, optimizer=optimizer, no_decay=True)
    assert (decay, none) == (0.3, 0.0)
    assert decaying == {
        "patches.weight",
        "blocks.0.attention.qkv.weight",
        "blocks.0.attention.proj.weight",
        "blocks.0.mlp.0.weight",
        "blocks.0.mlp.2.weight",
        "classifier.weight",
    }
    assert constant == every - decaying
    assert groups_of(nn.Linear(2, 2, bias=False), no_decay=True) == [(0.3, {"weight"})]  # no empty group


def trained(checkpoint, words, stop=None, warned=0):
    made = job_of(*words)
    digits = data.load("digits", "", None, say=print)
    warnings = []
    reporter = Reporter(step=lambda k, loss: k == stop, warn=warnings.append)
    outcome = loop.train(
        made.cfg,
        prepare(made, digits),
        torch.device("cpu"),
        torch.float32,
        checkpoint,
        lambda path, state: torch.save(state, path),
        reporter,
    )
    assert len(warnings) == warned, warnings
    return outcome


def assert_same(one, other):
    assert np.array_equal(one.eval_logits, other.eval_logits)
    assert np.array_equal(one.train_logits, other.train_logits)
    for first, second in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("words", [VIT, (*VIT, "train.optimizer=sgd"), (*VIT, "train.no_decay=false")], ids=str)
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(words, tmp_path):
    words = (*words, *STEPS, "method=cutmix")
    whole = trained(tmp_path / "none.pt", words)
    with pytest.raises(Stopped):
        trained(tmp_path / "checkpoint.pt", words, stop=5)
    assert_same(trained(tmp_path / "checkpoint.pt", words), whole)


CHANGES = {
    "another number of updates": lambda state: state[0]["step"].fill_(4),
    "updates of other shape": lambda state: state[0].update(step=torch.ones(2)),
    "a mean of other shape": lambda state: state[0].update(exp_avg=torch.zeros(3)),
    "no mean of squares": lambda state: state[0].pop("exp_avg_sq"),
    "a parameter less": lambda state: state.pop(0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_state_of_adamw_that_does_not_fit_is_not_used(change, tmp_path):
    words, path = (*VIT, *STEPS), tmp_path / "checkpoint.pt"
    whole = trained(tmp_path / "none.pt", words)
    with pytest.raises(Stopped):
        trained(path, words, stop=5)
    state = torch.load(path, weights_only=True)
    change(state["optimizer"]["state"])
    for name, values in state["model"].items():
        state["model"][name] = values + 1  # were anything of it loaded, the numbers would show it
    torch.save(state, path)
    assert_same(trained(path, words, warned=1), whole)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train.optimizer=adam"], "unknown train.optimizer 'adam' (did you mean adamw?); choices: adamw, sgd"),
        (["train=vit", "train.nesterov=true"], "train.nesterov=true: has no effect with train.optimizer=adamw"),
        (["train.beta2=0.99"], "train.beta2=0.99: has no effect with train.optimizer=sgd"),
        (["train=vit", "train.beta2=1"], "train.beta2=1.0: must be from 0 to below 1"),
        (["train.clip_norm=0"], "train.clip_norm=0.0: must be above 0"),
    ],
)
def test_values_that_do_not_fit_are_refused(words, told):
    with pytest.raises(UserError, match=f"^{re.escape(told)}"):
        job_of(*words)


@pytest.mark.parametrize("change", ["optimizer=adamw", "no_decay=true", "clip_norm=1"])
def test_another_optimizer_is_another_run_and_the_usual_one_keeps_its_id(change):
    usual = ("optimizer=sgd", "no_decay=false", "clip_norm=null", "beta2=0.999")
    assert job_of(*(f"train.{word}" for word in usual)).id == job_of().id
    assert job_of(f"train.{change}").id != job_of().id
