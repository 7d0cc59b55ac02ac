"""TransMix, MixPro, SMMix and TokenMix: hand-made attention maps with known sums, and a second derivation of each."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from torch.nn import functional as F

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.draws import DRAWS, Plan
from mixbench.data import split
from mixbench.mixing import cutmix, mixpro, smmix, tokenmix, transmix
from mixbench.mixing.block_masks import block_mask
from mixbench.mixing.contract import Outputs
from mixbench.mixing.transformers import attention_share
from mixbench.training.engine import Engine
from mixbench.training.losses import LOSSES, loss_per_row

BATCH = 6
PARTNER = torch.tensor([3, 0, 5, 1, 4, 2])  # cycles of three and two, and a fixed point


def decide(height=16, width=16, step=0, **options):
    plan = Plan(3, 100, BATCH, height, width, draws=tuple(DRAWS), alpha=1.0, beta=1.0, **options)
    decided = {name: torch.from_numpy(values[0]) for name, values in plan.steps(step, 1).items()}
    return decided | {"partner": PARTNER}


def some(decided, *names):
    return {name: decided[name] for name in ("partner", *names)}


def batch(height=16, width=16):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, 3, height, width, generator=generator, dtype=torch.float64), torch.eye(BATCH).double()


def random_maps(rows, columns, seed=1):
    maps = torch.rand(BATCH, 1, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return maps / maps.sum(dim=(1, 2, 3), keepdim=True)


def never(images, targets):
    raise AssertionError("only the attention of mixed images is wanted")


def seeing(maps, seen=None):
    """A teacher with this attention, which adds the images that it gets to `seen`."""

    def attention(images, targets):
        if seen is not None:
            seen.append(images)
        return maps

    return SimpleNamespace(attention=attention)


def own_weight(targets):
    """The weight of each image's own label; the label of image i is i."""
    return targets.diagonal()


# TransMix


def test_transmix_by_a_map_with_known_sums():
    """A box of 8x8 pixels covers 4 of 16 patches, which hold 0.7 of the attention: λ = (0.75 + 0.3) / 2."""
    images, targets = batch()
    middle, lam = torch.full((BATCH, 2), 8), torch.full((BATCH,), 0.75, dtype=torch.float64)
    mixed = transmix(images, targets, partner=PARTNER, lam=lam, centre=middle, attention=never)
    maps = torch.full((BATCH, 1, 4, 4), 0.3 / 12, dtype=torch.float64)
    maps[:, :, 1:3, 1:3] = 0.7 / 4
    late = mixed.after_forward(Outputs(torch.zeros(BATCH, BATCH), lambda targets: maps))
    expected = 0.525 * targets + 0.475 * targets[PARTNER]
    torch.testing.assert_close(late, expected)
    torch.testing.assert_close(mixed.targets, 0.75 * targets + 0.25 * targets[PARTNER])


