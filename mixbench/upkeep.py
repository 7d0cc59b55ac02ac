"""How the runs of a store stand, and dropping what is left of those that did not finish. No torch."""

import contextlib
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from mixbench import selection, study
from mixbench.config import Composer
from mixbench.errors import UserError
from mixbench.store import FORCE, REPLACED, Store

LEFT_OVER = ("checkpoint.pt", "failed.json")  # in a finished run: a crash came between its commit and its clean-up


@dataclass(frozen=True)
class Drop:
    """Something that `clean` would remove, and why."""

    path: Path
    owner: str  # the run whose lock guards it
    why: str
    bytes: int


def status(words: Sequence[str], config_dir: str | None = None) -> list[str]:
    """Lines that say how runs stand: of a study where the words name one, else of all that the store holds."""
    name, overrides, options = selection.read_words(words)
    results = Store(options["results_dir"])
    if name is None:
        if overrides:
            raise UserError(f"{overrides[0]}: status takes a study, or results_dir=FOLDER")
        ids = results.ids()
        states = {run_id: results.state(run_id) for run_id in ids}
        head = f"{results.runs}/"
    else:
        with Composer(config_dir) as composer:
            jobs = study.jobs(composer, name, overrides)
        states = {job.id: results.state(job.id) for job in jobs}
        head = f"study {name} in {results.runs}/"
    counts = Counter(state.name for state in states.values())
    lines = [f"{head}: " + (", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "no runs")]
    lines += [
        f"  {state.name:12} {run_id}{f'  ({state.detail})' if state.detail else ''}"
        for run_id, state in states.items()
        if state.name not in ("finished", "missing")
    ]
    return lines


def clean(words: Sequence[str], yes: bool) -> int:
    """Show what did not finish and drop it: at once with `yes`, after a question on a terminal, else not at all."""
    name, overrides, options = selection.read_words(words)
    if name is not None or overrides:
        raise UserError(f"{(name or overrides[0])}: clean takes results_dir=FOLDER and --yes alone")
    results = Store(options["results_dir"])
    results.repair()
    drops = to_drop(results)
    if not drops:
        print(f"{results.runs}/: nothing to drop")
        return 0
    for drop in drops:
        print(f"{drop.path}  ({drop.why}, {drop.bytes / 1e6:.1f} MB)")
    if not yes:
        if not sys.stdin.isatty():
            print("nothing dropped; mixbench clean --yes drops these")
            return 0
        if input(f"drop these {len(drops)}? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing dropped")
            return 0
    dropped = sum(_drop(results, drop) for drop in drops)
    print(f"dropped {dropped}")
    return 0


def _drop(results: Store, drop: Drop) -> bool:
    """Remove it, unless a process has taken the run up since it was shown."""
    with contextlib.suppress(Timeout), results.lock(drop.owner):
        if drop.path.is_dir():
            if (drop.path / "metrics.json").exists() and not drop.path.name.endswith(REPLACED):
                return False
            shutil.rmtree(drop.path)
        else:
            drop.path.unlink(missing_ok=True)
        return True
    return False


def to_drop(results: Store) -> list[Drop]:
    """Folders of runs that are neither finished nor running, and left-over files in finished ones."""
    drops = []
    for run_id in results.ids(copies=True):
        folder = results.folder(run_id)
        owner = run_id.removesuffix(FORCE).removesuffix(REPLACED)
        state = results.state(run_id)
        if state.name == "running" or results.locked(owner):
            continue
        if state.name == "damaged":
            continue  # may be another version's run: a person decides
        if state.name != "finished" or run_id != owner:
            why = "left by training again" if run_id != owner else state.name
            drops.append(Drop(folder, owner, why, _size(folder)))
        else:
            files = [folder / name for name in LEFT_OVER] + list(folder.glob(".*"))
            drops += [Drop(file, owner, "left over", _size(file)) for file in files if file.is_file()]
    return drops


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
