"""What the engine serves to methods: input gradients, attention, a teacher, generated images; rows with weights."""

import pytest
import torch
from torch.nn import functional as F

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError
from mixbench.data import split
from mixbench.mixing import METHODS, Mixed, method
from mixbench.mixing.operations import blend
from mixbench.runs.banks import with_stand_ins
from mixbench.training.context import Providers
from mixbench.training.engine import Engine
from mixbench.training.validate import check_functions

WORDS = ("dataset=digits", "n=12", "train.batch_size=6", "train.steps=10", "model.width=2", "model.depth=10")
SEEN = {}  # what a method was given, by name


@method(needs=("input_gradient",))
def erase_salient(images, targets, *, input_gradient, share: float = 0.25):
    """The pixels of the largest gradient set to 0."""
    SEEN["input_gradient"] = input_gradient.values
    magnitudes = input_gradient.magnitudes.flatten(1)
    count = int(share * magnitudes.shape[1])
    own = torch.ones_like(magnitudes).scatter_(1, magnitudes.topk(count, dim=1).indices, 0).view(len(images), 1, 8, 8)
    return Mixed(images * own, targets, own=own)


@method(draws=("partner",), needs=("attention",))
def halves_by_attention(images, targets, *, partner, attention):
    """The left half beside the partner's right half, labels by where the network looks (as TransMix)."""
    SEEN["attention"] = attention(images, targets)
    own = (torch.arange(8) < 4).to(images.dtype).expand(len(images), 1, 8, 8)
    mixed = own * images + (1 - own) * images[partner]

    def after_forward(outputs):
        looked = outputs.attention(0.5 * targets + 0.5 * targets[partner])
        SEEN["after"] = looked
        share = (F.interpolate(looked, (8, 8)) * own).sum(dim=(1, 2, 3)) / F.interpolate(looked, (8, 8)).sum((1, 2, 3))
        SEEN["lam"] = share
        return blend(targets, targets[partner], share)

    return Mixed(mixed, targets, own=own, after_forward=after_forward)


@method(draws=("partner", "lam"), needs=("teacher",))
def taught_mixup(images, targets, *, partner, lam, teacher):
    """Mixup whose labels are what a teacher says of the mixed image."""
    mixed = blend(images, images[partner], lam)
    return Mixed(mixed, teacher(mixed).softmax(dim=1))


@method(needs=("generated",))
def half_generated(images, targets, *, generated):
    """Each image and its first variant, the latter with half the weight: 2B rows."""
    weights = torch.tensor([1.0, 0.5], dtype=images.dtype).repeat_interleave(len(images))
    variants = generated.variants(torch.full((len(images),), 0.1))
    return Mixed(torch.cat([images, variants]), torch.cat([targets, targets]), weights=weights)


@pytest.fixture(autouse=True)
def table(monkeypatch):
    SEEN.clear()
    for function in (erase_salient, halves_by_attention, taught_mixup, half_generated):
        monkeypatch.setitem(METHODS, function.__name__, function)


def config(name, *words, **settings):
    with Composer() as composer:
        cfg = job(composer.compose([*WORDS, *words])).cfg
    cfg.method = {"name": name, "version": 1, **settings}
    return cfg


def engine_of(name, *words, providers=None, banks=False, **settings):
    """banks: with stand-ins for banks, whose variants are negatives."""
    cfg = config(name, *words, **settings)
    images = split(data.load("digits", "data", None, say=print), cfg)
    images = with_stand_ins(images, cfg.method) if banks else images
    return Engine(cfg, images, torch.device("cpu"), torch.float64, providers)


def first_step(engine):
    return {name: values[0] for name, values in engine.plans(0, 1).items()}


def plain(engine, decided):
    """The batch before mixing: images and targets."""
    images = engine.normalise(engine.images[decided["index"]].permute(0, 3, 1, 2))
    return images, F.one_hot(engine.labels[decided["index"]], engine.classes).double()


def buffers(engine):
    return {name: value.clone() for name, value in engine.model.state_dict().items()}


def test_input_gradient_is_that_of_the_loss_before_mixing():
    engine = engine_of("erase_salient", "augment=none", share=0.25)
    decided = first_step(engine)
    before = buffers(engine)
    mixed = engine.batch(decided)
    for name, value in engine.model.state_dict().items():
        assert torch.equal(value, before[name]), f"{name}: the extra pass changed the network"
    assert all(parameter.grad is None for parameter in engine.model.parameters())

    images, targets = plain(engine, decided)
    images.requires_grad_()
    F.cross_entropy(engine.model(images), targets, reduction="sum").backward()
    torch.testing.assert_close(SEEN["input_gradient"], images.grad)
    assert (mixed.own.sum(dim=(1, 2, 3)) == 48).all()
    magnitude = images.grad.square().mean(dim=1).sqrt()
    for i in range(6):
        assert magnitude[i][mixed.own[i, 0] == 0].min() >= magnitude[i][mixed.own[i, 0] == 1].max()


def test_input_gradient_by_finite_differences():
    engine = engine_of("erase_salient", "augment=none")
    decided = first_step(engine)
    engine.batch(decided)
    images, targets = plain(engine, decided)
    gradient = SEEN["input_gradient"]
    place = (2, 0, *divmod(int(gradient[2, 0].abs().argmax()), 8))
    step = torch.zeros_like(images)
    step[place] = 1e-5
    with torch.no_grad():
        high, low = (F.cross_entropy(engine.model(images + sign * step), targets) for sign in (1, -1))
    assert gradient[place].item() == pytest.approx(6 * ((high - low) / 2e-5).item(), rel=1e-4)


