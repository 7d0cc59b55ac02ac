"""The vision transformer: equal to timm's with the same weights, its attention, its stages, and refused sizes."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch.nn import functional as F

from mixbench import data, models
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError
from mixbench.data import split
from mixbench.models.vit import VisionTransformer
from mixbench.training.engine import Engine

SIZES = {"dim": 24, "heads": 3}


def config(**changes):
    cfg = {"name": "vit", "patch": 4, "dim": 24, "depth": 4, "heads": 3, "mlp_ratio": 4}
    cfg |= {"attention": "class", "drop_path": 0.0}
    return OmegaConf.create(cfg | changes)


def scaled(model):
    """The model with weights at which softmax and GELU are far from linear, so that each of them counts."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


def both(channels, size, depth, patch, classes=7):
    """Our network and timm's with the same weights. Both list their weights in the same order."""
    torch.manual_seed(0)
    ours = scaled(VisionTransformer(channels, classes, size, patch=patch, depth=depth, **SIZES))
    theirs = TimmTransformer(
        img_size=size,
        patch_size=patch,
        in_chans=channels,
        num_classes=classes,
        embed_dim=SIZES["dim"],
        depth=depth,
        num_heads=SIZES["heads"],
    ).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    return ours, theirs


CASES = [(3, (32, 32), 4, 4), (1, (8, 8), 1, 2), (3, (12, 20), 3, 4)]


@pytest.mark.parametrize(("channels", "size", "depth", "patch"), CASES)
def test_logits_are_timms(channels, size, depth, patch):
    ours, theirs = both(channels, size, depth, patch)
    x = torch.randn(5, channels, *size)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("channels", "size", "depth", "patch"), CASES)
@pytest.mark.parametrize("queries", ["class", "patches"])
def test_attention_is_that_of_timms_last_block(channels, size, depth, patch, queries):
    ours, theirs = both(channels, size, depth, patch)
    ours.queries = VisionTransformer(channels, 7, size, patch=patch, attention=queries, **SIZES).queries
    x, seen = torch.randn(5, channels, *size), {}
    attention = theirs.blocks[-1].attn
    attention.fused_attn = False  # timm then computes the softmax that its dropout layer gets
    attention.attn_drop.register_forward_hook(lambda module, inputs, output: seen.update(weights=output))
    with torch.no_grad():
        theirs(x)
        ours(x, lambda name, features: seen.setdefault(name, features))
    found = ours.attention(seen[ours.ATTENTION], torch.zeros(5, 7))
    weights = seen["weights"][:, :, 0] if queries == "class" else seen["weights"][:, :, 1:].mean(dim=2)
    expected = weights.mean(dim=1)[:, 1:]
    expected = expected / expected.sum(dim=1, keepdim=True)
    assert found.shape == (5, 1, size[0] // patch, size[1] // patch)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.sum(dim=(1, 2, 3)), torch.ones(5))


def test_initial_weights_are_distributed_as_timms():
    torch.manual_seed(0)
    ours = VisionTransformer(3, 10, (32, 32), dim=96, depth=2, heads=3)
    theirs = TimmTransformer(img_size=32, patch_size=4, num_classes=10, embed_dim=96, depth=2, num_heads=3)
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        spread, expected = one.detach().std().item(), other.detach().std().item()
        assert spread == pytest.approx(expected, rel=6 / one.numel() ** 0.5, abs=1e-12), name
        assert abs(one.detach().mean().item() - other.detach().mean().item()) <= 8 * expected / one.numel() ** 0.5, name


def test_the_forward_pass_uses_the_fused_attention_only(monkeypatch):
    model, calls = VisionTransformer(3, 10, (16, 16), depth=3, **SIZES), []
    fused = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *args: calls.append(1) or fused(*args))
    monkeypatch.setattr(torch.Tensor, "softmax", lambda *args, **kwargs: pytest.fail("attention was computed"))
    model(torch.randn(2, 3, 16, 16))
    model(torch.randn(2, 3, 16, 16), lambda name, features: features)
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("depth", "ends"), [(4, [1, 2, 3, 4]), (12, [3, 6, 9, 12]), (5, [2, 3, 4, 5]), (2, [1, 1, 2, 2])]
)
def test_stages_end_after_equal_numbers_of_blocks_and_can_be_replaced(depth, ends):
    model = scaled(VisionTransformer(3, 10, (16, 16), depth=depth, **SIZES))
    x, seen, after = torch.randn(2, 3, 16, 16), {}, []
    for block in model.blocks:
        block.register_forward_hook(lambda module, inputs, output: after.append(output))
    with torch.no_grad():
        logits = model(x, lambda name, features: seen.setdefault(name, features))
        assert [next(i for i, out in enumerate(after, 1) if out is seen[layer]) for layer in model.LAYERS] == ends
        assert torch.equal(logits, model(x))
        swapped = model(x, lambda name, features: features.flip(0) if name == "stage2" else features)
        torch.testing.assert_close(swapped, logits.flip(0))
        attended = model(x, lambda name, features: 0 * features if name == model.ATTENTION else features)
        assert not torch.allclose(attended, logits)


