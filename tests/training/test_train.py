"""One step of training: what the engine makes of the configuration's method, augmentation and loss."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.data import split
from mixbench.training.engine import Engine

WORDS = ("dataset=photos", "n=12", "subset=random", "train.batch_size=8", "train.steps=10", "model.width=2")


def engine_of(*words):
    with Composer() as composer:
        cfg = job(composer.compose([*WORDS, *words])).cfg
    images = split(data.load(cfg.dataset.source, "", None, say=print), cfg)
    return Engine(cfg, images, torch.device("cpu"), torch.float32), images


def first_step(engine):
    return {name: values[0] for name, values in engine.plans(0, 1).items()}


def test_a_batch_is_cropped_flipped_normalised_smoothed_and_mixed():
    engine, images = engine_of("method=cutmix", "loss.label_smoothing=0.1")
    decided = first_step(engine)
    mixed = engine.batch(decided)
    batch, targets = mixed.images, mixed.targets
    assert mixed.at_layer is None

    cropped = []
    for index, (top, left), mirror in zip(decided["index"], decided["shift"].tolist(), decided["mirror"], strict=True):
        image = torch.from_numpy(images.train_images[index]).permute(2, 0, 1)
        image = tv.crop(tv.pad(image, [6]), top, left, 48, 48)
        cropped.append(tv.horizontal_flip(image) if mirror else image)
    plain = tv.normalize(torch.stack(cropped).double() / 255, images.mean.tolist(), images.std.tolist()).float()
    own = (plain - batch).abs().amax(dim=1) < 1e-4
    other = (plain[decided["partner"]] - batch).abs().amax(dim=1) < 1e-4
    assert (own | other).all()  # of the image or of its partner, pixel by pixel

    labels = torch.from_numpy(images.train_labels)[decided["index"]]
    smoothed = 0.9 * F.one_hot(labels, 2) + 0.05
    half = torch.floor(48 * (1 - decided["lam"]).sqrt()).long() // 2
    low = (decided["centre"] - half[:, None]).clamp(min=0)
    high = (decided["centre"] + half[:, None]).clamp(max=48)
    lam = 1 - (high - low).prod(dim=1) / 48**2
    expected = lam[:, None] * smoothed + (1 - lam)[:, None] * smoothed[decided["partner"]]
    torch.testing.assert_close(targets, expected.float())


@pytest.mark.parametrize(
    ("words", "loss"),
    [
        (["loss=ce"], lambda z, t: -(t * z.log_softmax(1)).sum(1).mean()),
        (["loss=kl"], lambda z, t: (torch.special.entr(t).neg() - t * z.log_softmax(1)).sum(1).mean()),
        (["loss=bce"], lambda z, t: -(t * F.logsigmoid(z) + (1 - t) * F.logsigmoid(-z)).mean()),
        (
            ["loss=bce", "loss.sum_classes=true"],
            lambda z, t: -(t * F.logsigmoid(z) + (1 - t) * F.logsigmoid(-z)).sum(1).mean(),
        ),
    ],
)
def test_a_step_follows_the_gradient_of_its_loss(words, loss):
    engine, _ = engine_of(
        "method=label-mix", "loss.label_smoothing=0.1", "train.momentum=0", "train.weight_decay=0", *words
    )
    decided = first_step(engine)
    mixed = engine.batch(decided)
    images, targets = mixed.images, mixed.targets
    before = [p.detach().clone() for p in engine.model.parameters()]
    expected = loss(engine.model(images), targets)
    gradients = torch.autograd.grad(expected, list(engine.model.parameters()))
    taken = engine.step(decided, lr=0.01)
    torch.testing.assert_close(taken, expected.detach())
    for old, new, gradient in zip(before, engine.model.parameters(), gradients, strict=True):
        torch.testing.assert_close(new, old - 0.01 * gradient, atol=1e-6, rtol=1e-4)


def test_manifold_mixes_the_features_of_the_drawn_stage():
    engine, _ = engine_of("method=manifold", "method.layers=[stage2]")
    decided = first_step(engine)
    mixed = engine.batch(decided)
    images, targets, at = mixed.images, mixed.targets, mixed.at_layer
    lam, partner = decided["lam"].float(), decided["partner"]

    def by_hand(name, features):
        share = lam[:, None, None, None]
        return share * features + (1 - share) * features[partner] if name == "stage2" else features

    with torch.no_grad():
        torch.testing.assert_close(engine.forward(images, at), engine.forward(images, by_hand))
    torch.testing.assert_close(
        engine.step(decided, 0.0), F.cross_entropy(engine.forward(images, by_hand), targets).detach()
    )
