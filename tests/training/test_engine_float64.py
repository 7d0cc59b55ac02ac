"""The engine in float64: the reference that executions on other devices are compared with."""

import numpy as np
import pytest
import torch

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.data import split
from mixbench.mixing.runner import METHOD_NAMES
from mixbench.runs.banks import with_stand_ins
from mixbench.training.engine import Engine

WORDS = ("dataset=photos", "n=12", "train.batch_size=8", "train.steps=10", "model.width=2", "model.depth=10")


def engine_of(*words, dtype=torch.float64):
    with Composer() as composer:
        cfg = job(composer.compose([*WORDS, *words])).cfg
    images = with_stand_ins(split(data.load("photos", "", None, say=print), cfg), cfg.method)
    return Engine(cfg, images, torch.device("cpu"), dtype)


def decisions(engine, k=0):
    return {name: values[0] for name, values in engine.plans(k, 1).items()}


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_images_targets_loss_and_logits_are_float64_with_every_method(method):
    engine = engine_of(f"method={method}", "loss.label_smoothing=0.1")
    mixed = engine.batch(decisions(engine))
    images, targets = mixed.images, mixed.targets
    assert images.dtype == targets.dtype == torch.float64
    assert {p.dtype for p in engine.model.parameters()} == {torch.float64}
    assert engine.step(decisions(engine), lr=0.1).dtype == torch.float64
    assert engine.logits(engine.eval_images).dtype == torch.float64
    assert {p.dtype for p in engine.model.parameters()} == {torch.float64}


def test_nothing_is_rounded_to_float32_on_the_way():
    """Against the arithmetic done by hand in float64, to a thousand times less than float32 could hold."""
    engine = engine_of("method=label-mix", "augment=none", "loss.label_smoothing=0.1")
    decided = decisions(engine)
    mixed = engine.batch(decided)
    images, targets = mixed.images, mixed.targets
    index, partner, lam = (decided[name].numpy() for name in ("index", "partner", "lam"))
    pixels = engine.images.numpy()[index].transpose(0, 3, 1, 2) / 255
    mean, std = (engine_stat.numpy().reshape(1, 3, 1, 1) / 255 for engine_stat in (engine.mean, engine.std))
    plain = (pixels - mean) / std
    share = lam[:, None, None, None]
    np.testing.assert_allclose(images.numpy(), share * plain + (1 - share) * plain[partner], rtol=0, atol=1e-11)
    smoothed = 0.9 * np.eye(2)[engine.labels.numpy()[index]] + 0.05
    by_hand = lam[:, None] * smoothed + (1 - lam[:, None]) * smoothed[partner]
    np.testing.assert_allclose(targets.numpy(), by_hand, rtol=0, atol=1e-14)


def test_weights_start_as_those_of_float32_and_the_first_loss_agrees():
    words = ("method=cutmix", "model.width=16")
    double, single = engine_of(*words), engine_of(*words, dtype=torch.float32)
    for one, other in zip(double.model.parameters(), single.model.parameters(), strict=True):
        assert torch.equal(one, other.double())
    first, second = (engine.step(decisions(engine), lr=0.1) for engine in (double, single))
    assert second.dtype == torch.float32
    assert 0 < abs(first.item() - second.item()) < 1e-5  # equal to float32's precision, and not float32 itself
