"""Select the images of one run from its data set: split, subset, label noise and normalisation."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from omegaconf import DictConfig

from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError
from mixbench.core.partners import OF_GROUPS
from mixbench.data.banks import BankPart
from mixbench.data.holdout import held_out, named, validation
from mixbench.data.label_noise import corrupt_labels
from mixbench.data.sources.load import CIFAR_TEST, Dataset, Labelled
from mixbench.data.sources.parts import GIVEN, TEST
from mixbench.data.subsets import choose_subset


@dataclass(frozen=True)
class Split:
    """The images of one run.

    With eval=validation, the images for training are the n images without those for validation.

    train_images: uint8 [n, H, W, C], the subset used for training.
    train_labels: int64 [n], its labels, which can be noisy.
    eval_images: uint8 [M, H, W, C], the images used for evaluation.
    eval_labels: int64 [M]; noisy like the training labels if these images are a part of the subset.
    num_classes: number of classes, K.
    mean, std: float64 [C], for images scaled to [0, 1].
    indices: int64 [n], positions of the subset in the training list.
    checksums: data_sha256 of the whole training list and, if they are used, of the test images; train_sha256 of the
        training list only, which is equal for runs evaluated on different images.
    true_labels: int64 [n], the labels in the data set.
    replaced: bool [n], which labels were replaced at random, including those whose random label is the true one.
    label_noise: share of labels that were replaced.
    protected: bool [n], images that are never mixed. They are selected by train_labels, because with wrong labels a
        user knows no others. None: no class is protected.
    groups: int64 [n], the group of each image, such as its patient; None: there are no groups.
    list_counts: int64 [K], images of each class in the whole training list.
    generated: key of a method -> the images of its bank, for methods that need one (`runs/banks.py`).
    test_sets: name -> a further test set, on which the trained network is evaluated too.
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
    groups: np.ndarray | None
    list_counts: np.ndarray
    generated: Mapping[str, BankPart] = field(default_factory=dict)
    test_sets: Mapping[str, Labelled] = field(default_factory=dict)

    @property
    def class_counts(self) -> list[int]:
        """Images of each class in the subset, by true labels, so that label noise does not change the counts."""
        return np.bincount(self.true_labels, minlength=self.num_classes).tolist()

    @property
    def indices_sha256(self) -> str:
        return _sha256(self.indices)

    @property
    def train_labels_sha256(self) -> str:
        """Checksum of the labels used for training."""
        return _sha256(self.train_labels)


def split(dataset: Dataset, cfg: DictConfig, evaluated: bool = True, checksums: bool = True) -> Split:
    """Select a run's subset and evaluation images from its data set.

    dataset: the data set.
    cfg: the run's configuration.
    evaluated: whether the run is evaluated; False: no test images are needed.
    checksums: whether the checksums of the data set are needed, which read all of it.
    Raises UserError if the data set does not have the images.
    """
    images, labels = dataset.train_images, dataset.train_labels
    indices, held = positions(dataset, cfg)
    if held is not None:
        eval_images, eval_labels = images[held], labels[held]
        if cfg.eval == "validation":  # whoever has the subset knows no other labels of it
            eval_labels = _given_labels(dataset, held, cfg)[0]
    else:
        given = _given_images(dataset, cfg) if evaluated else Labelled(images[:0], labels[:0])
        eval_images, eval_labels = given.images, given.labels
    subset, true_labels = images[indices], labels[indices]
    given_labels, replaced = _given_labels(dataset, indices, cfg)
    mean, std = _normalisation(subset, cfg.dataset)
    sums = {}
    if checksums:
        sums["data_sha256"] = dataset.sha256(cfg.eval if cfg.eval in GIVEN and evaluated else None)
        sums["train_sha256"] = dataset.train_sha256
    return Split(
        train_images=subset,
        train_labels=given_labels,
        eval_images=eval_images,
        eval_labels=eval_labels,
        num_classes=dataset.num_classes,
        mean=mean,
        std=std,
        indices=indices,
        checksums=sums,
        true_labels=true_labels,
        replaced=replaced,
        label_noise=cfg.dataset.label_noise,
        protected=np.isin(given_labels, cfg.protect) if cfg.protect else None,
        groups=None if dataset.groups is None else dataset.groups[indices],
        list_counts=np.bincount(labels, minlength=dataset.num_classes),
        test_sets=dataset.test_sets if evaluated and cfg.eval != "validation" else {},
    )


