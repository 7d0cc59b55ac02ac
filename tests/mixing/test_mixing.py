"""Mixing methods: one table of invariants over all of them, and equality with torchvision, timm and brute force."""

import math
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy.special import roots_jacobi
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from mixbench.augment import AUGMENTS
from mixbench.core import registry
from mixbench.core.draws import DRAWS, Plan
from mixbench.mixing import METHODS, Mixed, cutmix, cutout, data_mix, label_mix, regmixup
from mixbench.mixing.contract import StandIns
from mixbench.mixing.runner import METHOD_NAMES, MIXTURE, build_method

CONFIGS = Path(__file__).parents[2] / "configs"
KEPT, MIXED, CUT = "kept", "mixed with the partner's", "set to 0 in places"
JOINED = "joined with a variant and a fractal, by default a fifth"  # stand-ins: the mirrored image, and 0
LARGER = "the label of the larger share"


@dataclass(frozen=True)
class Row:
    """What a method does to pixels (KEPT, MIXED, CUT or JOINED) and labels (KEPT, MIXED or LARGER).

    exact: an image's own share is the plan's λ itself; else the method makes its own of it, and the targets tell it.
    on_host: it solves a problem on the host, so it reads numbers of the device.
    options: other than those of its YAML file, where these are not what the tests below can look at.
    clean: the clean batch comes first, and the tests below look at the mixed one behind it.
    """

    pixels: str
    labels: str
    exact: bool = False
    on_host: bool = False
    options: dict = field(default_factory=dict)
    clean: bool = False


# A new method gets a row here, and the tests below hold for it.
ROWS = {
    "none": Row(KEPT, KEPT),
    "label-mix": Row(MIXED, MIXED, exact=True),
    "data-mix": Row(MIXED, KEPT, exact=True),
    "mixup-io": Row(MIXED, LARGER, exact=True),
    "label-only": Row(KEPT, MIXED, exact=True),
    "regmixup": Row(MIXED, MIXED, exact=True, clean=True),
    "cutmix": Row(MIXED, MIXED),
    "cutout": Row(CUT, KEPT),
    "random-erasing": Row(CUT, KEPT),
    "resizemix": Row(MIXED, MIXED),
    "gridmix": Row(MIXED, MIXED),
    "smoothmix": Row(MIXED, MIXED),
    "saliencymix": Row(MIXED, MIXED),
    "fmix": Row(MIXED, MIXED, options={"correct_lambda": True}),  # the λ drawn is up to a pixel beside the mask's
    "manifold": Row(MIXED, MIXED, exact=True, options={"layers": ["input"]}),  # hidden layers: test_mixing_features.py
    "transmix": Row(MIXED, MIXED),  # labels after the forward pass: test_mixing_transformers.py
    "mixpro": Row(MIXED, MIXED),
    "smmix": Row(MIXED, MIXED),
    "tokenmix": Row(MIXED, MIXED),
    "guidedmix": Row(MIXED, MIXED, options={"pairing": "random"}),  # other partners: test_guidedmix.py
    "puzzlemix": Row(MIXED, MIXED, on_host=True),  # masks and moves: test_puzzlemix.py
    "attentivemix": Row(MIXED, MIXED),
    "snapmix": Row(MIXED, MIXED),  # labels by maps: test_snapmix.py
    "diffusemix": Row(JOINED, KEPT),
    "filter-mix": Row(JOINED, KEPT),
    "mixture": Row(MIXED, MIXED),  # label-mix or cutmix
}
SHAPES = [(8, 3, 16, 16), (1, 3, 16, 16), (7, 3, 12, 20), (5, 1, 20, 12)]  # [B, C, H, W]

every_method = pytest.mark.parametrize("name", METHOD_NAMES)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
either_scope = pytest.mark.parametrize("per_sample", [False, True], ids=["batch", "per_sample"])


def pair(mixed):
    return mixed.images, mixed.targets


def row_of(name):
    assert name in ROWS, f"method {name!r} has no row in ROWS of tests/mixing/test_mixing.py: add one"
    return ROWS[name]


