"""Imports the runs of archives into a store: each is unpacked and checked first, then moved to its place. No torch."""

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
from mixbench.core.errors import CannotWrite, UserError
from mixbench.runs import races
from mixbench.runs.store.archive import check, unlisted_members, unpack
from mixbench.runs.store.predictions import CORRECT
from mixbench.runs.store.reading import PREDICTIONS, UNREADABLE, Archive, open_archive
from mixbench.runs.store.store import CHECKSUMS, INCOMING, Store, checksum_key

NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"  # names of runs; they cannot be paths out of the store
COMPARED = ("final_accuracy", "code", "device")  # values that the message on a conflict shows


@dataclass
class Imported:
    """The result of importing one archive.

    path: path of the archive.
    counts: `imported`, `already stored` or `not imported` -> number of runs.
    notes: lines on runs that replaced or completed a stored run.
    problems: one line for each run, or record of a race, that was not imported.
    """

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def import_runs(
    paths: Sequence[Path], results_dir: str | Path, say: Callable[[str], None] = lambda line: None
) -> Iterator[Imported]:
    """Copy the runs of archives into a store, one archive after the other. Finished runs in the store are kept.

    paths: paths of the archives.
    results_dir: folder of the results.
    say: called with a line if another process is importing into the store and this one waits.
    Raises UserError, before anything is written, if a file is not an archive or the store cannot be written;
        CannotWrite if the disk is full.
    """
    results = Store(results_dir)
    with contextlib.ExitStack() as stack:
        archives = [stack.enter_context(open_archive(file)) for file in paths]
        results.check_writable()
        results.repair()
        results.open()
        incoming = stack.enter_context(_incoming(results, say))
        known = results.checksums()
        for archive in archives:
            yield _import(archive, results, incoming, known)


def _import(archive: Archive, results: Store, incoming: Path, known: dict[tuple, tuple[str, Path]]) -> Imported:
    imported = Imported(archive.path)
    imported.problems += [f"{name!r}: left out (the manifest does not list it)" for name in unlisted_members(archive)]
    for name, facts in archive.runs.items():
        folder = incoming / name if re.fullmatch(NAME, name) else None
        try:
            if folder is None:
                raise ValueError("this is not the name of a run")
            unpack(archive.zip, name, facts, folder)
            outcome, detail = _place(results, folder, check(folder), known)
            imported.counts[outcome] += 1
            if detail:
                imported.notes.append(f"{name}: {detail}")
        except Timeout:
            imported.problems.append(f"{name}: not imported (another process is training this run here)")
        except UNREADABLE as error:
            if isinstance(error, CannotWrite) and error.errno in files.NO_ROOM:  # the others would fail too
                left = len(archive.runs) - list(archive.runs).index(name) - 1
                more = f" and {left} more" if left else ""
                imported.problems.append(f"{name}{more}: not imported ({error.strerror})")
                break
            imported.problems.append(f"{name}: not imported ({getattr(error, 'strerror', None) or error})")
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
    if refused := len(archive.runs) - imported.counts.total():
        imported.counts["not imported"] = refused
    for record in archive.races:
        try:
            races.add(results.root, record)
        except (OSError, ValueError, UserError, Timeout) as error:
            imported.problems.append(f"a race was not imported ({getattr(error, 'strerror', None) or error})")
    return imported


@contextmanager
def _incoming(results: Store, say: Callable[[str], None]) -> Iterator[Path]:
    """Make a folder inside the store for unpacking. One import at a time uses it, and readers ignore it."""
    if results.locked(INCOMING):
        say(f"another process is importing into {results.runs}/; waiting for it")
    with results.lock(INCOMING, wait=-1):
        folder = results.folder(INCOMING)
        files.remove(folder)  # left by a killed import
        with files.writing(folder):
            folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _place(
    results: Store, folder: Path, metrics: dict[str, Any], known: dict[tuple, tuple[str, Path]]
) -> tuple[str, str]:
    """Move a checked run into the store. Returns the outcome, and a note or an empty text.

    Raises filelock.Timeout if another process trains the run, and ValueError if the run cannot be stored.
    """
    name, here = folder.name, results.folder(folder.name)
    images = _images(metrics)
    for key, checksum in images.items():
        stored, where = known.get(key, (checksum, None))
        if stored != checksum:
            raise ValueError(f"its data set {key[0]!r} has other images than the data set of {where}")
    with results.lock(name):
        state = results.state_on_disk(name)
        if state.name == "damaged":  # it can be a run of another version, so the user decides
            raise ValueError(f"{here} cannot be read ({state.detail}); move it away")
        if state.name == "finished":
            return "already stored", _complete(here, folder)
        results.put_in_place(name, folder)
    known.update({key: (checksum, here) for key, checksum in images.items()})
    return "imported", "" if state.name == "missing" else f"replaces a run that was {state.name}"


def _images(metrics: Mapping[str, Any]) -> dict[tuple, str]:
    identity = metrics["identity"]
    kinds = [kind for kind in CHECKSUMS if metrics.get(kind) is not None]
    return {checksum_key(identity["dataset"], kind, str(identity.get("eval"))): metrics[kind] for kind in kinds}


def _complete(here: Path, folder: Path) -> str:
    """Add the files to a finished run that only the imported copy has. Raises ValueError if their results differ.

    here: the run in the store.
    folder: the imported copy.
    Returns a note on the added files, or an empty text.
    """
    ours, theirs = (_with_code(files.read_json(path / "metrics.json")) for path in (here, folder))
    differ = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    shown = [f"{key} {ours.get(key)} here, {theirs.get(key)} in the archive" for key in COMPARED if key in differ]
    histories = [path / "history.csv" for path in (here, folder) if (path / "history.csv").exists()]
    if not differ and len({files.read_bytes(path) for path in histories}) > 1:
        differ = ["history.csv"]
    if differ:
        differences = "; ".join(shown) or ", ".join(differ)
        raise ValueError(f"conflict: the stored run has other results and is kept: {differences}")
    added = sorted(path.name for path in folder.iterdir() if not (here / path.name).exists())
    if CORRECT in added and (here / PREDICTIONS).exists():  # the predictions have more information
        added.remove(CORRECT)
    for name in added:
        with files.writing(here / name):
            (folder / name).rename(here / name)
    return f"the stored run gets {', '.join(added)}" if added else ""


def _with_code(metrics: dict[str, Any]) -> dict[str, Any]:
    return metrics | {"code": numerics.name(metrics)}
