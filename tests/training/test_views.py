"""Losses that compare views of an image: what the engine trains on, with mixing and without, and what is refused."""

import pytest
import torch

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError
from mixbench.data import split
from mixbench.training.engine import Engine
from mixbench.training.losses import LOSSES
from mixbench.training.validate import check_functions

WORDS = ("dataset=digits", "n=12", "train.batch_size=6", "train.steps=10", "model.width=2", "model.depth=10")
JSD = ("loss=jsd", "augment=augmix")


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


def engine_of(composer, *words):
    cfg = job(composer.compose([*WORDS, *words])).cfg
    return Engine(cfg, split(data.load("digits", "", None, say=print), cfg), torch.device("cpu"), torch.float64)


def decisions(engine, k=0):
    return {name: values[0] for name, values in engine.plans(k, 1).items()}


def test_the_loss_is_that_of_three_views_in_order(composer):
    engine, plain = engine_of(composer, *JSD), engine_of(composer)
    decided = decisions(engine)
    mixed = engine.batch(decided)
    clean = plain.batch(decisions(plain))
    assert mixed.images.shape == (18, 1, 8, 8)
    assert torch.equal(mixed.images[:6], clean.images), "the first view is what augment=standard gives"
    assert torch.equal(mixed.targets, clean.targets.repeat(3, 1))
    expected = LOSSES["jsd"](engine.forward(mixed.images), mixed.targets)
    torch.testing.assert_close(engine.step(decided, lr=0.1), expected.detach())


@pytest.mark.parametrize("method", ["label-mix", "cutmix", "mixture"])
def test_mixing_mixes_all_views_with_the_same_decisions(composer, method):
    """Three views of one engine are each what the same engine makes of that view alone."""
    engine = engine_of(composer, *JSD, f"method={method}")
    decided = decisions(engine, 3)
    mixed = engine.batch(decided)
    assert torch.equal(mixed.targets[:6], mixed.targets[6:12])
    unmixed = engine_of(composer, *JSD).batch(decisions(engine_of(composer, *JSD), 3))
    for k in range(3):
        view = slice(6 * k, 6 * k + 6)
        alone = engine.method(unmixed.images[view], unmixed.targets[view], decided)
        assert torch.equal(mixed.images[view], alone.images)
        assert torch.equal(mixed.targets[view], alone.targets)


def test_augmix_alone_is_one_view(composer):
    assert engine_of(composer, "augment=augmix").batch(
        decisions(engine_of(composer, "augment=augmix"))
    ).images.shape == (
        6,
        1,
        8,
        8,
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["loss=jsd"], "augment=augmix"),
        ([*JSD, "method=regmixup"], "more rows"),
        ([*JSD, "method=manifold"], "at_layer"),
        ([*JSD, "method=transmix"], "method=transmix"),
        ([*JSD, "loss.weight=-1"], "loss.weight=-1"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(composer, words, told):
    with pytest.raises(UserError, match=told) as error:
        check_functions(job(composer.compose([*WORDS, *words])).cfg)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", [JSD, [*JSD, "method=mixup"], ["augment=augmix", "method=regmixup"]])
def test_what_can_be_trained_passes_the_checks(composer, words):
    check_functions(job(composer.compose([*WORDS, *words])).cfg)
