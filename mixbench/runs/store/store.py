"""The folder of runs: one folder each, finished when it holds metrics.json; states, locks, scans. No torch.

<results_dir>/runs/<id>/    config.yaml  provenance.json  history.csv  predictions.npz  metrics.json
                            with label noise: label_noise.csv;  with save_model: weights.pt
while it trains             provenance.json  history.csv  checkpoint.pt;  failed.json after a failure
<id>.force/                 a finished run trained again, until it takes the place of the old one
.locks/<id>                 the kernel lock of the process that trains it
.incoming/                  runs that are being imported, until each is checked and gets its place
"""

import contextlib
import gc
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from mixbench.core import files
from mixbench.core.errors import CannotWrite, UserError, printable
from mixbench.core.files import read_json, write_json
from mixbench.runs.store import locks, metrics_schema, reading
from mixbench.runs.store.reading import Place

SCHEMA = 1  # of the run folders; raised when a reader of today could not read them
FORCE, REPLACED, LOCKS, INCOMING = ".force", ".replaced", ".locks", ".incoming"
FILES = ("metrics.json", "provenance.json", "history.csv", "checkpoint.pt", "failed.json")  # one makes a run's folder
RUN_ID = r".+-n\d+-.+-s\d+-[0-9a-f]{10}"  # config.identity.run_id
LONGEST = 500  # characters of a failure's reason
NAMED = 3  # folders that a warning names, before "and so many more"
CHECKSUMS = ("data_sha256", "train_sha256")  # of all images that a run touches, and of those that it may train on


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
        """Raises UserError or CannotWrite where runs cannot be written; leaves nothing behind."""
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
        files.check_writable(self.runs, "results_dir")

    def open(self) -> None:
        """Make the folder and mark its schema. Raises CannotWrite, and leaves nothing behind then."""
        marker = self.runs / "schema.json"
        with files.folder_for(marker):
            if not marker.exists():
                write_json(marker, {"schema": SCHEMA})

    def folder(self, run_id: str) -> Path:
        return self.runs / run_id

    def state(self, run_id: str) -> State:
        return State("running") if self.locked(run_id) else self.at_rest(run_id)

    def at_rest(self, run_id: str) -> State:
        """How a run stands that no other process trains."""
        folder = self.folder(run_id)
        try:
            read_metrics(folder)
            return State("finished")
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            return State("damaged", str(error))
        if os.path.exists(folder / "failed.json"):
            return State("failed", _failure(folder))
        if os.path.exists(folder / "checkpoint.pt"):
            return State("interrupted", "resumes from its checkpoint")
        return State("interrupted", "no checkpoint yet") if os.path.exists(folder) else State("missing")

    def ids(self, copies: bool = False) -> list[str]:
        """The names of all run folders; copies: also those of runs that are trained again. Other folders are none."""
        names = [name for name in _folders(self.runs) if copies or not name.endswith((FORCE, REPLACED))]
        return [name for name in names if _looks_like_run(self.runs, name)]

    def locked(self, run_id: str) -> bool:
        """Whether a process holds the run's lock now."""
        return locks.is_held(self._lock_file(run_id))

    @contextmanager
    def lock(self, run_id: str, wait: float = 0) -> Iterator[None]:
        """Hold the run's lock. Raises filelock.Timeout where another process has it for `wait` more seconds.

        Raises CannotWrite where the lock's file cannot be made.
        """
        path = self._lock_file(run_id)
        with contextlib.ExitStack() as stack:
            try:
                if not os.path.isdir(path.parent):
                    path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locks.hold(path, wait))
            except Timeout:  # an OSError too
                raise
            except OSError as error:
                raise CannotWrite(error.errno, error.strerror or str(error), str(path)) from error
            yield

    def _lock_file(self, run_id: str) -> Path:
        return self.runs / LOCKS / run_id

    def put_in_place(self, run_id: str, new: Path | None = None) -> None:
        """Let a run that was trained again, or the one in the folder `new`, take the place of the old one.

        The caller holds the run's lock. Two renames cannot be one step, so this also finishes what a crash between them
        left half done. Raises CannotWrite.
        """
        final, again, old = (self.folder(run_id + suffix) for suffix in ("", FORCE, REPLACED))
        new = new or again
        if (new / "metrics.json").exists():
            with files.writing(final):
                if os.path.lexists(final):
                    files.remove(old)
                    final.rename(old)
                try:
                    new.rename(final)
                except OSError:
                    with contextlib.suppress(OSError):
                        old.rename(final)
                    raise
        if final.exists():
            with contextlib.suppress(OSError):  # the next call or `clean` removes it
                files.remove(old)
        elif old.exists():
            with files.writing(final):
                old.rename(final)

    def repair(self) -> None:
        """Finish every replacement that a crash interrupted."""
        for name in self.ids(copies=True):
            owner = name.removesuffix(FORCE).removesuffix(REPLACED)
            half_done = name.endswith(REPLACED) or (
                name.endswith(FORCE) and (self.folder(name) / "metrics.json").exists()
            )
            if half_done:
                with contextlib.suppress(Timeout, OSError), self.lock(owner):  # a bad place is its own run's failure
                    self.put_in_place(owner)

    def checksums(self) -> dict[tuple, tuple[str, Path]]:
        """`alike` -> the checksum of a finished or begun run, and its folder."""
        found: dict[tuple, tuple[str, Path]] = {}
        for run_id in self.ids(copies=True):
            folder = self.folder(run_id)
            for file in ("metrics.json", "provenance.json"):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    stored = read_json(folder / file)
                    keys = stored.get("identity", stored)
                    for kind in CHECKSUMS:
                        if isinstance(stored.get(kind), str):
                            found.setdefault(alike(keys["dataset"], kind, keys["eval"]), (stored[kind], folder))
                    break
        return found


