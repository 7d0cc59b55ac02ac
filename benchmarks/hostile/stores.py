"""The tiny runs of the campaigns, and comparison of folders without times."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hostile.calls import Ended, call

# A run of 14 steps with 8 digits each, with a checkpoint every third step and an evaluation every fourth step.
TINY = (
    "dataset=digits",
    "n=20",
    "subset=balanced",
    "device=cpu",
    "precision=fp32",
    "model.width=16",
    "model.depth=10",
    "train.steps=14",
    "train.batch_size=8",
    "train.eval_every=4",
    "train.checkpoint_every=3",
)
CLOCK = (
    "seconds",
    "steps_per_second",
    "peak_memory_bytes",
    "other_load",
)  # values that differ when a training is repeated
# Such as .history.csv.4711.3e8aa12f.mixbench, written by process 4711; names of older versions end with the process.
TEMPORARY = re.compile(r"^(\..+)\.\d+(?:\.[0-9a-f]{8}\.mixbench)?$")
LONG_AGO = 3600  # seconds; `clean` keeps new temporary files, because another machine may be writing them


def succeed(*words: str, folder: Path, **options: Any) -> Ended:
    """Call the command line. Raises RuntimeError if it fails."""
    ended = call(words, folder, **options)
    if ended.status != 0:
        raise RuntimeError(f"{ended.command}: exit status {ended.status}\n{ended.err}\n{ended.stack}")
    return ended


def copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    return target


def age(root: Path) -> None:
    """Make the temporary files below a folder look one hour old."""
    for path in root.rglob(".*"):
        if TEMPORARY.fullmatch(path.name):
            then = path.lstat().st_mtime - LONG_AGO
            os.utime(path, (then, then), follow_symlinks=False)


def contents(root: Path, skip: tuple[str, ...] = (".locks",), loose: str | None = None) -> dict[str, str]:
    """Return path -> content of everything below a folder, without times.

    root: the folder.
    skip: names of files and folders to leave out, such as locks.
    loose: pattern of paths whose contents depend on times, so that they are not compared.
    """
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if set(name.parts) & set(skip):
            continue
        shown = str(name.with_name(TEMPORARY.sub(r"\1.PID", name.name)))
        if path.is_symlink():
            found[shown] = f"link to {path.readlink()}"
        elif path.is_dir():
            found[shown] = "folder"
        elif not path.is_file():
            found[shown] = "special"
        elif loose and re.search(loose, shown):
            found[shown] = "file"
        else:
            found[shown] = digest(path)
    return found


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Return the paths that are missing, that are left over, and whose contents differ."""
    missing, more = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    return missing, more, sorted(path for path in wanted.keys() & found.keys() if wanted[path] != found[path])


def digest(path: Path) -> str:
    """Return a checksum of a file's content without times; for a damaged file, of its bytes."""
    data = path.read_bytes()
    readers = {"metrics.json": _json, "provenance.json": _json, "history.csv": _csv, "runs.csv": _csv}
    try:
        if path.suffix == ".pt":
            data = repr(_tensors(path)).encode()
        elif path.name in readers:
            data = readers[path.name](data.decode())
    except Exception:  # the file was cut off by a kill
        pass
    return hashlib.sha256(data).hexdigest()[:20]


def _json(text: str) -> bytes:
    stored = json.loads(text)
    return json.dumps({key: value for key, value in stored.items() if key not in CLOCK}, sort_keys=True).encode()


def _csv(text: str) -> bytes:
    rows = list(csv.DictReader(io.StringIO(text)))
    return repr([{key: value for key, value in row.items() if key not in CLOCK} for row in rows]).encode()


def _tensors(path: Path) -> Any:
    import torch

    return _plain(torch.load(path, weights_only=True))


def _plain(value: Any) -> Any:
    """Return nested values with tensors replaced by checksums, without times."""
    if hasattr(value, "numpy"):
        return hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key not in CLOCK}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
