"""The folder of runs: one folder each, finished when it holds metrics.json; locks, atomic writes, scans. No torch.

<results_dir>/runs/<id>/    config.yaml  provenance.json  history.csv  predictions.npz  metrics.json
                            with label noise: label_noise.csv;  with save_model: weights.pt
while it trains             provenance.json  history.csv  checkpoint.pt;  failed.json after a failure
<id>.force/                 a finished run trained again, until it takes the place of the old one
.locks/<id>                 the kernel lock of the process that trains it
"""

import contextlib
import io
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mixbench.errors import UserError

SCHEMA = 1  # of the run folders; raised when a reader of today could not read them
FORCE, REPLACED, LOCKS = ".force", ".replaced", ".locks"
FILES = ("metrics.json", "provenance.json", "history.csv", "checkpoint.pt", "failed.json")  # one makes a run's folder
RUN_ID = r".+-n\d+-.+-s\d+-[0-9a-f]{10}"  # identity.run_id
IDENTITY = {"dataset": str, "n": int, "method": str, "seed": int}  # what readers rely on
ACCURACIES = ("final_accuracy", "median10_accuracy", "best_accuracy")


class OtherSchema(ValueError):
    """A run of another version, which this one cannot read."""


@dataclass(frozen=True)
class State:
    """How a run stands: finished, running, interrupted, failed, damaged or missing; and what is worth saying of it."""

    name: str
    detail: str = ""


class Store:
    """The runs under `<results_dir>/runs`."""

    def __init__(self, results_dir: str | Path):
        self.root = Path(results_dir)
        self.runs = self.root / "runs"

    def check_writable(self) -> None:
        """Raises UserError where runs cannot be written; leaves nothing behind."""
        marker = self.runs / "schema.json"
        if marker.exists():
            try:
                schema = read_json(marker).get("schema")
            except (OSError, ValueError):
                schema = "unreadable"
            if schema != SCHEMA:
                raise UserError(
                    f"{self.runs} is of schema {schema}, this version writes schema {SCHEMA}; "
                    "choose another results_dir"
                )
        existing = next(p for p in (self.runs, *self.runs.absolute().parents) if p.exists())
        try:
            if not existing.is_dir():
                raise NotADirectoryError(f"{existing} is not a folder")
            with tempfile.TemporaryFile(dir=existing):
                pass
        except OSError as error:
            raise UserError(f"results_dir={self.root}: cannot be written ({error.strerror or error})") from error

    def open(self) -> None:
        """Make the folder and mark its schema."""
        self.runs.mkdir(parents=True, exist_ok=True)
        if not (self.runs / "schema.json").exists():
            write_json(self.runs / "schema.json", {"schema": SCHEMA})

    def folder(self, run_id: str) -> Path:
        return self.runs / run_id

    def state(self, run_id: str) -> State:
        folder = self.folder(run_id)
        if self.locked(run_id):
            return State("running")
        try:
            read_metrics(folder)
            return State("finished")
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            return State("damaged", str(error))
        if (folder / "failed.json").exists():
            return State("failed", _failure(folder))
        if (folder / "checkpoint.pt").exists():
            return State("interrupted", "resumes from its checkpoint")
        return State("interrupted", "no checkpoint yet") if folder.exists() else State("missing")

    def ids(self, copies: bool = False) -> list[str]:
        """The names of all run folders; copies: also those of runs that are trained again. Other folders are none."""
        if not self.runs.is_dir():
            return []
        folders = sorted(entry.name for entry in os.scandir(self.runs) if entry.is_dir() and entry.name != LOCKS)
        return [name for name in folders if self._is_run(name) and (copies or not name.endswith((FORCE, REPLACED)))]

    def _is_run(self, name: str) -> bool:
        named = re.fullmatch(RUN_ID, name.removesuffix(FORCE).removesuffix(REPLACED)) is not None
        return named or any((self.runs / name / file).exists() for file in FILES)

    def locked(self, run_id: str) -> bool:
        """Whether a process holds the run's lock now."""
        if not self._lock_file(run_id).exists():
            return False
        try:
            with self.lock(run_id):
                return False
        except Timeout:
            return True
        except OSError:  # a store that may only be read: nobody here trains in it
            return False

    @contextmanager
    def lock(self, run_id: str, wait: float = 0) -> Iterator[None]:
        """Hold the run's lock. Raises filelock.Timeout where another process has it for `wait` more seconds."""
        path = self._lock_file(run_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path, timeout=wait):
            yield

    def _lock_file(self, run_id: str) -> Path:
        return self.runs / LOCKS / run_id

    def put_in_place(self, run_id: str) -> None:
        """Let a run that was trained again take the place of the old one. The caller holds the run's lock.

        Two renames cannot be one step, so this also finishes what a crash between them left half done.
        """
        final, new, old = (self.folder(run_id + suffix) for suffix in ("", FORCE, REPLACED))
        if (new / "metrics.json").exists():
            if final.exists():
                shutil.rmtree(old, ignore_errors=True)
                final.rename(old)
            new.rename(final)
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists():
            old.rename(final)

    def repair(self) -> None:
        """Finish every replacement that a crash interrupted."""
        for name in self.ids(copies=True):
            owner = name.removesuffix(FORCE).removesuffix(REPLACED)
            half_done = name.endswith(REPLACED) or (
                name.endswith(FORCE) and (self.folder(name) / "metrics.json").exists()
            )
            if half_done:
                with contextlib.suppress(Timeout), self.lock(owner):
                    self.put_in_place(owner)


def read_metrics(folder: Path) -> dict[str, Any]:
    """metrics.json of a finished run. Raises OSError where there is none, ValueError where it cannot be used."""
    metrics = read_json(folder / "metrics.json")
    if metrics.get("schema") != SCHEMA:
        raise OtherSchema(f"schema {metrics.get('schema')}, this version reads {SCHEMA}")
    if metrics.get("id") != folder.name.removesuffix(FORCE):
        raise ValueError(f"metrics.json is of {metrics.get('id')}")
    identity = metrics.get("identity")
    for key, kind in IDENTITY.items():
        if not isinstance(identity, dict) or not isinstance(identity.get(key), kind):
            raise ValueError(f"the identity in metrics.json has no usable {key}")
    for key in ACCURACIES:
        if not isinstance(metrics.get(key), int | float) or not math.isfinite(metrics[key]):
            raise ValueError(f"metrics.json has no usable {key}")
    return metrics


def scan(runs: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The metrics of the finished runs in a folder, and a line for each folder that had to be left out.

    Each returned dict also has `folder`, where the run lies.
    """
    found, problems = [], []
    if not runs.is_dir():
        return found, problems
    for name in sorted(entry.name for entry in os.scandir(runs) if entry.is_dir()):
        if name == LOCKS or name.endswith((FORCE, REPLACED)):
            continue
        folder = runs / name
        try:
            found.append(read_metrics(folder) | {"folder": folder})
        except FileNotFoundError:
            continue  # not finished
        except (OSError, ValueError) as error:
            problems.append(f"{folder}: left out ({error})")
    return found, problems


def _failure(folder: Path) -> str:
    try:
        return str(read_json(folder / "failed.json").get("error", ""))
    except (OSError, ValueError):
        return ""


def make_folder(path: Path) -> None:
    """Raises UserError where tables and plots cannot be written to `path`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"out={path}: cannot be written ({error.strerror or error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """Raises ValueError where the file is not a JSON object."""
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    write(path, lambda file: file.write(text.encode()))


def write(path: Path, fill: Callable[[io.BufferedWriter], Any]) -> None:
    """Write a file whole or not at all: fill a temporary one beside it, flush it to the disk, rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
