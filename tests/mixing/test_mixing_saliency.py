"""Saliency against OpenCV's, to the last bit on uint8 images; SaliencyMix's box by brute force."""

import math

import cv2
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images

from mixbench.mixing import saliencymix
from mixbench.mixing.saliency import fine_grained_saliency

SIZES = [(8, 8), (32, 32), (20, 28), (50, 33)]
SWAP = torch.tensor([1, 0])
every_size = pytest.mark.parametrize(("height", "width"), SIZES)


def pair(mixed):
    return mixed.images, mixed.targets


def smooth(rng, height, width):
    """uint8 [H, W, 3] of random coarse colours, made larger."""
    coarse = cv2.resize(rng.random((4, 4, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    return (255 * coarse.clip(0, 1)).astype(np.uint8)


def examples(height, width):
    """uint8 images [H, W, 3], red first, or [H, W]."""
    rng = np.random.default_rng(0)
    for digit in load_digits().images[:5]:
        yield cv2.resize((15 * digit).astype(np.uint8), (width, height))
    for photo in load_sample_images().images:
        for top, left in ((100, 200), (300, 80)):
            yield np.ascontiguousarray(photo[top : top + height, left : left + width])
        yield np.ascontiguousarray(photo[:: 427 // height, :: 640 // width][:height, :width])
    for _ in range(4):
        yield smooth(rng, height, width)
        yield rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    yield np.full((height, width), 77, np.uint8)
    dot = np.zeros((height, width), np.uint8)
    dot[height // 3, width - 2] = 255
    yield dot


def opencvs(image):
    """int [H, W], 0 to 255, of a uint8 image whose red comes first: OpenCV gets it in the order BGR, as it expects."""
    bgr = np.ascontiguousarray(image[..., ::-1]) if image.ndim == 3 else image
    done, saliency = cv2.saliency.StaticSaliencyFineGrained_create().computeSaliency(bgr)
    assert done
    return np.rint(255 * saliency).astype(int)


def as_batch(image):
    return torch.from_numpy(np.atleast_3d(image)).permute(2, 0, 1)[None]


@every_size
def test_saliency_of_uint8_images_is_opencvs_to_the_last_bit(height, width):
    for image in examples(height, width):
        ours = fine_grained_saliency(as_batch(image))
        assert (ours.shape, ours.dtype) == ((1, height, width), torch.float64)
        np.testing.assert_array_equal(ours[0].numpy(), opencvs(image))


def test_opencv_must_get_bgr_to_see_what_we_see_in_rgb():
    """OpenCV weighs the first channel as blue: of an image in the order RGB it computes another saliency."""
    image = smooth(np.random.default_rng(0), 32, 32)
    swapped = np.ascontiguousarray(image[..., ::-1])
    ours = fine_grained_saliency(as_batch(image))[0].numpy()
    detector = cv2.saliency.StaticSaliencyFineGrained_create()
    found = {order: np.rint(255 * detector.computeSaliency(i)[1]) for order, i in (("bgr", swapped), ("rgb", image))}
    np.testing.assert_array_equal(ours, found["bgr"])
    assert (ours != found["rgb"]).mean() > 0.1


@every_size
@pytest.mark.parametrize(("mean", "std"), [(0.0, 255.0), (120.0, 64.0)])
def test_the_most_salient_pixel_of_normalised_images_is_one_of_opencvs_most_salient(height, width, mean, std):
    """OpenCV cuts every stage down to integers, so near-ties at the maximum fall otherwise and maps differ a bit."""
    compared = 0
    for image in examples(height, width):
        if image.std() < 20:  # of little contrast the integers leave a few steps
            continue
        theirs = opencvs(image)
        ours = fine_grained_saliency((as_batch(image).float() - mean) / std)[0].numpy()
        assert theirs.flat[ours.argmax()] >= theirs.max() - 6
        single = ours < 254  # OpenCV keeps the last eight bits of a sum that can exceed 255
        assert np.abs(ours - theirs)[single].max() < 20
        assert np.corrcoef(ours[single], theirs[single])[0, 1] > 0.99
        compared += 1
    assert compared >= 10


def test_saliency_is_that_of_each_image_and_takes_any_number_of_channels_and_precision():
    images = torch.randn(5, 3, 12, 18, generator=torch.Generator().manual_seed(0)).double()
    saliency = fine_grained_saliency(images)
    for i in range(5):
        torch.testing.assert_close(saliency[i], fine_grained_saliency(images[i : i + 1])[0])
    torch.testing.assert_close(fine_grained_saliency(7 * images - 2), saliency)  # whatever the range
    grey = images[:, :1]
    torch.testing.assert_close(fine_grained_saliency(grey.expand(-1, 2, -1, -1)), fine_grained_saliency(grey))
    for shape in ((1, 1, 1, 1), (1, 1, 1, 9), (1, 1, 9, 1), (1, 3, 2, 2)):
        assert fine_grained_saliency(torch.rand(shape)).isfinite().all()
    assert fine_grained_saliency(images.bfloat16()).dtype == torch.float64


def test_a_constant_image_has_no_salient_pixel_and_of_equal_ones_the_first_counts():
    assert (fine_grained_saliency(torch.full((2, 3, 9, 9), 0.1)) == 0).all()
    assert (fine_grained_saliency(torch.zeros(2, 3, 9, 9, dtype=torch.uint8)) == 0).all()
    two = torch.zeros(2, 1, 16, 16)
    two[:, 0, 7, 3] = two[:, 0, 7, 4] = 1  # all their squares are the whole image
    saliency = fine_grained_saliency(two)[0]
    assert saliency[7, 3] == saliency[7, 4] == saliency.max()
    lam = torch.full((2,), 0.9, dtype=torch.float64)  # boxes of 4 by 4
    mixed, targets = pair(
        saliencymix(two + torch.tensor([0.0, 9.0]).view(2, 1, 1, 1), torch.eye(2), partner=SWAP, lam=lam)
    )
    assert torch.equal(mixed[0, 0] >= 9, expected_box((7, 3), 0.9, 16, 16))
    assert targets[0, 1].item() == pytest.approx(16 / 256)


# SaliencyMix


def expected_box(centre, lam, height, width):
    half_height = math.floor(height * math.sqrt(1 - lam)) // 2
    half_width = math.floor(width * math.sqrt(1 - lam)) // 2
    row, column = centre
    inside = torch.zeros(height, width, dtype=torch.bool)
    rows = slice(max(0, row - half_height), min(height, row + half_height))
    inside[rows, max(0, column - half_width) : min(width, column + half_width)] = True
    return inside


@pytest.mark.parametrize(("height", "width"), [(16, 16), (12, 20), (20, 12)])
@pytest.mark.parametrize("saliency", ["official", "per-image"])
@pytest.mark.parametrize("first", [0, 2])
def test_saliencymix_by_brute_force(height, width, saliency, first):
    """first: the first image that is mixed at all; its partner is the one that "official" looks at."""
    rng = np.random.default_rng(1)
    images = torch.from_numpy(np.stack([smooth(rng, height, width) for _ in range(6)])).permute(0, 3, 1, 2) / 64 - 2
    partner = torch.tensor([3, 0, 5, 1, 2, 4])
    lam = torch.tensor([0.3, 0.5, 0.0, 0.8, 0.97, 0.6], dtype=torch.float64)
    lam[:first] = 1
    decided = {"partner": partner, "lam": lam, "saliency": saliency}
    mixed, targets = pair(saliencymix(images, torch.eye(6), **decided))
    most = [np.unravel_index(s.argmax(), s.shape) for s in fine_grained_saliency(images).numpy()]
    for i in range(6):
        centre = most[partner[first if saliency == "official" else i]]
        inside = expected_box(centre, lam[i].item(), height, width)
        assert torch.equal(mixed[i], torch.where(inside, images[partner[i]], images[i]))
        assert targets[i, i].item() == pytest.approx(1 - inside.float().mean().item(), abs=1e-6)
    same, drawn = pair(saliencymix(images, torch.eye(6), **decided, correct_lambda=False))
    assert torch.equal(same, mixed)
    torch.testing.assert_close(drawn.diagonal(), lam.float())


def test_what_opencv_makes_of_normalised_floats_is_no_saliency():
    """Why saliencymix does not repeat what the published code hands to OpenCV.

    OpenCV reads the centre's value from the grey image as a byte: of float images the x-th byte of the row's numbers.
    The result has nothing to do with the saliency of the image.
    """
    rng = np.random.default_rng(2)
    detector = cv2.saliency.StaticSaliencyFineGrained_create()
    opencv, ours = [], []
    for _ in range(20):
        image = smooth(rng, 32, 32)
        normalised = ((image / 255 - 0.5) / 0.25).astype(np.float32)
        true = opencvs(image).ravel()
        floats = detector.computeSaliency(np.ascontiguousarray(normalised[..., ::-1]))[1]
        opencv.append(np.corrcoef(floats.ravel(), true)[0, 1])
        ours.append(np.corrcoef(fine_grained_saliency(as_batch(normalised))[0].flatten(), true)[0, 1])
    assert abs(np.mean(opencv)) < 0.1
    assert np.mean(ours) > 0.9
