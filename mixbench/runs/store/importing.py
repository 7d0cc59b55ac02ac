"""Importing the runs of archives into a store: each is checked beside the others, then gets its place. No torch."""

import contextlib
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import Timeout

from mixbench.core import files, numerics
from mixbench.core.errors import CannotWrite
from mixbench.runs.store.archive import check, strangers, unpack
from mixbench.runs.store.predictions import CORRECT
from mixbench.runs.store.reading import PREDICTIONS, UNREADABLE, Archive, open_archive
from mixbench.runs.store.store import CHECKSUMS, INCOMING, Store, alike

NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"  # of a run: no path leads out of the store
TOLD = ("final_accuracy", "code", "device")  # what the report of a conflict between two results shows


@dataclass
class Imported:
    """What became of the runs of one archive.

    path: of the archive. counts: `imported`, `there already`, `not imported` -> how many. notes: a line for each run of
    which there is something to say. problems: a line for each that was refused.
    """

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def import_runs(
    paths: Sequence[Path], results_dir: str | Path, waits: Callable[[str], None] = lambda line: None
) -> Iterator[Imported]:
    """Put the runs of archives into a store, one archive after the other; a finished run that is there stays.

    paths: of the archives.
    results_dir: of the store.
    waits: gets a line where another process imports into the store and has to be waited for.
    Raises UserError, before anything is written, where one of the files is no archive or the store cannot be written;
    CannotWrite where the disk is full.
    """
    results = Store(results_dir)
    with contextlib.ExitStack() as stack:
        archives = [stack.enter_context(open_archive(file)) for file in paths]
        results.check_writable()
        results.repair()
        results.open()
        incoming = stack.enter_context(_incoming(results, waits))
        known = results.checksums()
        for archive in archives:
            yield _import(archive, results, incoming, known)


def _import(archive: Archive, results: Store, incoming: Path, known: dict[tuple, tuple[str, Path]]) -> Imported:
    told = Imported(archive.path)
    told.problems += [f"{name!r}: left out (the manifest does not name it)" for name in strangers(archive)]
    for name, facts in archive.runs.items():
        folder = incoming / name if re.fullmatch(NAME, name) else None
        try:
            if folder is None:
                raise ValueError("no name of a run")
            unpack(archive.zip, name, facts, folder)
            outcome, detail = _place(results, folder, check(folder), known)
            told.counts[outcome] += 1
            if detail:
                told.notes.append(f"{name}: {detail}")
        except Timeout:
            told.problems.append(f"{name}: not imported (another process trains it here)")
        except UNREADABLE as error:
            if isinstance(error, CannotWrite) and error.errno in files.NO_ROOM:  # nor will the others
                left = len(archive.runs) - list(archive.runs).index(name) - 1
                more = f" and {left} more" if left else ""
                told.problems.append(f"{name}{more}: not imported ({error.strerror})")
                break
            told.problems.append(f"{name}: not imported ({getattr(error, 'strerror', None) or error})")
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
    if refused := len(archive.runs) - told.counts.total():
        told.counts["not imported"] = refused
    return told


@contextmanager
def _incoming(results: Store, waits: Callable[[str], None]) -> Iterator[Path]:
    """A folder inside the store, for one import at a time, that readers of the store pass over."""
    if results.locked(INCOMING):
        waits(f"another process imports into {results.runs}/; waiting")
    with results.lock(INCOMING, wait=-1):
        folder = results.folder(INCOMING)
        files.remove(folder)  # of an import that was killed
        with files.writing(folder):
            folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _place(
    results: Store, folder: Path, metrics: dict[str, Any], known: dict[tuple, tuple[str, Path]]
) -> tuple[str, str]:
    """Put a checked run into the store: what became of it, and what is worth saying of that.

    Raises filelock.Timeout where another process trains the run, ValueError where it cannot have its place.
    """
    name, here = folder.name, results.folder(folder.name)
    images = _images(metrics)
    for key, checksum in images.items():
        stored, where = known.get(key, (checksum, None))
        if stored != checksum:
            raise ValueError(f"its data set {key[0]!r} holds other images than that of {where}")
    with results.lock(name):
        state = results.at_rest(name)
        if state.name == "damaged":  # may be another version's: a person decides
            raise ValueError(f"{here} cannot be read ({state.detail}); move it away")
        if state.name == "finished":
            return "there already", _complete(here, folder)
        results.put_in_place(name, folder)
    known.update({key: (checksum, here) for key, checksum in images.items()})
    return "imported", "" if state.name == "missing" else f"takes the place of a run that was {state.name}"


def _images(metrics: Mapping[str, Any]) -> dict[tuple, str]:
    identity = metrics["identity"]
    kinds = [kind for kind in CHECKSUMS if metrics.get(kind) is not None]
    return {alike(identity["dataset"], kind, str(identity.get("eval"))): metrics[kind] for kind in kinds}


def _complete(here: Path, folder: Path) -> str:
    """Give a finished run the files that only its other copy has. Raises ValueError where they are not the same run."""
    ours, theirs = (_told(files.read_json(path / "metrics.json")) for path in (here, folder))
    differ = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    told = [f"{key} {ours.get(key)} here, {theirs.get(key)} in the archive" for key in TOLD if key in differ]
    histories = [path / "history.csv" for path in (here, folder) if (path / "history.csv").exists()]
    if not differ and len({files.read_bytes(path) for path in histories}) > 1:
        differ = ["history.csv"]
    if differ:
        raise ValueError(f"conflict: the run here has other results, and stays: {'; '.join(told) or ', '.join(differ)}")
    added = sorted(path.name for path in folder.iterdir() if not (here / path.name).exists())
    if CORRECT in added and (here / PREDICTIONS).exists():  # which say more
        added.remove(CORRECT)
    for name in added:
        with files.writing(here / name):
            (folder / name).rename(here / name)
    return f"gets {', '.join(added)}" if added else ""


def _told(metrics: dict[str, Any]) -> dict[str, Any]:
    return metrics | {"code": numerics.name(metrics)}
