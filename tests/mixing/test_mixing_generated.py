"""The methods that join an image with a variant of itself, against an implementation with NumPy."""

import numpy as np
import pytest
import torch

from mixbench.core.draws import Plan
from mixbench.mixing import Generated, diffusemix, filter_mix
from mixbench.mixing.generated import half_masks

SHAPE = (6, 3, 10, 14)
rng = np.random.default_rng(0)
IMAGES, FRACTALS = (torch.from_numpy(rng.standard_normal(SHAPE)) for _ in range(2))
VARIANTS = torch.from_numpy(rng.standard_normal((6, 4, *SHAPE[1:])))
TARGETS = torch.eye(6, dtype=torch.float64)


def picked(position, count):
    return (position * count).long()


GENERATED = Generated(
    lambda position: VARIANTS[torch.arange(6), picked(position, 4)],
    lambda position: FRACTALS[picked(position, 6)],
)


def mixed(picks, function=diffusemix, chosen=None, **options):
    chosen = torch.ones(6, dtype=torch.bool) if chosen is None else chosen
    return function(IMAGES, TARGETS, chosen=chosen, picks=torch.as_tensor(picks), generated=GENERATED, **options)


def published(image, variant, fractal, below, seam_pixels):
    """What augment/utils.py of khawar-islam/diffuseMix computes of float images [C, H, W], from its description.

    The variant's weight is 0 before the seam in the middle, rises from 0 to 1 over its pixels, and is 1 after it.
    """
    side = image.shape[1 if below else 2]
    before = side // 2 - seam_pixels // 2
    weight = np.concatenate([np.zeros(before), np.linspace(0, 1, seam_pixels), np.ones(side - before - seam_pixels)])
    weight = weight[:, None] if below else weight[None, :]
    return 0.8 * ((1 - weight) * image + weight * variant) + 0.2 * fractal


@pytest.mark.parametrize("below", [True, False])
@pytest.mark.parametrize("function", [diffusemix, filter_mix])
def test_with_the_published_seam_and_side_it_is_the_published_code(below, function):
    picks = rng.random((6, 4))
    picks[:, 2] = 0.2 if below else 0.7
    side = SHAPE[2 if below else 3]
    found = mixed(picks, function, seam=3 / side, own_side="first")  # of 4 pixels: 0, 1/3, 2/3, 1
    for i in range(6):
        variant, fractal = VARIANTS[i, int(4 * picks[i, 0])], FRACTALS[int(6 * picks[i, 1])]
        expected = published(IMAGES[i].numpy(), variant.numpy(), fractal.numpy(), below, 4)
        np.testing.assert_allclose(found.images[i].numpy(), expected, atol=1e-12)
    assert torch.equal(found.targets, TARGETS)


def test_the_seam_of_512_pixels_is_that_of_the_published_code():
    own = half_masks(torch.zeros(1, 1, 512, 2), torch.tensor([True]), torch.tensor([False]), 19 / 512)[0, 0, :, 0]
    assert ((own > 0) & (own < 1)).sum() == 18  # 20 pixels, the first with 1 and the last with 0
    assert own[245] == own[246] == 1
    assert own[265] == own[266] == 0


def test_own_is_the_share_of_the_image_and_halves_are_halves():
    found = mixed(rng.random((6, 4)))
    variants, hybrid = found.stages["variant"], found.stages["hybrid"]
    own = found.own
    torch.testing.assert_close(own.mean(dim=(1, 2, 3)), torch.full((6,), 0.4, dtype=torch.float64))
    torch.testing.assert_close(hybrid, own / 0.8 * IMAGES + (1 - own / 0.8) * variants)
    torch.testing.assert_close(found.images, 0.8 * hybrid + 0.2 * found.stages["fractal"])
    assert list(found.stages) == ["image", "variant", "hybrid", "fractal", "result"]


def test_directions_and_sides_by_their_draws():
    picks = [[0.5, 0.5, direction, half] for direction, half in [(0.1, 0.9), (0.1, 0.1), (0.9, 0.9), (0.9, 0.1)]]
    own = mixed([*picks, *picks[:2]], fractal=0.0, seam=0.0).own[:4, 0]
    top, bottom, left, right = own[:, :5], own[:, 5:], own[:, :, :7], own[:, :, 7:]
    assert [part[i].min().item() for i, part in enumerate((top, bottom, left, right))] == [1, 1, 1, 1]
    assert [part[i].max().item() for i, part in enumerate((bottom, top, right, left))] == [0, 0, 0, 0]
    first = mixed([*picks, *picks[:2]], fractal=0.0, seam=0.0, own_side="first").own[:4, 0]
    assert torch.equal(first, torch.stack([own[0], own[0], own[2], own[2]]))


@pytest.mark.parametrize("side", [1, 2, 7, 8, 33])
@pytest.mark.parametrize("seam", [0.0, 0.04, 0.5, 1.0])
def test_a_mask_and_its_mirror_image_sum_to_1_on_every_side(side, seam):
    images = torch.zeros(2, 1, side, side, dtype=torch.float64)
    both = half_masks(images, torch.tensor([True, False]), torch.tensor([False, True]), seam)
    torch.testing.assert_close(both + both.flip(2, 3), torch.ones_like(both))
    assert both.sum(dim=(1, 2, 3)) == pytest.approx(side * side / 2)


def test_every_variant_fractal_direction_and_side_is_drawn_equally_often():
    picks = Plan(0, 100, 50, 8, 8, draws=("picks",), per_sample=True).drawn(0, 200)["picks"].reshape(-1, 4)
    for column in picks.T:
        counts = np.bincount((column * 5).astype(int), minlength=5) / len(column)
        assert counts == pytest.approx(0.2, abs=0.02)
    assert np.abs(np.corrcoef(picks.T) - np.eye(4)).max() < 0.05


def test_images_that_are_not_chosen_stay_exactly_as_they_are():
    chosen = torch.tensor([True, False] * 3)
    found = mixed(rng.random((6, 4)), chosen=chosen)
    assert torch.equal(found.images[1::2], IMAGES[1::2])
    assert (found.own[1::2] == 1).all()
    assert not torch.equal(found.images[::2], IMAGES[::2])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seam": -0.1}, "seam=-0.1"),
        ({"seam": 2}, "seam=2"),
        ({"fractal": 1.0}, "fractal=1.0"),
        ({"own_side": "last"}, "last"),
    ],
)
def test_values_out_of_range_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        mixed(rng.random((6, 4)), **options)
