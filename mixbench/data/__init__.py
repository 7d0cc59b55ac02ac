"""From a configuration to the images of one run: data set, split, subset, normalisation."""

import hashlib
from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from mixbench.data.noise import corrupt
from mixbench.data.sources import CIFAR_TEST, Dataset, load
from mixbench.data.subsets import choose
from mixbench.errors import UserError

__all__ = ["Dataset", "Split", "load", "split"]


@dataclass(frozen=True)
class Split:
    """The images of one run.

    train_images uint8 [n, H, W, C] and train_labels int64 [n]: the subset as training is given it; eval_images,
    eval_labels: what it is evaluated on. mean, std: float64 [C] for images scaled to [0, 1]. indices: int64 [n], of the
    subset in the training list.
    true_labels int64 [n]: the data set's own, of which a share `label_noise` was replaced in train_labels; replaced
    bool [n]: which, those among them whose random label is the true one.
    protected: bool [n], images that are never mixed, by their given label, which is all that a user of wrong labels
    knows; None where no class is protected.
    checksums: data_sha256 of the whole training list with, where they are used, the test images; train_sha256 of the
    training list alone, which runs evaluated on other images have in common.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    eval_images: np.ndarray
    eval_labels: np.ndarray
    num_classes: int
    mean: np.ndarray
    std: np.ndarray
    indices: np.ndarray
    checksums: dict[str, str]
    true_labels: np.ndarray
    replaced: np.ndarray
    label_noise: float
    protected: np.ndarray | None

    @property
    def class_counts(self) -> list[int]:
        """Of the true labels: which images the subset holds does not depend on noise."""
        return np.bincount(self.true_labels, minlength=self.num_classes).tolist()

    @property
    def indices_sha256(self) -> str:
        return _sha256(self.indices)

    @property
    def train_labels_sha256(self) -> str:
        """Of the labels that training is given."""
        return _sha256(self.train_labels)


def split(dataset: Dataset, cfg: DictConfig) -> Split:
    """Take the run's subset and evaluation images out of its data set. Raises UserError where they cannot be had."""
    images, labels = dataset.train_images, dataset.train_labels
    eval_images, eval_labels = dataset.test_images, dataset.test_labels
    if cfg.eval == "holdout":
        held = _held_out(len(images), cfg.dataset.holdout)
        images, eval_images = images[:-held], images[-held:]
        labels, eval_labels = labels[:-held], labels[-held:]
    elif cfg.dataset.source.startswith("cifar") and len(eval_images) != CIFAR_TEST:
        raise UserError(
            f"eval=test: {cfg.dataset.path} has {len(eval_images)} test images where {cfg.dataset.source} has "
            f"{CIFAR_TEST}; use eval=holdout"
        )
    _check_classes(cfg, dataset.num_classes)
    indices = choose(labels, cfg.n, cfg.subset, cfg.subset_seed, dataset.num_classes)
    subset, true_labels = images[indices], labels[indices]
    noise = cfg.dataset.label_noise
    given_labels, replaced = corrupt(true_labels, indices, noise, cfg.subset_seed, dataset.num_classes)
    mean, std = _normalisation(subset, cfg.dataset)
    return Split(
        train_images=subset,
        train_labels=given_labels,
        eval_images=eval_images,
        eval_labels=eval_labels,
        num_classes=dataset.num_classes,
        mean=mean,
        std=std,
        indices=indices,
        checksums={"data_sha256": dataset.sha256(cfg.eval == "test"), "train_sha256": dataset.train_sha256},
        true_labels=true_labels,
        replaced=replaced,
        label_noise=noise,
        protected=np.isin(given_labels, cfg.protect) if cfg.protect else None,
    )


def _check_classes(cfg: DictConfig, num_classes: int) -> None:
    names, protect = cfg.dataset.classes, cfg.protect
    if names is not None and len(names) != num_classes:
        raise UserError(
            f"dataset.classes: {len(names)} names where the data set has {num_classes} classes; give one for each in "
            "the order of the labels, or dataset.classes=null"
        )
    if protect and max(protect) >= num_classes:
        raise UserError(f"protect: there is no class {max(protect)}; classes go from 0 to {num_classes - 1}")
    if len(protect) == num_classes:
        raise UserError(f"protect={list(protect)}: nothing is mixed where every class is protected; say method=none")


def _sha256(numbers: np.ndarray) -> str:
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()


def _held_out(count: int, holdout: float) -> int:
    held = round(holdout * count) if holdout < 1 else int(holdout)
    if not 0 < held < count:
        raise UserError(f"dataset.holdout={holdout:g}: leaves no training or no held-out image of {count}")
    return held


def _normalisation(images: np.ndarray, dataset: DictConfig) -> tuple[np.ndarray, np.ndarray]:
    channels = images.shape[3]
    if dataset.mean is None:
        # From counts of the 256 values, since a float copy of a large data set would not fit beside it.
        counts = np.array([_histogram(images[..., c]) for c in range(channels)])
        values = np.arange(256) / 255
        mean = counts @ values / counts.sum(axis=1)
        variance = counts @ values**2 / counts.sum(axis=1) - mean**2
        return mean, np.sqrt(np.maximum(variance, 1 / 255**2))  # a constant channel stays finite
    if len(dataset.mean) != channels or len(dataset.std) != channels:
        raise UserError(
            f"dataset.mean={list(dataset.mean)} dataset.std={list(dataset.std)}: the images have {channels} channels"
        )
    return np.array(dataset.mean), np.array(dataset.std)


def _histogram(images: np.ndarray) -> np.ndarray:
    """How often each of the 256 values occurs in uint8 [N, H, W]."""
    return sum(np.bincount(part.ravel(), minlength=256) for part in np.array_split(images, -(-len(images) // 1000)))
