"""The store of runs: one folder per run, which is finished when it has metrics.json. States, locks and scans. No torch.

<results_dir>/runs/<id>/    config.yaml  provenance.json  history.csv  predictions.npz  metrics.json
                            with label noise: label_noise.csv;  with save_model: weights.pt
during training             provenance.json  history.csv  checkpoint.pt;  failed.json after a failure
<id>.force/                 a finished run that is being trained again, until it replaces the old one
.locks/<id>                 the kernel lock of the process that trains the run
.incoming/                  runs that are being imported, until they are checked and moved to their places
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

SCHEMA = 1  # schema of run folders; it is raised when older versions could not read them
FORCE, REPLACED, LOCKS, INCOMING = ".force", ".replaced", ".locks", ".incoming"
FILES = ("metrics.json", "provenance.json", "history.csv", "checkpoint.pt", "failed.json")  # a run's folder has one
RUN_ID = r".+-n\d+-.+-s\d+-[0-9a-f]{10}"  # names from config.identity.run_id
LONGEST = 500  # characters of the reason of a failure
NAMED = 3  # most folders that a warning names
CHECKSUMS = ("data_sha256", "train_sha256")  # of all images of a run, and of the list that it can train on


class OtherSchema(ValueError):
    """A run of another version of mixbench, which this version cannot read."""


@dataclass(frozen=True)
class State:
    """The state of a run.

    name: finished, running, interrupted, failed, damaged or missing.
    detail: more information, or an empty text.
    """

    name: str
    detail: str = ""


class Store:
    """The runs in `<results_dir>/runs`. results_dir: folder of the results."""

    def __init__(self, results_dir: str | Path):
        self.root = Path(results_dir)
        self.runs = self.root / "runs"

    def check_writable(self) -> None:
        """Raise UserError or CannotWrite if runs cannot be written. Nothing is left behind."""
        marker = self.runs / "schema.json"
        if marker.exists():
            try:
                schema = read_json(marker).get("schema")
            except (OSError, ValueError):
                schema = "unreadable"
            if schema != SCHEMA:
                raise UserError(
                    f"{self.runs}: has schema {schema}, but this version of mixbench writes schema {SCHEMA}; "
                    "choose another results_dir"
                )
        files.check_writable(self.runs, "results_dir")

    def open(self) -> None:
        """Make the folder and write its schema. Raises CannotWrite; then nothing is left behind."""
        marker = self.runs / "schema.json"
        with files.folder_for(marker):
            if not marker.exists():
                write_json(marker, {"schema": SCHEMA})

    def folder(self, run_id: str) -> Path:
        """Return the folder of a run, which need not exist.

        run_id: name of the run.
        """
        return self.runs / run_id

    def state(self, run_id: str) -> State:
        """Return the state of a run.

        run_id: name of the run.
        """
        return State("running") if self.locked(run_id) else self.state_on_disk(run_id)

    def state_on_disk(self, run_id: str) -> State:
        """Return the state of a run that no other process trains.

        run_id: name of the run.
        """
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
        """Return the names of all run folders.

        copies: whether to include those of runs that are trained again.
        """
        names = [name for name in _folders(self.runs) if copies or not name.endswith((FORCE, REPLACED))]
        return [name for name in names if _looks_like_run(self.runs, name)]

    def locked(self, run_id: str) -> bool:
        """Whether a process holds the run's lock now.

        run_id: name of the run.
        """
        return locks.is_held(self._lock_file(run_id))

    @contextmanager
    def lock(self, run_id: str, wait: float = 0) -> Iterator[None]:
        """Hold a run's lock within the body.

        run_id: name of the run.
        wait: seconds to wait for another process; -1: without limit.
        Raises filelock.Timeout if another process still holds it then, and CannotWrite if its file cannot be made.
        """
        path = self._lock_file(run_id)
        with contextlib.ExitStack() as stack:
            try:
                if not os.path.isdir(path.parent):
                    path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locks.hold(path, wait))
            except Timeout:  # a subclass of OSError
                raise
            except OSError as error:
                raise CannotWrite(error.errno, error.strerror or str(error), str(path)) from error
            yield

    def _lock_file(self, run_id: str) -> Path:
        return self.runs / LOCKS / run_id

    def put_in_place(self, run_id: str, new: Path | None = None) -> None:
        """Replace a run by its new version. The caller must hold the run's lock.

        This needs two renames. If a crash came between them, the next call finishes the replacement.

        run_id: name of the run.
        new: folder of the new version; None: the run that was trained again with force=true.
        Raises CannotWrite.
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
                with contextlib.suppress(Timeout, OSError), self.lock(owner):  # a later use of the run reports errors
                    self.put_in_place(owner)

    def checksums(self) -> dict[tuple, tuple[str, Path]]:
        """Return checksum_key -> the checksum of a finished or unfinished run, and its folder."""
        found: dict[tuple, tuple[str, Path]] = {}
        for run_id in self.ids(copies=True):
            folder = self.folder(run_id)
            for file in ("metrics.json", "provenance.json"):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    stored = read_json(folder / file)
                    keys = stored.get("identity", stored)
                    for kind in CHECKSUMS:
                        if isinstance(stored.get(kind), str):
                            key = checksum_key(keys["dataset"], kind, keys["eval"])
                            found.setdefault(key, (stored[kind], folder))
                    break
        return found


