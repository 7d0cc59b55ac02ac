"""Packs finished runs into archives, to share or publish them, and unpacks archives. No torch."""

import errno
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from mixbench.config.compose import without_paths
from mixbench.config.identity import run_id
from mixbench.core import files, memory
from mixbench.core.errors import CannotWrite, UserError, printable
from mixbench.core.version import __version__
from mixbench.runs.store import predictions, reading, store
from mixbench.runs.store.predictions import CORRECT
from mixbench.runs.store.reading import (
    COMPACT,
    MANIFEST,
    PREDICTIONS,
    SCHEMA,
    SMALL,
    UNREADABLE,
    Archive,
    Place,
    checked_member,
)

FILES = ("metrics.json", "provenance.json", "history.csv", "config.yaml", "label_noise.csv")
EPOCH = (1980, 1, 1, 0, 0, 0)  # date of every member, so that the same runs give the same file


# Packing


@dataclass(frozen=True)
class Packed:
    """What was packed into an archive.

    runs: number of runs.
    correct: number of runs with logits or correct.json, which show the images that a run classifies correctly.
    left_out: one line for each damaged run.
    """

    runs: int
    correct: int
    left_out: list[str]


def pack(
    places: Iterable[Place],
    path: Path,
    names: Sequence[str],
    largest: Mapping[str, int] | None = None,
    races: Sequence[Mapping[str, Any]] = (),
) -> Packed:
    """Pack runs into an archive. The archive is written completely or not at all.

    The same runs give the same bytes, in any order. A run without logits in the archive gets correct.json if possible.
    If all runs are damaged, no archive is written.

    places: folders of the runs, or their places in other archives.
    path: path of the archive. An existing archive is replaced.
    names: names of the files to pack; a run need not have all of them.
    largest: name of a file -> largest size in bytes; a larger file is left out.
    races: records of the races that the runs belong to, from runs.races.
    Raises UserError if the path cannot be used, and CannotWrite.
    """
    intact, left_out, correct = [], [], 0
    for place in sorted(places, key=lambda place: place.name):
        try:
            check(place)
            intact.append(place)
        except (OSError, ValueError) as error:
            left_out.append(printable(f"{place}: left out ({error})"))
    if intact:
        _check_free(path)
        files.check_writable(path.parent, "out")
        with files.folder_for(path):

            def fill(file: BinaryIO) -> None:
                nonlocal correct
                correct = _fill(file, intact, names, largest or {}, races)

            files.write(path, fill)
    return Packed(len(intact), correct, left_out)


def _check_free(path: Path) -> None:
    """Raise UserError if the path is a folder, or a file that is not an archive of runs, which must not be replaced."""
    if path.is_dir():
        raise UserError(f"out={path}: is a folder; name a file in it, as in out={path / 'runs.mixbench.zip'}")
    if path.exists():
        try:
            with reading.open_archive(path):
                pass
        except UserError as error:
            raise UserError(f"out={path}: exists and is not an archive of runs; choose another name") from error


def _fill(
    file: BinaryIO,
    places: Sequence[Place],
    names: Sequence[str],
    largest: Mapping[str, int],
    races: Sequence[Mapping[str, Any]],
) -> int:
    """Write the archive's content. Returns the number of runs that have logits or correct.json in it."""
    runs: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(file, "w") as packed:
        for place in places:
            try:
                runs[place.name] = _add_run(packed, place, names, largest)
            except CannotWrite:
                raise
            except UNREADABLE as error:
                reason = getattr(error, "strerror", None) or error
                raise UserError(f"{place}: cannot be packed ({reason})") from error
        manifest: dict[str, Any] = {"schema": SCHEMA, "mixbench": __version__, "runs": runs}
        if races:
            manifest["races"] = list(races)
        packed.writestr(_member(MANIFEST), json.dumps(manifest, indent=1) + "\n", zipfile.ZIP_DEFLATED)
    return sum(PREDICTIONS in facts or CORRECT in facts for facts in runs.values())


