"""Estimates of training time from stored runs, for the time left and for dry runs. No torch."""

import contextlib
import csv
import io
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixbench.config.identity import Job, completed
from mixbench.core import files
from mixbench.core.text import duration
from mixbench.runs.speed import SIMILARITIES
from mixbench.runs.store import store
from mixbench.runs.store.metrics_schema import LARGEST, WIDEST
from mixbench.runs.store.store import Store

SHOWN = 40  # lines of a dry run before "and N more"


@dataclass(frozen=True)
class Rates:
    """Seconds per step of stored runs, including evaluations, on the device that trained last.

    device: name of the device; None: no run is finished.
    by_similarity: for each function of speed.SIMILARITIES, strictest first, its value for a run -> seconds per step of
        all runs with that value.
    """

    device: str | None
    by_similarity: tuple[dict[tuple, list[float]], ...]

    def seconds_per_step(self, identity: Mapping[str, Any]) -> float | None:
        """Return the median over the most similar stored runs; None if there are none.

        identity: identity of the run whose speed is estimated.
        """
        for similarity, known in zip(SIMILARITIES, self.by_similarity, strict=True):
            if (seconds := known.get(similarity(identity))) is not None:
                return statistics.median(seconds)
        return None


def rates(results: Store, jobs: Sequence[Job] = ()) -> Rates:
    """Return the rates of the finished runs. If there are none, use those of `jobs` that have started.

    results: the store of the runs.
    jobs: unfinished runs.
    """
    found, _ = store.scan(results.runs)
    timed = [m for m in found if m.get("steps") and m.get("seconds")]
    if not timed:
        started = [(job.identity, last_row(job.id, results)) for job in jobs]
        known = tuple({} for _ in SIMILARITIES)
        for identity, (steps, seconds) in started:
            if steps and seconds:
                _add(known, identity, seconds / steps)
        return Rates(None, known)
    device = max(timed, key=lambda m: (m["folder"] / "metrics.json").stat().st_mtime).get("device")
    known: tuple[dict[tuple, list[float]], ...] = tuple({} for _ in SIMILARITIES)
    for m in timed:
        if m.get("device") == device:
            with contextlib.suppress(KeyError):  # not made by mixbench run
                _add(known, completed(m["identity"]), m["seconds"] / m["steps"])
    return Rates(device, known)


def _add(known: tuple[dict[tuple, list[float]], ...], identity: Mapping[str, Any], seconds_per_step: float) -> None:
    for similarity, seconds in zip(SIMILARITIES, known, strict=True):
        seconds.setdefault(similarity(identity), []).append(seconds_per_step)


def steps_done(run_id: str, results: Store) -> int:
    """Return the steps of an unfinished run up to its last evaluation.

    run_id: name of the run.
    results: the store of the runs.
    """
    return last_row(run_id, results)[0]


def last_row(run_id: str, results: Store) -> tuple[int, float]:
    """Return steps and seconds of an unfinished run up to its last evaluation, if it trains now or has a checkpoint.

    run_id: name of the run.
    results: the store of the runs.
    Returns (0, 0.0) for any other run, and if the history cannot be read.
    """
    folder = results.folder(run_id)
    if not (results.locked(run_id) or os.path.exists(folder / "checkpoint.pt")):
        return 0, 0.0
    try:
        text = io.StringIO(files.read_text(folder / "history.csv"), newline="")
        rows = [(int(row["step"]), float(row.get("seconds") or 0)) for row in csv.DictReader(text)]
        steps, seconds = max(rows, default=(0, 0.0))
        # Impossible numbers of a damaged file would make every estimate useless.
        return (steps, seconds) if 0 <= steps < WIDEST and 0 <= seconds <= LARGEST else (0, 0.0)
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return 0, 0.0


def steps_left(job: Job, results: Store) -> int:
    """Return the remaining steps of a job that is not finished.

    job: the run.
    results: the store of the runs.
    """
    return max(0, job.cfg.train.steps - steps_done(job.id, results))


def time_left(jobs: Sequence[Job], results: Store) -> str:
    """Return one line about the remaining work of unfinished jobs: runs, steps and, if it is known, the time.

    jobs: the unfinished runs, each once.
    results: the store, whose runs give the seconds per step.
    """
    known = rates(results, jobs)
    left = [(steps_left(job, results), known.seconds_per_step(job.identity)) for job in jobs]
    steps = sum(count for count, _ in left)
    timed = [count * seconds for count, seconds in left if seconds is not None]
    line = f"{_runs(len(jobs))} and {steps:,} steps left"
    if not timed:
        return f"{line}; the time is not known until a similar run is stored"
    by = f"stored runs on {known.device}" if known.device else "the runs that have started"
    line += f": about {duration(sum(timed))} one after another, at the speed of {by}"
    unknown = len(left) - len(timed)
    return f"{line}; {unknown} more are not similar to any stored run" if unknown else line


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def dry_run(jobs: Sequence[Job], results: Store, seconds: Mapping[str, float] | None = None) -> list[str]:
    """Return lines about the training that these jobs need and its time. Nothing is loaded or written.

    jobs: the runs of a call; the same run can occur several times.
    results: the store of the runs.
    seconds: run id -> time that a run will take, as measured now; None: the times of similar stored runs are used.
    """
    unique = list({job.id: job for job in jobs}.values())
    todo = unfinished(unique, results)
    finished = len(unique) - len(todo)
    lines = [f"{_runs(len(unique))}, {finished} of them finished already; nothing is trained (dry run)"]
    known = None if seconds else rates(results, todo)
    for job in todo[:SHOWN]:
        steps = steps_left(job, results)
        if known is not None:
            rate = known.seconds_per_step(job.identity)
            time = None if rate is None else steps * rate
        else:
            time = (seconds or {}).get(job.id)
        lines.append(f"  {job}  {steps:,} steps, {'time not known' if time is None else f'about {duration(time)}'}")
    if len(todo) > SHOWN:
        lines.append(f"  … and {len(todo) - SHOWN} more")
    return [*lines, time_left(todo, results)] if todo and known is not None else lines


def unfinished(jobs: Sequence[Job], results: Store) -> list[Job]:
    """Return the jobs that are not finished, and those that are trained again (force=true).

    jobs: the runs.
    results: the store of the runs.
    """
    return [job for job in jobs if job.cfg.force or results.state(job.id).name != "finished"]