def checksum_key(dataset: str, kind: str, evaluated_on: str) -> tuple:
    """Return a key: runs with the same key must have the same checksum.

    dataset: name of the data set.
    kind: one of CHECKSUMS; data_sha256 includes the evaluation images.
    evaluated_on: value of the key `eval`.
    """
    return (dataset, kind, evaluated_on) if kind == "data_sha256" else (dataset, kind)


def read_metrics(place: Place) -> dict[str, Any]:
    """Return metrics.json of a finished run.

    place: the run.
    Raises OSError if the file does not exist, OtherSchema if its schema is not today's, and ValueError if it cannot be
        used.
    """
    metrics = reading.read_json(place, "metrics.json")
    if metrics.get("schema") != SCHEMA:
        raise OtherSchema(f"it has schema {metrics.get('schema')}, but this version of mixbench reads schema {SCHEMA}")
    if metrics.get("id") != place.name.removesuffix(FORCE):
        raise ValueError(f"its metrics.json belongs to another run, {metrics.get('id')}")
    metrics_schema.check(metrics)
    return metrics


def scan(runs: Path, is_relevant: Callable[[str], bool] = lambda name: True) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the metrics of all finished runs in a folder or archive.

    runs: the folder or archive.
    is_relevant: name of a run -> whether to report it if it cannot be used.
    Returns the metrics, each with `folder` added, the place of the run; and lines on folders that were left out: one
        for each damaged run, one for all unfinished runs, and one for all other folders.
    Raises UserError for a file that is not an archive of runs.
    """
    with _without_garbage_collection():
        return _scan_archive(runs, is_relevant) if os.path.isfile(runs) else _scan_folder(runs, is_relevant)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pause Python's garbage collector, which would visit 10,000 runs again and again while they are read."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _scan_archive(path: Path, is_relevant: Callable[[str], bool]) -> tuple[list[dict[str, Any]], list[str]]:
    found, problems = [], []
    for place in reading.attach(path).places():
        try:
            found.append(read_metrics(place) | {"folder": place})
        except (OSError, ValueError) as error:
            if is_relevant(place.name):
                problems.append(printable(f"{place}: left out ({getattr(error, 'strerror', None) or error})"))
    return found, problems


def _scan_folder(runs: Path, is_relevant: Callable[[str], bool]) -> tuple[list[dict[str, Any]], list[str]]:
    found, problems, unfinished, foreign = [], [], [], []
    for name in _folders(runs):
        if name.endswith((FORCE, REPLACED)):
            continue
        folder = runs / name
        try:
            found.append(read_metrics(folder) | {"folder": folder})
        except FileNotFoundError:
            if is_relevant(name):
                (unfinished if _looks_like_run(runs, name) else foreign).append(name)
        except (OSError, ValueError) as error:
            if is_relevant(name):
                problems.append(printable(f"{folder}: left out ({error})"))
    for names, what in ((unfinished, "not finished; see mixbench status"), (foreign, "not a run")):
        if names:
            more = f" and {len(names) - NAMED} more" * (len(names) > NAMED)
            problems.append(printable(f"{runs}/{', '.join(names[:NAMED])}{more}: left out ({what})"))
    return found, problems


def _looks_like_run(runs: Path, name: str) -> bool:
    named = re.fullmatch(RUN_ID, name.removesuffix(FORCE).removesuffix(REPLACED)) is not None
    return named or any(os.path.exists(runs / name / file) for file in FILES)


def _folders(runs: Path) -> list[str]:
    """Return the sorted names of the folders that can be runs, without hidden folders. Raises UserError."""
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
