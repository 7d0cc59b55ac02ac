"""Audits of a user's own data, kept beside the runs in results/audits/DATASET.json. None is made twice.

The files have thumbnails of the user's pictures. Only the report of the user's own runs reads them; they are in no
archive and in no published record. No torch.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mixbench.core import files
from mixbench.core.errors import CannotWrite
from mixbench.core.pictures import OF_PICTURES
from mixbench.data.audit import Audit, Evaluation, audit, of_run
from mixbench.data.audit.findings import from_json
from mixbench.data.sources.load import Dataset
from mixbench.data.sources.parts import TRAIN

FOLDER = "audits"
SCHEMA = 1
VERSION = 1  # of what is looked for; audits of another version are made again
OWN_DATA = ("npz", *OF_PICTURES)
LINES = 5  # of the short form
NEAR_MOST = 50_000  # pictures up to which a command that trains looks for near duplicates


@dataclass(frozen=True)
class Stored:
    """An audit in a file.

    checksum: of everything that decides its findings.
    train_sha256: of the training images and labels, as in provenance.json of the runs.
    near: whether near duplicates were looked for.
    audit: its findings.
    """

    checksum: str
    train_sha256: str
    near: bool
    audit: Audit


def read(results_dir: str | Path, name: str) -> dict[str, Stored]:
    """Return the stored audits of a data set: value of `eval` -> audit. A damaged file counts as none.

    results_dir: folder of the results.
    name: dataset.name of its runs.
    """
    try:
        found = files.read_json(_file(results_dir, name))
        if found.get("schema") != SCHEMA:
            return {}
        return {str(kind): _stored(value) for kind, value in found["audits"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def of_data(dataset: Dataset, cfg: DictConfig, near: bool = True) -> Audit:
    """Return the audit of a run's data. It is read if it is stored, otherwise it is made and stored.

    dataset: the data set.
    cfg: the validated configuration of the run.
    near: whether near duplicates must have been looked for.
    Raises UserError if the data set cannot be divided as the configuration says, and CannotWrite.
    """
    evaluation = of_run(cfg, dataset)
    fit = cfg.dataset.fit if cfg.dataset.source in OF_PICTURES else None
    checksum = _checksum(dataset, evaluation, fit)
    stored = read(cfg.results_dir, cfg.dataset.name)
    there = stored.get(evaluation.kind)
    if there is not None and there.checksum == checksum and there.near >= near:
        return there.audit
    made = audit(dataset, evaluation, fit, near)
    stored[evaluation.kind] = Stored(checksum, dataset.train_sha256, near, made)
    path = _file(cfg.results_dir, cfg.dataset.name)
    value = {"schema": SCHEMA, "audits": {kind: _as_json(one) for kind, one in stored.items()}}
    with files.folder_for(path):
        files.write_json(path, value)
    return made


def problems(dataset: Dataset, cfg: DictConfig) -> list[str]:
    """Return the problems of a user's own data in at most LINES lines, to be read before training.

    dataset: the data set.
    cfg: the validated configuration of a run. Data of another source than the user's files have no problems.
    """
    if cfg.dataset.source not in OWN_DATA:
        return []
    given = dataset.given(cfg.eval)
    count = len(dataset.train_images) + (0 if given is None else len(given.labels))
    try:
        found = of_data(dataset, cfg, near=count <= NEAR_MOST).problems
        found = [finding for finding in found if finding.kind != "classes missing"]  # `data.warnings` tells of these
    except CannotWrite:  # the runs will say so
        return []
    if not found:
        return []
    name, shown = cfg.dataset.name, LINES - 1
    lines = [f"problem: {name}: {finding.found}" for finding in found[:shown]]
    more = f"{len(found) - shown:,} more problems; " if len(found) > shown else ""
    return [*lines, f"{name}: {more}mixbench audit says what this means for the results, and what to do"]


def _file(results_dir: str | Path, name: str) -> Path:
    return Path(results_dir) / FOLDER / f"{name}.json"


def path_of(cfg: DictConfig) -> Path:
    """Return the file that has the audits of a run's data.

    cfg: the validated configuration of the run.
    """
    return _file(cfg.results_dir, cfg.dataset.name)


def _as_json(stored: Stored) -> dict[str, Any]:
    of_file = {"checksum": stored.checksum, "train_sha256": stored.train_sha256, "near": stored.near}
    return of_file | stored.audit.to_json()


def _stored(value: dict[str, Any]) -> Stored:
    return Stored(str(value["checksum"]), str(value["train_sha256"]), bool(value["near"]), from_json(value))


def _checksum(dataset: Dataset, evaluation: Evaluation, fit: str | None) -> str:
    part = evaluation.kind if dataset.given(evaluation.kind) is not None else None
    digest = hashlib.sha256(f"{VERSION} {evaluation.kind} {evaluation.share} {fit}".encode())
    digest.update(dataset.sha256(part).encode())
    for array in (evaluation.held, dataset.groups):
        digest.update(b"none" if array is None else array.astype("<i8").tobytes())
    listing = dataset.listing
    if listing is not None:
        names = [picture.name for picture in listing.pictures if picture.part in (TRAIN, part)]
        digest.update(json.dumps([names, listing.skipped, listing.classes]).encode())
    return digest.hexdigest()
