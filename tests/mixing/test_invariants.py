"""`violations` finds nothing in the package's own methods, and tells each mistake of a method in words."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from mixbench.mixing import METHODS, Mixed, method
from mixbench.mixing.contract import NEEDS, whole
from mixbench.mixing.invariants import violations
from mixbench.mixing.operations import blend

CONFIGS = Path(__file__).parents[2] / "configs" / "method"
SETTINGS = {"alpha": 1.0, "beta": 1.0, "p": 1.0, "per_sample": False}


def of_file(name):
    cfg = dict(OmegaConf.load(CONFIGS / f"{name}.yaml"))
    return cfg | ({"beta": cfg["alpha"]} if cfg.get("beta", 0) is None else {})


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_of_the_package_break_nothing(name):
    assert violations(of_file(name)) == []


def test_mixtures_break_nothing():
    parts = {name: of_file(name) for name in ("cutmix", "manifold", "none")}
    mixture = {"name": "mixture", "parts": parts, "probabilities": [0.4, 0.4, 0.2], "p": 1.0, "per_sample": False}
    assert violations(mixture) == []


def violations_of(function, monkeypatch, **cfg):
    """The invariants that a method of a test violates."""
    monkeypatch.setitem(METHODS, "mine", function)
    return violations({"name": "mine", "version": 1, **cfg})


@method(draws=("partner", "lam"))
def mixup(images, targets, *, partner, lam):
    return Mixed(blend(images, images[partner], lam), blend(targets, targets[partner], lam), own=whole(images, lam))


def with_mixup(**changed):
    """Mixup with a mistake: fields of Mixed made of what it was given and of the right result."""

    @method(draws=("partner", "lam"))
    def wrong(images, targets, *, partner, lam):
        right = mixup(images, targets, partner=partner, lam=lam)
        fields = {"images": right.images, "targets": right.targets, "own": right.own}
        return Mixed(**fields | {key: make(images, targets, right) for key, make in changed.items()})

    return wrong


@method(draws=("partner", "lam"))
def a_tuple(images, targets, *, partner, lam):
    return images, targets


@method(draws=("partner", "lam"))
def in_place(images, targets, *, partner, lam):
    images *= 0.5
    return Mixed(images, targets)


@method(draws=("partner", "lam"))
def in_place_draws(images, targets, *, partner, lam):
    lam.clamp_(max=0.25)
    return mixup(images, targets, partner=partner, lam=lam)


@method(draws=("partner", "lam"))
def rolling_dice(images, targets, *, partner, lam):
    return Mixed(images + torch.rand(1), targets)


@method(draws=("partner", "lam"))
def picky(images, targets, *, partner, lam):
    if images.shape[1] == 1:
        raise RuntimeError("three channels please")
    return mixup(images, targets, partner=partner, lam=lam)


@method(draws=("partner", "lam"))
def neighbours(images, targets, *, partner, lam):
    """Mixes with another image than the partner that was drawn."""
    other = torch.arange(len(images)).roll(1)
    return mixup(images, targets, partner=other, lam=lam)


@method(draws=("partner", "lam"))
def always(images, targets, *, partner, lam):
    """Mixes although it is not applied."""
    return mixup(images, targets, partner=partner, lam=0.9 * lam)


MISTAKES = {
    "tuple": (a_tuple, "it returns tuple"),
    "in place": (in_place, "it changes its input in place: images"),
    "random": (rolling_dice, "same draws"),
    "in place, the same each time": (
        with_mixup(images=lambda x, t, right: x.index_fill_(0, torch.tensor([0]), 0.0)),
        "it changes its input in place: images",
    ),
    "targets in place": (
        with_mixup(targets=lambda x, t, right: t.clamp_(0.3)),
        "it changes its input in place: targets",
    ),
    "draws in place": (in_place_draws, "it changes its input in place: lam"),
    "raises": (picky, "it raises RuntimeError: three channels please (images 5x1x12x20)"),
    "protected": (
        with_mixup(images=lambda x, t, right: right.images + 1e-3, own=lambda x, t, right: None),
        "protected images",
    ),
    "not applied": (always, "p=0"),
    "image shape": (with_mixup(images=lambda x, t, right: right.images[:, :, 1:]), "images have the shape"),
    "image rows": (with_mixup(images=lambda x, t, right: torch.cat([x, x[:1]])[:7]), "images have the shape"),
    "target shape": (with_mixup(targets=lambda x, t, right: t[:, 1:]), "targets have the shape [6, 3]: must be [6, 4]"),
    "dtype": (with_mixup(images=lambda x, t, right: right.images.double()), "images are torch.float64"),
    "own shape": (with_mixup(own=lambda x, t, right: x), "own has the shape [6, 3, 16, 16]: must be [6, 1, H, W]"),
    "own range": (with_mixup(own=lambda x, t, right: right.own + 1), "own must be from 0 to 1; it goes from"),
    "own meaning": (with_mixup(own=lambda x, t, right: 1 - right.own), "own does not fit the images"),
    "sum": (with_mixup(targets=lambda x, t, right: 0.9 * right.targets), "targets must sum to 1 in each row; row"),
    "negative": (with_mixup(targets=lambda x, t, right: right.targets - right.targets.mean() * 2), "are negative"),
    "finite": (with_mixup(images=lambda x, t, right: right.images / 0), "not finite: images"),
    "weights": (with_mixup(weights=lambda x, t, right: torch.ones(3)), "weights have the shape [3]: must be [6]"),
    "negative weights": (with_mixup(weights=lambda x, t, right: -torch.ones(len(x))), "weights must be 0 or more"),
    "late targets": (
        with_mixup(after_forward=lambda x, t, right: lambda outputs: outputs.logits),
        "targets after the forward pass are negative",
    ),
    "layer": (
        with_mixup(at_layer=lambda x, t, right: lambda name, features: features + 1),
        "at_layer must return",
    ),
    "layer gradient": (
        with_mixup(at_layer=lambda x, t, right: lambda n, features: features if n[0] == "n" else features.detach()),
        "at_layer('input') lets no finite gradient through",
    ),
    "gradient": (with_mixup(images=lambda x, t, right: right.images.detach()), "no gradient flows from the mixed"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_told_in_words(mistake, monkeypatch):
    function, message = MISTAKES[mistake]
    found = violations_of(function, monkeypatch, **SETTINGS)
    assert any(message in sentence for sentence in found), found


def test_all_mistakes_of_one_method_are_told(monkeypatch):
    found = violations_of(
        with_mixup(
            images=lambda x, t, right: x.index_fill_(0, torch.tensor([0]), 0.0).detach(),
            targets=lambda x, t, right: 0.9 * right.targets,
            own=lambda x, t, right: right.own + 1,
        ),
        monkeypatch,
        **SETTINGS,
    )
    for words in ("in place: images", "must sum to 1", "own must be from 0 to 1", "no gradient flows"):
        assert sum(words in sentence for sentence in found) == 1, (words, found)


def test_another_partner_than_the_drawn_one_reaches_protected_images(monkeypatch):
    mixed_up = violations_of(neighbours, monkeypatch, **SETTINGS | {"per_sample": True})
    assert mixed_up == []  # λ is 1 for a protected image, so mixup with a neighbour leaves it as it is

    @method(draws=("partner",))
    def pasting(images, targets, *, partner):
        other = images.roll(1, dims=0)
        return Mixed(torch.cat([images[..., :4], other[..., 4:]], dim=3), targets)

    assert any("protected images" in sentence for sentence in violations_of(pasting, monkeypatch))


def test_more_rows_and_every_need_are_tried(monkeypatch):
    seen = []

    @method(draws=("partner",), needs=tuple(NEEDS))
    def all_needs(images, targets, *, partner, input_gradient, attention, class_activation, teacher, generated):
        seen.append((input_gradient.magnitudes.shape, attention(images, targets).shape, teacher(images).shape))
        variants = generated.variants(torch.full((len(images),), 0.5))
        return Mixed(torch.cat([images, variants]), torch.cat([targets, targets]), weights=torch.ones(2 * len(images)))

    assert violations_of(all_needs, monkeypatch) == []
    assert ((6, 1, 16, 16), (6, 1, 2, 2), (6, 4)) in seen