def decide(shape, lam=None, step=0, **options):
    """Every decision of one step as tensors, λ replaced where `lam` is given."""
    batch, _, height, width = shape
    plan = Plan(3, 100, batch, height, width, draws=tuple(DRAWS), alpha=1.0, beta=1.0, **options)
    decided = {name: torch.from_numpy(values[0]) for name, values in plan.steps(step, 1).items()}
    return decided if lam is None else decided | {"lam": torch.full((batch,), lam, dtype=torch.float64)}


def mix(name, images, targets, decided):
    """Mixed, by the method with the options of its YAML file and of its row."""
    cfg = {**OmegaConf.load(CONFIGS / "method" / f"{name}.yaml"), **row_of(name).options}
    if name == MIXTURE:  # validated, and with the same decisions for all parts
        parts = {part: OmegaConf.load(CONFIGS / "method" / f"{part}.yaml") for part in cfg["methods"]}
        cfg |= {"parts": parts, "probabilities": [0.5, 0.5]}
        number = (2 * decided["choice"]).clamp(max=2).long()  # above 1: no part
        decided = {f"{part}.{key}": value for part in parts for key, value in decided.items()} | {"part": number}
    mixed = build_method(cfg)(images, targets, decided, StandIns())  # attention is uniform over 2x2 patches
    if not row_of(name).clean:
        return mixed
    assert mixed.weights is None
    return Mixed(*(values[len(images) :] for values in (mixed.images, mixed.targets, mixed.own)))


def random_batch(shape, classes=6):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator), torch.rand(shape[0], classes, generator=generator).softmax(dim=1)


def test_the_table_has_a_row_for_each_method_and_no_other():
    for name in METHOD_NAMES:
        row_of(name)
    assert set(ROWS) == set(METHOD_NAMES)


def test_augmentations_and_methods_never_ask_for_the_same_decision():
    """A plan draws an augmentation's decisions and a method's from the same streams, by their names."""
    of_augments = {draw for function in AUGMENTS.values() for draw in registry.draws_of(function)}
    of_methods = {draw for function in METHODS.values() for draw in registry.draws_of(function)}
    assert not of_augments & of_methods


@every_method
@every_shape
def test_nothing_looks_at_numbers_on_the_host(name, shape):
    """On the meta device there are no numbers: what would wait for a GPU, or cannot be captured, fails here."""
    if row_of(name).on_host:
        pytest.skip("it works on the host")
    images, targets = (value.to("meta") for value in random_batch(shape))
    decided = {key: value.to("meta") for key, value in decide(shape, per_sample=True).items()}
    mixed, labels = pair(mix(name, images, targets, decided))
    assert mixed.device.type == labels.device.type == "meta"
    assert (mixed.shape, labels.shape) == (images.shape, targets.shape)


@every_method
@every_shape
@either_scope
@pytest.mark.parametrize("lam", [None, 0.0, 1.0], ids=["drawn", "0", "1"])
def test_constant_colours_and_own_labels_recover_mask_and_partner(name, shape, per_sample, lam):
    batch = shape[0]
    own_colour = torch.rand(shape[:2], generator=torch.Generator().manual_seed(1)) + 0.5
    images, own_label = own_colour[:, :, None, None].expand(shape).clone(), torch.eye(batch)
    for step in range(3):
        decided = decide(shape, lam, step, per_sample=per_sample)
        mixed = mix(name, images, own_label, decided)
        pixels, labels = pair(mixed)

        share = (decided["lam"].float() if row_of(name).exact else labels.diagonal())[:, None]
        if row_of(name).labels == KEPT:
            assert torch.equal(labels, own_label)
        elif row_of(name).labels == LARGER:
            assert torch.equal(
                labels, own_label[torch.where(share[:, 0] >= 0.5, torch.arange(batch), decided["partner"])]
            )
        else:
            torch.testing.assert_close(labels, share * own_label + (1 - share) * own_label[decided["partner"]])
        if row_of(name).pixels == KEPT:
            assert torch.equal(pixels, images)
        elif row_of(name).pixels == MIXED:
            blended = share * own_colour + (1 - share) * own_colour[decided["partner"]]
            torch.testing.assert_close(pixels.mean(dim=(2, 3)), blended)
        elif row_of(name).pixels == JOINED:
            torch.testing.assert_close(mixed.own.mean(dim=(1, 2, 3)), torch.full((batch,), 0.4))
            torch.testing.assert_close(pixels, 0.8 * images)
            continue
        else:
            assert ((pixels == images) | (pixels == 0)).all()
        # `own` is the share of each pixel that is the image's own.
        others = {KEPT: images, MIXED: images[decided["partner"]], CUT: torch.zeros_like(images)}
        torch.testing.assert_close(pixels, mixed.own * images + (1 - mixed.own) * others[row_of(name).pixels])
        assert row_of(name).pixels != KEPT or (mixed.own == 1).all()


