"""What runs have cost, and what others like them will: time left, dry runs. No torch."""

import contextlib
import csv
import io
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixbench.config.identity import Job, completed
from mixbench.core import files
from mixbench.core.text import duration
from mixbench.runs.store import store
from mixbench.runs.store.metrics_schema import LARGEST, WIDEST
from mixbench.runs.store.store import Store

SHOWN = 40  # lines of a dry run before "and so many more"


@dataclass(frozen=True)
class Rates:
    """Seconds a step, evaluations included, of stored runs of one device: the one that trained last.

    device: None where no run is finished. of: what a run is alike in -> the seconds a step of such runs; for each kind
    of likeness, the strictest first.
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


def rates(results: Store, jobs: Sequence[Job] = ()) -> Rates:
    """The rates of the finished runs; where there is none, of those of `jobs` that have begun."""
    found, _ = store.scan(results.runs)
    timed = [m for m in found if m.get("steps") and m.get("seconds")]
    if not timed:
        begun = [(job.identity, last_row(job.id, results)) for job in jobs]
        known = tuple({} for _ in LIKENESSES)
        for identity, (steps, seconds) in begun:
            if steps and seconds:
                _enter(known, identity, seconds / steps)
        return Rates(None, known)
    device = max(timed, key=lambda m: (m["folder"] / "metrics.json").stat().st_mtime).get("device")
    known: tuple[dict[tuple, list[float]], ...] = tuple({} for _ in LIKENESSES)
    for m in timed:
        if m.get("device") == device:
            with contextlib.suppress(KeyError):  # made by something else than mixbench run
                _enter(known, completed(m["identity"]), m["seconds"] / m["steps"])
    return Rates(device, known)


def _enter(known: tuple[dict[tuple, list[float]], ...], identity: Mapping[str, Any], seconds_a_step: float) -> None:
    for likeness, of in zip(LIKENESSES, known, strict=True):
        of.setdefault(likeness(identity), []).append(seconds_a_step)


def steps_done(run_id: str, results: Store) -> int:
    """How far an unfinished run has come, to its last evaluation."""
    return last_row(run_id, results)[0]


def last_row(run_id: str, results: Store) -> tuple[int, float]:
    """Steps and seconds of an unfinished run to its last evaluation: of one that trains now, or has a checkpoint."""
    folder = results.folder(run_id)
    if not (results.locked(run_id) or os.path.exists(folder / "checkpoint.pt")):
        return 0, 0.0
    try:
        text = io.StringIO(files.read_text(folder / "history.csv"), newline="")
        rows = [(int(row["step"]), float(row.get("seconds") or 0)) for row in csv.DictReader(text)]
        steps, seconds = max(rows, default=(0, 0.0))
        # Absurd numbers of a damaged file would end every estimate.
        return (steps, seconds) if 0 <= steps < WIDEST and 0 <= seconds <= LARGEST else (0, 0.0)
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return 0, 0.0


def steps_left(job: Job, results: Store) -> int:
    """Steps that the job's run, which is not finished, still has to take."""
    return max(0, job.cfg.train.steps - steps_done(job.id, results))


def time_left(jobs: Sequence[Job], results: Store) -> str:
    """One line on what these jobs, none of them finished, will take."""
    known = rates(results, jobs)
    left = [(steps_left(job, results), known.seconds_a_step(job.identity)) for job in jobs]
    steps = sum(count for count, _ in left)
    timed = [count * seconds for count, seconds in left if seconds is not None]
    line = f"{len(jobs)} run{'s' * (len(jobs) != 1)} and {steps:,} steps to go"
    if not timed:
        return f"{line}; how long that takes is known once a run like them is stored"
    by = f"stored runs on {known.device}" if known.device else "those that have begun"
    line += f": about {duration(sum(timed))} one after another, at the rates of {by}"
    unknown = len(left) - len(timed)
    return f"{line}; {unknown} more are like no stored run" if unknown else line


def dry_run(jobs: Sequence[Job], results: Store) -> list[str]:
    """Lines that say what these jobs would train, and what that would cost. Nothing is loaded or written."""
    unique = list({job.id: job for job in jobs}.values())
    todo = [job for job in unique if job.cfg.force or results.state(job.id).name != "finished"]
    finished = len(unique) - len(todo)
    head = f"{len(unique)} run{'s' * (len(unique) != 1)}, {finished} of them finished already"
    lines = [f"{head}; nothing is trained (dry run)"]
    known = rates(results, todo)
    for job in todo[:SHOWN]:
        steps, seconds = steps_left(job, results), known.seconds_a_step(job.identity)
        cost = f"about {duration(steps * seconds)}" if seconds is not None else "time not known"
        lines.append(f"  {job}  {steps:,} steps, {cost}")
    if len(todo) > SHOWN:
        lines.append(f"  … and {len(todo) - SHOWN} more")
    return [*lines, time_left(todo, results)] if todo else lines
