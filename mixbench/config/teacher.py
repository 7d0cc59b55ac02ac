"""The teacher of a method: the network whose maps or predictions it uses. No torch."""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from mixbench.core.errors import UserError
from mixbench.core.registry import CURRENT

KEY = "teacher"  # the key of a method that names its teacher
WEIGHTS, METRICS = "weights.pt", "metrics.json"
DIGITS = 12  # hexadecimal digits of a SHA-256 that represent the weights in a run's identity


def named(method: Mapping[str, Any]) -> str:
    """Return the teacher of a method or of the parts of a mixture: CURRENT, or the folder of a stored run.

    method: a validated config group `method`.
    """
    found = [teacher for _, teacher in _named(method, "method") if teacher != CURRENT]
    return found[0] if found else CURRENT


def locate(method: DictConfig | Mapping[str, Any], results_dir: str) -> None:
    """Replace the names of runs by their folders, in a method and in the parts of a mixture.

    method: the config group `method`, which is changed.
    results_dir: folder of the results, whose runs can be named by their ids.
    Raises UserError if there is no such run, it has no weights, or the parts of a mixture have different teachers.
    """
    teachers = dict(_named(method, "method"))
    for key, teacher in teachers.items():
        node: Any = method
        for name in key.split(".")[1:-1]:
            node = node[name]
        node[KEY] = teachers[key] = _located(key, teacher, results_dir)
    if len(set(teachers.values())) > 1:
        both = " ".join(f"{key}={teacher}" for key, teacher in teachers.items())
        raise UserError(f"{both}: the methods of a mixture must have one teacher; set all of them to the same one")


def checksum(folder: str) -> str:
    """Return the SHA-256 of a stored run's weights, in hexadecimal digits.

    folder: the run's folder.
    Raises UserError if they cannot be read.
    """
    path = Path(folder) / WEIGHTS
    try:
        found = path.stat()
        return _checksum(str(path), found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); train the teacher again") from error


@lru_cache(maxsize=32)
def _checksum(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(method: Mapping[str, Any], at: str) -> Iterator[tuple[str, Any]]:
    """Yield (key, teacher) of a method and of the parts of a mixture."""
    if KEY in method:
        yield f"{at}.{KEY}", method[KEY]
    for name, part in (method.get("parts") or {}).items():
        yield from _named(part, f"{at}.parts.{name}")


def _located(key: str, teacher: Any, results_dir: str) -> str:
    if teacher == CURRENT:
        return CURRENT
    if not isinstance(teacher, str) or not teacher:
        raise UserError(f"{key}={teacher}: must be {CURRENT}, or the folder or id of a finished run")
    places = [Path(teacher).expanduser(), Path(results_dir) / "runs" / teacher]
    folder = next((place for place in places if (place / METRICS).is_file()), None)
    if folder is None:
        raise UserError(
            f"{key}={teacher}: there is no finished run in {places[0]} or {places[1]}; give {CURRENT}, or the folder "
            "or id of a finished run"
        )
    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"{key}={teacher}: the run has no {WEIGHTS}; train it again with save_model=true force=true to keep its "
            "weights"
        )
    return str(folder)