@every_method
@every_shape
@either_scope
def test_shape_dtype_and_sums_stay_and_the_input_is_untouched(name, shape, per_sample):
    images, targets = random_batch(shape)
    decided = decide(shape, per_sample=per_sample)
    before = {key: value.clone() for key, value in decided.items()} | {"x": images.clone(), "t": targets.clone()}

    whole = mix(name, images, targets, decided)
    mixed, labels, own = *pair(whole), whole.own

    assert (mixed.shape, mixed.dtype) == (images.shape, images.dtype)
    assert (labels.shape, labels.dtype) == (targets.shape, targets.dtype)
    assert own.shape in ((shape[0], 1, *shape[2:]), (shape[0], 1, 1, 1))
    assert own.dtype == images.dtype
    assert ((own >= 0) & (own <= 1)).all()
    assert mixed.isfinite().all()
    assert (labels >= 0).all()
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(len(labels)))
    for key, value in (decided | {"x": images, "t": targets}).items():
        assert torch.equal(value, before[key]), f"{name} changes its input {key}"


@every_method
@every_shape
def test_a_batch_that_is_not_mixed_stays_exactly_as_it_is(name, shape):
    images, targets = random_batch(shape)
    mixed, labels = pair(mix(name, images, targets, decide(shape, p=0.0)))
    assert torch.equal(mixed, images)
    assert torch.equal(labels, targets)


@every_method
@every_shape
@either_scope
def test_protected_images_stay_exactly_as_they_are_among_others_that_are_mixed(name, shape, per_sample):
    images, targets = random_batch(shape)
    protected = np.arange(100) % 3 == 0
    plan = Plan(3, 100, shape[0], *shape[2:], protected=protected)
    for step in range(3):
        decided = decide(shape, step=step, per_sample=per_sample, protected=protected)
        mixed, labels = pair(mix(name, images, targets, decided))
        kept = torch.from_numpy(protected[plan.steps(step, 1)["index"][0]])
        assert torch.equal(mixed[kept], images[kept])
        assert torch.equal(labels[kept], targets[kept])


@every_method
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions_give_the_same_up_to_their_own_rounding(name, dtype):
    images, targets = random_batch((6, 3, 12, 20))
    images = images.to(dtype)
    decided = decide(images.shape, per_sample=True)
    mixed, labels = pair(mix(name, images, targets, decided))
    expected, expected_labels = pair(mix(name, images.float(), targets, decided))
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed.float(), expected, atol=1e-5 if dtype == torch.float64 else 0.05, rtol=0)
    assert torch.equal(labels, expected_labels)


@every_method
@every_shape
def test_per_sample_each_image_follows_its_own_decisions(name, shape):
    images, targets = random_batch(shape)
    decided = decide(shape, per_sample=True)
    mixed, labels = pair(mix(name, images, targets, decided))
    for i in range(shape[0]):
        alike = {key: values[i : i + 1].expand(values.shape) for key, values in decided.items() if key != "partner"}
        mixed_i, labels_i = pair(mix(name, images, targets, alike | {"partner": decided["partner"]}))
        assert torch.equal(mixed[i], mixed_i[i])
        assert torch.equal(labels[i], labels_i[i])


def test_methods_with_a_clean_batch_return_it_unchanged_before_the_mixed_one():
    images, targets = random_batch((6, 3, 8, 8))
    for name in (name for name, row in ROWS.items() if row.clean):
        cfg = OmegaConf.load(CONFIGS / "method" / f"{name}.yaml")
        mixed = build_method(cfg)(images, targets, decide(images.shape), StandIns())
        assert len(mixed.images) == len(mixed.targets) == len(mixed.own) == 12
        assert torch.equal(mixed.images[:6], images)
        assert torch.equal(mixed.targets[:6], targets)
        assert (mixed.own[:6] == 1).all()


