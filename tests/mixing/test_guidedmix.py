"""GuidedMixup: saliency against torchvision's grey images and blur, the greedy cycle against a loop, pixel weights."""

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as TF

from mixbench.mixing import Gradient, guidedmix
from mixbench.mixing.guidedmix import farthest_cycle, spectral_residual

BATCH = 7
PARTNER = torch.tensor([3, 0, 5, 1, 4, 6, 2])
ALL = torch.ones(BATCH, dtype=torch.bool)


def batch(height=16, width=16, channels=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(BATCH, channels, height, width, generator=generator), torch.eye(BATCH)


def blurred(maps):
    return TF.gaussian_blur(maps[:, None], [7, 7], [3.0, 3.0])[:, 0]


@pytest.mark.parametrize(("height", "width", "channels"), [(16, 16, 3), (12, 20, 3), (9, 8, 1)])
def test_spectral_residual_by_numpy(height, width, channels):
    images, _ = batch(height, width, channels)
    grey = (TF.rgb_to_grayscale(images) if channels == 3 else images)[:, 0].numpy().astype(np.float64)
    maps = []
    for image in grey:
        spectrum = np.fft.fft2(image)
        amplitude = np.sqrt(np.abs(spectrum) ** 2 + 1e-10)
        padded = np.pad(np.log(amplitude), 1, mode="edge")
        usual = sum(padded[r : r + height, c : c + width] for r in range(3) for c in range(3)) / 9
        residual = np.exp(np.log(amplitude) - usual)
        maps.append(np.abs(np.fft.ifft2(residual * spectrum / amplitude)))
    expected = blurred(torch.from_numpy(np.array(maps)))
    torch.testing.assert_close(spectral_residual(images).double(), expected, rtol=1e-3, atol=1e-6)


def cycle_by_loop(maps, available):
    """The published loop, with images that do not take part left out."""
    places = [i for i in range(len(maps)) if available[i]]
    flat = maps.flatten(1).double().numpy()
    distance = {(i, j): np.linalg.norm(flat[i] - flat[j]) for i in places for j in places if i != j}
    partners = list(range(len(maps)))
    if len(places) < 2:
        return partners
    first, last = max(distance, key=lambda pair: (distance[pair], -pair[0], -pair[1]))
    partners[first] = last
    left = set(places) - {first, last}
    while left:
        following = max(left, key=lambda j: distance[last, j])
        partners[last] = following
        left -= {following}
        last = following
    partners[last] = first
    return partners


@pytest.mark.parametrize("missing", [(), (0,), (1, 4, 6), (0, 1, 2, 3, 4, 5), tuple(range(7))])
@pytest.mark.parametrize("seed", range(4))
def test_the_greedy_cycle_by_a_loop(missing, seed):
    maps = torch.rand(BATCH, 5, 6, generator=torch.Generator().manual_seed(seed))
    available = ALL.clone()
    available[list(missing)] = False
    assert farthest_cycle(maps, available).tolist() == cycle_by_loop(maps, available)


def test_the_cycle_visits_all_images_even_if_they_are_alike():
    partners = farthest_cycle(torch.ones(BATCH, 3, 3), ALL)
    visited, place = [], 0
    for _ in range(BATCH):
        visited.append(place)
        place = partners[place].item()
    assert sorted(visited) == list(range(BATCH))
    assert place == 0


@pytest.mark.parametrize("saliency", ["spectral", "gradient"])
@pytest.mark.parametrize("pairing", ["greedy", "random"])
def test_pixels_are_weighted_by_saliency_and_labels_by_the_mean_weight(saliency, pairing):
    images, targets = batch(12, 20)
    gradient = Gradient(torch.rand(images.shape, generator=torch.Generator().manual_seed(1)) ** 4)
    applied = ALL.clone()
    applied[2] = False
    options = {"partner": PARTNER, "applied": applied, "saliency": saliency, "pairing": pairing}
    mixed = guidedmix(images, targets, input_gradient=gradient, **options)
    raw = spectral_residual(images) if saliency == "spectral" else gradient.values.square().mean(dim=1).sqrt()
    maps = blurred(raw.double())
    maps = maps / maps.sum(dim=(1, 2), keepdim=True)
    chosen = PARTNER.tolist() if pairing == "random" else cycle_by_loop(maps, applied)
    for i in range(BATCH):
        own = maps[i] / (maps[i] + maps[chosen[i]]) if applied[i] else torch.ones(12, 20).double()
        expected = own * images[i] + (1 - own) * images[chosen[i]]
        torch.testing.assert_close(mixed.images[i].double(), expected, atol=1e-5, rtol=1e-4)
        share = own.mean()
        expected = (share * targets[i] + (1 - share) * targets[chosen[i]]).double()
        torch.testing.assert_close(mixed.targets[i].double(), expected, atol=1e-5, rtol=1e-4)


def test_the_gradient_is_computed_only_for_its_own_saliency():
    images, targets = batch()

    def never():
        raise AssertionError("the spectral residual needs no network")

    guidedmix(images, targets, partner=PARTNER, applied=ALL, input_gradient=Gradient(never))
    with pytest.raises(AssertionError, match="no network"):
        guidedmix(images, targets, partner=PARTNER, applied=ALL, input_gradient=Gradient(never), saliency="gradient")
