"""Finished runs in one file, to hand them on: packing them into a zip archive, and opening one. No torch.

<id>/metrics.json  <id>/history.csv  …    the files of each run as they are
manifest.json                             schema, mixbench's version, and bytes and SHA-256 of every file

A zip, since its directory tells what is in it before anything is unpacked, and any tool opens it.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from mixbench.config.compose import without_paths
from mixbench.config.identity import run_id
from mixbench.core import files, memory
from mixbench.core.errors import CannotWrite, UserError, printable
from mixbench.core.version import __version__
from mixbench.runs.store import store
from mixbench.runs.store.store import UNREADABLE

SCHEMA = 1  # of the archives; raised when a reader of today could not read them
MANIFEST = "manifest.json"
FILES = ("metrics.json", "provenance.json", "history.csv", "config.yaml", "label_noise.csv")
PREDICTIONS, WEIGHTS = "predictions.npz", "weights.pt"
COMPACT = (PREDICTIONS, WEIGHTS)  # zipping makes them no smaller
TEXT_LIMIT = files.LARGEST_TEXT  # of any other file: these are read whole
# A few bytes of a zip may promise a thousand times as many. What is larger than SMALL may have RATIO times the bytes
# that it has in the archive: zipping made no text of our runs more than 5 times smaller, and no predictions or weights.
RATIO, SMALL = 50, 2**20
EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every member, so that the same runs make the same file


@dataclass(frozen=True)
class Archive:
    """An opened archive: its manifest's run id -> file -> {bytes, sha256}, none of it to be trusted yet."""

    path: Path
    zip: zipfile.ZipFile
    runs: Mapping[str, Any]


# Packing


@dataclass(frozen=True)
class Packed:
    """What went into an archive.

    runs: how many. left_out: a line for each run that is damaged.
    """

    runs: int
    left_out: list[str]


def pack(folders: Iterable[Path], path: Path, names: Sequence[str]) -> Packed:
    """Write runs to the archive `path`, whole or not at all; nothing where all are damaged.

    folders: of the runs.
    path: of the archive; one that is there is replaced.
    names: which files of a run go in, where it has them.
    Raises UserError where `path` is no place for it, CannotWrite.
    """
    intact, left_out = [], []
    for folder in folders:
        try:
            check(folder)
            intact.append(folder)
        except (OSError, ValueError) as error:
            left_out.append(printable(f"{folder}: left out ({error})"))
    if intact:
        _check_free(path)
        files.check_writable(path.parent, "out")
        with files.folder_for(path):
            files.write(path, lambda file: _fill(file, intact, names))
    return Packed(len(intact), left_out)


def _check_free(path: Path) -> None:
    """Raises UserError where the name is of a folder, or of a file that is no archive of runs: it may be anything."""
    if path.is_dir():
        raise UserError(f"out={path}: is a folder; name a file in it, as in out={path / 'runs.mixbench.zip'}")
    if path.exists():
        try:
            with open_archive(path):
                pass
        except UserError as error:
            raise UserError(f"out={path}: is another file, no archive of runs; choose another name") from error


def _fill(file: BinaryIO, folders: Sequence[Path], names: Sequence[str]) -> None:
    runs: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(file, "w") as packed:
        for folder in folders:
            try:
                runs[folder.name] = _add_run(packed, folder, names)
            except CannotWrite:
                raise
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise UserError(f"{folder}: cannot be packed ({reason})") from error
        manifest = {"schema": SCHEMA, "mixbench": __version__, "runs": runs}
        packed.writestr(_member(MANIFEST), json.dumps(manifest, indent=1) + "\n", zipfile.ZIP_DEFLATED)


