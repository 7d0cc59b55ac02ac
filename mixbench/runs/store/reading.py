"""Reads the files of a run in a folder, or in an archive without unpacking it. No torch.

An archive is a zip file: its directory lists the content before anything is unpacked, and every tool can open it.

<id>/metrics.json  <id>/history.csv  …    the files of each run
manifest.json                             schema, version of mixbench, bytes and SHA-256 of every file, and the
                                          records of races among the runs (runs/races.py)
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mixbench.core import files
from mixbench.core.errors import UserError, printable

SCHEMA = 1  # schema of archives; it is raised when older versions could not read them
MANIFEST = "manifest.json"
PREDICTIONS, WEIGHTS = "predictions.npz", "weights.pt"
COMPACT = (PREDICTIONS, WEIGHTS)  # compression does not make these smaller
TEXT_LIMIT = files.LARGEST_TEXT  # largest size of the other files, which are read whole
# A few bytes of a zip file can unpack to very many. Files larger than SMALL may unpack to at most RATIO times their
# size in the archive. Texts of our runs become at most 5 times smaller, predictions and weights do not.
RATIO, SMALL = 50, 2**20
# Errors that zipfile raises for a damaged zip file (an .npz file or an archive of runs).
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # unknown compression
    RuntimeError,  # encrypted
    OverflowError,
    OSError,
    ValueError,
)


@dataclass(frozen=True)
class Archive:
    """An open archive.

    path: its path.
    zip: its content.
    runs: run id -> file -> {bytes, sha256}, from the manifest; not checked yet.
    races: records of races, from the manifest; not checked yet.
    """

    path: Path
    zip: zipfile.ZipFile
    runs: Mapping[str, Any]
    races: Sequence[Any] = ()

    def places(self) -> "list[PackedRun]":
        """Return the places of its runs, sorted by name."""
        return [PackedRun(self.path, name, self) for name in sorted(self.runs)]


@dataclass(frozen=True)
class PackedRun:
    """The place of a run in an archive. For other runs, the place is a folder.

    path: path of the archive.
    name: name of the run.
    archive: the open archive. It stays open as long as one of its places is in use.
    """

    path: Path
    name: str
    archive: Archive = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.path}/{self.name}"

    def __reduce__(self) -> tuple:  # an open file cannot be pickled, so it is opened again
        return _reopened, (self.path, self.name)


Place = Path | PackedRun


def _reopened(path: Path, name: str) -> PackedRun:
    return PackedRun(path, name, attach(path))


# Opening


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive within the body.

    path: the archive's file.
    Raises UserError if the file is not an archive that this version can read.
    """
    with _file(path) as file:
        yield _checked(path, file)


def attach(path: Path) -> Archive:
    """Open an archive that stays open as long as it, or one of its places, is in use.

    path: the archive's file.
    Raises as open_archive.
    """
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
        raise UserError(f"{path}: no such file; give an archive from mixbench export") from error
    except (OSError, ValueError) as error:
        raise _no_archive(path, error) from error


def _checked(path: Path, file: IO[bytes]) -> Archive:
    """Return the archive in a file. Raises UserError if it is not an archive that this version can read."""
    try:
        opened = zipfile.ZipFile(file)
        if opened.getinfo(MANIFEST).file_size > TEXT_LIMIT:
            raise ValueError("its manifest is too large")
        _check_ratio(opened.getinfo(MANIFEST))
        if sum(member.compress_size for member in opened.infolist()) > os.fstat(file.fileno()).st_size:
            raise ValueError("its files overlap")
        manifest = json.loads(opened.read(MANIFEST))
        schema, runs = manifest["schema"], manifest["runs"]
        races = manifest.get("races", [])  # archives of earlier versions have none
        if schema == SCHEMA and not (isinstance(runs, dict) and isinstance(races, list)):
            raise ValueError("its manifest lists no runs")
    except (*UNREADABLE, KeyError, TypeError) as error:  # RecursionError is a RuntimeError
        raise _no_archive(path, error) from error
    if schema != SCHEMA:
        raise UserError(
            printable(
                f"{path}: is an archive of schema {schema}, but this version of mixbench reads schema {SCHEMA}; use "
                "another version"
            )
        )
    return Archive(path, opened, runs, races)


