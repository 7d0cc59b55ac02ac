"""Deletes unfinished runs, and files that killed processes left behind. No torch."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from mixbench.core import files
from mixbench.core.errors import CannotWrite
from mixbench.runs.store import records
from mixbench.runs.store.store import FORCE, INCOMING, REPLACED, Store

LEFT_OVER = ("checkpoint.pt", "failed.json")  # a crash before the clean-up leaves these in a finished run
ABANDONED = "left by a killed process"
OLD = 60  # seconds without a write after which a process of another machine, which is not visible here, counts as ended


@dataclass(frozen=True)
class LeftOver:
    """A folder or file that `clean` would delete.

    path: its path.
    owner: run whose lock protects it; None if it belongs to no run.
    why: the reason.
    bytes: its size.
    """

    path: Path
    owner: str | None
    why: str
    bytes: int


@dataclass(frozen=True)
class Deleted:
    """The result of deleting left-overs.

    count: number of deleted ones.
    refused: those that could not be deleted, with the error.
    """

    count: int
    refused: list[tuple[LeftOver, CannotWrite]]


def delete_all(results: Store, left_overs: Iterable[LeftOver]) -> Deleted:
    """Delete left-overs, except those that a process has started to use.

    results: the store.
    left_overs: from find_left_overs.
    """
    count, refused = 0, []
    for left_over in left_overs:
        try:
            count += _delete(results, left_over)
        except CannotWrite as error:
            refused.append((left_over, error))
    return Deleted(count, refused)


def find_left_overs(results: Store) -> list[LeftOver]:
    """Return runs that are neither finished nor running, and files that crashes and killed processes left.

    results: the store of the runs. Nothing is deleted.
    """
    left_overs = []
    incoming = results.folder(INCOMING)
    if os.path.lexists(incoming) and not results.locked(INCOMING):
        left_overs.append(LeftOver(incoming, INCOMING, "left by an import", _size(incoming)))
    for run_id in results.ids(copies=True):
        owner = run_id.removesuffix(FORCE).removesuffix(REPLACED)
        if not results.locked(owner):
            left_overs += _of_run(results, run_id, owner)
    return [*left_overs, *_abandoned(results)]


def _of_run(results: Store, run_id: str, owner: str) -> Iterator[LeftOver]:
    folder = results.folder(run_id)
    state = results.state_on_disk(run_id)
    linked = os.path.islink(folder)
    if state.name == "damaged":
        return  # it can be a run of another version, so the user decides
    if state.name != "finished" or run_id != owner:
        why = "left by training again" if run_id != owner else state.name
        yield LeftOver(folder, owner, f"{why}; only the link, not its target" if linked else why, _size(folder))
    elif not linked:
        for entry in _entries(folder):
            process = files.writer(entry.name)
            ended = process is not None and not files.is_alive(process)
            if (entry.name in LEFT_OVER or ended) and not entry.is_dir(follow_symlinks=False):
                yield LeftOver(folder / entry.name, owner, "left over", _size(folder / entry.name))


def _abandoned(results: Store) -> Iterator[LeftOver]:
    """Yield temporary files of killed processes beside the runs, and in the folders of tables, plots and archives."""
    of_results = _folders(results.root)
    deeper = [place for folder in ("gallery", records.PUBLISHED) for place in _folders(results.root / folder)]
    places = [results.root, results.runs, *of_results, *deeper]
    if os.path.realpath(".") not in map(os.path.realpath, places):
        places.append(Path())  # `export` writes archives here
    for place in dict.fromkeys(places):
        for path in (place / entry.name for entry in _entries(place)):
            if _is_abandoned(path):
                yield LeftOver(path, None, ABANDONED, _size(path))


def _is_abandoned(path: Path) -> bool:
    process = files.writer(path.name)
    if process is None or files.is_alive(process):
        return False
    with contextlib.suppress(OSError):
        return path.is_file() and time.time() - os.lstat(path).st_mtime > OLD
    return False


def _delete(results: Store, left_over: LeftOver) -> bool:
    """Delete a left-over, unless a process has started to use it. Returns whether it did. Raises CannotWrite."""
    if left_over.owner is None:
        if not _is_abandoned(left_over.path):
            return False
        files.remove(left_over.path)
        return True
    with contextlib.suppress(Timeout), results.lock(left_over.owner):
        if not left_over.path.name.endswith(REPLACED) and os.path.exists(left_over.path / "metrics.json"):
            return False
        files.remove(left_over.path)
        return True
    return False


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [folder / entry.name for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]


def _size(path: str | Path) -> int:
    """Return the size of a file, or of all files in a folder, in bytes. A link counts as 0: its target is kept."""
    try:
        if os.path.islink(path):
            return 0
        with os.scandir(path) as entries:
            return sum(
                _size(entry.path) if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False).st_size
                for entry in entries
            )
    except NotADirectoryError:
        return os.lstat(path).st_size
    except OSError:
        return 0