@pytest.mark.parametrize(("height", "width", "patch"), [(16, 16, 4), (12, 20, 4), (16, 16, 16)])
@pytest.mark.parametrize("downsampling", ["nearest", "area"])
@pytest.mark.parametrize(("ratio", "correct_lambda"), [(0.5, True), (0.0, True), (1.0, True), (0.3, False)])
def test_transmix_by_brute_force(height, width, patch, downsampling, ratio, correct_lambda):
    images, targets = batch(height, width)
    for step in range(4):
        decided = decide(height, width, step, per_sample=True)
        draws = some(decided, "lam", "centre")
        cut = cutmix(images, targets, **draws, correct_lambda=correct_lambda)
        options = {"ratio": ratio, "downsampling": downsampling, "correct_lambda": correct_lambda}
        mixed = transmix(images, targets, **draws, attention=never, **options)
        assert torch.equal(mixed.images, cut.images)
        assert torch.equal(mixed.targets, cut.targets)
        maps = random_maps(height // patch, width // patch)
        late = mixed.after_forward(Outputs(torch.zeros(BATCH, BATCH), lambda targets, maps=maps: maps))
        for i in range(BATCH):
            looked = total = 0.0
            for r in range(height // patch):
                for c in range(width // patch):
                    pixels = cut.own[i, 0, patch * r : patch * (r + 1), patch * c : patch * (c + 1)]
                    kept = pixels[0, 0] if downsampling == "nearest" else pixels.mean()
                    looked += kept.item() * maps[i, 0, r, c].item()
                    total += maps[i, 0, r, c].item()
            area = cut.own[i].mean().item() if correct_lambda else decided["lam"][i].item()
            lam = (1 - ratio) * area + ratio * looked / total
            torch.testing.assert_close(late[i], lam * targets[i] + (1 - lam) * targets[PARTNER[i]])


def test_an_image_that_is_not_mixed_keeps_its_label_exactly_after_the_forward_pass():
    images, targets = (value.float() for value in batch())
    decided, maps = decide(p=0.0), random_maps(4, 4).float()
    outputs = Outputs(torch.randn(BATCH, BATCH), lambda targets: maps)
    for mixed in (
        transmix(images, targets, **some(decided, "lam", "centre"), attention=never),
        mixpro(images, targets, **some(decided, "lam", "noise"), attention=never),
    ):
        assert torch.equal(mixed.images, images)
        assert torch.equal(mixed.after_forward(outputs), targets)


def test_share_of_attention_where_no_attention_or_all_of_it_is_on_the_own_part():
    own = torch.zeros(2, 1, 8, 8)
    own[:, :, :4] = 1
    maps = torch.zeros(2, 1, 2, 2)
    maps[0, :, 0], maps[1, :, 1] = 0.5, 0.5
    assert attention_share(maps, own, "nearest").tolist() == [1.0, 0.0]
    assert attention_share(maps, own, "area").tolist() == [1.0, 0.0]


# MixPro


@pytest.mark.parametrize(("height", "width", "grid"), [(16, 16, 4), (12, 20, 2), (18, 18, 4)])
@pytest.mark.parametrize("one_lambda", [False, True])
def test_mixpro_by_brute_force(height, width, grid, one_lambda):
    images, targets = batch(height, width)
    generator = torch.Generator().manual_seed(5)
    for step in range(3):
        decided = decide(height, width, step, per_sample=True)
        options = {"grid": grid, "one_lambda": one_lambda}
        mixed = mixpro(images, targets, **some(decided, "lam", "noise"), attention=never, **options)
        logits = 3 * torch.randn(BATCH, BATCH, generator=generator, dtype=torch.float64)
        maps = random_maps(2, 2)
        late = mixed.after_forward(Outputs(logits, lambda targets, maps=maps: maps))
        for i in range(BATCH):
            lam = decided["lam"][0 if one_lambda else i].item()
            count = math.ceil(lam * grid**2)
            kept = decided["noise"][i].flatten()[: grid**2].argsort()[:count].tolist()
            own = np.zeros((height, width))
            for r in range(height):
                for c in range(width):
                    row = max(k for k in range(grid) if k * height // grid <= r)
                    column = max(k for k in range(grid) if k * width // grid <= c)
                    own[r, c] = row * grid + column in kept
            assert np.array_equal(mixed.own[i, 0].numpy(), own)
            torch.testing.assert_close(
                mixed.images[i], torch.where(torch.from_numpy(own) == 1, images[i], images[PARTNER[i]])
            )
            area = own.mean()
            by_area = area * targets[i].numpy() + (1 - area) * targets[PARTNER[i]].numpy()
            predicted = np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum()
            fit = by_area @ predicted / np.linalg.norm(by_area) / np.linalg.norm(predicted)
            halves = [slice(0, height // 2), slice(height // 2, None)], [slice(0, width // 2), slice(width // 2, None)]
            looked = sum(
                maps[i, 0, r, c].item() * own[halves[0][r], halves[1][c]].mean() for r in (0, 1) for c in (0, 1)
            )
            expected = fit * looked + (1 - fit) * area
            wanted = expected * targets[i] + (1 - expected) * targets[PARTNER[i]]
            torch.testing.assert_close(late[i], wanted, rtol=1e-6, atol=1e-7)


def test_mixpro_trusts_attention_as_far_as_the_prediction_fits():
    images, targets = batch()
    decided = decide(per_sample=True)
    mixed = mixpro(images, targets, **some(decided, "lam", "noise"), attention=never)
    maps = random_maps(4, 4)
    looked = attention_share(maps, mixed.own, "area")
    right = mixed.after_forward(Outputs(mixed.targets.clamp(min=1e-12).log(), lambda targets: maps))
    moved = torch.arange(BATCH) != PARTNER
    torch.testing.assert_close(own_weight(right)[moved], looked[moved], rtol=1e-5, atol=1e-6)
    others = torch.where(mixed.targets > 0, -100.0, 0.0).double()  # probability on no label of the image
    wrong = mixed.after_forward(Outputs(others, lambda targets: maps))
    torch.testing.assert_close(wrong, mixed.targets, rtol=1e-6, atol=1e-8)


# SMMix


def best_window(values, sides, sign):
    """Top left corner of the window of largest sign·sum, found one after the other."""
    corners = [(r, c) for r in range(len(values) - sides[0] + 1) for c in range(len(values[0]) - sides[1] + 1)]
    return max(corners, key=lambda p: sign * values[p[0] : p[0] + sides[0], p[1] : p[1] + sides[1]].sum().item())


@pytest.mark.parametrize(("height", "width", "patch"), [(16, 16, 2), (12, 20, 4), (16, 16, 8)])
@pytest.mark.parametrize("per_sample", [False, True])
def test_smmix_by_brute_force(height, width, patch, per_sample):
    images, targets = batch(height, width)
    rows, columns = height // patch, width // patch
    maps = random_maps(rows, columns)
    asked = []

    def attention(given, labels):
        asked.append((given, labels))
        return maps

    for step in range(4):
        decided = decide(height, width, step, per_sample=per_sample)
        mixed = smmix(images, targets, **some(decided, "applied", "size"), attention=attention)
        assert asked[-1][0] is images
        for i in range(BATCH):
            sides = []
            for count in (rows, columns):
                least = min(max(1, int(0.25 * count)), count - 1)
                choices = range(least, max(least, min(int(0.75 * count), count - 1)) + 1)
                sides.append(choices[int(decided["size"][i].item() * len(choices))])
            top, left = best_window(maps[i, 0], sides, -1)
            from_top, from_left = best_window(maps[PARTNER[i], 0], sides, 1)
            expected, area = images[i].clone(), patch**2 * sides[0] * sides[1]
            tall, wide = patch * sides[0], patch * sides[1]
            expected[:, patch * top : patch * top + tall, patch * left : patch * left + wide] = images[PARTNER[i]][
                :, patch * from_top : patch * from_top + tall, patch * from_left : patch * from_left + wide
            ]
            assert torch.equal(mixed.images[i], expected)
            lam = 1 - area / (height * width)
            torch.testing.assert_close(mixed.targets[i], lam * targets[i] + (1 - lam) * targets[PARTNER[i]])
            assert mixed.own[i].sum().item() == height * width - area


def test_smmix_sides_are_uniform_over_those_of_the_published_code():
    images, targets = torch.zeros(7000, 1, 14, 14), torch.eye(2)[torch.arange(7000) % 2]
    size = (torch.arange(7000) + 0.5) / 7000
    maps = torch.full((7000, 1, 14, 14), 1 / 196)
    neighbour = torch.arange(7000).roll(1)
    mixed = smmix(
        images,
        targets,
        partner=neighbour,
        applied=torch.ones(7000, dtype=torch.bool),
        size=size,
        attention=lambda images, targets: maps,
    )
    sides = (196 - mixed.own.sum(dim=(1, 2, 3))).sqrt().round().int()
    assert sides.unique().tolist() == list(range(3, 11))  # int(0.25 · 14) to int(0.75 · 14)
    assert sides.bincount()[3:].tolist() == [875] * 8


def test_smmix_on_a_map_of_one_patch_changes_nothing():
    images, targets = batch()
    one = torch.ones(BATCH, 1, 1, 1)
    mixed = smmix(images, targets, **some(decide(), "applied", "size"), attention=lambda images, targets: one)
    assert torch.equal(mixed.images, images)
    assert torch.equal(mixed.targets, targets)


# TokenMix


def rectangles(noise, wanted, rows, columns, minimum):
    """BEiT's mask, patch by patch, from the same uniform numbers."""
    numbers = ndtr(noise.double().flatten().numpy())
    taken = np.zeros((rows, columns), dtype=bool)
    for k in range(min(40, len(numbers) // 4)):
        missing = wanted - taken.sum()
        if missing == 0:
            break
        area, ratio, top, left = numbers[4 * k : 4 * k + 4]
        area = minimum + (missing - minimum) * area
        ratio = math.exp(math.log(0.3) + ratio * (math.log(1 / 0.3) - math.log(0.3)))
        tall, wide = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if not (tall < rows and wide < columns):
            continue
        row, column = int(top * (rows - tall + 1)), int(left * (columns - wide + 1))
        added = tall * wide - taken[row : row + tall, column : column + wide].sum()
        if 0 < added <= missing:
            taken[row : row + tall, column : column + wide] = True
    return taken


@pytest.mark.parametrize(("rows", "columns", "minimum"), [(8, 8, 4), (14, 14, 1), (3, 5, 2), (2, 2, 4)])
def test_block_masks_by_brute_force(rows, columns, minimum):
    for step in range(10):
        noise = decide(4 * rows, 4 * columns, step, per_sample=True)["noise"]
        wanted = torch.tensor([0, 1, rows * columns // 4, rows * columns // 2, rows * columns - 1, rows * columns])
        found = block_mask(noise, wanted, rows, columns, minimum)
        for i in range(BATCH):
            expected = rectangles(noise[i], wanted[i].item(), rows, columns, minimum)
            assert np.array_equal(found[i].numpy(), expected)


def test_block_masks_reach_the_wanted_number_nearly_always():
    reached = []
    for step in range(100):
        noise = decide(32, 32, step, per_sample=True)["noise"]
        found = block_mask(noise, torch.full((BATCH,), 32), 8, 8, 4)
        assert (found.sum(dim=(1, 2)) <= 32).all()
        reached += (found.sum(dim=(1, 2)) == 32).tolist()
    assert np.mean(reached) > 0.9


@pytest.mark.parametrize("mask", ["block", "random"])
@pytest.mark.parametrize("importance", ["attention", "area"])
@pytest.mark.parametrize(("fixed_share", "extra_tokens"), [(None, 0), (0.5, 3)])
def test_tokenmix_by_brute_force(mask, importance, fixed_share, extra_tokens):
    images, targets = batch(12, 20)
    maps = random_maps(3, 5)
    options = {"mask": mask, "importance": importance, "fixed_share": fixed_share, "extra_tokens": extra_tokens}
    for step in range(4):
        decided = decide(12, 20, step, per_sample=True)
        draws = some(decided, "lam", "noise")
        looked = []
        mixed = tokenmix(images, targets, **draws, teacher=seeing(maps, looked), **options)
        rough = tokenmix(images, targets, **draws, teacher=seeing(maps), **options, normalise=False)
        assert looked[0] is images
        for i in range(BATCH):
            lam = decided["lam"][i].item() if fixed_share is None else fixed_share
            wanted = min(15, math.floor((1 - lam) * 15) + extra_tokens)
            if mask == "block":
                taken = rectangles(decided["noise"][i], wanted, 3, 5, 4)
            else:
                taken = np.zeros(15, dtype=bool)
                taken[decided["noise"][i].flatten()[:15].argsort()[:wanted].numpy()] = True
                taken = taken.reshape(3, 5)
            pixels = torch.from_numpy(np.kron(taken, np.ones((4, 4))) == 1)
            assert torch.equal(mixed.images[i], torch.where(pixels, images[PARTNER[i]], images[i]))
            flat = np.full((3, 5), 1 / 15)
            of_own, of_partner = (flat if importance == "area" else maps[k, 0].numpy() for k in (i, PARTNER[i].item()))
            own, other = of_own[~taken].sum(), of_partner[taken].sum()
            published = own * targets[i] + other * targets[PARTNER[i]]
            torch.testing.assert_close(mixed.targets[i], published / (own + other))
            torch.testing.assert_close(rough.targets[i] * rough.weights[i], published)
        assert mixed.weights is None


def test_weights_in_place_of_sums_are_the_published_loss():
    images, targets = batch(12, 20)
    draws = some(decide(12, 20, per_sample=True), "lam", "noise")
    mixed = tokenmix(images, targets, **draws, teacher=seeing(random_maps(3, 5)), normalise=False)
    logits = torch.randn(BATCH, BATCH, dtype=torch.float64)
    published = -(mixed.targets * mixed.weights[:, None] * logits.log_softmax(dim=1)).sum(dim=1).mean()
    torch.testing.assert_close((loss_per_row(LOSSES["ce"], logits, mixed.targets) * mixed.weights).mean(), published)
    assert (mixed.weights - 1).abs().max() > 0.01


# In training


VIT = ("model=vit", "model.dim=6", "model.depth=2", "model.patch=2", "train=vit")


def engine_of(*words):
    with Composer() as composer:
        fixed = ("dataset=digits", "n=12", "train.batch_size=6", "train.steps=10", "train.warmup=0", "augment=none")
        cfg = job(composer.compose([*VIT, *fixed, *words])).cfg
    return Engine(cfg, split(data.load("digits", "", None, say=print), cfg), torch.device("cpu"), torch.float64)


def attention_of(model, images):
    seen = {}
    with torch.no_grad():
        model(images, lambda name, features: seen.setdefault(name, features))
    return model.attention(seen[model.ATTENTION], None)


def test_transmix_trains_by_the_attention_of_the_mixed_image():
    engine = engine_of("method=transmix")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in engine.model.parameters():
            parameter.normal_(std=1.5)  # attention that is far from uniform
    decided = {name: values[0] for name, values in engine.plans(0, 1).items()}
    mixed = engine.batch(decided)
    maps = attention_of(engine.model, mixed.images)
    assert maps.std() > 0.01
    share = (mixed.own[:, :, ::2, ::2] * maps).sum(dim=(1, 2, 3))
    lam = 0.5 * mixed.own.mean(dim=(1, 2, 3)) + 0.5 * share
    hot = F.one_hot(engine.labels[decided["index"]], 10).double()
    expected = lam[:, None] * hot + (1 - lam[:, None]) * hot[decided["partner"]]
    logits, late = engine.outputs(mixed)
    torch.testing.assert_close(late, expected)
    torch.testing.assert_close(engine.step(decided, 0.01), F.cross_entropy(logits, expected).detach())


@pytest.mark.parametrize("name", ["smmix", "tokenmix"])
def test_the_clean_images_attention_is_that_of_the_network_as_it_is_at_the_step(name):
    engine = engine_of(f"method={name}")
    decided = {key: values[0] for key, values in engine.plans(0, 1).items()}
    images = engine.normalise(engine.images[decided["index"]].permute(0, 3, 1, 2))
    served = engine.context(decided).serve("attention", images, torch.zeros(6, 10))
    before = served(images, torch.zeros(6, 10))
    torch.testing.assert_close(before, attention_of(engine.model, images))
    engine.step(decided, 0.1)
    assert not torch.allclose(served(images, torch.zeros(6, 10)), before)


@pytest.mark.parametrize("name", ["transmix", "mixpro", "smmix", "tokenmix"])
def test_a_network_without_attention_is_refused_in_one_line_that_names_those_with_it(name, mixbench):
    folder = Path("mine/model")
    folder.mkdir(parents=True)
    (folder / "flat.py").write_text(
        "from torch import nn\n\n\ndef flat(channels, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, classes))\n"
    )
    (folder / "flat.yaml").write_text("# Flat: a linear classifier\nfunction: flat.py:flat\n")
    words = ("dataset=digits", "n=10", "train.steps=2", "device=cpu", "model=flat", "--config-dir", "mine")
    found = mixbench("run", *words, f"method={name}")
    assert found.status == 2
    assert len(found.err.splitlines()) == 1
    for model in ("preact_resnet18", "resnet18", "vit", "wrn"):
        assert model in found.err
    assert not Path("results").exists()
