"""The pre-activation ResNet: its size, its arithmetic, and the mistakes that its configuration can hold."""

import pytest
import torch
from omegaconf import OmegaConf
from torch.nn import functional as F

from mixbench import models
from mixbench.errors import UserError
from mixbench.models.preact_resnet import PreActResNet

STAGES = {10: [1, 1, 1, 1], 18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}  # blocks


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def count_by_hand(channels, classes, depth, width):
    total, before = 9 * channels * width, width
    for stage, blocks in enumerate(STAGES[depth]):
        now = width * 2**stage
        for _ in range(blocks):
            total += 2 * before + 9 * before * now + 2 * now + 9 * now * now  # BN, convolution, BN, convolution
            total += before * now if before != now else 0
            before = now
    return total + before * classes + classes


@pytest.mark.parametrize("depth", STAGES)
@pytest.mark.parametrize(("channels", "classes", "width"), [(3, 10, 16), (1, 7, 4)])
def test_parameters_counted_by_hand(depth, channels, classes, width):
    model = PreActResNet(channels, classes, depth, width)
    assert count(model) == count_by_hand(channels, classes, depth, width)
    with_bn = PreActResNet(channels, classes, depth, width, stem="bn")
    assert count(with_bn) == count(model) + 2 * width


def test_the_published_network_has_11_171_146_parameters():
    """kuangliu/pytorch-cifar's PreActResNet18, whose plain stem and missing final BN most codes share."""
    with torch.device("meta"):
        assert count(PreActResNet(3, 10)) == count_by_hand(3, 10, 18, 64) == 11_171_146


def forward_by_hand(weights, x, depth, stem):
    """The paper's residual units in evaluation mode, written out over the state dict."""

    def bn_relu(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(weights[f"{name}.{key}"] for key in names)).relu()

    x = F.conv2d(x, weights["stem.0.weight"], padding=1)
    if stem == "bn":
        x = bn_relu(x, "stem.1")
    block = 0
    for stage, blocks in enumerate(STAGES[depth]):
        for stride in [1 if stage == 0 else 2] + [1] * (blocks - 1):
            name = f"blocks.{block}"
            before = bn_relu(x, f"{name}.bn1")
            inside = bn_relu(F.conv2d(before, weights[f"{name}.conv1.weight"], None, stride, 1), f"{name}.bn2")
            if f"{name}.shortcut.weight" in weights:
                x = F.conv2d(before, weights[f"{name}.shortcut.weight"], None, stride)
            x = x + F.conv2d(inside, weights[f"{name}.conv2.weight"], padding=1)
            block += 1
    return x.flatten(2).mean(dim=2) @ weights["classifier.weight"].T + weights["classifier.bias"]


@pytest.mark.parametrize("stem", ["plain", "bn"])
@pytest.mark.parametrize(("depth", "shape"), [(18, (3, 3, 32, 32)), (10, (2, 1, 8, 8)), (34, (2, 3, 12, 20))])
def test_logits_computed_by_hand(depth, shape, stem):
    torch.manual_seed(0)
    model = PreActResNet(shape[1], 10, depth, width=4, stem=stem).double().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training: every number counts
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5)
    x = torch.randn(shape, dtype=torch.float64)
    with torch.no_grad():
        logits = model(x)
        torch.testing.assert_close(logits, forward_by_hand(model.state_dict(), x, depth, stem))
    assert logits.shape == (shape[0], 10)


def test_the_smallest_image_trains_and_the_input_stays():
    torch.manual_seed(0)
    model = PreActResNet(1, 10, depth=18, width=4)
    x = torch.randn(2, 1, 8, 8)
    before = x.clone()
    model(x).sum().backward()
    assert torch.equal(x, before)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def config(**changes):
    return OmegaConf.create({"name": "preact_resnet18", "depth": 18, "width": 4, "stem": "plain"} | changes)


def test_build_follows_the_configuration():
    models.check(config())
    assert count(models.build(config(depth=10, width=8, stem="bn"), 1, 6)) == count_by_hand(1, 6, 10, 8) + 16


@pytest.mark.parametrize(
    ("key", "value", "choice"),
    [("name", "resnet", "preact_resnet18"), ("depth", 50, "34"), ("stem", "bm", "bn")],
)
def test_check_names_the_key_the_value_and_the_choices(key, value, choice):
    with pytest.raises(UserError, match=rf"model\.{key} '{value}'.*{choice}"):
        models.check(config(**{key: value}))


@pytest.mark.parametrize("depth", [10, 18, 34])
def test_features_can_be_replaced_behind_each_stage(depth):
    model = PreActResNet(3, 10, depth=depth, width=4).eval()
    x = torch.randn(2, 3, 16, 16)
    seen = {}

    def look(name, features):
        seen[name] = features.shape[1:]
        return features

    assert torch.equal(model(x, look), model(x))
    assert seen == {
        "stage1": (4, 16, 16),
        "stage2": (8, 8, 8),
        "stage3": (16, 4, 4),
        "stage4": (32, 2, 2),
    }

    # The last stage set to 0 leaves the classifier's bias; an earlier one still passes through the later layers.
    last = model(x, lambda name, features: 0 * features if name == "stage4" else features)
    assert torch.equal(last, model.classifier.bias.expand(2, 10))
    swapped = model(x, lambda name, features: features.flip(0) if name == "stage2" else features)
    torch.testing.assert_close(swapped, model(x).flip(0))
