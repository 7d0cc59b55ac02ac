"""The images that an audit looks at: those for training, and those that runs are evaluated on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig

from mixbench.data.audit.findings import NAMED
from mixbench.data.images import check_classes, held_of
from mixbench.data.sources.load import Dataset
from mixbench.data.sources.parts import GIVEN, TRAIN

Found = tuple[int, int, bool]  # picture, its duplicate, whether they are equal


@dataclass(frozen=True)
class Evaluation:
    """The images that runs are evaluated on.

    kind: value of the key `eval`.
    held: int64 [M], positions in the training list of images that all runs hold out; None: none, or other ones for each
        subset_seed.
    share: share of the training list that each subset_seed draws for itself; None: it draws none.
    """

    kind: str
    held: np.ndarray | None = None
    share: float | None = None


def of_run(cfg: DictConfig, dataset: Dataset) -> Evaluation:
    """Return the images that a run is evaluated on, as far as they do not depend on its subset.

    cfg: the validated configuration of the run.
    dataset: its data set.
    Raises UserError if the data set cannot be divided as the configuration says.
    """
    if cfg.eval in (*GIVEN, "validation"):
        return Evaluation(cfg.eval)
    held = np.flatnonzero(held_of(dataset, cfg))
    check_classes(cfg, dataset.num_classes)
    if cfg.eval == "stratified" and cfg.get("split_seed") is None:
        return Evaluation(cfg.eval, share=len(held) / len(dataset.train_labels))
    return Evaluation(cfg.eval, held)


@dataclass(frozen=True)
class Seen:
    """The images of a data set in one list: first those for training, then those that all runs are evaluated on.

    images: uint8 [N, H, W, C].
    labels: int64 [N].
    evaluated: bool [N], which images all runs are evaluated on.
    names: of the images.
    groups: int64 [N], groups of training images where each subset_seed draws evaluation images; else None.
    classes: names of the classes.
    evaluation: the images that runs are evaluated on.
    """

    images: np.ndarray
    labels: np.ndarray
    evaluated: np.ndarray
    names: list[str]
    groups: np.ndarray | None
    classes: list[str]
    evaluation: Evaluation

    @classmethod
    def of(cls, dataset: Dataset, evaluation: Evaluation) -> "Seen":
        """Return the images of a data set.

        dataset: the data set.
        evaluation: the images that runs are evaluated on.
        """
        images, labels = dataset.train_images, dataset.train_labels
        names = _names(dataset, TRAIN, len(labels))
        evaluated = np.zeros(len(labels), bool)
        given = dataset.given(evaluation.kind)
        if given is not None:
            images = np.concatenate([images, given.images])
            labels = np.concatenate([labels, given.labels])
            names += _names(dataset, evaluation.kind, len(given.labels))
            evaluated = np.arange(len(labels)) >= len(dataset.train_labels)
        elif evaluation.held is not None:
            evaluated[evaluation.held] = True
        classes = dataset.class_names or [f"class {k}" for k in range(int(labels.max()) + 1)]
        groups = dataset.groups if evaluation.share is not None else None
        return cls(images, labels, evaluated, names, groups, classes, evaluation)

    @property
    def part(self) -> str:
        """What the images that all runs are evaluated on are called."""
        return self.evaluation.kind if self.evaluation.kind in GIVEN else "held-out"

    def named(self, found: Sequence[Found]) -> list[str]:
        """Return the first pairs as texts.

        found: the duplicates.
        """
        return [f"{self.names[one]} = {self.names[other]}" for one, other, _ in found[:NAMED]]

    def place(self, picture: int) -> str:
        """Return the part and the class of a picture.

        picture: its position in the list.
        """
        part = self.part if self.evaluated[picture] else "training"
        return f"{part}, {self.classes[self.labels[picture]]}"


def _names(dataset: Dataset, part: str, count: int) -> list[str]:
    if dataset.listing is not None:
        return [picture.name for picture in dataset.listing.pictures if picture.part == part]
    return [f"{part}_images[{k}]" for k in range(count)]
