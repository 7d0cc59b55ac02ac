"""Many runs: validate all before the first trains, skip what is finished, run, summarise.

The seam for other executors is `_one_after_another`: it gets jobs that are known to be sound and yields their results
in any order.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from mixbench import data
from mixbench.cli.progress import TimeLeft, duration
from mixbench.config.identity import Job
from mixbench.config.labels import labels
from mixbench.core.errors import UserError
from mixbench.runs.run import Result, StopRequest, execute, find, prepare
from mixbench.runs.store.store import Store, alike
from mixbench.training import rules
from mixbench.training.loop import check

PATIENCE = 0.5  # seconds of waiting for another process before looking whether the user wants to stop
EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


def run_jobs(jobs: Sequence[Job], results_dir: str, warnings: Sequence[str] = ()) -> int:
    """Make every run that is not finished. Returns the exit status: 0, 1 where a run failed, 130 after Ctrl-C.

    warnings: lines to print once it is known that all of them can be run.
    Raises UserError, before anything is written, where one of the jobs cannot be run.
    """
    others = {job.cfg.results_dir for job in jobs} - {results_dir}
    if others:
        raise UserError(f"results_dir={results_dir},{','.join(sorted(others))}: the runs of a sweep go to one folder")
    results = Store(results_dir)
    results.check_writable()
    results.repair()
    for warning in dict.fromkeys([*warnings, *_validate(jobs, results)]):
        print(f"warning: {warning}", file=sys.stderr)
    jobs = list({job.id: job for job in jobs}.values())
    found = [find(job, results) for job in jobs if not job.cfg.force]
    before = [result for result in found if result is not None and result.status == "finished"]
    finished = {result.job.id for result in before}
    results.open()
    todo = [job for job in jobs if job.id not in finished]
    names = labels(jobs)
    if len(jobs) == 1 and before:
        print(_line(before[0], 1, 1, names, results))
    elif len(jobs) > 1:
        others = sum(bool(result.note) for result in before)
        print(
            f"{len(jobs)} runs, {len(before)} of them finished already{f' ({others} by other code)' if others else ''}"
        )
    done: list[Result] = []
    stop, left = StopRequest(), TimeLeft(sum(job.cfg.train.steps for job in todo))
    with stop.listening():
        try:
            for result in _one_after_another(todo, results, stop, names, left if len(todo) > 1 else None):
                done.append(result)
                line = _line(result, len(done), len(todo), names, results)
                to_go = left.of_all() if len(done) < len(todo) and result.job.cfg.progress != "off" else None
                print(line if to_go is None else f"{line}; about {duration(to_go)} left", flush=True)
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
        see = f" (see {result.record})" if result.record else ""
        print(f"failed: {result.job}: {result.note}{see}", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_DONE


def _validate(jobs: Sequence[Job], results: Store) -> Iterator[str]:
    """Check every job against its data; yields warnings. Raises UserError for the first that cannot be run.

    A finished run needs its data only where they come from an archive, whose name may meanwhile mean other images.
    """
    known = results.checksums()
    for job in jobs:
        if not job.cfg.force and not job.cfg.dataset.path:
            found = find(job, results)
            if found is not None and found.status == "finished":
                check(job.cfg)
                continue
        images = prepare(job, _dataset(job))
        name = job.identity["dataset"]
        for kind, checksum in images.checksums.items():
            stored, where = known.setdefault(alike(name, kind, job.cfg.eval), (checksum, job.cfg.dataset.path))
            if stored != checksum:
                raise UserError(
                    f"dataset.name={name}: {job.cfg.dataset.path} holds other images than {where}, which has that name "
                    "too; give one of them a dataset.name of its own"
                )
        yield from data.warnings(images, job.cfg)


def _dataset(job: Job) -> data.Dataset:
    dataset = job.cfg.dataset
    return _load(dataset.source, dataset.root, dataset.path, with_test=job.cfg.eval == "test" or not dataset.path)


@cache
def _load(source: str, root: str, path: str | None, with_test: bool) -> data.Dataset:
    return data.load(source, root, path, lambda line: print(line, file=sys.stderr, flush=True), with_test)


def _one_after_another(
    jobs: Sequence[Job], results: Store, stop: StopRequest, names: Mapping[str, str], left: TimeLeft | None
) -> Iterator[Result]:
    """Each job's result; what another process is training comes last, so that no one waits while there is work."""
    busy = []
    for i, job in enumerate(jobs):
        if stop:
            raise KeyboardInterrupt
        label = f"[{i + 1}/{len(jobs)}] {names[job.id]}" if len(jobs) > 1 else names[job.id]
        result = execute(job, prepare(job, _dataset(job)), results, stop, label, job.cfg.force, left=left)
        if result.status == "busy":
            busy.append(job)
        else:
            yield result
    for job in busy:
        print(f"{job}: another process trains it; waiting", file=sys.stderr, flush=True)
        images = prepare(job, _dataset(job))
        result = Result(job, "busy")
        while result.status == "busy":
            if stop:
                raise KeyboardInterrupt
            # Without force: what the other process has made is new enough.
            result = execute(job, images, results, stop, names[job.id], wait=PATIENCE, left=left)
        yield result


def _line(result: Result, number: int, count: int, names: Mapping[str, str], results: Store) -> str:
    label = f"[{number}/{count}] {names[result.job.id]}" if count > 1 else names[result.job.id]
    if result.status == "failed":
        return f"{label}: failed"
    found = result.metrics
    best = rules.rule("best", rules.images([result.job.identity["eval"]]))
    line = (
        f"{label}: accuracy {found['final_accuracy']:.2f} % final, {found['median10_accuracy']:.2f} median "
        f"of last 10, {found['best_accuracy']:.2f} {best.short}; {found['seconds']:.0f} s"
    )
    if result.status == "finished":
        line += f" (finished before{f'; {result.note}' if result.note else ''})"
    return line if count > 1 else f"{line}\n{results.folder(result.job.id)}/"
