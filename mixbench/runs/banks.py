"""The banks of generated images that a run's methods need."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from mixbench.config.identity import Job
from mixbench.core.banks import DIGITS
from mixbench.core.errors import UserError
from mixbench.data import BankPart, Split, read_bank
from mixbench.generation.stand_in import stand_in
from mixbench.mixing.runner import Single, build_method

NEED = "generated"


def methods_with_banks(method: Mapping[str, Any]) -> dict[str, Single]:
    """Return key in the configuration -> method, for the methods that need generated images.

    method: a validated config group `method`.
    """
    singles = build_method(method).singles()
    return {key: single for key, single in singles.items() if NEED in single.function.needs}


def with_banks(images: Split, job: Job, stand_ins: bool = False) -> Split:
    """Return the images of a run together with those of its methods' banks.

    images: the images of the run.
    job: the run. Its identity has the banks' checksums.
    stand_ins: use stand-ins (generation.stand_in) where no bank is set, for pictures.
    Raises UserError if a bank is missing, does not fit, or has changed.
    """
    found: dict[str, BankPart] = {}
    for key, single in methods_with_banks(job.cfg.method).items():
        folder, backends = single.function.bank, single.function.backends
        if folder is None and stand_ins:
            found[key] = stand_in(images.train_images)
            continue
        if folder is None:
            raise UserError(
                f"{key}.bank is not set: {single.name} needs generated images; make them with "
                f"mixbench generate {_words(job.cfg.dataset, backends)} bank=FOLDER, then set {key}.bank=FOLDER"
            )
        bank = read_bank(folder, images.indices, images.checksums["train_sha256"], backends, f"{key}.bank")
        if bank.source["sha256"][:DIGITS] != job.identity.get(f"{key}.bank"):
            raise UserError(f"{key}.bank={folder}: was made anew after the command started; run the command again")
        found[key] = bank
    return replace(images, generated=found) if found else images


def with_stand_ins(images: Split, method: Mapping[str, Any]) -> Split:
    """Return the images of a run together with stand-ins for those of all banks, to try and to measure methods.

    images: the images of the run.
    method: a validated config group `method`.
    """
    keys = methods_with_banks(method)
    return replace(images, generated={key: stand_in(images.train_images) for key in keys}) if keys else images


def _words(dataset: DictConfig, backends: Sequence[str]) -> str:
    """Return the words of a command that makes a bank of a data set."""
    words = ["dataset=npz", f"dataset.path={dataset.path}"] if dataset.path else [f"dataset={dataset.source}"]
    return " ".join([*words, *(f"backend={backend}" for backend in backends[:1])])
