"""Manifold mixup: at the input it is label_mix; at hidden layers, features and gradients by hand."""

import re

import pytest
import torch

from mixbench.mixing import label_mix, manifold
from mixbench.mixing.operations import blend

LAYERS = ("input", "stage1", "stage2", "stage3", "stage4")
PARTNER = torch.tensor([2, 0, 1, 4, 3, 5])  # a cycle, a swap and a fixed point: not its own inverse
LAM = torch.tensor([0.0, 0.3, 1.0, 0.55, 0.8, 0.1], dtype=torch.float64)


def parts(mixed):
    return mixed.images, mixed.targets, mixed.at_layer


def batch(*shape, dtype=torch.float32):
    return torch.randn(6, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(dtype)


def drawn(place):
    return torch.full((6,), place, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layers", [("input",), ("stage2", "input")])
def test_at_the_input_it_is_label_mix(dtype, layers):
    images, targets = batch(3, 8, 8, dtype=dtype), batch(5).softmax(dim=1)
    mixed, labels, at = parts(manifold(images, targets, partner=PARTNER, lam=LAM, layer=drawn(0.9), layers=layers))
    expected = label_mix(images, targets, partner=PARTNER, lam=LAM)
    assert torch.equal(mixed, expected.images)
    assert torch.equal(labels, expected.targets)
    for name in LAYERS:
        assert torch.equal(at(name, images), images)


@pytest.mark.parametrize(("place", "name"), [(0.01, "input"), (0.32, "input"), (0.34, "stage1"), (0.67, "stage2")])
def test_the_drawn_layer_is_mixed_and_no_other(place, name):
    images, targets, features = batch(3, 8, 8), torch.eye(6), batch(4, 5, 5)
    mixed, labels, at = parts(manifold(images, targets, partner=PARTNER, lam=LAM, layer=drawn(place)))
    assert torch.equal(labels, blend(targets, targets[PARTNER], LAM))
    assert torch.equal(mixed, blend(images, images[PARTNER], LAM) if name == "input" else images)
    for layer in LAYERS:
        expected = blend(features, features[PARTNER], LAM) if layer == name != "input" else features
        assert torch.equal(at(layer, features), expected)


def test_layers_are_drawn_alike_over_their_list():
    places = (torch.arange(3000, dtype=torch.float64) + 0.5) / 3000
    features = torch.tensor([[0.0], [1.0]])
    counts = dict.fromkeys(LAYERS, 0)
    for place in places[::10]:
        decided = {"partner": torch.tensor([1, 0]), "lam": torch.zeros(2), "layer": place.repeat(2)}
        mixed, _, at = parts(manifold(features, torch.eye(2), **decided, layers=("stage4", "input", "stage3")))
        counts["input"] += int(mixed[0, 0])
        for name in LAYERS[1:]:
            counts[name] += int(at(name, features)[0, 0])
    assert counts == {"input": 100, "stage1": 0, "stage2": 0, "stage3": 100, "stage4": 100}


def test_gradients_by_finite_differences_and_by_autograd():
    features = batch(3, 2, 2, dtype=torch.float64).requires_grad_()
    _, _, at = parts(manifold(features.detach(), torch.eye(6), partner=PARTNER, lam=LAM, layer=drawn(0.5)))
    assert torch.autograd.gradcheck(lambda h: at("stage1", h), (features,))

    upstream = batch(3, 2, 2, dtype=torch.float64).cos()
    at("stage1", features).backward(upstream)
    ours, features.grad = features.grad, None
    weight = LAM.view(-1, 1, 1, 1)
    (weight * features + (1 - weight) * features[PARTNER]).backward(upstream)
    torch.testing.assert_close(ours, features.grad)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_gradients_in_half_precision_and_memory_layout(memory_format):
    features = batch(8, 4, 4).to(torch.bfloat16).to(memory_format=memory_format).requires_grad_()
    _, _, at = parts(manifold(batch(3, 8, 8), torch.eye(6), partner=PARTNER, lam=LAM, layer=drawn(0.9)))
    mixed = at("stage2", features)
    assert mixed.dtype == torch.bfloat16
    assert mixed.is_contiguous(memory_format=memory_format)
    upstream = torch.ones_like(mixed)
    mixed.backward(upstream)
    expected = LAM + (1 - LAM)[PARTNER.argsort()]
    torch.testing.assert_close(features.grad[:, 0, 0, 0].double(), expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("layers", [(), ("stage1", "stage1")])
def test_layers_that_cannot_be_drawn_are_named(layers):
    with pytest.raises(ValueError, match=f"^{re.escape(f'layers={list(layers)}')}: "):
        manifold(batch(3, 8, 8), torch.eye(6), partner=PARTNER, lam=LAM, layer=drawn(0.5), layers=layers)


def test_layers_of_any_network_can_be_named():
    features = batch(4)
    mixed = manifold(batch(3, 8, 8), torch.eye(6), partner=PARTNER, lam=LAM, layer=drawn(0.9), layers=("input", "fc1"))
    assert torch.equal(mixed.at_layer("fc1", features), blend(features, features[PARTNER], LAM))
    assert torch.equal(mixed.at_layer("fc2", features), features)
    assert (mixed.own == 1).all()
