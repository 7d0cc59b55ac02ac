"""The networks: their sizes, their arithmetic, and the mistakes that a configuration can hold."""

import re

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18, resnet34

from mixbench import models
from mixbench.core.errors import UserError
from mixbench.models.preact_resnet import PreActResNet
from mixbench.models.resnet import ResNet
from mixbench.models.wide_resnet import WideResNet

STAGES = {10: [1, 1, 1, 1], 18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}  # blocks


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def as_after_training(model):
    """In evaluation mode, with batch normalisation in which every number counts."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                tensor.uniform_(0.5, 1.5)
    return model.eval()


# Pre-activation ResNet


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
    model = PreActResNet(channels, classes, depth=depth, width=width)
    assert count(model) == count_by_hand(channels, classes, depth, width)
    with_bn = PreActResNet(channels, classes, depth=depth, width=width, stem="bn")
    assert count(with_bn) == count(model) + 2 * width


def test_the_published_network_has_11_171_146_parameters():
    """kuangliu/pytorch-cifar's PreActResNet18, whose plain stem and missing final BN most codes share."""
    with torch.device("meta"):
        assert count(PreActResNet(3, 10)) == count_by_hand(3, 10, 18, 64) == 11_171_146


def forward_by_hand(weights, x, depth, stem, activated=False):
    """The paper's residual units in evaluation mode, written out over the state dict."""
    x = F.conv2d(x, weights["stem.0.weight"], padding=1)
    if stem == "bn":
        x = bn_relu(x, weights, "stem.1")
    return classified(units(x, weights, STAGES[depth], activated), weights)


def bn_relu(x, weights, name):
    names = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(weights[f"{name}.{key}"] for key in names)).relu()


def units(x, weights, stages, activated=False):
    """Pre-activation residual units; a 1x1 convolution leaves behind the first BN and ReLU where shapes change.

    activated: every shortcut leaves there. So it is in mixup-cifar10 and FMix, whose blocks compute
    shortcut(relu(bn1(x))) where shortcut is an empty nn.Sequential, which hands on what it gets.
    """
    block = 0
    for stage, blocks in enumerate(stages):
        for stride in [1 if stage == 0 else 2] + [1] * (blocks - 1):
            name = f"blocks.{block}"
            before = bn_relu(x, weights, f"{name}.bn1")
            inside = bn_relu(F.conv2d(before, weights[f"{name}.conv1.weight"], None, stride, 1), weights, f"{name}.bn2")
            if f"{name}.shortcut.weight" in weights:
                x = F.conv2d(before, weights[f"{name}.shortcut.weight"], None, stride)
            elif activated:
                x = before
            x = x + F.conv2d(inside, weights[f"{name}.conv2.weight"], padding=1)
            block += 1
    return x


def classified(x, weights):
    return x.flatten(2).mean(dim=2) @ weights["classifier.weight"].T + weights["classifier.bias"]


@pytest.mark.parametrize("stem", ["plain", "bn"])
@pytest.mark.parametrize(("depth", "shape"), [(18, (3, 3, 32, 32)), (10, (2, 1, 8, 8)), (34, (2, 3, 12, 20))])
def test_logits_computed_by_hand(depth, shape, stem):
    torch.manual_seed(0)
    model = as_after_training(PreActResNet(shape[1], 10, depth=depth, width=4, stem=stem).double())
    x = torch.randn(shape, dtype=torch.float64)
    with torch.no_grad():
        logits = model(x)
        torch.testing.assert_close(logits, forward_by_hand(model.state_dict(), x, depth, stem))
    assert logits.shape == (shape[0], 10)


@pytest.mark.parametrize(("depth", "shape"), [(18, (3, 3, 32, 32)), (10, (2, 1, 8, 8))])
@pytest.mark.parametrize("stem", ["plain", "bn"])
def test_logits_of_the_published_shortcuts(depth, shape, stem):
    """stem=bn and shortcut=activated is the network of mixup-cifar10 and FMix; equal weights tell it from the other."""
    torch.manual_seed(0)
    options = {"depth": depth, "width": 4, "stem": stem}
    plain = as_after_training(PreActResNet(shape[1], 10, **options).double())
    published = PreActResNet(shape[1], 10, shortcut="activated", **options).double().eval()
    published.load_state_dict(plain.state_dict())  # the same names
    x = torch.randn(shape, dtype=torch.float64)
    with torch.no_grad():
        logits = published(x)
        expected = forward_by_hand(plain.state_dict(), x, depth, stem, activated=True)
        torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)
        assert (logits - plain(x)).abs().max() > 1e-3


# ResNet