@pytest.mark.parametrize("eta", [1.0, 0.3, 0.0])
def test_regmixup_is_the_mean_of_the_published_code_or_the_sum_of_the_paper(eta):
    """With the losses written as those two write them, from labels and not from soft targets."""
    images, labels = labelled(8, 8)
    partner, lam = rolled(6), torch.full((6,), 0.6, dtype=torch.float64)
    logits = torch.randn(12, CLASSES, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    targets = F.one_hot(labels, CLASSES).double()
    for reduction in ("mean", "sum"):
        made = regmixup(images, targets, partner=partner, lam=lam, eta=eta, reduction=reduction)
        each = -(made.targets * logits.log_softmax(dim=1)).sum(dim=1)
        loss = (each if made.weights is None else made.weights * each).mean()
        clean = F.cross_entropy(logits[:6], labels)
        mixed = 0.6 * F.cross_entropy(logits[6:], labels) + 0.4 * F.cross_entropy(logits[6:], labels[partner])
        torch.testing.assert_close(loss, (clean + eta * mixed) / (2 if reduction == "mean" else 1))
        if eta == 1 and reduction == "mean":
            both = [torch.cat([labels, other]) for other in (labels, labels[partner])]
            published = 0.6 * F.cross_entropy(logits, both[0]) + 0.4 * F.cross_entropy(logits, both[1])
            torch.testing.assert_close(loss, published)
    with pytest.raises(ValueError, match="eta=-1"):
        regmixup(images, targets, partner=partner, lam=lam, eta=-1.0)


# Against other implementations: the same λ, box and partner give the same batch.

CLASSES = 5
SIZES = [(16, 16), (12, 20), (20, 12)]
every_size = pytest.mark.parametrize(("height", "width"), SIZES)


def labelled(height, width, batch=6):
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(batch, 3, height, width, generator=generator)
    return images, torch.randint(CLASSES, (batch,), generator=generator)


def ours(function, images, labels, partner, lam, **decided):
    lam = torch.as_tensor(lam, dtype=torch.float64).expand(len(images))
    targets = F.one_hot(labels, CLASSES).to(images.dtype)
    return pair(function(images, targets, partner=partner, lam=lam, **decided))


def rolled(batch):  # torchvision's partner: the image before
    return torch.arange(batch).roll(1)


def flipped(batch):  # timm's partner: the same place counted from the end
    return torch.arange(batch).flip(0)


def centres(*places, batch=6):
    return torch.tensor(places).expand(batch, 2)


@every_size
@pytest.mark.parametrize("lam", [0.0, 0.3, 0.75, 1.0])
def test_label_mix_is_torchvisions_mixup(height, width, lam):
    images, labels = labelled(height, width)
    theirs = v2.MixUp(num_classes=CLASSES)
    theirs._dist = SimpleNamespace(sample=lambda shape: lam)
    torch.testing.assert_close(ours(label_mix, images, labels, rolled(6), lam), theirs(images, labels))


@every_size
@pytest.mark.parametrize("lam", [0.0, 0.3, 0.75, 1.0])
def test_label_mix_is_timms_mixup(height, width, lam, monkeypatch):
    images, labels = labelled(height, width)
    monkeypatch.setattr(np.random, "beta", lambda a, b: lam)
    theirs = timm.data.Mixup(mixup_alpha=1.0, num_classes=CLASSES, label_smoothing=0.0)
    torch.testing.assert_close(ours(label_mix, images, labels, flipped(6), lam), theirs(images.clone(), labels))


def test_label_mix_with_a_lambda_for_each_image_is_timms_elementwise_mixup(monkeypatch):
    images, labels = labelled(12, 20)
    lam = [0.0, 0.1, 0.4, 0.5, 0.9, 1.0]
    monkeypatch.setattr(np.random, "beta", lambda a, b, size: np.array(lam))
    theirs = timm.data.Mixup(mixup_alpha=1.0, num_classes=CLASSES, label_smoothing=0.0, mode="elem")
    torch.testing.assert_close(ours(label_mix, images, labels, flipped(6), lam), theirs(images.clone(), labels))


@every_size
@pytest.mark.parametrize("lam", [0.0, 0.2, 0.64, 0.97, 1.0])
@pytest.mark.parametrize("place", [(0, 0), (5, 9), (11, 11)])
def test_cutmix_is_torchvisions(height, width, lam, place, monkeypatch):
    images, labels = labelled(height, width)
    theirs = v2.CutMix(num_classes=CLASSES)
    theirs._dist = SimpleNamespace(sample=lambda shape: lam)
    drawn = iter([place[1], place[0]])  # it draws the column first
    monkeypatch.setattr(torch, "randint", lambda high, size: torch.tensor([next(drawn)]))
    expected = theirs(images, labels)
    torch.testing.assert_close(ours(cutmix, images, labels, rolled(6), lam, centre=centres(*place)), expected)


# timm gives a box of odd side its middle pixel, which the paper's code (half side by integer division) leaves out; at
# these shares of the side all boxes of the sizes above have even sides.
EVEN = [0.52, 0.91]


@every_size
@pytest.mark.parametrize("side", EVEN)
@pytest.mark.parametrize("place", [(0, 0), (5, 9), (11, 11)])
@pytest.mark.parametrize("correct_lambda", [True, False])
def test_cutmix_is_timms(height, width, side, place, correct_lambda, monkeypatch):
    images, labels = labelled(height, width)
    lam = 1 - side**2
    drawn = iter(place)
    monkeypatch.setattr(np.random, "beta", lambda a, b: lam)
    monkeypatch.setattr(np.random, "randint", lambda low, high, size: next(drawn))
    theirs = timm.data.Mixup(0.0, 1.0, num_classes=CLASSES, label_smoothing=0.0, correct_lam=correct_lambda)
    expected = theirs(images.clone(), labels)
    decided = {"centre": centres(*place), "correct_lambda": correct_lambda}
    torch.testing.assert_close(ours(cutmix, images, labels, flipped(6), lam, **decided), expected)


def test_cutmix_with_a_box_for_each_image_is_timms_elementwise_cutmix(monkeypatch):
    images, labels = labelled(12, 20)
    lam = [1 - side**2 for side in EVEN * 3]
    places = [(0, 0), (11, 19), (5, 9), (6, 10), (0, 19), (11, 0)]
    drawn = chain.from_iterable(places)
    monkeypatch.setattr(np.random, "beta", lambda a, b, size: np.array(lam))
    monkeypatch.setattr(np.random, "randint", lambda low, high, size: next(drawn))
    theirs = timm.data.Mixup(0.0, 1.0, num_classes=CLASSES, label_smoothing=0.0, mode="elem")
    expected = theirs(images.clone(), labels)
    torch.testing.assert_close(ours(cutmix, images, labels, flipped(6), lam, centre=torch.tensor(places)), expected)


# Expected losses, by Gauss-Jacobi quadrature over λ; the network is smooth, so 40 nodes give all digits of a double.


def expected_loss(function, alpha, beta):
    """E[loss] over λ ~ Beta(alpha, beta), the partners being π in half of the cases and its inverse in the others."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, CLASSES))
    network = network.double().eval()
    images, labels = labelled(8, 8, batch=7)
    partner = torch.tensor([3, 0, 2, 5, 6, 1, 4])  # two cycles of three and a fixed point: not its own inverse
    nodes, weights = roots_jacobi(40, beta - 1, alpha - 1)  # of (1 - x)^(β - 1) (1 + x)^(α - 1) on [-1, 1]

    @torch.no_grad()
    def loss(lam, partner):
        mixed, targets = ours(function, images.double(), labels, partner, lam)
        return F.cross_entropy(2 * network(mixed), targets).item()

    both = [(loss(lam, partner) + loss(lam, partner.argsort())) / 2 for lam in (nodes + 1) / 2]
    return np.dot(weights, both) / weights.sum()


@pytest.mark.parametrize("alpha", [0.4, 1.0, 3.0])
def test_data_mix_under_beta_alpha_plus_1_alpha_has_the_expected_loss_of_label_mix(alpha):
    label_mixed = expected_loss(label_mix, alpha, alpha)
    assert expected_loss(data_mix, alpha + 1, alpha) == pytest.approx(label_mixed, rel=1e-10)
    assert expected_loss(data_mix, alpha, alpha) != pytest.approx(label_mixed, rel=0.01)


# Boxes


@settings(deadline=None, derandomize=True, max_examples=60)
@given(data=st.data(), height=st.integers(8, 40), width=st.integers(8, 40), lam=st.floats(0, 1))
def test_cutmix_box_and_lambda_by_brute_force(data, height, width, lam):
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    half_height = math.floor(height * math.sqrt(1 - lam)) // 2
    half_width = math.floor(width * math.sqrt(1 - lam)) // 2
    from_partner = torch.tensor(
        [
            [row - half_height <= r < row + half_height and column - half_width <= c < column + half_width]
            for r in range(height)
            for c in range(width)
        ]
    ).view(height, width)
    images = torch.stack([torch.zeros(1, height, width), torch.ones(1, height, width)])
    partner, centre = torch.tensor([1, 0]), torch.tensor([[row, column]] * 2)
    given_lam = torch.full((2,), lam, dtype=torch.float64)

    mixed, targets = pair(cutmix(images, torch.eye(2), partner=partner, lam=given_lam, centre=centre))
    assert torch.equal(mixed[0, 0] == 1, from_partner)
    assert torch.equal(mixed[1, 0] == 0, from_partner)
    true_share = 1 - from_partner.sum().item() / (height * width)
    assert targets[0].tolist() == pytest.approx([true_share, 1 - true_share], abs=1e-6)

    same, drawn = pair(
        cutmix(images, torch.eye(2), partner=partner, lam=given_lam, centre=centre, correct_lambda=False)
    )
    assert torch.equal(same, mixed)
    assert drawn[0].tolist() == pytest.approx([lam, 1 - lam], abs=1e-6)


def test_cutmix_keeps_070_of_the_own_image_on_average_at_32x32_after_clipping():
    lam = (np.arange(2000) + 0.5) / 2000
    half = (32 * np.sqrt(1 - lam)).astype(int)[:, None] // 2
    centre = np.arange(32)
    side = (np.minimum(centre + half, 32) - np.maximum(centre - half, 0)).mean(axis=1)  # rows and columns alike
    exact = 1 - (side**2).mean() / 32**2
    assert exact == pytest.approx(0.70, abs=0.005)

    count = 3000
    decided = decide((count, 1, 32, 32), per_sample=True)
    labels = torch.eye(2)[torch.arange(count) % 2]  # neighbours differ, so a target's own entry is λ
    neighbour = {"partner": torch.arange(count).roll(1), "lam": decided["lam"], "centre": decided["centre"]}
    _, targets = pair(cutmix(torch.zeros(count, 1, 32, 32), labels, **neighbour))
    assert targets[labels == 1].mean().item() == pytest.approx(exact, abs=0.015)


def hole(size, place, length=0.5, value=2.0):
    """bool [H, W]: where cutout leaves 0 in an image that is nowhere 0."""
    images = torch.full((1, 3, *size), value)
    cut, _ = pair(
        cutout(images, torch.eye(1), applied=torch.tensor([True]), centre=torch.tensor([place]), length=length)
    )
    assert ((cut == 0) | (cut == value)).all()
    assert torch.equal(cut[0, 0], cut[0, 1])
    assert torch.equal(cut[0, 0], cut[0, 2])
    return cut[0, 0] == 0


def square(size, top, bottom, left, right):
    inside = torch.zeros(size, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    return inside


def test_cutout_hole_is_16_of_32_and_clipped():
    assert torch.equal(hole((32, 32), (16, 12)), square((32, 32), 8, 24, 4, 20))
    assert torch.equal(hole((32, 32), (0, 31)), square((32, 32), 0, 8, 23, 32))
    assert torch.equal(hole((32, 32), (16, 16), length=0.25), square((32, 32), 12, 20, 12, 20))
    assert torch.equal(hole((16, 32), (2, 30)), square((16, 32), 0, 6, 26, 32))  # half of the shorter side
