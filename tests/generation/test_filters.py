"""The filters of OpenCV on images of any size and kind, against the same calls made by hand."""

import builtins

import cv2
import numpy as np
import pytest

from mixbench import data
from mixbench.core.errors import UserError
from mixbench.generation.filters import FILTERS, Filters

EVERY = Filters(tuple(FILTERS))


def images(shape, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 13, 3), (70, 66, 3)], ids=str)
def test_every_filter_keeps_size_and_kind_and_gives_the_same_again(shape):
    given = images(shape)
    before = given.copy()
    made = EVERY.make(given, np.arange(2), 0)
    assert made.shape == (2, len(FILTERS), *shape)
    assert made.dtype == np.uint8
    assert np.array_equal(given, before)
    assert np.array_equal(made, EVERY.make(given, np.array([8, 9]), 1))  # nothing in them is random
    assert np.array_equal(made[1], EVERY.make(given[1:], np.arange(1), 0)[0])  # nor depends on the other images


@pytest.mark.parametrize("dataset", ["digits", "photos"])
def test_variants_differ_from_the_image_and_from_each_other_and_still_show_it(dataset):
    given = data.load(dataset, "", None, say=print).train_images[:3]
    made = EVERY.make(given, np.arange(3), 0).astype(float)
    for image, variants in zip(given.astype(float), made, strict=True):
        every = [image, *variants]
        for i, one in enumerate(every):
            assert all(np.abs(one - other).mean() > 0.5 for other in every[:i])
        related = [abs(np.corrcoef(image.ravel(), variant.ravel())[0, 1]) for variant in variants]
        assert min(related) > 0.1


def test_colours_are_handed_to_opencv_in_its_order():
    large = images((80, 72, 3))[0]
    made = EVERY.make(large[None], np.arange(1), 0)[0]
    by_hand = cv2.stylization(large[..., ::-1].copy(), sigma_s=0.12 * 72, sigma_r=0.45)[..., ::-1]
    assert np.array_equal(made[list(FILTERS).index("watercolour")], by_hand)
    grey = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY)
    mapped = cv2.applyColorMap(grey, cv2.COLORMAP_AUTUMN)[..., ::-1]
    half = (large.astype(float) + mapped) / 2
    assert np.abs(made[list(FILTERS).index("autumn")] - half).max() <= 1


def test_cells_of_a_mosaic_have_one_colour():
    (mosaic,) = Filters(("mosaic",)).make(images((72, 72, 3), 1), np.arange(1), 0)[0]
    cells = mosaic.reshape(6, 12, 6, 12, 3)
    assert (cells == cells[:, :1, :, :1]).all()


@pytest.mark.parametrize("names", [("blurr",), (), ("pencil", "pencil")])
def test_wrong_names_are_refused(names):
    with pytest.raises(UserError) as told:
        Filters(names)
    assert "\n" not in str(told.value)


def test_without_opencv_the_remedy_is_told(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest, **more):
        if name == "cv2":
            raise ImportError(name="cv2")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UserError, match=r"pip install 'mixbench\[generate\]'"):
        Filters(("pencil",))
