"""What runs have cost, and what others like them will: time left, dry runs. No torch."""

import csv
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixbench import store
from mixbench.identity import Job, completed
from mixbench.progress import duration
from mixbench.store import Store

SHOWN = 40  # lines of a dry run before "and so many more"


@dataclass(frozen=True)
class Rates:
    """Seconds a step, evaluations included, of stored runs of one device: the one that trained last.

    of: what a run is alike in -> the seconds a step of such runs; for each kind of likeness, the strictest first.
    """

    device: str | None
    of: tuple[dict[tuple, list[float]], ...]

    def seconds_a_step(self, identity: Mapping[str, Any]) -> float | None:
        """The median of the most similar runs there are; None without any."""
        for likeness, known in zip(LIKENESSES, self.of, strict=True):
            if (of_alike := known.get(likeness(identity))) is not None:
                return statistics.median(of_alike)
        return None


def _network_and_data(identity: Mapping[str, Any]) -> tuple:
    keys = [key for key in identity if key in ("dataset", "eval", "precision", "model") or key.startswith("model.")]
    return tuple((key, str(identity[key])) for key in sorted([*keys, "train.batch_size"]))


def _and_method(identity: Mapping[str, Any]) -> tuple:
    return (*_network_and_data(identity), identity["method"], identity["augment"])


def _and_evaluations(identity: Mapping[str, Any]) -> tuple:
    return (*_and_method(identity), identity["train.eval_every"])


LIKENESSES: tuple[Callable[[Mapping[str, Any]], tuple], ...] = (_and_evaluations, _and_method, _network_and_data)


def rates(runs: Path) -> Rates:
    """The rates of the finished runs in a folder."""
    found, _ = store.scan(runs)
    timed = [m for m in found if m.get("steps") and m.get("seconds")]
    if not timed:
        return Rates(None, tuple({} for _ in LIKENESSES))
    device = max(timed, key=lambda m: (m["folder"] / "metrics.json").stat().st_mtime).get("device")
    known: tuple[dict[tuple, list[float]], ...] = tuple({} for _ in LIKENESSES)
    for m in timed:
        if m.get("device") == device:
            try:
                identity = completed(m["identity"])
                for likeness, of in zip(LIKENESSES, known, strict=True):
                    of.setdefault(likeness(identity), []).append(m["seconds"] / m["steps"])
            except KeyError:  # made by something else than mixbench run
                continue
    return Rates(device, known)


def steps_done(run_id: str, results: Store) -> int:
    """How far an unfinished run has come, to its last evaluation: one that trains now, or that has a checkpoint."""
    folder = results.folder(run_id)
    if not (results.locked(run_id) or os.path.exists(folder / "checkpoint.pt")):
        return 0
    try:
        with open(folder / "history.csv", newline="", encoding="utf-8") as file:
            return max((int(row["step"]) for row in csv.DictReader(file)), default=0)
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return 0


def steps_left(job: Job, results: Store) -> int:
    """Steps that the job's run, which is not finished, still has to take."""
    return max(0, job.cfg.train.steps - steps_done(job.id, results))


def time_left(jobs: Sequence[Job], results: Store) -> str:
    """One line on what these jobs, none of them finished, will take."""
    known = rates(results.runs)
    left = [(steps_left(job, results), known.seconds_a_step(job.identity)) for job in jobs]
    steps = sum(count for count, _ in left)
    timed = [count * seconds for count, seconds in left if seconds is not None]
    line = f"{len(jobs)} run{'s' * (len(jobs) != 1)} and {steps:,} steps to go"
    if not timed:
        return f"{line}; how long that takes is known once a run like them is stored"
    line += f": about {duration(sum(timed))} one after another, at the rates of stored runs on {known.device}"
    unknown = len(left) - len(timed)
    return f"{line}; {unknown} more are like no stored run" if unknown else line


def dry_run(jobs: Sequence[Job], results: Store) -> list[str]:
    """Lines that say what these jobs would train, and what that would cost. Nothing is loaded or written."""
    unique = list({job.id: job for job in jobs}.values())
    todo = [job for job in unique if job.cfg.force or results.state(job.id).name != "finished"]
    finished = len(unique) - len(todo)
    head = f"{len(unique)} run{'s' * (len(unique) != 1)}, {finished} of them finished already"
    lines = [f"{head}; nothing is trained (dry run)"]
    known = rates(results.runs)
    for job in todo[:SHOWN]:
        steps, seconds = steps_left(job, results), known.seconds_a_step(job.identity)
        cost = f"about {duration(steps * seconds)}" if seconds is not None else "time not known"
        lines.append(f"  {job}  {steps:,} steps, {cost}")
    if len(todo) > SHOWN:
        lines.append(f"  … and {len(todo) - SHOWN} more")
    return [*lines, time_left(todo, results)] if todo else lines
