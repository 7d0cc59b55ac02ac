"""Many runs: validate all before the first trains, skip what is finished, run, summarise.

The seam for other executors is `_one_after_another`: it gets jobs that are known to be sound and yields their results
in any order.
"""

import sys
from collections.abc import Collection, Iterator, Sequence
from functools import cache

from mixbench import data, store
from mixbench.errors import UserError
from mixbench.identity import Job
from mixbench.run import Result, StopRequest, execute, find, prepare
from mixbench.store import Store

FOREVER = -1  # filelock's word for waiting without end
EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


def run_jobs(jobs: Sequence[Job], results_dir: str) -> int:
    """Make every run that is not finished. Returns the exit status: 0, 1 where a run failed, 130 after Ctrl-C.

    Raises UserError, before anything is written, where one of the jobs cannot be run.
    """
    jobs = list({job.id: job for job in jobs}.values())
    results = Store(results_dir)
    results.check_writable()
    before = [result for job in jobs if not job.cfg.force and (result := find(job, results)) is not None]
    finished = {result.job.id for result in before}
    for warning in dict.fromkeys(_validate(jobs, finished, results)):
        print(f"warning: {warning}", file=sys.stderr)
    results.open()
    todo = [job for job in jobs if job.id not in finished]
    if len(jobs) == 1 and before:
        print(_line(before[0], 1, 1, results))
    elif len(jobs) > 1:
        others = sum(bool(result.note) for result in before)
        print(
            f"{len(jobs)} runs, {len(before)} of them finished already{f' ({others} by other code)' if others else ''}"
        )
    done: list[Result] = []
    stop = StopRequest()
    with stop.listening():
        try:
            for result in _one_after_another(todo, results, stop):
                done.append(result)
                print(_line(result, len(done), len(todo), results), flush=True)
        except KeyboardInterrupt:
            kept = len(before) + sum(result.status != "failed" for result in done)
            print(
                f"interrupted: {kept} of {len(jobs)} runs are finished and kept, the current one resumes from its "
                "checkpoint when the same command is given again",
                file=sys.stderr,
            )
            return EXIT_INTERRUPTED
    failed = [result for result in done if result.status == "failed"]
    if len(jobs) > 1:
        print(f"{len(jobs) - len(failed)} of {len(jobs)} runs are finished; they are kept in {results.runs}/")
    for result in failed:
        record = results.folder(result.job.id) / "failed.json"
        print(f"failed: {result.job}: {result.note} (see {record})", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_DONE


def _validate(jobs: Sequence[Job], finished: Collection[str], results: Store) -> Iterator[str]:
    """Check every job against its data; yields warnings. Raises UserError for the first that cannot be run.

    A finished run needs its data only where they come from an archive, whose name may meanwhile mean other images.
    """
    known: dict[tuple[str, str], dict] = {}
    for metrics in store.scan(results.runs)[0]:
        known.setdefault((metrics["identity"]["dataset"], metrics["identity"].get("eval")), metrics)
    for job in jobs:
        if job.id in finished and not job.cfg.dataset.path:
            continue
        images = prepare(job, _dataset(job))
        name = job.identity["dataset"]
        stored = known.get((name, job.identity["eval"]))
        if stored is not None and stored.get("data_sha256") != images.data_sha256:
            raise UserError(
                f"dataset.name={name}: {stored['folder']} is a run on other images of that name; "
                "give these a dataset.name of their own"
            )
        if 0 in images.class_counts:
            lacking = [str(k) for k, count in enumerate(images.class_counts) if count == 0]
            yield (
                f"{name} n={job.cfg.n} subset={job.cfg.subset}: no image of class {', '.join(lacking)}; "
                "subset=random or balanced mixes a sorted list"
            )


def _dataset(job: Job) -> data.Dataset:
    return _load(job.cfg.dataset.source, job.cfg.dataset.root, job.cfg.dataset.path)


@cache
def _load(source: str, root: str, path: str | None) -> data.Dataset:
    return data.load(source, root, path, say=lambda line: print(line, file=sys.stderr, flush=True))


def _one_after_another(jobs: Sequence[Job], results: Store, stop: StopRequest) -> Iterator[Result]:
    """Each job's result; what another process is training comes last, so that no one waits while there is work."""
    busy = []
    for i, job in enumerate(jobs):
        label = f"[{i + 1}/{len(jobs)}] {job}" if len(jobs) > 1 else str(job)
        result = execute(job, prepare(job, _dataset(job)), results, stop, label)
        if stop:
            raise KeyboardInterrupt
        if result.status == "busy":
            busy.append(job)
        else:
            yield result
    for job in busy:
        print(f"{job}: another process trains it; waiting", file=sys.stderr, flush=True)
        job.cfg.force = False  # what the other process has made is new enough
        yield execute(job, prepare(job, _dataset(job)), results, stop, str(job), wait=FOREVER)


def _finished(done: Sequence[Result]) -> int:
    return sum(result.status != "failed" for result in done)


def _line(result: Result, number: int, count: int, results: Store) -> str:
    place = f"[{number}/{count}] " if count > 1 else ""
    if result.status == "failed":
        return f"{place}{result.job}: failed"
    found = result.metrics
    line = (
        f"{place}{result.job}: accuracy {found['final_accuracy']:.2f} % final, {found['median10_accuracy']:.2f} median "
        f"of last 10, {found['best_accuracy']:.2f} best on test; {found['seconds']:.0f} s"
    )
    if result.status == "finished":
        line += f" (finished before{f'; {result.note}' if result.note else ''})"
    return line if count > 1 else f"{line}\n{results.folder(result.job.id)}/"
