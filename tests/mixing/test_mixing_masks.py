"""SmoothMix and FMix against NumPy, by hand and by its Fourier transform."""

import math

import numpy as np
import pytest
import torch

from mixbench.mixing import fmix, smoothmix
from mixbench.mixing.masks import low_frequency

SIZES = [(16, 16), (12, 20), (21, 13)]
every_size = pytest.mark.parametrize(("height", "width"), SIZES)
CYCLE = torch.tensor([1, 2, 3, 4, 5, 0])


def pair(mixed):
    return mixed.images, mixed.targets


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# SmoothMix


@every_size
@pytest.mark.parametrize("bounds", [None, (0.05, 1.5)])
def test_smoothmix_by_hand(height, width, bounds):
    images = normal(6, 3, height, width)
    centre = torch.tensor([[0, 0], [5, 9], [11, 12], [0, 12], [11, 0], [7, 7]])
    size = torch.linspace(0.01, 0.99, 6, dtype=torch.float64)
    applied = torch.tensor([True, True, True, False, True, True])
    low, high = bounds or (0.25, 0.5)
    options = {"min_sigma": low, "max_sigma": high} if bounds else {}
    mixed, targets = pair(
        smoothmix(images, torch.eye(6), partner=CYCLE, applied=applied, centre=centre, size=size, **options)
    )
    for i in range(6):
        sigma = (low + (high - low) * size[i].item()) * min(height, width)
        row, column = centre[i].tolist()
        mask = np.array(
            [
                [math.exp(-((r - row) ** 2 + (c - column) ** 2) / (2 * sigma**2)) for c in range(width)]
                for r in range(height)
            ]
        )
        mask = torch.from_numpy(mask * applied[i].item()).float()
        torch.testing.assert_close(mixed[i], images[i] * (1 - mask) + images[CYCLE[i]] * mask)
        assert targets[i, i].item() == pytest.approx(1 - mask.mean().item(), abs=1e-6)
    assert torch.equal(mixed[3], images[3])


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (0.6, 0.5)])
def test_smoothmix_names_widths_that_are_none(low, high):
    some = {"partner": torch.tensor([0]), "applied": torch.tensor([True]), "centre": torch.zeros(1, 2).long()}
    with pytest.raises(ValueError, match=rf"^min_sigma={low}: .*\b0\b.*\bmax_sigma\b.*\b0\.5$"):
        smoothmix(torch.ones(1, 1, 8, 8), torch.eye(1), size=torch.rand(1), **some, min_sigma=low, max_sigma=high)


# FMix


def numpys_field(noise, height, width, decay_power, spectrum="complex"):
    """[H, W] from noise [H, W // 2 + 1, 2]; "interleaved" was the recipe of 13 February 2020, a reshape of numbers."""
    if spectrum == "published":
        return numpys_published_field(noise, height, width, decay_power)
    across = np.abs(np.fft.fftfreq(width)[: width // 2 + 1])
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], across)
    scaled = noise.double().numpy() / np.maximum(frequency, 1 / max(height, width))[..., None] ** decay_power
    half = scaled[..., 0] + 1j * scaled[..., 1] if spectrum == "complex" else scaled.reshape(height, -1)
    return np.fft.irfftn(half, (height, width), axes=(0, 1))


def numpys_published_field(noise, height, width, decay_power):
    """The recipe of FMix's fmix.py since 17 February 2020: real and imaginary part are two rows of the spectrum.

    Its columns of numbers, [columns, 2], are what the inverse transform gets, which pads them to height and half width.
    """
    columns = width // 2 + (2 if width % 2 else 1)
    numbers = np.zeros((height, columns, 2))  # of which it uses two rows
    numbers[:2] = noise.double().numpy().ravel()[: 4 * columns].reshape(2, columns, 2)
    frequency = np.sqrt(np.fft.fftfreq(width)[:columns] ** 2 + np.fft.fftfreq(height)[:, None] ** 2)
    spectrum = numbers / np.maximum(frequency, 1 / max(height, width))[:, :, None] ** decay_power
    return np.real(np.fft.irfftn(spectrum[0] + 1j * spectrum[1], (height, width), axes=(0, 1)))


