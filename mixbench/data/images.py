"""From a configuration to the images of one run: data set, split, subset, normalisation."""

import hashlib
from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError
from mixbench.data.holdout import held_out, named
from mixbench.data.label_noise import corrupt
from mixbench.data.sources.load import CIFAR_TEST, Dataset, load
from mixbench.data.subsets import choose

__all__ = ["Dataset", "Split", "load", "split", "warnings"]


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
    list_counts: int64 [K], how many images of each class the whole training list has.
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
    list_counts: np.ndarray

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


def split(dataset: Dataset, cfg: DictConfig, evaluated: bool = True) -> Split:
    """Take the run's subset and evaluation images out of its data set. Raises UserError where they cannot be had.

    evaluated: false where nothing will be evaluated, so that there need be no test images.
    """
    images, labels = dataset.train_images, dataset.train_labels
    if cfg.eval != "test":
        mask = held_out(labels, cfg.eval, cfg.dataset.holdout, cfg.subset_seed)
        free = np.flatnonzero(~mask)
        eval_images, eval_labels = images[mask], labels[mask]
    else:
        free = np.arange(len(labels))
        eval_images, eval_labels = _test_images(dataset, cfg) if evaluated else (images[:0], labels[:0])
    _check_classes(cfg, dataset.num_classes)
    held = len(labels) - len(free)
    indices = free[choose(labels[free], cfg.n, cfg.subset, cfg.subset_seed, dataset.num_classes, held)]
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
        checksums={
            "data_sha256": dataset.sha256(with_test=cfg.eval == "test" and evaluated),
            "train_sha256": dataset.train_sha256,
        },
        true_labels=true_labels,
        replaced=replaced,
        label_noise=noise,
        protected=np.isin(given_labels, cfg.protect) if cfg.protect else None,
        list_counts=np.bincount(labels, minlength=dataset.num_classes),
    )


def warnings(images: Split, cfg: DictConfig) -> list[str]:
    """What a user should know of a run's images before it trains: the classes that are missing, a line each."""
    name = cfg.dataset.name
    in_list = images.list_counts > 0
    in_subset = np.array(images.class_counts) > 0
    evaluated = np.bincount(images.eval_labels, minlength=images.num_classes) > 0
    lines = []
    if not in_list.all():
        lines.append(
            f"{name}: no image of {_named(~in_list)} in the whole training list, though the network has an output for "
            "it; number the labels 0, 1, 2 … without gaps"
        )
    if (in_list & ~in_subset).any():
        lines.append(
            f"{name} n={cfg.n} subset={cfg.subset}: no image of {_named(in_list & ~in_subset)}; a list sorted by "
            "class wants subset=random or balanced"
        )
    if (in_list & ~evaluated).any():
        lines.append(
            f"{name} eval=test: no test image of {_named(in_list & ~evaluated)}: accuracies are of the other classes "
            "alone; eval=stratified evaluates on all"
        )
    return lines


def _named(classes: np.ndarray) -> str:
    return named(np.flatnonzero(classes).tolist())


def _test_images(dataset: Dataset, cfg: DictConfig) -> tuple[np.ndarray, np.ndarray]:
    if dataset.test_images is None or dataset.test_labels is None:
        raise UserError(f"eval=test: {cfg.dataset.name} has no test images; eval=stratified works without")
    if cfg.dataset.source.startswith("cifar") and len(dataset.test_images) != CIFAR_TEST:
        raise UserError(
            f"eval=test: {cfg.dataset.path} has {len(dataset.test_images)} test images where {cfg.dataset.source} has "
            f"{CIFAR_TEST}; use eval=stratified"
        )
    return dataset.test_images, dataset.test_labels


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
        raise UserError(
            f"protect={list(protect)}: nothing is mixed where every class is protected; say method={BASELINE}"
        )


def _sha256(numbers: np.ndarray) -> str:
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()


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
    parts = np.array_split(images, -(-len(images) // 1000))
    return np.sum([np.bincount(part.ravel(), minlength=256) for part in parts], axis=0)
