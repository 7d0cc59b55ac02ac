"""MedMNIST sets in the package's folder, as the package writes them; and what is said where one cannot be read."""

import sys

import numpy as np
import pytest

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError

COUNTS = {"train": 546, "val": 78, "test": 156}  # of BreastMNIST, which is small


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # it makes its folder where it is imported
        return pytest.importorskip("medmnist")


def written(path, counts=COUNTS, side=28, classes=2):
    rng = np.random.default_rng(0)
    arrays = {f"{part}_images": rng.integers(0, 256, (count, side, side), np.uint8) for part, count in counts.items()}
    arrays |= {f"{part}_labels": rng.integers(0, classes, (count, 1), np.uint8) for part, count in counts.items()}
    np.savez_compressed(path, **arrays)


def cfg(root, *words):
    with Composer() as composer:
        place = [f"dataset.root={root}", f"results_dir={root}/results"]
        return job(composer.compose(["dataset=medmnist", "n=20", "method=none", *place, *words])).cfg


def refused(made, load=data.load_for):
    with pytest.raises(UserError) as raised:
        data.split(load(made, lambda line: None) if load is data.load_for else load(made), made)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(("size", "name"), [(28, "breastmnist"), (64, "breastmnist_64")])
@pytest.mark.parametrize("part", ["test", "val"])
def test_the_images_are_those_of_the_package(package, tmp_path, size, name, part):
    written(tmp_path / f"{name}.npz", side=size)
    made = cfg(tmp_path, "dataset.name=breastmnist", f"dataset.size={size}", f"eval={part}")
    assert made.dataset.name == name
    loaded = data.load_for(made, print)
    for there, images, labels in (
        ("train", loaded.train_images, loaded.train_labels),
        (part, loaded.given(part).images, loaded.given(part).labels),
    ):
        expected = package.BreastMNIST(split=there, root=str(tmp_path), size=size)
        assert np.array_equal(images[..., 0], expected.imgs)
        assert np.array_equal(labels, expected.labels[:, 0])
    assert loaded.class_names == ["malignant", "normal, benign"]
    labels = data.load_labels_for(made)
    assert np.array_equal(labels.train_labels, loaded.train_labels)


@pytest.mark.parametrize(
    ("name", "named"),
    [("chestmnist", "several labels"), ("organmnist3d", "three-dimensional"), ("brestmnist", "breastmnist")],
)
def test_sets_that_are_no_single_label_images_and_names_that_are_none(package, tmp_path, name, named):
    assert named in refused(cfg(tmp_path, f"dataset.name={name}"))


def test_a_set_that_is_not_there_is_said_with_where_it_is(package, tmp_path, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.utils.download_url", None)  # no network
    folder = tmp_path / "new"
    told = refused(cfg(folder, "dataset.name=breastmnist"))
    for words in ("zenodo.org", "dataset.root", "breastmnist.npz"):
        assert words in told
    assert not folder.exists()
    labels = data.load_labels_for(cfg(folder, "dataset.name=breastmnist"))  # a dry run downloads nothing
    assert (len(labels.train_labels), len(labels.test_labels), labels.num_classes) == (546, 156, 2)


def test_an_archive_of_that_name_that_is_another_one(package, tmp_path):
    written(tmp_path / "breastmnist.npz", COUNTS | {"train": 500})
    assert "546 train" in refused(cfg(tmp_path, "dataset.name=breastmnist"))
    written(tmp_path / "breastmnist.npz", classes=1)
    assert "breastmnist" in refused(cfg(tmp_path, "dataset.name=breastmnist"))


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "medmnist", None)
    told = refused(cfg(tmp_path, "dataset.name=breastmnist"))
    assert "mixbench[medmnist]" in told
    assert "dataset=npz" in told


@pytest.mark.parametrize("words", [[], ["dataset.name=pathmnist", "dataset.size=32"], ["dataset.path=x.npz"]])
def test_settings_that_do_not_fit(tmp_path, words):
    with pytest.raises(UserError) as raised:
        cfg(tmp_path, *words)
    assert "\n" not in str(raised.value)