@every_size
@pytest.mark.parametrize("masks", [1, 6])
@pytest.mark.parametrize("spectrum", ["complex", "published", "interleaved"])
@pytest.mark.parametrize("decay_power", [3.0, 1.0])
def test_fmix_by_numpys_fourier_transform_and_sort(height, width, masks, spectrum, decay_power):
    images = normal(6, 3, height, width)
    noise = normal(masks, height, width // 2 + 1, 2, seed=1)
    lam = torch.tensor([0.0, 0.137, 0.42, 0.5, 0.93, 1.0], dtype=torch.float64)
    coin = torch.tensor([True, False, True, False, True, False])
    decided = {"partner": CYCLE, "lam": lam, "noise": noise, "coin": coin}
    options = {"decay_power": decay_power, "spectrum": spectrum}
    fields = low_frequency(noise, height, width, decay_power, spectrum)
    mixed, targets = pair(fmix(images, torch.eye(6), **decided, **options))
    _, exact = pair(fmix(images, torch.eye(6), **decided, **options, correct_lambda=True))
    for i in range(6):
        field = numpys_field(noise[i % masks], height, width, decay_power, spectrum)
        np.testing.assert_allclose(fields[i % masks].numpy(), field, atol=1e-9 * np.abs(field).max())
        count = (math.ceil if coin[i] else math.floor)(lam[i].item() * height * width)
        own = (mixed[i] == images[i]).all(dim=0)
        assert own.sum() == count
        if 0 < count < height * width:  # the brightest stay; pairs of a symmetric field may differ in rounding alone
            assert field[own.numpy()].min() >= field[~own.numpy()].max() - 1e-9 * np.abs(field).max()
        assert torch.equal(mixed[i][:, ~own], images[CYCLE[i]][:, ~own])
        assert targets[i, i].item() == pytest.approx(lam[i].item(), abs=1e-6)
        assert exact[i, i].item() == pytest.approx(count / (height * width), abs=1e-6)


@every_size
def test_fmix_of_a_whole_number_of_pixels_is_that_number_whatever_the_coin(height, width):
    pixels = height * width
    batch = 2 * (pixels // 2)
    lam = torch.arange(batch, dtype=torch.float64) / pixels
    images = (torch.arange(batch) % 2).view(-1, 1, 1, 1).expand(-1, 1, height, width).half()
    partner = torch.arange(batch) ^ 1  # each white image has a black one
    for up in (True, False):
        decided = {"lam": lam, "noise": normal(1, height, width // 2 + 1, 2), "coin": torch.full((batch,), up)}
        mixed, targets = pair(fmix(images, torch.eye(batch), partner=partner, **decided, correct_lambda=True))
        assert torch.equal((mixed == images).sum(dim=(1, 2, 3)), torch.arange(batch))
        torch.testing.assert_close(targets.diagonal(), lam.float())


@pytest.mark.parametrize("decay_power", [1.0, 2.0, 3.0])
def test_the_power_of_the_field_falls_with_frequency_to_minus_twice_the_decay(decay_power):
    size = 64
    fields = low_frequency(normal(200, size, size // 2 + 1, 2), size, size, decay_power)
    power = torch.fft.rfft2(fields).abs().square().mean(dim=0).numpy()
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    inner = (frequency > 2 / size) & (frequency < 0.45)
    slope, _ = np.polyfit(np.log(frequency[inner]), np.log(power[inner]), 1)
    assert slope == pytest.approx(-2 * decay_power, abs=0.05)


def test_a_field_of_the_published_code_has_one_period_along_its_rows_at_most():
    for spectrum, wanted in (("published", 2), ("complex", 17), ("interleaved", 17)):
        field = low_frequency(normal(1, 32, 17, 2), 32, 32, 3.0, spectrum)[0]
        powers = torch.fft.rfft(field, dim=1).abs().amax(dim=0)
        assert (powers > 1e-9 * powers.max()).sum() == wanted


def test_the_published_spectrum_needs_three_rows():
    for height, width in ((1, 32), (2, 7), (1, 1)):
        with pytest.raises(ValueError, match=rf"^spectrum=published: .*\b{height}x{width}\b.*\b3x2\b"):
            low_frequency(normal(1, height, width // 2 + 1, 2), height, width, 3.0, "published")
    assert low_frequency(normal(1, 3, 4, 2), 3, 7, 3.0, "published").shape == (1, 3, 7)


def test_a_field_of_the_earlier_code_is_symmetric_about_a_point_and_the_others_are_not():
    for spectrum in ("interleaved", "complex", "published"):
        field = low_frequency(normal(1, 32, 17, 2), 32, 32, 3.0, spectrum)[0]
        turned = field.flip(0, 1).roll((1, 1), (0, 1))
        assert torch.allclose(field, turned, atol=1e-9 * field.abs().max()) == (spectrum == "interleaved")
