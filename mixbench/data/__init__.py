"""From a configuration to the images of one run: data set, split, subset, normalisation."""

import hashlib
from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from mixbench.data.sources import CIFAR_TEST, Dataset, load
from mixbench.data.subsets import choose
from mixbench.errors import UserError

__all__ = ["Dataset", "Split", "load", "split"]


@dataclass(frozen=True)
class Split:
    """The images of one run.

    train_images uint8 [n, H, W, C] and train_labels int64 [n]: the subset; eval_images, eval_labels: what it is
    evaluated on. mean, std: float64 [C] for images scaled to [0, 1]. indices: of the subset in the training list.
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

    @property
    def class_counts(self) -> list[int]:
        return np.bincount(self.train_labels, minlength=self.num_classes).tolist()

    @property
    def indices_sha256(self) -> str:
        return hashlib.sha256(self.indices.astype("<i8").tobytes()).hexdigest()


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
    indices = choose(labels, cfg.n, cfg.subset, cfg.subset_seed, dataset.num_classes)
    subset = images[indices]
    mean, std = _normalisation(subset, cfg.dataset)
    return Split(
        train_images=subset,
        train_labels=labels[indices],
        eval_images=eval_images,
        eval_labels=eval_labels,
        num_classes=dataset.num_classes,
        mean=mean,
        std=std,
        indices=indices,
        checksums={"data_sha256": dataset.sha256(cfg.eval == "test"), "train_sha256": dataset.train_sha256},
    )


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