def check(dataset: Dataset, cfg: DictConfig) -> None:
    """Check whether a data set has the images of a run. Only its labels and sizes are looked at.

    dataset: the data set, or only its labels (`load_labels`).
    cfg: the run's configuration.
    Raises UserError as `split` does.
    """
    if cfg.eval in GIVEN:
        _given_images(dataset, cfg)
    positions(dataset, cfg)
    _check_channels(cfg.dataset, dataset.train_images.shape[3])


def positions(dataset: Dataset, cfg: DictConfig) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the positions in the training list of the images that a run trains on and is evaluated on.

    dataset: the data set, or only its labels (`load_labels`).
    cfg: the run's configuration.
    Returns both, int64; None in place of the second where the run is evaluated on test or val images.
    Raises UserError if the data set does not have the images.
    """
    _check_groups(dataset, cfg)
    labels, mask = dataset.train_labels, held_of(dataset, cfg)
    free, held = np.flatnonzero(~mask), np.flatnonzero(mask) if mask.any() else None
    check_classes(cfg, dataset.num_classes)
    kept_back = len(labels) - len(free)
    chosen = free[choose_subset(labels[free], cfg.n, cfg.subset, cfg.subset_seed, dataset.num_classes, kept_back)]
    if cfg.eval == "validation":
        if dataset.groups is not None:
            raise UserError("eval=validation: does not keep groups together; leave out dataset.group_column")
        mask = validation(_given_labels(dataset, chosen, cfg)[0], cfg.dataset.holdout, cfg.subset_seed, cfg.seed)
        return chosen[~mask], chosen[mask]
    return chosen, held


def _check_groups(dataset: Dataset, cfg: DictConfig) -> None:
    """Raise UserError if a method draws partners by group and the images have no groups."""
    if dataset.groups is not None or "method" not in cfg:
        return
    methods = [cfg.method, *(cfg.method.get("parts") or {}).values()]
    asked = next((one.partners for one in methods if one.get("partners") in OF_GROUPS), None)
    if asked is not None:
        raise UserError(
            f"method.partners={asked}: {cfg.dataset.name} has no groups; use a table with a group column "
            "(dataset=csv dataset.group_column=NAME), or partners of any, same-class or other-class"
        )


def available(dataset: Dataset, cfg: DictConfig) -> int:
    """Return how many images of the training list can be trained on: those that are not held out.

    dataset: the data set, or only its labels.
    cfg: the run's configuration, whose n does not matter.
    Raises UserError if the data set cannot be divided as it says.
    """
    return len(dataset.train_labels) - held_of(dataset, cfg).sum()


def held_of(dataset: Dataset, cfg: DictConfig) -> np.ndarray:
    """bool [N]: the images of the training list that are held out for evaluation.

    dataset: the data set, or only its labels.
    cfg: the run's configuration.
    Raises UserError if the data set cannot be divided as it says.
    """
    labels = dataset.train_labels
    if cfg.eval not in ("holdout", "stratified"):
        return np.zeros(len(labels), dtype=bool)
    seed = cfg.subset_seed if cfg.split_seed is None else cfg.split_seed
    return held_out(labels, cfg.eval, cfg.dataset.holdout, seed, dataset.groups, dataset.class_names)


def _given_labels(dataset: Dataset, indices: np.ndarray, cfg: DictConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of images with the label noise of the run, and which of them were replaced."""
    noise, labels = cfg.dataset.label_noise, dataset.train_labels[indices]
    return corrupt_labels(labels, indices, noise, cfg.subset_seed, dataset.num_classes)


