"""Dropping what is left of runs that did not finish, and what killed processes left beside other files. No torch."""

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

LEFT_OVER = ("checkpoint.pt", "failed.json")  # in a finished run: a crash came between its commit and its clean-up
ABANDONED = "left by a process that was killed"
OLD = 60  # seconds without a write: another machine's process, which cannot be asked for, has ended


@dataclass(frozen=True)
class Drop:
    """Something that `clean` would remove, and why.

    owner: the run whose lock guards it; None for a file of no run.
    """

    path: Path
    owner: str | None
    why: str
    bytes: int


@dataclass(frozen=True)
class Dropped:
    """What became of the drops: how many are gone, and those that could not be removed, with the reason."""

    count: int
    refused: list[tuple[Drop, CannotWrite]]


def drop_all(results: Store, drops: Iterable[Drop]) -> Dropped:
    """Remove them; what a process has taken up since they were shown stays."""
    count, refused = 0, []
    for drop in drops:
        try:
            count += _drop(results, drop)
        except CannotWrite as error:
            refused.append((drop, error))
    return Dropped(count, refused)


def to_drop(results: Store) -> list[Drop]:
    """Runs that are neither finished nor running, left-over files in finished ones, and files of killed processes."""
    drops = []
    incoming = results.folder(INCOMING)
    if os.path.lexists(incoming) and not results.locked(INCOMING):
        drops.append(Drop(incoming, INCOMING, "left by an import", _size(incoming)))
    for run_id in results.ids(copies=True):
        owner = run_id.removesuffix(FORCE).removesuffix(REPLACED)
        if not results.locked(owner):
            drops += _of_run(results, run_id, owner)
    return [*drops, *_abandoned(results)]


def _of_run(results: Store, run_id: str, owner: str) -> Iterator[Drop]:
    folder = results.folder(run_id)
    state = results.at_rest(run_id)
    linked = os.path.islink(folder)
    if state.name == "damaged":
        return  # may be another version's run: a person decides
    if state.name != "finished" or run_id != owner:
        why = "left by training again" if run_id != owner else state.name
        yield Drop(folder, owner, f"{why}; the link alone, not what it leads to" if linked else why, _size(folder))
    elif not linked:
        for entry in _entries(folder):
            process = files.writer(entry.name)
            ended = process is not None and not files.is_alive(process)
            if (entry.name in LEFT_OVER or ended) and not entry.is_dir(follow_symlinks=False):
                yield Drop(folder / entry.name, owner, "left over", _size(folder / entry.name))


def _abandoned(results: Store) -> Iterator[Drop]:
    """The temporary files of killed processes beside the runs, and where tables, plots and archives go."""
    of_results = _folders(results.root)
    deeper = [place for folder in ("gallery", records.PUBLISHED) for place in _folders(results.root / folder)]
    places = [results.root, results.runs, *of_results, *deeper]
    if os.path.realpath(".") not in map(os.path.realpath, places):
        places.append(Path())  # where `export` puts archives
    for place in dict.fromkeys(places):
        for path in (place / entry.name for entry in _entries(place)):
            if _is_abandoned(path):
                yield Drop(path, None, ABANDONED, _size(path))


def _is_abandoned(path: Path) -> bool:
    process = files.writer(path.name)
    if process is None or files.is_alive(process):
        return False
    with contextlib.suppress(OSError):
        return path.is_file() and time.time() - os.lstat(path).st_mtime > OLD
    return False


def _drop(results: Store, drop: Drop) -> bool:
    """Remove it, unless a process has taken the run up since it was shown. Raises CannotWrite."""
    if drop.owner is None:
        if not _is_abandoned(drop.path):
            return False
        files.remove(drop.path)
        return True
    with contextlib.suppress(Timeout), results.lock(drop.owner):
        if not drop.path.name.endswith(REPLACED) and os.path.exists(drop.path / "metrics.json"):
            return False
        files.remove(drop.path)
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
    """Bytes of a file, or of all in a folder; of a link, which is all that would go, none."""
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
