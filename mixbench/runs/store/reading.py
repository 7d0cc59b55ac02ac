"""The files of a run, read where it lies: in a folder, or in an archive, which is not unpacked for that. No torch.

An archive is a zip file, since its directory tells what is in it before anything is unpacked, and any tool opens it:

<id>/metrics.json  <id>/history.csv  …    the files of each run
manifest.json                             schema, mixbench's version, and bytes and SHA-256 of every file
"""

import errno
import hashlib
import io
import json
import os
import stat
import struct
import weakref
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mixbench.core import files
from mixbench.core.errors import UserError, printable

SCHEMA = 1  # of the archives; raised when a reader of today could not read them
MANIFEST = "manifest.json"
PREDICTIONS, WEIGHTS = "predictions.npz", "weights.pt"
COMPACT = (PREDICTIONS, WEIGHTS)  # zipping makes them no smaller
TEXT_LIMIT = files.LARGEST_TEXT  # of any other file: these are read whole
# A few bytes of a zip may promise a thousand times as many. What is larger than SMALL may have RATIO times the bytes
# that it has in the archive: zipping made no text of our runs more than 5 times smaller, and no predictions or weights.
RATIO, SMALL = 50, 2**20
# What a damaged zip file, an .npz or an archive of runs, raises from zipfile.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression that this Python does not know
    RuntimeError,  # encrypted
    OverflowError,
    OSError,
    ValueError,
)


@dataclass(frozen=True)
class Archive:
    """An opened archive: its manifest's run id -> file -> {bytes, sha256}, none of it to be trusted yet."""

    path: Path
    zip: zipfile.ZipFile
    runs: Mapping[str, Any]

    def places(self) -> "list[PackedRun]":
        """Where its runs lie, by their names."""
        return [PackedRun(self.path, name, self) for name in sorted(self.runs)]


@dataclass(frozen=True)
class PackedRun:
    """Where a run lies that is in an archive: what a folder is to other runs.

    path: of the archive.
    name: of the run.
    archive: opened; it stays open as long as anything refers to one of its runs.
    """

    path: Path
    name: str
    archive: Archive = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.path}/{self.name}"

    def __reduce__(self) -> tuple:  # an open file cannot be pickled
        return _reopened, (self.path, self.name)


Place = Path | PackedRun


def _reopened(path: Path, name: str) -> PackedRun:
    return PackedRun(path, name, attach(path))


# Opening


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """An archive, open within the body. Raises UserError where the file is no archive that this version can read."""
    with _file(path) as file:
        yield _checked(path, file)


def attach(path: Path) -> Archive:
    """An archive that stays open as long as it, or one of its runs, is in use. Raises as open_archive."""
    file = _file(path)
    try:
        archive = _checked(path, file)
    except BaseException:
        file.close()
        raise
    weakref.finalize(archive.zip, file.close)
    return archive


def _file(path: Path) -> IO[bytes]:
    try:
        return files.open_regular(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; it should be an archive that mixbench export made") from error
    except (OSError, ValueError) as error:
        raise _no_archive(path, error) from error


def _checked(path: Path, file: IO[bytes]) -> Archive:
    """Raises UserError where the file is no archive that this version can read."""
    try:
        opened = zipfile.ZipFile(file)
        if opened.getinfo(MANIFEST).file_size > TEXT_LIMIT:
            raise ValueError("its manifest is too large")
        _check_ratio(opened.getinfo(MANIFEST))
        if sum(member.compress_size for member in opened.infolist()) > os.fstat(file.fileno()).st_size:
            raise ValueError("its files lie over one another")
        manifest = json.loads(opened.read(MANIFEST))
        schema, runs = manifest["schema"], manifest["runs"]
        if schema == SCHEMA and not isinstance(runs, dict):
            raise ValueError("its manifest lists no runs")
    except (*UNREADABLE, KeyError, TypeError) as error:  # RecursionError is a RuntimeError
        raise _no_archive(path, error) from error
    if schema != SCHEMA:
        raise UserError(printable(f"{path}: is an archive of schema {schema}, this version reads {SCHEMA}"))
    return Archive(path, opened, runs)


def _no_archive(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(printable(f"{path}: is no archive that mixbench export made ({reason})"))


# Reading


def has(place: Place, file: str) -> bool:
    """Whether a run has a file of that name."""
    if isinstance(place, PackedRun):
        facts = place.archive.runs.get(place.name)
        return isinstance(facts, dict) and file in facts
    return os.path.exists(place / file)


def read_bytes(place: Place, file: str, most: int = files.LARGEST_TEXT) -> bytes:
    """Raises OSError, FileNotFoundError where the run has no such file; ValueError where it is damaged or larger."""
    if not isinstance(place, PackedRun):
        return files.read_bytes(place / file, most)
    member = _member(place, file, most)
    try:
        data = place.archive.zip.read(member)  # gives no more than the size that was looked at
    except UNREADABLE as error:
        raise ValueError(f"{file} is damaged ({getattr(error, 'strerror', None) or error})") from error
    check_sum(place, file, hashlib.sha256(data).hexdigest())
    return data


def read_text(place: Place, file: str, most: int = files.LARGEST_TEXT) -> str:
    """As read_bytes; ValueError also where it is no UTF-8."""
    return read_bytes(place, file, most).decode("utf-8")


def read_json(place: Place, file: str) -> dict[str, Any]:
    """As read_bytes; ValueError also where it is no JSON object."""
    return files.parse_json(read_text(place, file, files.LARGEST_JSON), file)


@contextmanager
def open_file(place: Place, file: str) -> Iterator[IO[bytes]]:
    """A file of a run, opened; of an archive it has the manifest's size, and its checksum is still to be compared.

    Raises OSError or ValueError, and in the body one of UNREADABLE.
    """
    if not isinstance(place, PackedRun):
        with files.open_regular(place / file) as source:
            yield source
        return
    with place.archive.zip.open(_member(place, file)) as source:  # gives no more than the size that was looked at
        yield source


def _member(place: PackedRun, file: str, most: int | None = None) -> zipfile.ZipInfo:
    """Raises FileNotFoundError where the run has no such file, ValueError where it is not to be read."""
    if not has(place, file):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{place}/{file}")
    member = look(place.archive.zip, f"{place.name}/{file}", file, place.archive.runs[place.name][file])
    if most is not None and member.file_size > most:
        raise ValueError(f"{file} has {member.file_size:,} bytes, more than any such file")
    return member


def read_whole(place: Place, file: str, most: int) -> IO[bytes]:
    """A file that is read piece by piece; of an archive all of it, checked, in memory. Raises as read_bytes."""
    if isinstance(place, PackedRun):
        return io.BytesIO(read_bytes(place, file, most))
    return files.open_regular(place / file)


def check_sum(place: Place, file: str, digest: str) -> None:
    """Raises ValueError where an archive's manifest has another checksum (SHA-256) of a run's file."""
    if isinstance(place, PackedRun) and place.archive.runs[place.name][file]["sha256"] != digest:
        raise ValueError(f"{file} is damaged: its checksum is not the manifest's")


def modified(place: Place) -> float:
    """When a run was finished, seconds; of an archive when that was written. Raises OSError."""
    return (place.path if isinstance(place, PackedRun) else place / "metrics.json").stat().st_mtime


def look(packed: zipfile.ZipFile, path: str, file: str, facts: Any) -> zipfile.ZipInfo:
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