def test_attention_is_of_the_batch_before_mixing_and_after_the_forward_pass_of_the_mixed_one():
    engine = engine_of("halves_by_attention", "augment=none")
    decided = first_step(engine)
    before = buffers(engine)
    mixed = engine.batch(decided)
    assert all(torch.equal(value, before[name]) for name, value in engine.model.state_dict().items())
    images, targets = plain(engine, decided)
    seen = {}

    def look(name, features):
        seen[name] = features
        return features

    def attention(images, targets):
        engine.model(images, look)
        return engine.model.attention(seen["last"], targets)

    torch.testing.assert_close(SEEN["attention"], attention(images, targets))
    logits, late = engine.outputs(mixed)
    partner = decided["partner"]
    of_mixed = attention(mixed.images, 0.5 * targets + 0.5 * targets[partner])
    torch.testing.assert_close(SEEN["after"], of_mixed)
    assert not SEEN["after"].requires_grad
    torch.testing.assert_close(late, blend(targets, targets[partner], SEEN["lam"]))
    torch.testing.assert_close(logits, engine.model(mixed.images))
    torch.testing.assert_close(engine.step(decided, 0.1), F.cross_entropy(logits, late).detach())


def test_targets_of_a_teacher():
    rows = torch.randn(64, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    providers = Providers(teacher=lambda images: images.flatten(1) @ rows)
    settings = {"alpha": 1.0, "beta": 1.0, "p": 1.0, "per_sample": False}
    engine = engine_of("taught_mixup", "augment=none", providers=providers, **settings)
    decided = first_step(engine)
    images, _ = plain(engine, decided)
    mixed = engine.batch(decided)
    expected = blend(images, images[decided["partner"]], decided["lam"])
    torch.testing.assert_close(mixed.images, expected)
    torch.testing.assert_close(mixed.targets, (expected.flatten(1) @ rows).softmax(dim=1))

    wrong = engine_of("taught_mixup", providers=Providers(teacher=lambda images: images.flatten(1)), **settings)
    with pytest.raises(UserError, match=r"teacher.*\[6, 64\].*\[6, 10\]"):
        wrong.batch(first_step(wrong))


@pytest.mark.parametrize("loss", ["ce", "kl", "bce"])
def test_rows_of_generated_images_and_their_weights(loss):
    engine = engine_of("half_generated", "augment=none", f"loss={loss}", banks=True)
    decided = first_step(engine)
    mixed = engine.batch(decided)
    images, _ = plain(engine, decided)
    inverted = engine.normalise((255 - engine.images[decided["index"]]).permute(0, 3, 1, 2))
    torch.testing.assert_close(mixed.images, torch.cat([images, inverted]))

    logits = engine.model(mixed.images)
    rows = [engine.loss(z[None], t[None], decided=decided) for z, t in zip(logits, mixed.targets, strict=True)]
    expected = (torch.stack(rows[:6]).sum() + 0.5 * torch.stack(rows[6:]).sum()) / 12
    torch.testing.assert_close(engine.step(decided, 0.1), expected.detach())
    ones = engine.mean_loss(logits, mixed.targets, torch.ones(12), decided)
    torch.testing.assert_close(ones, engine.loss(logits, mixed.targets, decided=decided))


def test_without_a_bank_a_batch_is_refused():
    engine = engine_of("half_generated")
    with pytest.raises(UserError, match=r"mixbench generate.*method\.bank=") as told:
        engine.batch(first_step(engine))
    assert "\n" not in str(told.value)


def test_variants_are_cropped_as_their_images_are():
    """Of a negative that is moved as its image, the sum with the image is constant inside the crop."""
    engine = engine_of("half_generated", "augment=standard", banks=True)
    decided = first_step(engine)
    assert not (decided["shift"] == 1).all()
    images, variants = engine.batch(decided).images.split(6)
    pixels = [made * engine.std + engine.mean for made in (images, variants)]
    inside = engine.augment(torch.full((6, 1, 8, 8), 255, dtype=torch.uint8), decided=decided)
    torch.testing.assert_close(sum(pixels), inside.double())


def test_a_network_that_names_no_layer_for_attention_is_refused(monkeypatch):
    from mixbench.models.residual import ResidualNetwork

    check_functions(config("halves_by_attention"))
    monkeypatch.delattr(ResidualNetwork, "ATTENTION")
    with pytest.raises(UserError, match=r"^model=preact_resnet18: .*attention"):
        check_functions(config("halves_by_attention"))


BRANCHING = """\
def branching(logits, targets):
    loss = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    if loss > 100:
        return loss / 2
    return loss
"""


def test_a_loss_that_cannot_be_taken_row_by_row_is_refused_where_rows_have_weights(tmp_path):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss/branching.py").write_text(BRANCHING)
    (tmp_path / "loss/branching.yaml").write_text("function: branching.py:branching\n")
    with Composer(str(tmp_path)) as composer:
        cfg = job(composer.compose([*WORDS, "loss=branching"])).cfg
    check_functions(cfg)
    cfg.method = {"name": "half_generated", "version": 1}
    with pytest.raises(UserError, match=r"branching\.py:branching: .*row.*half_generated.*weights") as told:
        check_functions(cfg)
    assert "vmap" not in str(told.value)
    assert "\n" not in str(told.value)
