"""SnapMix: its maps against gradients of the logits, its batch against a loop with torch's resizing."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.draws import DRAWS, Plan
from mixbench.data import split
from mixbench.mixing import snapmix
from mixbench.models.preact_resnet import PreActResNet
from mixbench.models.resnet import ResNet
from mixbench.training.engine import Engine

BATCH = 6
PARTNER = torch.tensor([3, 0, 5, 1, 4, 2])  # cycles of three and two, and a fixed point
NAMES = ("partner", "lam", "centre", "source_lam", "source_centre")


def decide(height=16, width=16, step=0, **options):
    plan = Plan(3, 100, BATCH, height, width, draws=tuple(DRAWS), alpha=5.0, beta=5.0, **options)
    decided = {name: torch.from_numpy(values[0]) for name, values in plan.steps(step, 1).items()} | {"partner": PARTNER}
    return {name: decided[name] for name in NAMES}


def batch(height=16, width=16):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, 3, height, width, generator=generator, dtype=torch.float64), torch.eye(BATCH).double()


def random_maps(seed=1):
    return torch.randn(BATCH, 1, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bounds(centre, lam, height, width):
    """Rows and columns of a box, as in the published rand_bbox."""
    share = (1 - lam.item()) ** 0.5
    spans = []
    for place, side in zip(centre.tolist(), (height, width), strict=True):
        half = int(side * share) // 2
        spans.append((max(0, place - half), min(side, place + half)))
    return spans


@pytest.mark.parametrize(("height", "width"), [(16, 16), (12, 20)])
@pytest.mark.parametrize("double_equal", [False, True])
def test_snapmix_by_brute_force(height, width, double_equal):
    images, targets = batch(height, width)
    targets[0] = targets[3]  # image 0 and its partner have one label
    maps = random_maps()
    for step in range(4):
        decided = decide(height, width, step, per_sample=True)
        decided["lam"][1] = 1.0  # an empty box: not mixed
        mixed = snapmix(images, targets, **decided, class_activation=lambda *_: maps, double_equal=double_equal)
        fine = F.interpolate(maps, (height, width), mode="bilinear", align_corners=False)[:, 0]
        for i in range(BATCH):
            j = PARTNER[i].item()
            (top, bottom), (left, right) = bounds(decided["centre"][i], decided["lam"][i], height, width)
            (up, down), (west, east) = bounds(decided["source_centre"][i], decided["source_lam"][i], height, width)
            expected, own, other = images[i].clone(), 1.0, 0.0
            if min(bottom - top, right - left, down - up, east - west) > 0:
                part = images[j : j + 1, :, up:down, west:east]
                resized = F.interpolate(part, (bottom - top, right - left), mode="bilinear", align_corners=True)
                expected[:, top:bottom, left:right] = resized[0]
                shares = [(one - one.min()) / (one - one.min()).sum() for one in (fine[i], fine[j])]
                own = 1 - shares[0][top:bottom, left:right].sum().item()
                other = shares[1][up:down, west:east].sum().item()
                assert mixed.own[i].sum() == height * width - (bottom - top) * (right - left)
            torch.testing.assert_close(mixed.images[i], expected)
            twice = 2 if double_equal and other > 0 and torch.equal(targets[i], targets[j]) else 1
            loss_weights = mixed.weights[i] * mixed.targets[i]  # as for cross-entropy
            torch.testing.assert_close(loss_weights, twice * (own * targets[i] + other * targets[j]))


def test_weights_divided_by_their_sum_are_targets_alone():
    images, targets = batch()
    decided, maps = decide(per_sample=True), random_maps()
    plain = snapmix(images, targets, **decided, class_activation=lambda *_: maps)
    divided = snapmix(images, targets, **decided, class_activation=lambda *_: maps, normalise=True)
    assert divided.weights is None
    assert torch.equal(divided.targets, plain.targets)
    with pytest.raises(ValueError, match=r"^double_equal=true"):
        snapmix(images, targets, **decided, class_activation=lambda *_: maps, normalise=True, double_equal=True)


@pytest.mark.parametrize("value", [0.0, -3.7, 1e4])
def test_a_constant_map_says_nothing_and_the_area_decides(value):
    images, targets = batch()
    maps = torch.full((BATCH, 1, 3, 3), value)
    mixed = snapmix(images, targets, **decide(), class_activation=lambda *_: maps)
    torch.testing.assert_close(mixed.weights, torch.ones(BATCH).double())
    torch.testing.assert_close(mixed.targets.diagonal()[:4], mixed.own.mean(dim=(1, 2, 3))[:4])


def test_both_boxes_are_drawn_apart_from_each_other():
    drawn = Plan(3, 100, BATCH, 16, 16, draws=NAMES, alpha=5.0, beta=5.0).steps(0, 200)
    for one, other in (("lam", "source_lam"), ("centre", "source_centre")):
        first, second = (drawn[name].reshape(200, -1)[:, 0] for name in (one, other))
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.2


# The maps


@pytest.mark.parametrize("network", [ResNet, PreActResNet])
def test_class_activation_maps_are_what_the_logit_is_made_of(network):
    """The mean of a map is the logit of the label; weight times feature by autograd, as Grad-CAM has it."""
    torch.manual_seed(0)
    model = network(3, 5, width=4).double()
    seen = {}

    def at(name, features):
        if name == model.ATTENTION:
            features = features.relu()  # ResNet's features are not negative anyway
            seen[name] = features
            features.retain_grad()
        return features

    logits = model(torch.randn(4, 3, 16, 16, dtype=torch.float64), at)
    labels = torch.tensor([1, 4, 0, 2])
    maps = model.class_activation(seen[model.ATTENTION].detach(), F.one_hot(labels, 5))
    chosen = logits.gather(1, labels[:, None])[:, 0]
    torch.testing.assert_close(maps.mean(dim=(1, 2, 3)), chosen.detach())
    chosen.sum().backward()
    features = seen[model.ATTENTION]
    importance = features.grad.sum(dim=(2, 3), keepdim=True)  # Grad-CAM's weights, times the number of places
    by_gradient = (importance * features).sum(dim=1, keepdim=True) + model.classifier.bias[labels].view(-1, 1, 1, 1)
    torch.testing.assert_close(maps, by_gradient.detach())


def test_the_engine_serves_maps_of_the_batch_before_mixing_and_trains_on_the_weighted_rows():
    with Composer() as composer:
        words = ["dataset=digits", "n=12", "train.batch_size=6", "train.steps=10", "model=resnet18", "model.width=2"]
        cfg = job(composer.compose([*words, "method=snapmix", "augment=none"])).cfg
    images = split(data.load("digits", "data", None, say=print), cfg)
    engine = Engine(cfg, images, torch.device("cpu"), torch.float64)
    decided = {name: values[0] for name, values in engine.plans(2, 1).items()}
    before = {name: value.clone() for name, value in engine.model.state_dict().items()}
    mixed = engine.batch(decided)
    assert all(torch.equal(value, before[name]) for name, value in engine.model.state_dict().items())
    rows = F.cross_entropy(engine.model(mixed.images), mixed.targets, reduction="none")
    torch.testing.assert_close(engine.step(decided, 0.1), (mixed.weights * rows).mean().detach())
