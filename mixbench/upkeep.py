"""How the runs of a store stand, and dropping what is left of those that did not finish. No torch."""

import contextlib
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from mixbench import costs, selection, study
from mixbench.config import Composer
from mixbench.errors import UserError
from mixbench.identity import Job
from mixbench.store import FORCE, INCOMING, REPLACED, Store, printable

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
    steps: dict[str, int] = {}
    todo: list[Job] = []
    if name is None:
        if overrides:
            raise UserError(f"{overrides[0]}: status takes a study, or results_dir=FOLDER")
        states = {run_id: results.state(run_id) for run_id in results.ids()}
        head = f"{results.runs}/"
    else:
        with Composer(config_dir) as composer:
            jobs = study.plan(composer, name, overrides).jobs
        states = {job.id: results.state(job.id) for job in jobs}
        steps = {job.id: job.cfg.train.steps for job in jobs}
        todo = [job for job in jobs if states[job.id].name != "finished"]
        head = f"study {name} in {results.runs}/"
    counts = Counter(state.name for state in states.values())
    lines = [f"{head}: " + (", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "no runs")]
    if todo:
        lines.append(costs.time_left(todo, results))
    for run_id, state in states.items():
        if state.name not in ("finished", "missing"):
            details = [_how_far(run_id, steps, results), state.detail]
            told = "; ".join(detail for detail in details if detail)
            lines.append(printable(f"  {state.name:12} {run_id}{f'  ({told})' if told else ''}"))
    return lines


def _how_far(run_id: str, steps: dict[str, int], results: Store) -> str:
    """Such as `step 500 of 1,000`, by the last evaluation; of how many is known of a study's runs."""
    done = costs.steps_done(run_id, results)
    of_all = f" of {steps[run_id]:,}" if run_id in steps else ""
    return f"step {done:,}{of_all}" if done else ""


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
        print(printable(f"{drop.path}  ({drop.why}, {drop.bytes / 1e6:.1f} MB)"))
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
    incoming = results.folder(INCOMING)
    if incoming.is_dir() and not results.locked(INCOMING):
        drops.append(Drop(incoming, INCOMING, "left by an import", _size(incoming)))
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
