"""Finished runs in one file, to hand them on: packing them into a zip archive, and opening one. No torch.

<id>/metrics.json  <id>/history.csv  …    the files of each run as they are
manifest.json                             schema, mixbench's version, and bytes and SHA-256 of every file

A zip, since its directory tells what is in it before anything is unpacked, and any tool opens it.
"""

import contextlib
import hashlib
import io
import json
import shutil
import stat
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixbench import __version__, store
from mixbench.config import without_paths
from mixbench.errors import UserError
from mixbench.identity import run_id
from mixbench.selection import Selection
from mixbench.store import UNREADABLE, printable

SCHEMA = 1  # of the archives; raised when a reader of today could not read them
MANIFEST = "manifest.json"
FILES = ("metrics.json", "provenance.json", "history.csv", "config.yaml", "label_noise.csv")
PREDICTIONS, WEIGHTS = "predictions.npz", "weights.pt"
COMPACT = (PREDICTIONS, WEIGHTS)  # zipping makes them no smaller
TEXT_LIMIT = 2**26  # bytes of any other file: these are read whole, and a zip may promise a thousand times its size
EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every member, so that the same runs make the same file


@dataclass(frozen=True)
class Archive:
    """An opened archive: its manifest's run id -> file -> {bytes, sha256}, none of it to be trusted yet."""

    path: Path
    zip: zipfile.ZipFile
    runs: Mapping[str, Any]


# Packing


def read_words(words: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """Tell the words of `export` apart: those that choose runs, the archive's name, and the files that go in.

    Raises UserError for an option of tables, and for a value that is neither true nor false.
    """
    options: dict[str, str | None] = {"out": None, "predictions": "true", "weights": "false"}
    rest = []
    for word in words:
        key, _, value = word.partition("=")
        if key in ("rows", "columns", "rule"):
            raise UserError(f"{word}: is of tables; export takes {', '.join(options)} and results_dir")
        if key in options and "=" in word:
            options[key] = value
        else:
            rest.append(word)
    for key in ("predictions", "weights"):
        if options[key] not in ("true", "false"):
            raise UserError(f"{key}={options[key]}: must be true or false")
    chosen = [PREDICTIONS] * (options["predictions"] == "true") + [WEIGHTS] * (options["weights"] == "true")
    return rest, options["out"], [*FILES, *chosen]


def pack(chosen: Selection, path: Path, files: Sequence[str]) -> int:
    """Write the selection's runs to the archive `path`, whole or not at all; nothing where there are none.

    files: which files of a run go in, where it has them. Returns the number of runs; those that had to be left out are
    told in the selection's `problems`. Raises UserError where the archive cannot be written.
    """
    sound = []
    for folder in chosen.frame["folder"] if len(chosen.frame) else ():
        try:
            check(folder)
            sound.append(folder)
        except (OSError, ValueError) as error:
            chosen.problems.append(printable(f"{folder}: left out ({error})"))
    if not sound:
        return 0
    _check_free(path)
    store.make_folder(path.parent)
    try:
        store.write(path, lambda file: _fill(file, sound, files))
    except OSError as error:
        raise UserError(f"out={path}: cannot be written ({error.strerror or error})") from error
    return len(sound)


def size(path: Path) -> str:
    """How large a file is, for a reader."""
    bytes_ = path.stat().st_size
    return f"{bytes_ / 1e6:.1f} MB" if bytes_ >= 1e6 else f"{bytes_ / 1e3:.1f} kB"


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


def _fill(file: io.BufferedWriter, folders: Sequence[Path], files: Sequence[str]) -> None:
    runs: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(file, "w") as packed:
        for folder in folders:
            contents = _contents(folder, files)
            for name, content in contents.items():
                _add(packed, f"{folder.name}/{name}", content, compress=name not in COMPACT)
            runs[folder.name] = {
                name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                for name, content in contents.items()
            }
        manifest = {"schema": SCHEMA, "mixbench": __version__, "runs": runs}
        _add(packed, MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode(), compress=True)


def _contents(folder: Path, files: Sequence[str]) -> dict[str, bytes]:
    """The run's files. Raises UserError where they are not those of one training."""
    try:
        contents = {name: (folder / name).read_bytes() for name in files if (folder / name).exists()}
        with contextlib.suppress(KeyError, UnicodeDecodeError):  # damaged: handed on as it is
            contents["config.yaml"] = without_paths(contents["config.yaml"].decode()).encode()
        if (folder / "metrics.json").read_bytes() == contents.get("metrics.json"):
            return contents
        reason = "it was trained again meanwhile"
    except OSError as error:
        reason = error.strerror or str(error)
    raise UserError(f"{folder}: cannot be packed ({reason})")


def _add(packed: zipfile.ZipFile, name: str, content: bytes, compress: bool) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.external_attr = 0o644 << 16
    packed.writestr(member, content, zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED)


def check(folder: Path) -> dict[str, Any]:
    """The metrics of a run. Raises OSError or ValueError where it is not finished and sound."""
    metrics = store.read_metrics(folder)
    if run_id(metrics["identity"]) != metrics["id"]:
        raise ValueError("its name is not that of its settings")
    return metrics


# Opening


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Raises UserError where the file is no archive that this version can read."""
    if not path.exists():
        raise UserError(
            f"{path}: no such file; import takes archives that mixbench export made, and results_dir=FOLDER"
        )
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(zipfile.ZipFile(path))
            if opened.getinfo(MANIFEST).file_size > TEXT_LIMIT:
                raise ValueError("its manifest is too large")
            manifest = json.loads(opened.read(MANIFEST))
            schema, runs = manifest["schema"], manifest["runs"]
            if schema == SCHEMA and not isinstance(runs, dict):
                raise ValueError("its manifest lists no runs")
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


def unpack(packed: zipfile.ZipFile, name: str, files: Any, folder: Path) -> None:
    """Raises one of UNREADABLE where the run's files are not what the manifest says."""
    if not isinstance(files, dict):
        raise ValueError("the manifest lists no files of it")
    for file in files:
        if file not in (*FILES, *COMPACT):
            raise ValueError(f"{file!r} is no file of a finished run")
    folder.mkdir()
    for file, facts in files.items():
        try:
            member = packed.getinfo(f"{name}/{file}")
            size, checksum = facts["bytes"], facts["sha256"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file} is missing, or its size and checksum are") from error
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{file} is a link")
        if member.file_size != size:
            raise ValueError(f"{file} is of {member.file_size} bytes, the manifest says {size}")
        if file not in COMPACT and size > TEXT_LIMIT:
            raise ValueError(f"{file} is of {size} bytes, more than any such file has")
        with packed.open(member) as source:  # gives no more than the size that was looked at
            store.write(folder / file, lambda target, source=source: shutil.copyfileobj(source, target))
        with open(folder / file, "rb") as copy:
            if hashlib.file_digest(copy, "sha256").hexdigest() != checksum:
                raise ValueError(f"{file} is damaged: its checksum is not the manifest's")
