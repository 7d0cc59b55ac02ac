"""Random erasing, CutMix with drawn sides, ResizeMix, GridMix: against torchvision, timm, torch and brute force."""

import math

import numpy as np
import pytest
import timm.data.mixup
import torch
from torch.nn import functional as F
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from mixbench.mixing import cutmix, gridmix, random_erasing, resizemix

SIZES = [(16, 16), (12, 20), (20, 12)]
every_size = pytest.mark.parametrize(("height", "width"), SIZES)


def pair(mixed):
    return mixed.images, mixed.targets


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def numbered(batch, height, width):
    """Images that are nowhere 0 and nowhere alike."""
    return torch.arange(1, batch * height * width + 1).view(batch, 1, height, width).float()


# Random erasing


def torchvisions_erasing(image, attempts, place, scale, ratio, monkeypatch):
    """v2.RandomErasing with the numbers that we draw in place of its own."""
    numbers, places = iter(attempts.flatten().tolist()), iter(place.tolist())

    def drawn(low, high):
        return torch.tensor([low + (high - low) * next(numbers)], dtype=torch.float64)

    class Empty:
        def uniform_(self, low, high):
            return drawn(low, high)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", lambda size: Empty())
        patch.setattr(torch, "randint", lambda low, high, size: torch.tensor([int(next(places) * high)]))
        transform = v2.RandomErasing(p=1.0, scale=scale, ratio=ratio)
        parameters = transform.make_params([image])
    return transform.transform(image, parameters)


@every_size
@pytest.mark.parametrize(
    ("scale", "ratio"), [((0.02, 0.33), (0.3, 3.3)), ((0.6, 1.0), (0.2, 5.0)), ((0.001, 0.004), (0.1, 10))]
)
def test_random_erasing_is_torchvisions(height, width, scale, ratio, monkeypatch):
    batch = 40
    images = numbered(batch, height, width)
    attempts, place = uniform(batch, 10, 2), uniform(batch, 2, seed=1)
    options = {"min_area": scale[0], "max_area": scale[1], "min_ratio": ratio[0], "max_ratio": ratio[1]}
    chosen = torch.ones(batch, dtype=torch.bool)
    erased, _ = pair(
        random_erasing(
            images,
            torch.eye(batch),
            chosen=chosen,
            attempts=attempts,
            place=place,
            **(options if scale[0] != 0.02 else {}),
        )
    )
    for i in range(batch):
        expected = torchvisions_erasing(images[i], attempts[i], place[i], scale, ratio, monkeypatch)
        assert torch.equal(erased[i], expected)


def test_random_erasing_uses_the_first_rectangle_that_fits_and_none_where_none_does():
    images = numbered(2, 10, 10)
    attempts = torch.full((2, 10, 2), 0.999, dtype=torch.float64)  # 10 by 10: not lower than the image
    attempts[1, 3] = torch.tensor([0.25, 0.5])
    attempts[1, 4] = torch.tensor([0.0, 0.5])
    decided = {"chosen": torch.tensor([True, True]), "attempts": attempts, "place": torch.zeros(2, 2)}
    options = {"min_area": 1e-9, "max_area": 1.0, "min_ratio": 0.999, "max_ratio": 1 / 0.999}
    erased, _ = pair(random_erasing(images, torch.eye(2), **decided, **options))
    assert torch.equal(erased[0], images[0])
    assert (erased[1, 0] == 0).nonzero().tolist() == [[r, c] for r in range(5) for c in range(5)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_area": 0.0}, "min_area=0.0: must be above 0 and at most max_area, 0.33"),
        ({"min_area": 0.5}, "min_area=0.5: must be above 0 and at most max_area, 0.33"),
        ({"max_area": 1.5}, "max_area=1.5: must be at most 1"),
        ({"min_ratio": -1.0}, "min_ratio=-1.0: must be above 0 and at most max_ratio, 3.3"),
    ],
)
def test_random_erasing_names_bounds_that_are_none(options, message):
    decided = {"chosen": torch.tensor([True]), "attempts": torch.rand(1, 10, 2), "place": torch.rand(1, 2)}
    with pytest.raises(ValueError, match=message):
        random_erasing(torch.ones(1, 1, 8, 8), torch.eye(1), **decided, **options)


# CutMix with drawn sides


def timms_box(height, width, bounds, sides, place, monkeypatch):
    """timm's rand_bbox_minmax with the numbers that we draw; its sides stop one pixel before the upper bound."""
    numbers = iter([*sides.tolist(), *place.tolist()])
    extra = iter([1, 1, 0, 0])

    def drawn(low, high, size):
        return low + int(next(numbers) * (high - low + next(extra)))

    with monkeypatch.context() as patch:
        patch.setattr(np.random, "randint", drawn)
        return timm.data.mixup.rand_bbox_minmax((height, width), bounds)