def _add_run(
    packed: zipfile.ZipFile, place: Place, names: Sequence[str], largest: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Pack the files of a run. Returns their sizes and checksums. Raises one of UNREADABLE if a file cannot be read."""
    facts = {}
    texts = {name: reading.read_bytes(place, name) for name in FILES if name in names and reading.has(place, name)}
    texts = {name: text for name, text in texts.items() if len(text) <= largest.get(name, len(text))}
    if "config.yaml" in texts:
        texts["config.yaml"] = _portable(texts["config.yaml"])
    if not (PREDICTIONS in names and reading.has(place, PREDICTIONS)):
        texts |= _correct(place)
    for name in sorted({*names, *texts}):
        member = _member(f"{place.name}/{name}")
        if name in texts:
            packed.writestr(member, texts[name], zipfile.ZIP_DEFLATED)
            facts[name] = {"bytes": len(texts[name]), "sha256": hashlib.sha256(texts[name]).hexdigest()}
        elif name in COMPACT and reading.has(place, name):
            with reading.open_file(place, name) as source:
                member.file_size = source.seek(0, os.SEEK_END)  # zipfile needs it to choose between 32 and 64 bits
                source.seek(0)
                with packed.open(member, "w") as target:
                    facts[name] = _copy(source, target)
            reading.check_sum(place, name, facts[name]["sha256"])
    if reading.read_bytes(place, "metrics.json") != texts["metrics.json"]:
        raise ValueError("it was trained again in the meantime")
    return facts


def _correct(place: Place) -> dict[str, bytes]:
    """Return correct.json with its content; empty if a run has neither logits nor this file, or they are damaged."""
    try:
        correct = predictions.read_correct(place)
    except ValueError:
        return {}
    return {} if correct is None else {CORRECT: predictions.encoded(correct)}


def _portable(config: bytes) -> bytes:
    """Return a run's config.yaml without the paths of this machine. A damaged file is returned unchanged."""
    try:
        text = config.decode()
        files.parse_yaml(text)
        return without_paths(text).encode()
    except (ValueError, RecursionError):
        return config


def _copy(source: IO[bytes], target: IO[bytes]) -> dict[str, Any]:
    digest, count = hashlib.sha256(), 0
    while piece := source.read(2**20):
        digest.update(piece)
        target.write(piece)
        count += len(piece)
    return {"bytes": count, "sha256": digest.hexdigest()}


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, EPOCH)
    member.external_attr = 0o644 << 16
    return member


def check(place: Place) -> dict[str, Any]:
    """Return the metrics of a run, after checking that it is finished and not damaged.

    place: the run.
    Raises OSError or ValueError if it is not finished or is damaged.
    """
    metrics = store.read_metrics(place)
    if run_id(metrics["identity"]) != metrics["id"]:
        raise ValueError("its name does not match its settings")
    return metrics


# Unpacking


def unlisted_members(archive: Archive) -> list[str]:
    """Return the members that the manifest does not list. Folders of runs, which other tools add, do not count.

    archive: the opened archive.
    """
    named = {f"{name}/{file}" for name, files in archive.runs.items() if isinstance(files, dict) for file in files}
    folders = {f"{name}/" for name in archive.runs}
    return sorted(set(archive.zip.namelist()) - named - folders - {MANIFEST})


def unpack(packed: zipfile.ZipFile, name: str, facts: Any, folder: Path) -> None:
    """Unpack a run into a new folder.

    packed: the opened archive.
    name: name of the run.
    facts: file -> size and checksum in the manifest, which can be damaged.
    folder: path of the new folder.
    Raises one of UNREADABLE if the files differ from the manifest or are too large.
    """
    if not isinstance(facts, dict):
        raise ValueError("the manifest lists none of its files")
    for file in facts:
        if file not in (*FILES, *COMPACT, CORRECT):
            raise ValueError(f"{file!r} is not a file of a finished run")
    members = {file: checked_member(packed, f"{name}/{file}", file, of_file) for file, of_file in facts.items()}
    needed, free = sum(member.file_size for member in members.values()), shutil.disk_usage(folder.parent).free
    if needed > free:
        if free < SMALL:  # there is no room for any other run either
            raise CannotWrite(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        raise ValueError(f"it needs {memory.size(needed)}, but only {memory.size(free)} of the disk are free")
    with files.writing(folder):
        folder.mkdir()
    for file, member in members.items():
        with packed.open(member) as source:  # returns at most the size that was checked
            files.write(folder / file, lambda target, source=source: shutil.copyfileobj(source, target))
        with open(folder / file, "rb") as copy:
            if hashlib.file_digest(copy, "sha256").hexdigest() != facts[file]["sha256"]:
                raise ValueError(f"{file} is damaged: its checksum differs from the manifest")
