"""Costs and budgets: equal rows, identities that tables can compare, and costs that are those of the engine."""

import pytest
import torch
from omegaconf import OmegaConf

from mixbench import data
from mixbench.config import budget
from mixbench.config.compose import Composer
from mixbench.config.identity import NEUTRAL, job
from mixbench.core.errors import UserError
from mixbench.core.registry import declaration_of
from mixbench.data import split
from mixbench.mixing import rows
from mixbench.mixing.table import METHODS
from mixbench.training.engine import Engine
from mixbench.training.losses import LOSSES

WORDS = ("dataset=digits", "n=12", "train.batch_size=6", "train.steps=1000", "model.width=2", "model.depth=10")
CHANGED = {"train.steps", "train.eval_every", "train.warmup"}


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


def job_of(composer, *words):
    return job(composer.compose([*WORDS, *words]))


def rows_of_a_step(cfg):
    """Rows that a step trains for each image, counted at the network; a forward pass by itself is a third."""
    engine = Engine(cfg, split(data.load("digits", "", None, say=print), cfg), torch.device("cpu"), torch.float32)
    counted = []

    def count(module, inputs):
        counted.append(len(inputs[0]) * (1 if torch.is_grad_enabled() else 1 / 3))

    engine.model.register_forward_pre_hook(count)
    engine.step({name: values[0] for name, values in engine.plans(0, 1).items()}, 0.1)
    return sum(counted) / cfg.train.batch_size


@pytest.mark.parametrize(
    "words",
    [
        *([f"method={name}"] for name in METHODS if "generated" not in declaration_of(METHODS[name]).needs),
        ["method=guidedmix", "method.saliency=gradient"],
        *([f"loss={name}", "augment=augmix"] for name in LOSSES),
    ],
    ids="-".join,
)
def test_costs_are_those_that_a_step_has(composer, words):
    """A method or loss whose file leaves `cost` out trains one row for each image."""
    cfg = job_of(composer, *words).cfg
    assert rows_of_a_step(cfg) == pytest.approx(budget.cost(cfg), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("p", [0.1, 1.0])
def test_check_counts_the_cost_of_a_step_that_mixes(composer, method, p):
    cfg = job_of(composer, f"method={method}").cfg.method
    if "p" in cfg:
        cfg.p = p
    assert rows.other_cost(OmegaConf.to_container(cfg)) is None


def test_a_wrong_cost_is_noticed(composer):
    cfg = OmegaConf.to_container(job_of(composer, "method=puzzlemix").cfg.method)
    assert rows.other_cost({**cfg, "cost": 1}) == pytest.approx(2)
    cfg = OmegaConf.to_container(job_of(composer, "method=guidedmix", "method.saliency=gradient").cfg.method)
    assert rows.other_cost({**cfg, "cost": 1}) == pytest.approx(2)


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["method=regmixup"], 500),
        (["method=smmix"], 750),
        (["method=guidedmix"], 1000),
        (["method=guidedmix", "method.saliency=gradient"], 500),
        (["loss=jsd", "augment=augmix"], 333),
    ],
)
def test_equal_rows_are_fewer_steps_and_the_same_setting(composer, words, steps):
    group = words[0].partition("=")[0]
    equal, shorter = (
        job_of(composer, *words, "train.warmup=100", f"{group}.budget={kind}") for kind in ("steps", "rows")
    )
    assert (equal.cfg.train.steps, shorter.cfg.train.steps) == (1000, steps)
    rows = [one.cfg.train.steps * budget.cost(one.cfg) for one in (shorter, job_of(composer))]
    assert rows[0] == pytest.approx(rows[1], rel=2e-3)
    for key in ("eval_every", "warmup"):  # as many evaluations, and a warm-up as long in rows
        assert shorter.cfg.train[key] == pytest.approx(equal.cfg.train[key] * steps / 1000, abs=1)
    differ = {key for key in equal.identity if equal.identity[key] != shorter.identity[key]}
    assert differ == {f"{group}.budget"}
    assert equal.id != shorter.id
    older = {key: value for key, value in equal.identity.items() if key not in NEUTRAL}
    assert f"{group}.cost" not in older


def test_the_shortest_run_has_a_step(composer):
    cfg = job_of(composer, "method=regmixup", "method.budget=rows", "train.steps=1").cfg
    assert (cfg.train.steps, cfg.train.eval_every, cfg.train.warmup) == (1, 1, 0)


def test_a_mixture_costs_what_its_parts_cost_on_average(composer):
    words = ["method=mixture", "method.methods=[smmix,none]", "method.probabilities=[0.75,0.25]"]
    assert budget.cost(job_of(composer, *words).cfg) == pytest.approx(1.25, abs=1e-3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["method=regmixup", "method.budget=row"], "did you mean rows?"),
        (["method=regmixup", "method.cost=1"], "method.cost=1"),
        (["method=mixture", "method.methods=[smmix,none]", "method.parts.smmix.budget=rows"], "part of a mixture"),
        (["method=label-mix", "method.budget=rows"], "method.budget"),
    ],
)
def test_refused_budgets(composer, words, told):
    with pytest.raises(UserError) as error:
        job_of(composer, *words)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
