"""Teachers: the network that is trained, a network of fixed weights, a function; attentivemix by brute force."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mixbench import data, models
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError
from mixbench.data import split
from mixbench.mixing import attentivemix
from mixbench.training.context import Providers
from mixbench.training.engine import Engine
from mixbench.training.teacher import TeacherNetwork
from mixbench.training.validate import check_functions

WORDS = ("dataset=digits", "n=12", "train.batch_size=6", "train.steps=10", "model.width=2", "model.depth=10")
BATCH = 6
PARTNER = torch.tensor([3, 0, 5, 1, 4, 2])


def config(*words):
    with Composer() as composer:
        return job(composer.compose([*WORDS, "augment=none", *words])).cfg


def engine_of(*words, providers=None):
    cfg = config(*words)
    images = split(data.load("digits", "data", None, say=print), cfg)
    return Engine(cfg, images, torch.device("cpu"), torch.float64, providers)


def some_images(engine):
    return engine.normalise(engine.images[:6].permute(0, 3, 1, 2)), F.one_hot(engine.labels[:6], 10).double()


@pytest.mark.parametrize(("grid", "top_k"), [(7, 6), (2, 1), (5, None), (3, 100)])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (12, 20)])
def test_attentivemix_by_brute_force(grid, top_k, height, width):
    generator = torch.Generator().manual_seed(0)
    images, targets = torch.randn(BATCH, 3, height, width, generator=generator), torch.eye(BATCH)
    maps = torch.randn(BATCH, 1, grid, grid, generator=generator)
    lam = torch.tensor([0.1, 0.9, 0.5, 1.0, 0.3, 0.0]).double()
    teacher = SimpleNamespace(activation=lambda given, labels: maps)
    mixed = attentivemix(images, targets, partner=PARTNER, lam=lam, teacher=teacher, grid=grid, top_k=top_k)
    for i in range(BATCH):
        j = PARTNER[i].item()
        count = round((1 - lam[i].item()) * grid**2) if top_k is None else min(top_k, grid**2)
        count = 0 if lam[i] == 1 else count
        best = sorted(range(grid**2), key=lambda cell: -maps[j, 0].flatten()[cell].item())[:count]
        expected, own = images[i].clone(), torch.ones(height, width)
        for cell in best:
            r, c = divmod(cell, grid)
            rows = slice(r * height // grid, (r + 1) * height // grid)
            columns = slice(c * width // grid, (c + 1) * width // grid)
            expected[:, rows, columns], own[rows, columns] = images[j][:, rows, columns], 0
        assert torch.equal(mixed.images[i], expected)
        assert torch.equal(mixed.own[i, 0], own)
        share = own.mean()
        torch.testing.assert_close(mixed.targets[i], share * targets[i] + (1 - share) * targets[j])


def test_the_network_that_is_trained_teaches_in_training_mode_and_stays_as_it_is():
    engine = engine_of("method=attentivemix")
    images, targets = some_images(engine)
    before = {name: value.clone() for name, value in engine.model.state_dict().items()}
    logits = engine.teacher(images)
    maps = engine.teacher.activation(images, targets)
    assert all(torch.equal(value, before[name]) for name, value in engine.model.state_dict().items())
    assert not logits.requires_grad
    seen = {}
    expected = engine.model(images, lambda name, features: seen.setdefault(name, features))
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(maps, seen["last"].mean(dim=1, keepdim=True))


def fixed(engine, mean, std):
    """A network with running averages of its own, for other means and deviations of images."""
    torch.manual_seed(5)
    network = models.build_network(engine.cfg.model, 1, 10, (8, 8)).double()
    with torch.no_grad():
        network(torch.randn(20, 1, 8, 8).double())
    return TeacherNetwork(network, True, np.array([mean]), np.array([std]))


def test_a_fixed_network_sees_images_as_it_was_trained_and_uses_its_running_averages():
    engine = engine_of("method=attentivemix")
    given = fixed(engine, 0.2, 0.7)
    taught = engine_of("method=attentivemix", providers=Providers(teacher=given))
    images, targets = some_images(taught)
    pixels = taught.images[:6].permute(0, 3, 1, 2).double() / 255
    given.network.eval()
    expected = given.network((pixels - 0.2) / 0.7)
    torch.testing.assert_close(taught.teacher(images), expected)
    averages = {name: value.clone() for name, value in given.network.state_dict().items()}
    taught.step({name: values[0] for name, values in taught.plans(0, 1).items()}, 0.1)
    assert all(torch.equal(value, averages[name]) for name, value in given.network.state_dict().items())
    seen = {}
    given.network((pixels - 0.2) / 0.7, lambda name, features: seen.setdefault(name, features))
    torch.testing.assert_close(taught.teacher.activation(images, targets), seen["last"].mean(dim=1, keepdim=True))
    torch.testing.assert_close(
        taught.teacher.attention(images, targets), given.network.attention(seen["last"], targets)
    )


def test_a_function_that_returns_logits_has_no_maps():
    engine = engine_of("method=attentivemix", providers=Providers(teacher=lambda images: images.new_zeros(6, 10)))
    with pytest.raises(UserError, match="activation"):
        engine.batch({name: values[0] for name, values in engine.plans(0, 1).items()})


def test_a_network_without_the_maps_that_a_method_asks_its_teacher_for_is_refused():
    with Composer() as composer:
        words = ["dataset=digits", "n=12", "train.steps=10", "model=vit", "method=attentivemix"]
        cfg = job(composer.compose(words)).cfg
        with pytest.raises(UserError, match=r"^model=vit: .*activation"):
            check_functions(cfg)
        check_functions(job(composer.compose([*words[:-1], "method=tokenmix"])).cfg)
