"""Many runs: validate all before the first trains, skip what is finished, run, summarise.

The seam for other executors is `_one_after_another`: it gets jobs that are known to be sound and yields their results
in any order.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import cache

from mixbench import data, store
from mixbench.errors import UserError
from mixbench.identity import Job
from mixbench.run import Result, StopRequest, execute, prepare
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
    for warning in dict.fromkeys(_validate(jobs, results)):
        print(f"warning: {warning}", file=sys.stderr)
    results.open()
    todo = [job for job in jobs if job.cfg.force or results.finished(job.id) is None]
    if len(jobs) > 1:
        print(f"{len(jobs)} runs, {len(jobs) - len(todo)} of them finished already")
        counted = todo
    else:
        counted = jobs
    done: list[Result] = []
    stop = StopRequest()
    with stop.listening():
        try:
            for result in _one_after_another(counted, results, stop):
                done.append(result)
                print(_line(result, len(done), len(counted), results), flush=True)
        except KeyboardInterrupt:
            print(
                f"interrupted: {len(jobs) - len(counted) + _finished(done)} of {len(jobs)} runs are finished and kept, "
                "the current one resumes from its checkpoint when the same command is given again",
                file=sys.stderr,
            )
            return EXIT_INTERRUPTED
    failed = [result for result in done if result.status == "failed"]
    if len(jobs) > 1:
        print(f"{len(jobs) - len(failed)} of {len(jobs)} runs are finished; they are kept in {results.runs}/")
    for result in failed:
        print(
            f"failed: {result.job}: {result.note} (see {results.folder(result.job.id) / 'failed.json'})",
            file=sys.stderr,
        )
    return EXIT_FAILED if failed else EXIT_DONE


def _validate(jobs: Sequence[Job], results: Store) -> Iterator[str]:
    """Check every job against its data; yields warnings. Raises UserError for the first that cannot be run."""
    known: dict[tuple[str, str], dict] = {}
    for metrics in store.scan(results.runs)[0]:
        known.setdefault((metrics["identity"]["dataset"], metrics["identity"].get("eval")), metrics)
    for job in jobs:
        images = prepare(job, _dataset(job))
        name = job.identity["dataset"]
        stored = known.get((name, job.identity["eval"]))
        if stored is not None and stored["data_sha256"] != images.data_sha256:
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
        result = execute(job, prepare(job, _dataset(job)), results, stop, f"[{i + 1}/{len(jobs)}] {job}")
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
        return f"{place}{result.job}: failed: {result.note}"
    found = result.metrics
    line = (
        f"{place}{result.job}: accuracy {found['final_accuracy']:.2f} % final, {found['median10_accuracy']:.2f} median "
        f"of last 10, {found['best_accuracy']:.2f} best on test; {found['seconds']:.0f} s"
    )
    if result.status == "finished":
        note = f"; {result.note}" if result.note else ""
        line += f" (finished before{note})"
    return line if count > 1 else f"{line}\n{results.folder(result.job.id)}/"