def _add_run(packed: zipfile.ZipFile, folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Pack the run's files; their sizes and checksums. Raises OSError or ValueError where one cannot be read."""
    facts = {}
    texts = {name: files.read_bytes(folder / name) for name in FILES if name in names and (folder / name).exists()}
    if "config.yaml" in texts:
        texts["config.yaml"] = portable(texts["config.yaml"])
    for name in names:
        member = _member(f"{folder.name}/{name}")
        if name in texts:
            packed.writestr(member, texts[name], zipfile.ZIP_DEFLATED)
            facts[name] = {"bytes": len(texts[name]), "sha256": hashlib.sha256(texts[name]).hexdigest()}
        elif name in COMPACT and (folder / name).exists():
            with files.open_regular(folder / name) as source:
                member.file_size = os.fstat(source.fileno()).st_size
                with packed.open(member, "w") as target:
                    facts[name] = _copy(source, target)
    if files.read_bytes(folder / "metrics.json") != texts["metrics.json"]:
        raise ValueError("it was trained again meanwhile")
    return facts


def portable(config: bytes) -> bytes:
    """A run's config.yaml without the paths of one machine; what is damaged stays as it is."""
    try:
        text = config.decode()
        files.parse_yaml(text)
        return without_paths(text).encode()
    except (ValueError, RecursionError):
        return config


def _copy(source: BinaryIO, target: IO[bytes]) -> dict[str, Any]:
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


def check(folder: Path) -> dict[str, Any]:
    """The metrics of a run. Raises OSError or ValueError where it is not finished, or damaged."""
    metrics = store.read_metrics(folder)
    if run_id(metrics["identity"]) != metrics["id"]:
        raise ValueError("its name is not that of its settings")
    return metrics


# Opening


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Raises UserError where the file is no archive that this version can read."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(zipfile.ZipFile(stack.enter_context(files.open_regular(path))))
            if opened.getinfo(MANIFEST).file_size > TEXT_LIMIT:
                raise ValueError("its manifest is too large")
            _check_ratio(opened.getinfo(MANIFEST))
            if sum(member.compress_size for member in opened.infolist()) > path.stat().st_size:
                raise ValueError("its files lie over one another")
            manifest = json.loads(opened.read(MANIFEST))
            schema, runs = manifest["schema"], manifest["runs"]
            if schema == SCHEMA and not isinstance(runs, dict):
                raise ValueError("its manifest lists no runs")
        except FileNotFoundError as error:
            raise UserError(
                f"{path}: no such file; import takes archives that mixbench export made, and results_dir=FOLDER"
            ) from error
        except (*UNREADABLE, KeyError, TypeError) as error:  # RecursionError is a RuntimeError
            reason = getattr(error, "strerror", None) or error
            raise UserError(printable(f"{path}: is no archive that mixbench export made ({reason})")) from error
        if schema != SCHEMA:
            raise UserError(printable(f"{path}: is an archive of schema {schema}, this version reads {SCHEMA}"))
        yield Archive(path, opened, runs)


def strangers(archive: Archive) -> list[str]:
    """The members that belong to no run of the manifest; folders, which other tools pack too, are none."""
    named = {f"{name}/{file}" for name, files in archive.runs.items() if isinstance(files, dict) for file in files}
    folders = {f"{name}/" for name in archive.runs}
    return sorted(set(archive.zip.namelist()) - named - folders - {MANIFEST})


def unpack(packed: zipfile.ZipFile, name: str, facts: Any, folder: Path) -> None:
    """Raises one of UNREADABLE where the run's files are not what the manifest says, or too large."""
    if not isinstance(facts, dict):
        raise ValueError("the manifest lists no files of it")
    for file in facts:
        if file not in (*FILES, *COMPACT):
            raise ValueError(f"{file!r} is no file of a finished run")
    members = {file: _look(packed, f"{name}/{file}", file, of_file) for file, of_file in facts.items()}
    needed, free = sum(member.file_size for member in members.values()), shutil.disk_usage(folder.parent).free
    if needed > free:
        if free < SMALL:  # nor has it room for any other run
            raise CannotWrite(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        raise ValueError(f"it takes {memory.size(needed)}, and {memory.size(free)} of the disk are free")
    with files.writing(folder):
        folder.mkdir()
    for file, member in members.items():
        with packed.open(member) as source:  # gives no more than the size that was looked at
            files.write(folder / file, lambda target, source=source: shutil.copyfileobj(source, target))
        with open(folder / file, "rb") as copy:
            if hashlib.file_digest(copy, "sha256").hexdigest() != facts[file]["sha256"]:
                raise ValueError(f"{file} is damaged: its checksum is not the manifest's")


def _look(packed: zipfile.ZipFile, path: str, file: str, facts: Any) -> zipfile.ZipInfo:
    """The archive's member for a file of a run, before it is unpacked. Raises ValueError where it is not to be."""
    try:
        member = packed.getinfo(path)
        size, _ = facts["bytes"], facts["sha256"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is missing, or its size and checksum are") from error
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(f"{file} is a link")
    if member.file_size != size:
        raise ValueError(f"{file} is of {member.file_size} bytes, the manifest says {size}")
    if file not in COMPACT and size > TEXT_LIMIT:
        raise ValueError(f"{file} is of {size} bytes, more than any such file has")
    _check_ratio(member)
    return member


def _check_ratio(member: zipfile.ZipInfo) -> None:
    """Raises ValueError for a few bytes that unpack to very many."""
    if member.file_size > max(SMALL, RATIO * member.compress_size):
        raise ValueError(
            f"{member.filename.rpartition('/')[2]} is of {member.compress_size:,} bytes that unpack to "
            f"{member.file_size:,}, as no file of a run does"
        )
