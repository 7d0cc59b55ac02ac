"""The tiny runs that the campaigns work on, and what two folders differ in beside times."""

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

# A run of 14 steps of 8 digits, with a checkpoint every third step and an evaluation every fourth.
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
)  # what differs from one training to its repetition
# .history.csv.4711.3e8aa12f.mixbench, written by process 4711; older ones end with the process
TEMPORARY = re.compile(r"^(\..+)\.\d+(?:\.[0-9a-f]{8}\.mixbench)?$")
LONG_AGO = 3600  # seconds: `clean` leaves a temporary file alone that another machine may just have written


def succeed(*words: str, folder: Path, **options: Any) -> Ended:
    """Call the command line where it has to work. Raises RuntimeError where it does not."""
    ended = call(words, folder, **options)
    if ended.status != 0:
        raise RuntimeError(f"{ended.command}: exit status {ended.status}\n{ended.err}\n{ended.stack}")
    return ended


def copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    return target


def age(root: Path) -> None:
    """Let the temporary files below a folder seem to be of an hour ago."""
    for path in root.rglob(".*"):
        if TEMPORARY.fullmatch(path.name):
            then = path.lstat().st_mtime - LONG_AGO
            os.utime(path, (then, then), follow_symlinks=False)


def contents(root: Path, skip: tuple[str, ...] = (".locks",), loose: str | None = None) -> dict[str, str]:
    """Every path below a folder -> what is there, times left out. Lock files, which say nothing, are left out.

    loose: a pattern of paths whose contents may differ, since times are among what they show.
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
    """Paths that are missing, that are left over, and whose contents differ."""
    missing, more = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    return missing, more, sorted(path for path in wanted.keys() & found.keys() if wanted[path] != found[path])


def digest(path: Path) -> str:
    """Of a file's contents without times; of a damaged file, of its bytes."""
    data = path.read_bytes()
    readers = {"metrics.json": _json, "provenance.json": _json, "history.csv": _csv, "runs.csv": _csv}
    try:
        if path.suffix == ".pt":
            data = repr(_tensors(path)).encode()
        elif path.name in readers:
            data = readers[path.name](data.decode())
    except Exception:  # cut off in the middle, as a kill leaves it
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
    """Tensors by their bytes, without times."""
    if hasattr(value, "numpy"):
        return hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key not in CLOCK}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
