"""The teacher that a run's configuration names: a stored run, loaded with its weights."""

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from mixbench import models
from mixbench.config import teacher
from mixbench.config.identity import Job
from mixbench.core import files
from mixbench.core.errors import UserError
from mixbench.core.registry import CURRENT
from mixbench.data import Dataset, Split
from mixbench.training.context import Providers
from mixbench.training.maps import maps_of, watched
from mixbench.training.teacher import TeacherNetwork
from mixbench.training.validate import asked_of_teacher

# What can be wrong with the files of a run that was damaged or made by another version.
UNUSABLE = (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, pickle.UnpicklingError)


def check(job: Job, dataset: Dataset) -> None:
    """Raise UserError if the teacher of a job cannot be loaded, does not fit the images or lacks maps that are needed.

    job: the job.
    dataset: its data set.
    """
    height, width, channels = dataset.train_images.shape[1:]
    given = _of(job, (height, width))
    if given is None:
        return
    folder = teacher.named(job.cfg.method)
    images, seen = torch.zeros(1, channels, height, width), {}
    layers = (watched(given.network, None, seen),) if given.has_layers else ()
    try:
        with torch.no_grad():
            logits = given.network(images, *layers)
    except RuntimeError as error:
        raise UserError(f"teacher={folder}: cannot see images of {height}x{width} with {channels} channels") from error
    if logits.shape[1] != dataset.num_classes:
        raise UserError(
            f"teacher={folder}: knows {logits.shape[1]} classes, but the data set has {dataset.num_classes}; choose a "
            "run with the same classes"
        )
    for kind in sorted(asked_of_teacher(job.cfg)):
        try:
            maps_of(given.network, kind, seen, torch.zeros(logits.shape))
        except UserError as error:
            raise UserError(f"teacher={folder}: {error}; choose a run whose model has it") from error


def providers(job: Job, images: Split) -> Providers:
    """Return what a run of the job needs from its caller: a teacher, if the configuration names a stored run.

    job: the job.
    images: its images.
    Raises UserError if the teacher cannot be loaded, or its weights are not those of the job.
    """
    height, width = images.train_images.shape[1:3]
    return Providers(teacher=_of(job, (height, width)))


def provenance(job: Job) -> dict[str, Any]:
    """Return {"teacher": {run, sha256}} for a job whose teacher is a stored run, else {}.

    job: the job.
    """
    folder = teacher.named(job.cfg.method)
    return {} if folder == CURRENT else {"teacher": {"run": Path(folder).name, "sha256": teacher.checksum(folder)}}


def _of(job: Job, size: tuple[int, int]) -> TeacherNetwork | None:
    folder = teacher.named(job.cfg.method)
    if folder == CURRENT:
        return None
    found = teacher.checksum(folder)
    wanted = {value for key, value in job.identity.items() if key.endswith(f".{teacher.KEY}") and value != CURRENT}
    if found[: teacher.DIGITS] not in wanted:
        raise UserError(f"teacher={folder}: its weights changed since the command began; start the command again")
    return _load(folder, found, size)


@lru_cache(maxsize=2)
def _load(folder: str, checksum: str, size: tuple[int, int]) -> TeacherNetwork:
    """Load the network of a stored run.

    folder: the run's folder.
    checksum: of its weights, so that changed weights are loaded again.
    size: height and width of the images, in pixels, for networks whose weights depend on it.
    """
    place = Path(folder)
    try:
        cfg = cast(DictConfig, OmegaConf.create((place / "config.yaml").read_text(encoding="utf-8")))
        source = files.read_json(place / "provenance.json")
        mean, std = (np.array(source[key], dtype=float) for key in ("mean", "std"))
        weights = torch.load(place / teacher.WEIGHTS, map_location="cpu", weights_only=True)
        network = models.build_network(cfg.model, len(mean), len(source["class_counts"]), size)
        network.load_state_dict(weights)
    except UNUSABLE as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"teacher={folder}: cannot be loaded ({type(error).__name__}: {reason})") from error
    return TeacherNetwork(network.eval(), models.has_layers(cfg.model), mean, std)