def warnings(images: Split, cfg: DictConfig) -> list[str]:
    """Return warnings about classes without images in a run, one line each, for the user to see before training.

    images: the images of the run.
    cfg: the validated configuration of the run.
    """
    name = cfg.dataset.name
    in_list = images.list_counts > 0
    in_subset = np.array(images.class_counts) > 0
    evaluated = np.bincount(images.eval_labels, minlength=images.num_classes) > 0
    lines = []
    if (in_list & ~in_subset).any():
        lines.append(
            f"{name} n={cfg.n} subset={cfg.subset}: the subset has no image of {_named(in_list & ~in_subset, cfg)}; "
            "use subset=random or balanced if the list is sorted by class"
        )
    if cfg.eval == "validation":
        evaluated |= ~in_subset  # there is a line about these classes already
    if (in_list & ~evaluated).any() and cfg.eval == "validation":
        lacking, classes = int((in_list & ~evaluated).sum()), int(in_list.sum())
        lines.append(  # the classes differ between seeds, their number does not
            f"{name} n={cfg.n} eval=validation: {lacking} of {classes} classes have no image for validation, so each "
            "accuracy covers only the others; use a larger n or dataset.holdout"
        )
    elif (in_list & ~evaluated).any():
        lines.append(
            f"{name} eval={cfg.eval}: there is no {cfg.eval} image of {_named(in_list & ~evaluated, cfg)}, so "
            "accuracies cover only the other classes; use eval=stratified to evaluate on all classes"
        )
    return lines


def _named(classes: np.ndarray, cfg: DictConfig) -> str:
    return named(np.flatnonzero(classes).tolist(), cfg.dataset.classes)


def _given_images(dataset: Dataset, cfg: DictConfig) -> Labelled:
    """Return the test or val images on which a run is evaluated. Raises UserError if there are none."""
    given = dataset.given(cfg.eval)
    if given is None:
        there = [f"eval={part}, or " for part in GIVEN if dataset.given(part) is not None]
        raise UserError(
            f"eval={cfg.eval}: {cfg.dataset.name} has no {cfg.eval} images; use {''.join(there)}eval=stratified, which "
            "holds out training images"
        )
    count = len(given.labels)
    if cfg.eval == TEST and cfg.dataset.source.startswith("cifar") and count != CIFAR_TEST:
        raise UserError(
            f"eval=test: {cfg.dataset.path} has {count} test images, but {cfg.dataset.source} has {CIFAR_TEST}; use "
            "eval=stratified"
        )
    return given


def check_classes(cfg: DictConfig, num_classes: int) -> None:
    """Check the keys that name classes. Raises UserError if the data set has other classes.

    cfg: the run's configuration.
    num_classes: number of classes of the data set.
    """
    names, protect = cfg.dataset.classes, cfg.protect
    if names is not None and len(names) != num_classes:
        raise UserError(
            f"dataset.classes: has {len(names)} names, but the data set has {num_classes} classes; give one name for "
            "each class in the order of the labels, or dataset.classes=null"
        )
    if protect and max(protect) >= num_classes:
        raise UserError(f"protect: there is no class {max(protect)}; classes go from 0 to {num_classes - 1}")
    if len(protect) == num_classes:
        raise UserError(
            f"protect={list(protect)}: protects every class, so nothing is mixed; leave it out, with method={BASELINE}"
        )


def _sha256(numbers: np.ndarray) -> str:
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()


def _normalisation(images: np.ndarray, dataset: DictConfig) -> tuple[np.ndarray, np.ndarray]:
    channels = images.shape[3]
    if dataset.mean is None:
        # Computed from counts of the 256 values, because a float copy of a large data set would not fit in memory.
        counts = np.array([_histogram(images[..., c]) for c in range(channels)])
        values = np.arange(256) / 255
        mean = counts @ values / counts.sum(axis=1)
        variance = counts @ values**2 / counts.sum(axis=1) - mean**2
        return mean, np.sqrt(np.maximum(variance, 1 / 255**2))  # a constant channel stays finite
    _check_channels(dataset, channels)
    return np.array(dataset.mean), np.array(dataset.std)


def _check_channels(dataset: DictConfig, channels: int) -> None:
    if dataset.mean is not None and not len(dataset.mean) == len(dataset.std) == channels:
        there = "1 channel" if channels == 1 else f"{channels} channels"
        raise UserError(
            f"dataset.mean={list(dataset.mean)} dataset.std={list(dataset.std)}: each must have one value per channel; "
            f"the images have {there}"
        )


def _histogram(images: np.ndarray) -> np.ndarray:
    """Count each of the 256 values in uint8 [N, H, W]."""
    parts = np.array_split(images, -(-len(images) // 1000))
    return np.sum([np.bincount(part.ravel(), minlength=256) for part in parts], axis=0)