@pytest.mark.parametrize(("depth", "theirs", "shape"), [(18, resnet18, (3, 3, 16, 16)), (34, resnet34, (2, 3, 12, 20))])
def test_resnet_is_torchvisions_with_a_small_stem(depth, theirs, shape):
    torch.manual_seed(0)
    model = as_after_training(ResNet(3, 10, depth=depth))
    theirs = theirs(num_classes=10).eval()
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), model.state_dict().values(), strict=True)))
    x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(model(x), theirs(x))


def test_resnet18_has_the_11_173_962_parameters_of_the_cifar_codes():
    with torch.device("meta"):
        assert count(ResNet(3, 10)) == 11_173_962


# Wide ResNet


def wide_by_hand(channels, classes, depth, widen):
    """Counted after table 1 of the paper and its text: BN in front of every convolution but the stem's."""
    total, before = 9 * channels * 16, 16
    for now in (16 * widen, 32 * widen, 64 * widen):
        for _ in range((depth - 4) // 6):
            total += 2 * before + 9 * before * now + 2 * now + 9 * now * now + (before * now if before != now else 0)
            before = now
    return total + 2 * before + before * classes + classes


@pytest.mark.parametrize(
    ("depth", "widen", "classes", "parameters"),
    [(16, 8, 10, 10_961_370), (28, 10, 10, 36_479_194), (40, 4, 10, 8_949_210), (10, 1, 7, None), (22, 2, 100, None)],
)
def test_wide_resnet_has_the_published_size(depth, widen, classes, parameters):
    with torch.device("meta"):
        made = count(WideResNet(3, classes, depth=depth, widen=widen))
    assert made == wide_by_hand(3, classes, depth, widen)
    assert made == (parameters or made)


@pytest.mark.parametrize(
    ("depth", "widen", "shape"), [(10, 1, (3, 1, 8, 8)), (16, 2, (2, 3, 32, 32)), (22, 1, (2, 3, 12, 20))]
)
def test_wide_logits_computed_by_hand(depth, widen, shape):
    torch.manual_seed(0)
    model = as_after_training(WideResNet(shape[1], 7, depth=depth, widen=widen).double())
    x = torch.randn(shape, dtype=torch.float64)
    with torch.no_grad():
        weights = model.state_dict()
        out = units(F.conv2d(x, weights["stem.0.weight"], padding=1), weights, [(depth - 4) // 6] * 3)
        torch.testing.assert_close(model(x), classified(bn_relu(out, weights, "last.0"), weights))


def test_wide_resnet_starts_with_he_normal_weights_of_fan_out():
    torch.manual_seed(0)
    model = WideResNet(3, 10, depth=10, widen=4)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            wanted = (2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5
            scaled = module.weight.flatten() / wanted
            assert scaled.std().item() == pytest.approx(1, abs=5 / scaled.numel() ** 0.5)
            assert scaled.abs().max() > 2.5  # a uniform distribution of that deviation ends at 1.73
    assert torch.equal(model.classifier.bias, torch.zeros(10))


# All networks


@pytest.mark.parametrize(
    "make",
    [
        lambda: PreActResNet(1, 10, depth=18, width=4),
        lambda: ResNet(1, 10, depth=18, width=4),
        lambda: WideResNet(1, 10, depth=16, widen=1),
    ],
)
def test_a_small_image_trains_and_the_input_stays(make):
    torch.manual_seed(0)
    model = make()
    x = torch.randn(2, 1, 8, 8)
    before = x.clone()
    model(x).sum().backward()
    assert torch.equal(x, before)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())


def config(**changes):
    known = {"name": "preact_resnet18", "depth": 18, "width": 4, "stem": "plain", "shortcut": "plain"}
    return OmegaConf.create(known | changes)


def test_build_follows_the_configuration():
    for cfg in (config(), {"name": "resnet18", "depth": 34, "width": 4}, {"name": "wrn", "depth": 10, "widen": 1}):
        models.check_model(OmegaConf.create(cfg))
    wide = models.build_network(OmegaConf.create({"name": "wrn", "depth": 10, "widen": 2}), 1, 6)
    assert count(wide) == wide_by_hand(1, 6, 10, 2)
    assert count(models.build_network(config(depth=10, width=8, stem="bn"), 1, 6)) == count_by_hand(1, 6, 10, 8) + 16


@pytest.mark.parametrize(
    ("key", "value", "choice"),
    [("name", "resnet", "preact_resnet18"), ("depth", 50, "34"), ("stem", "bm", "bn"), ("shortcut", "x", "activated")],
)
def test_check_names_the_key_the_value_and_the_choices(key, value, choice):
    with pytest.raises(UserError, match=rf"model\.{key} '{value}'.*{choice}"):
        models.check_model(config(**{key: value}))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("width", 0, "model.width=0: must be at least 1"),
        ("width", "a", "model.width=a: must be int"),
        ("width", True, "model.width=True: must be int"),
        ("depth", 18.0, "unknown model.depth '18.0' (did you mean 18?); choices: 10, 18, 34"),
        ("widht", 3, "unknown key (model=preact_resnet18) 'model.widht' (did you mean model.width?)"),
        ("name", "wrn", "model=wrn needs model.widen"),
        ("name", None, "unknown model.name 'None'; choices: preact_resnet18, resnet18, vit, wrn"),
    ],
)
def test_check_tells_what_does_not_fit(key, value, told):
    with pytest.raises(UserError, match=f"^{re.escape(told)}"):
        models.check_model(config(**{key: value}))


@pytest.mark.parametrize(
    ("cfg", "shapes"),
    [
        ({"name": "resnet18", "depth": 18, "width": 4}, [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]),
        ({"name": "wrn", "depth": 16, "widen": 2}, [(32, 16, 16), (64, 8, 8), (128, 4, 4)]),
        (config(), [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]),
    ],
)
def test_layers_are_told_as_the_network_has_them(cfg, shapes):
    cfg = OmegaConf.create(cfg)
    model, seen = models.build_network(cfg, 3, 10).eval(), {}
    model(torch.randn(2, 3, 16, 16), lambda name, features: seen.setdefault(name, features))
    attended = seen.pop(model.ATTENTION)
    assert ("input", *seen) == models.layer_names(cfg)
    assert [features.shape[1:] for features in seen.values()] == shapes
    assert attended.shape[1:] == shapes[-1]


@pytest.mark.parametrize("cfg", [config(), {"name": "wrn", "depth": 10, "widen": 1}])
def test_attention_is_the_class_activation_map_of_the_given_labels(cfg):
    """Its sum over the pixels is the class's logit without the bias, as Zhou et al. 2016 derive it."""
    model, seen = models.build_network(OmegaConf.create(cfg), 3, 4).eval(), {}
    logits = model(torch.randn(3, 3, 16, 16), lambda name, features: seen.setdefault(name, features))
    features, classifier = seen[model.ATTENTION], model.classifier
    maps = torch.einsum("bchw,kc->bkhw", features, classifier.weight)
    torch.testing.assert_close(maps.mean(dim=(2, 3)) + classifier.bias, logits)
    targets = torch.tensor([[1.0, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1.0]])
    attention = model.attention(features, targets)
    expected = torch.einsum("bk,bkhw->bhw", targets, maps).clamp(min=0)
    total = expected.sum(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(attention[:, 0] * total, expected)
    torch.testing.assert_close(attention.sum(dim=(1, 2, 3)), torch.ones(3))
    nothing = model.attention(torch.zeros_like(features), targets)
    torch.testing.assert_close(nothing, torch.full_like(nothing, 1 / nothing[0].numel()))


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
        model.ATTENTION: (32, 2, 2),
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


@pytest.mark.parametrize(
    ("cfg", "batch", "height", "width", "trains"),
    [
        (config(), 1, 8, 8, False),
        (config(), 2, 8, 8, True),
        (config(), 1, 8, 9, True),
        (config(), 1, 16, 16, True),
        (config(), 1, 3, 5, False),
        ({"name": "resnet18", "depth": 18, "width": 4}, 1, 8, 8, False),
        ({"name": "wrn", "depth": 10, "widen": 1}, 1, 8, 8, True),
        ({"name": "wrn", "depth": 10, "widen": 1}, 1, 4, 4, False),
    ],
)
def test_a_batch_that_batch_norm_cannot_train_on_is_refused(cfg, batch, height, width, trains):
    cfg = OmegaConf.create(cfg)
    model, images = models.build_network(cfg, 3, 10), torch.randn(batch, 3, height, width)
    if trains:
        models.check_batch(cfg, batch, height, width)
        model(images)
    else:
        with pytest.raises(UserError, match=r"^train.batch_size=1: .*\b2\b.*1x1"):
            models.check_batch(cfg, batch, height, width)
        with pytest.raises(ValueError, match="more than 1 value per channel"):  # PyTorch's words
            model(images)
    model.eval()(images)  # an evaluation may come to a last batch of one image


def test_a_batch_of_one_small_image_is_refused_before_anything_is_written(mixbench, tmp_path):
    words = ["dataset=digits", "n=10", "device=cpu", "model.width=2", "model.depth=10", "train.steps=1"]
    found = mixbench("run", *words, "train.batch_size=1")
    assert found.status == 2
    assert len(found.err.splitlines()) == 1
    assert "train.batch_size=1" in found.err
    assert list(tmp_path.iterdir()) == []
    assert mixbench("run", *words, "train.batch_size=2").status == 0