def test_layers_and_build_follow_the_configuration():
    assert models.layer_names(config()) == ("input", "stage1", "stage2", "stage3", "stage4")
    built = models.build_network(config(patch=2, depth=3), 1, 6, (8, 12))
    assert built(torch.randn(2, 1, 8, 12)).shape == (2, 6)
    assert len(built.blocks) == 3
    models.check_maps(config(), "attention")
    with pytest.raises(UserError, match=r"^model=vit: .*class_activation.*resnet18"):
        models.check_maps(config(), "class_activation")
    models.check_batch(config(), 1, 4, 4)  # no batch normalisation
    with pytest.raises(ValueError, match="size of the images"):
        models.build_network(config(), 3, 10)


@pytest.mark.parametrize(
    ("changes", "size", "told"),
    [
        ({"patch": 5}, (32, 32), "model.patch=5: must divide both sides of the 32x32 images; choose 2, 4, 8, 16, 32"),
        ({}, (28, 30), "model.patch=4: must divide both sides of the 28x30 images; choose 2"),
        ({}, (7, 8), "model.patch=4: must divide both sides of the 7x8 images; choose 1"),
        ({"heads": 5}, (32, 32), "model.heads=5: must divide model.dim=24"),
        ({"dim": 0}, None, "model.dim=0: must be at least 1"),
        ({"heads": 0}, None, "model.heads=0: must be at least 1"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, size, told):
    cfg = config(**changes)
    check = partial(models.check_model, cfg) if size is None else partial(models.check_size, cfg, *size)
    with pytest.raises(UserError, match=f"^{re.escape(told)}$"):
        check()


WORDS = ("dataset=digits", "n=10", "subset=balanced", "device=cpu", "precision=fp32", "model=vit", "model.dim=6")
SMALL = (*WORDS, "model.depth=2", "train.steps=3", "train.batch_size=4", "train.lr=0.01")


def test_a_run_trains_and_a_patch_that_does_not_fit_writes_nothing(mixbench):
    refused = mixbench("run", *SMALL, "model.patch=3")
    assert refused.status == 2
    assert len(refused.err.splitlines()) == 1
    assert "model.patch=3" in refused.err
    assert list(Path().iterdir()) == []
    assert mixbench("run", *SMALL, "method=manifold").status == 0


# Drop path


class Scaled(torch.nn.Module):
    """Stands for timm's DropPath with factors that are given."""

    def __init__(self, factors):
        super().__init__()
        self.factors = factors

    def forward(self, x):
        return x * self.factors.view(-1, 1, 1)


def test_skipped_branches_are_timms_with_the_same_choices():
    ours, _ = both(1, (8, 8), 3, 4)
    options = dict(img_size=8, patch_size=4, in_chans=1, num_classes=7, embed_dim=SIZES["dim"], depth=3)
    theirs = TimmTransformer(**options, num_heads=SIZES["heads"], drop_path_rate=0.5)
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    dropping = VisionTransformer(1, 7, (8, 8), patch=4, depth=3, drop_path=0.5, **SIZES)
    dropping.load_state_dict(ours.state_dict())
    x, uniforms = torch.randn(5, 1, 8, 8), torch.rand(5, dropping.paths)
    for number, block in enumerate(theirs.blocks):
        for branch, name in enumerate(("drop_path1", "drop_path2")):
            skip = getattr(getattr(block, name), "drop_prob", 0.0)
            kept = (uniforms[:, 2 * number + branch] >= skip).float() / (1 - skip)
            setattr(block, name, Scaled(kept))
    with torch.no_grad():
        torch.testing.assert_close(dropping(x, None, uniforms), theirs(x), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(theirs(x), ours(x), atol=1e-3)
        assert torch.equal(dropping.train()(x), ours(x))  # without numbers nothing is skipped
        seen = dropping(x, lambda name, features: features, uniforms)
        assert torch.equal(seen, dropping(x, None, uniforms))


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_drop_path_that_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match=r"^drop_path="):
        VisionTransformer(1, 7, (8, 8), patch=4, drop_path=value, **SIZES)


def test_a_run_draws_the_skips_of_each_step_on_the_host():
    words = ["dataset=digits", "n=12", "train.batch_size=6", "train.steps=10", "augment=none", "model=vit"]
    words += ["model.dim=12", "model.depth=3", "model.drop_path=0.6", "method=transmix"]
    with Composer() as composer:
        cfg = job(composer.compose(words)).cfg
        plain = job(composer.compose([*words, "model.drop_path=0"]))
    images = split(data.load("digits", "data", None, say=print), cfg)
    engine, without = (Engine(one, images, torch.device("cpu"), torch.float64) for one in (cfg, plain.cfg))
    together, alone = engine.plans(3, 4)["paths"], engine.plans(5, 1)["paths"]
    assert torch.equal(together[2], alone[0])
    assert together.shape == (4, 6, 6)
    assert "paths" not in without.plans(0, 1)
    losses = []
    for one in (engine, engine, without):
        one.model.load_state_dict(without.model.state_dict())
        decided = {name: values[0] for name, values in one.plans(2, 1).items()}
        with torch.no_grad():
            losses.append(one.outputs(one.batch(decided), one._uniforms(one.batch(decided), decided))[0])
    assert torch.equal(losses[0], losses[1])
    assert not torch.allclose(losses[0], losses[2])