@every_size
@pytest.mark.parametrize("bounds", [(0.2, 0.8), (0.5, 0.5), (0.3, 1.0)])
def test_drawn_sides_are_timms_up_to_the_largest(height, width, bounds, monkeypatch):
    batch = 5
    images, partner = numbered(batch, height, width), torch.arange(batch).roll(1)
    sides, place = uniform(batch, 2, seed=1), uniform(batch, 2, seed=2)
    lam, centre = torch.tensor([0.1, 0.9, 0.5, 0.5, 1.0]), torch.zeros(batch, 2, dtype=torch.long)
    options = {"min_side": bounds[0], "max_side": bounds[1]}
    drawn = {"partner": partner, "lam": lam, "centre": centre, "sides": sides, "place": place}
    mixed, targets = pair(cutmix(images, torch.eye(batch), **drawn, **options))
    for i in range(batch - 1):
        top, bottom, left, right = timms_box(height, width, bounds, sides[i], place[i], monkeypatch)
        expected = images[i].clone()
        expected[:, top:bottom, left:right] = images[partner[i], :, top:bottom, left:right]
        assert torch.equal(mixed[i], expected)
        assert targets[i, partner[i]].item() == pytest.approx((bottom - top) * (right - left) / (height * width))
    assert torch.equal(mixed[-1], images[-1])
    assert torch.equal(targets[-1], torch.eye(batch)[-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_side": 0.2}, "min_side=0.2: must be set together with max_side"),
        ({"max_side": 0.2}, "min_side=null: must be set together with max_side=0.2"),
        ({"min_side": 0.0, "max_side": 0.5}, "min_side=0.0: must be above 0"),
        ({"min_side": 0.6, "max_side": 0.5}, "min_side=0.6: must be above 0 and at most max_side, 0.5"),
        ({"min_side": 0.6, "max_side": 1.5}, "max_side=1.5: must be at most 1"),
        ({"min_side": 0.2, "max_side": 0.5, "correct_lambda": False}, "correct_lambda=False"),
    ],
)
def test_sides_that_do_not_fit_are_refused(options, message):
    drawn = {"partner": torch.zeros(1, dtype=torch.long), "lam": torch.zeros(1), "centre": torch.zeros(1, 2).long()}
    drawn |= {"sides": torch.full((1, 2), 0.5), "place": torch.full((1, 2), 0.5)}
    with pytest.raises(ValueError, match=message):
        cutmix(torch.ones(1, 1, 8, 8), torch.eye(1), **drawn, **options)


# ResizeMix


def slopes(height, width):
    """Two images: a slope across rows and columns, and the negative of another."""
    rows, columns = torch.linspace(1, 2, height)[:, None], torch.linspace(0, 3, width)
    return torch.stack([(rows + columns).expand(3, -1, -1), -(2 * rows + columns).expand(3, -1, -1)])


def resized(image, height, width, interpolation):
    if interpolation == "nearest":
        return F.interpolate(image[None], (height, width), mode="nearest")[0]
    # torch 2.15 gives all rows of a result one pixel wide the same value, but not in this memory format.
    return TF.resize(image[None].contiguous(memory_format=torch.channels_last), [height, width], antialias=True)[0]


@every_size
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [1e-9, 0.2, 0.5, 0.77, 1 - 1e-9])
@pytest.mark.parametrize("place", [(0.0, 0.0), (0.3, 0.8), (0.999, 0.999)])
def test_resizemix_pastes_the_whole_partner_as_torchvision_resizes_it(height, width, interpolation, size, place):
    images, partner = slopes(height, width), torch.tensor([1, 0])
    mixed, targets = pair(
        resizemix(
            images,
            torch.eye(2),
            partner=partner,
            applied=torch.tensor([True, True]),
            size=torch.tensor([size, size], dtype=torch.float64),
            place=torch.tensor([place, place], dtype=torch.float64),
            interpolation=interpolation,
        )
    )
    tau = 0.1 + 0.7 * size
    h, w = max(1, math.floor(tau * height)), max(1, math.floor(tau * width))
    top, left = math.floor(place[0] * (height - h + 1)), math.floor(place[1] * (width - w + 1))
    for i in range(2):
        expected = images[i].clone()
        expected[:, top : top + h, left : left + w] = resized(images[1 - i], h, w, interpolation)
        torch.testing.assert_close(mixed[i], expected)
        share = 1 - h * w / (height * width)
        assert targets[i, i].item() == pytest.approx(share, abs=1e-6)
    if (
        interpolation == "bilinear" and min(h, w) > 2
    ):  # the pasted slope spans nearly the partner's own, not a part of it
        pasted = mixed[0, 0, top : top + h, left : left + w]
        partners = images[1, 0]
        assert pasted.max() - pasted.min() > (1 - 1.5 / min(h, w)) * (partners.max() - partners.min())


