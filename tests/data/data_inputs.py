"""What several tests of data use."""

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from mixbench.core.errors import UserError
from mixbench.data import Dataset

CHECKOUT = Path(__file__).parents[2]


def error(function, *arguments):
    """The one line that the user is told."""
    with pytest.raises(UserError) as raised:
        function(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def small(train=10, test=4, channels=3):
    """Images that all differ; three classes."""
    pixels = np.random.Generator(np.random.Philox(0)).integers(0, 256, (train + test, 8, 9, channels), np.uint8)
    labels = np.arange(train + test) % 3
    return Dataset(pixels[:train], labels[:train], pixels[train:], labels[train:])


def config(dataset=None, **changes):
    of_dataset = {"source": "npz", "path": "my.npz", "mean": None, "std": None, "holdout": 0.2}
    of_dataset |= {"label_noise": 0.0, "classes": None} | (dataset or {})
    return OmegaConf.create(
        {"n": 5, "subset": "head", "subset_seed": 0, "split_seed": None, "seed": 0, "eval": "test", "protect": []}
        | changes
        | {"dataset": of_dataset}
    )


def arrays(**changes):
    data = small()
    return {
        "train_images": data.train_images,
        "train_labels": data.train_labels,
        "test_images": data.test_images,
        "test_labels": data.test_labels,
    } | changes


def archive(folder, **changes):
    """An .npz of `arrays` with these changed; None leaves one out."""
    path = folder / "my.npz"
    np.savez_compressed(path, **{key: array for key, array in arrays(**changes).items() if array is not None})
    return str(path)