def alike(dataset: str, kind: str, evaluated_on: str) -> tuple:
    """Runs that agree in this must agree in the checksum: data_sha256 covers the images that they are evaluated on."""
    return (dataset, kind, evaluated_on) if kind == "data_sha256" else (dataset, kind)


def read_metrics(place: Place) -> dict[str, Any]:
    """metrics.json of a finished run. Raises OSError where there is none, ValueError where it cannot be used."""
    metrics = reading.read_json(place, "metrics.json")
    if metrics.get("schema") != SCHEMA:
        raise OtherSchema(f"schema {metrics.get('schema')}, this version reads {SCHEMA}")
    if metrics.get("id") != place.name.removesuffix(FORCE):
        raise ValueError(f"metrics.json is of {metrics.get('id')}")
    metrics_schema.check(metrics)
    return metrics


def scan(runs: Path, concerns: Callable[[str], bool] = lambda name: True) -> tuple[list[dict[str, Any]], list[str]]:
    """The metrics of the finished runs in a folder or in an archive, and lines on what had to be left out.

    concerns: whether a run of that name is worth a word where it cannot be used.

    Each returned dict also has `folder`, where the run lies: a folder, or a place in the archive. A damaged run has a
    line of its own, what is not finished and what is no run share one each. Raises UserError for a file that is no
    archive of runs.
    """
    with _without_collecting():
        return _scan_archive(runs, concerns) if os.path.isfile(runs) else _scan_folder(runs, concerns)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """While 10,000 runs are read, Python's garbage collector would walk all of them again and again, for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _scan_archive(path: Path, concerns: Callable[[str], bool]) -> tuple[list[dict[str, Any]], list[str]]:
    found, problems = [], []
    for place in reading.attach(path).places():
        try:
            found.append(read_metrics(place) | {"folder": place})
        except (OSError, ValueError) as error:
            if concerns(place.name):
                problems.append(printable(f"{place}: left out ({getattr(error, 'strerror', None) or error})"))
    return found, problems


def _scan_folder(runs: Path, concerns: Callable[[str], bool]) -> tuple[list[dict[str, Any]], list[str]]:
    found, problems, unfinished, foreign = [], [], [], []
    for name in _folders(runs):
        if name.endswith((FORCE, REPLACED)):
            continue
        folder = runs / name
        try:
            found.append(read_metrics(folder) | {"folder": folder})
        except FileNotFoundError:
            if concerns(name):
                (unfinished if _looks_like_run(runs, name) else foreign).append(name)
        except (OSError, ValueError) as error:
            if concerns(name):
                problems.append(printable(f"{folder}: left out ({error})"))
    for names, what in ((unfinished, "not finished; mixbench status tells more"), (foreign, "no run")):
        if names:
            more = f" and {len(names) - NAMED} more" * (len(names) > NAMED)
            problems.append(printable(f"{runs}/{', '.join(names[:NAMED])}{more}: left out ({what})"))
    return found, problems


def _looks_like_run(runs: Path, name: str) -> bool:
    named = re.fullmatch(RUN_ID, name.removesuffix(FORCE).removesuffix(REPLACED)) is not None
    return named or any(os.path.exists(runs / name / file) for file in FILES)


def _folders(runs: Path) -> list[str]:
    """The names of the folders that may hold a run, in order; none begins with a dot. Raises UserError."""
    if not os.path.isdir(runs):
        return []
    try:
        names = sorted(os.listdir(runs))
    except OSError as error:
        raise UserError(f"results_dir={runs.parent}: cannot be read ({error.strerror or error})") from error
    return [name for name in names if not name.startswith(".") and os.path.isdir(runs / name)]


def _failure(folder: Path) -> str:
    try:
        return str(read_json(folder / "failed.json").get("error", ""))[:LONGEST]
    except (OSError, ValueError):
        return ""