def test_resizemix_with_a_size_and_place_for_each_image():
    batch, height, width = 12, 14, 18
    images = torch.randn(batch, 2, height, width, generator=torch.Generator().manual_seed(0))
    partner = torch.randperm(batch, generator=torch.Generator().manual_seed(1))
    size, place, applied = uniform(batch), uniform(batch, 2, seed=1), torch.arange(batch) % 4 > 0
    decided = {"partner": partner, "applied": applied, "size": size, "place": place}
    mixed, targets = pair(resizemix(images, torch.eye(batch), **decided, min_scale=0.01, max_scale=1.0))
    for i in range(batch):
        tau = 0.01 + 0.99 * size[i].item()
        h, w = max(1, int(tau * height)), max(1, int(tau * width))
        top, left = int(place[i, 0] * (height - h + 1)), int(place[i, 1] * (width - w + 1))
        expected = images[i].clone()
        if applied[i]:
            expected[:, top : top + h, left : left + w] = resized(images[partner[i]], h, w, "bilinear")
            torch.testing.assert_close(mixed[i], expected)
        else:
            assert torch.equal(mixed[i], images[i])
            assert targets[i].tolist() == torch.eye(batch)[i].tolist()


def test_resizemix_shifted_is_a_uniform_centre_moved_back_into_the_image():
    """As the published code draws it: clip the top, then the bottom, then the top again."""
    batch, height, width = 400, 10, 14
    images, partner = torch.zeros(batch, 1, height, width), torch.arange(batch).roll(1)
    images[::2] = 1
    size, place = uniform(batch), uniform(batch, 2, seed=1)
    decided = {"partner": partner, "applied": torch.ones(batch, dtype=torch.bool), "size": size, "place": place}
    mixed, _ = pair(resizemix(images, torch.eye(batch), **decided, position="shifted"))
    for i in range(batch):
        tau = 0.1 + 0.7 * size[i].item()
        spans = []
        for u, side in zip(place[i].tolist(), (height, width), strict=True):
            length = max(1, int(tau * side))
            start = np.clip(int(u * side) - length // 2, 0, side)
            stop = np.clip(start + length, 0, side)
            spans.append((np.clip(stop - length, 0, side), stop))
        changed = (mixed[i, 0] - images[i, 0]).abs() > 0.5
        (top, bottom), (left, right) = spans
        expected = torch.zeros(height, width, dtype=torch.bool)
        expected[top:bottom, left:right] = True
        assert torch.equal(changed, expected)


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.6, 0.5), (0.5, 1.1)])
def test_resizemix_names_scales_that_are_none(low, high):
    some = {"partner": torch.tensor([0]), "applied": torch.tensor([True]), "size": uniform(1), "place": uniform(1, 2)}
    with pytest.raises(ValueError, match=r"^(min|max)_scale="):
        resizemix(torch.ones(1, 1, 8, 8), torch.eye(1), **some, min_scale=low, max_scale=high)


# GridMix


@pytest.mark.parametrize(("height", "width", "grid"), [(16, 16, 4), (13, 22, 4), (22, 13, 5), (9, 12, 30), (32, 32, 2)])
@pytest.mark.parametrize("masks", [1, 6])
def test_gridmix_by_brute_force(height, width, grid, masks):
    batch, g = 6, min(grid, height, width)
    images, partner = torch.randn(batch, 2, height, width), torch.tensor([1, 2, 3, 4, 5, 0])
    lam = torch.tensor([0.0, 0.11, 0.4, 0.53, 0.999, 1.0], dtype=torch.float64)
    noise = torch.randn(masks, height, width // 2 + 1, 2, generator=torch.Generator().manual_seed(0))
    decided = {"partner": partner, "lam": lam, "noise": noise, "grid": grid}
    mixed, targets = pair(gridmix(images, torch.eye(batch), **decided))
    for i in range(batch):
        numbers = noise[i if masks > 1 else 0].flatten()[: g * g].tolist()
        kept = sorted(range(g * g), key=numbers.__getitem__)[: round(lam[i].item() * g * g)]
        expected, own = images[partner[i]].clone(), 0
        for cell in kept:
            down, across = divmod(cell, g)
            rows = slice(down * height // g, (down + 1) * height // g)
            columns = slice(across * width // g, (across + 1) * width // g)
            expected[:, rows, columns] = images[i][:, rows, columns]
            own += (rows.stop - rows.start) * (columns.stop - columns.start)
        assert torch.equal(mixed[i], expected)
        assert targets[i, i].item() == pytest.approx(own / (height * width), abs=1e-6)
    same, drawn = pair(gridmix(images, torch.eye(batch), **decided, correct_lambda=False))
    assert torch.equal(same, mixed)
    torch.testing.assert_close(drawn.diagonal(), lam.float())


def test_gridmix_names_a_grid_that_is_none():
    decided = {"partner": torch.tensor([0]), "lam": torch.ones(1), "noise": torch.randn(1, 8, 5, 2)}
    with pytest.raises(ValueError, match=r"^grid=1: .*\b2$"):
        gridmix(torch.ones(1, 1, 8, 8), torch.eye(1), **decided, grid=1)
