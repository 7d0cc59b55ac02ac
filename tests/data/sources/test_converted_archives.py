"""Archives whose images are floating-point numbers or whose labels are names are read like those of whole numbers."""

import numpy as np
import pytest

from mixbench.core.errors import UserError
from mixbench.data import load

RNG = np.random.default_rng(0)
LEVELS = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8)
LEVELS[0, 0, 0] = 0, 255, 128
NAMES = np.array(["dog", "ant", "cat"])[np.arange(12) % 3]


def read(tmp_path, said=None, part=None, **arrays):
    given = {"train_images": LEVELS, "train_labels": np.arange(12) % 3} | arrays
    np.savez(tmp_path / "my.npz", **given)
    return load("npz", "", str(tmp_path / "my.npz"), (said if said is not None else []).append, part)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1, 255])
def test_brightness_of_any_scale(tmp_path, dtype, scale):
    said = []
    dataset = read(tmp_path, said, train_images=(LEVELS / 255 * scale).astype(dtype))
    assert dataset.train_images.dtype == np.uint8
    assert np.abs(dataset.train_images.astype(int) - LEVELS).max() <= (dtype is np.float16)
    assert len(said) == 1


@pytest.mark.parametrize("changed", [-0.1, 256.0, np.nan, np.inf])
def test_brightness_that_is_none_is_refused(tmp_path, changed):
    images = LEVELS.astype(np.float32)
    images[3, 2, 1, 0] = changed
    with pytest.raises(UserError, match=r"my\.npz"):
        read(tmp_path, train_images=images)


def test_one_scale_for_training_and_test_images(tmp_path):
    """Dark test images are not brightened, and images on another scale are refused."""
    dark = np.full((3, 8, 8, 3), 1.0)
    dataset = read(tmp_path, part="test", train_images=LEVELS.astype(float), test_images=dark, test_labels=np.arange(3))
    assert (dataset.test_images == 1).all()
    with pytest.raises(UserError):
        read(tmp_path, part="test", train_images=LEVELS / 255, test_images=dark * 99, test_labels=np.arange(3))


@pytest.mark.parametrize("labels", [NAMES, NAMES[:, None], NAMES.astype("S")], ids=["text", "column", "bytes"])
def test_names_are_numbered_in_their_order(tmp_path, labels):
    dataset = read(tmp_path, train_labels=labels, part="test", test_images=LEVELS[:2], test_labels=labels[1:3])
    assert dataset.class_names == ["ant", "cat", "dog"]
    assert [dataset.class_names[k] for k in dataset.train_labels] == NAMES.tolist()
    assert [dataset.class_names[k] for k in dataset.test_labels] == NAMES[1:3].tolist()


@pytest.mark.parametrize("labels", [np.array(["ant", "emu"]), np.array([0, 1])], ids=["unseen", "numbers"])
def test_names_that_do_not_fit_together(tmp_path, labels):
    with pytest.raises(UserError, match=r"my\.npz"):
        read(tmp_path, train_labels=NAMES, part="test", test_images=LEVELS[:2], test_labels=labels)


@pytest.mark.parametrize("numbers", [[1, 2, 3], [0, 1, 3], [4, 10, 200]], ids=["from 1", "a gap", "any"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_other_numbers_than_0_to_k_become_names(tmp_path, numbers, dtype):
    said, labels = [], np.array(numbers, dtype)[np.arange(12) % 3][:, None]
    dataset = read(tmp_path, said, "test", train_labels=labels, test_images=LEVELS[:2], test_labels=labels[1:3])
    assert dataset.class_names == [str(number) for number in numbers]
    assert dataset.train_labels.tolist() == [0, 1, 2] * 4
    assert dataset.test_labels.tolist() == [1, 2]
    assert len(said) == 1


def test_numbers_from_0_have_no_names(tmp_path):
    said = []
    assert read(tmp_path, said).class_names is None
    assert not said