def _no_archive(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or error
    return UserError(printable(f"{path}: is not an archive from mixbench export ({reason})"))


# Reading


def has(place: Place, file: str) -> bool:
    """Whether a run has a file of that name.

    place: the run.
    file: name of the file, such as predictions.npz.
    """
    if isinstance(place, PackedRun):
        facts = place.archive.runs.get(place.name)
        return isinstance(facts, dict) and file in facts
    return os.path.exists(place / file)


def read_bytes(place: Place, file: str, most: int = files.LARGEST_TEXT) -> bytes:
    """Return the content of a run's file.

    place: the run.
    file: name of the file.
    most: largest size in bytes.
    Raises OSError (FileNotFoundError if the run has no such file), and ValueError if the file is damaged or too large.
    """
    if not isinstance(place, PackedRun):
        return files.read_bytes(place / file, most)
    member = _member(place, file, most)
    try:
        data = place.archive.zip.read(member)  # returns at most the size that was checked
    except UNREADABLE as error:
        raise ValueError(f"{file} is damaged ({getattr(error, 'strerror', None) or error})") from error
    check_sum(place, file, hashlib.sha256(data).hexdigest())
    return data


def read_text(place: Place, file: str, most: int = files.LARGEST_TEXT) -> str:
    """Return the text of a run's file.

    place, file, most: as in `read_bytes`.
    Raises the errors of read_bytes, and ValueError if the text is not UTF-8.
    """
    return read_bytes(place, file, most).decode("utf-8")


def read_json(place: Place, file: str) -> dict[str, Any]:
    """Return the JSON object of a run's file.

    place, file: as in `read_bytes`.
    Raises the errors of read_bytes, and ValueError if the file does not hold a JSON object.
    """
    return files.parse_json(read_text(place, file, files.LARGEST_JSON), file)


@contextmanager
def open_file(place: Place, file: str) -> Iterator[IO[bytes]]:
    """Open a run's file within the body. The checksum of a file in an archive is not compared.

    place: the run.
    file: name of the file.
    Raises OSError or ValueError, and in the body one of UNREADABLE.
    """
    if not isinstance(place, PackedRun):
        with files.open_regular(place / file) as source:
            yield source
        return
    with place.archive.zip.open(_member(place, file)) as source:  # returns at most the size that was checked
        yield source


def _member(place: PackedRun, file: str, most: int | None = None) -> zipfile.ZipInfo:
    """Return the archive's member. Raises FileNotFoundError if there is no such file, ValueError if it is unusable."""
    if not has(place, file):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{place}/{file}")
    member = checked_member(place.archive.zip, f"{place.name}/{file}", file, place.archive.runs[place.name][file])
    if most is not None and member.file_size > most:
        raise ValueError(f"{file} has {member.file_size:,} bytes, which is too large")
    return member


def read_whole(place: Place, file: str, most: int) -> IO[bytes]:
    """Return a run's file as a binary stream; from an archive its checked content in memory.

    place, file: as in `read_bytes`.
    most: largest size in bytes of a file in an archive.
    Raises the errors of read_bytes.
    """
    if isinstance(place, PackedRun):
        return io.BytesIO(read_bytes(place, file, most))
    return files.open_regular(place / file)


def check_sum(place: Place, file: str, digest: str) -> None:
    """Check a file of a run in an archive against the manifest. A file in a folder has no manifest.

    place: the run.
    file: name of the file.
    digest: hexadecimal SHA-256 of its content.
    Raises ValueError if the manifest has another SHA-256.
    """
    if isinstance(place, PackedRun) and place.archive.runs[place.name][file]["sha256"] != digest:
        raise ValueError(f"{file} is damaged: its checksum differs from the manifest")


def modified(place: Place) -> float:
    """Return the time when a run was finished, or when its archive was written.

    place: the run.
    Returns seconds since 1970.
    Raises OSError.
    """
    return (place.path if isinstance(place, PackedRun) else place / "metrics.json").stat().st_mtime


def checked_member(packed: zipfile.ZipFile, path: str, file: str, facts: Any) -> zipfile.ZipInfo:
    """Return an archive's member after checking its size, before it is unpacked.

    packed: the open archive.
    path: path of the member.
    file: name of the run's file.
    facts: its size and checksum in the manifest, which can be damaged.
    Raises ValueError if the member must not be unpacked.
    """
    try:
        member = packed.getinfo(path)
        size, _ = facts["bytes"], facts["sha256"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is missing, or the manifest has no size and checksum for it") from error
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(f"{file} is a link")
    if member.file_size != size:
        raise ValueError(f"{file} has {member.file_size} bytes, but the manifest says {size}")
    if file not in COMPACT and size > TEXT_LIMIT:
        raise ValueError(f"{file} has {size:,} bytes, which is too large")
    _check_ratio(member)
    return member


def _check_ratio(member: zipfile.ZipInfo) -> None:
    """Raise ValueError if a few bytes unpack to very many."""
    if member.file_size > max(SMALL, RATIO * member.compress_size):
        raise ValueError(
            f"{member.filename.rpartition('/')[2]} has {member.compress_size:,} bytes that unpack to "
            f"{member.file_size:,}, which is more than any file of a run"
        )
