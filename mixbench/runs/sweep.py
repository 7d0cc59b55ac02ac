"""Many runs: check all of them before the first one trains, skip finished runs, and train the others.

Another executor can replace `_one_after_another`, which gets checked jobs and yields their results in any order.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mixbench import data
from mixbench.config.identity import Job
from mixbench.config.labels import labels
from mixbench.core.errors import UserError
from mixbench.runs.cost import measure
from mixbench.runs.datasets import Datasets
from mixbench.runs.observer import Observer
from mixbench.runs.run import Result, StopRequest, execute, find, prepare
from mixbench.runs.store.store import Store, checksum_key
from mixbench.runs.time_left import TimeLeft
from mixbench.training.validate import check_functions

PATIENCE = 0.5  # seconds to wait for another process before checking whether the user wants to stop


@dataclass(frozen=True)
class Sweep:
    """The results of the jobs of one call.

    jobs: all jobs, each once, in the order of the call.
    results: run id -> result; after an interruption, some jobs have none.
    store: the store of the runs.
    interrupted: whether the user asked to stop.
    """

    jobs: list[Job]
    results: dict[str, Result]
    store: Store
    interrupted: bool = False

    @property
    def failed(self) -> list[Result]:
        """The results of failed jobs, in the order of the call."""
        return [self.results[job.id] for job in self.jobs if self._is(job, "failed")]

    @property
    def finished(self) -> int:
        """The number of finished runs, from before this call and from this call."""
        return sum(self._is(job, "finished", "trained") for job in self.jobs)

    def _is(self, job: Job, *statuses: str) -> bool:
        return job.id in self.results and self.results[job.id].status in statuses


def run_jobs(
    jobs: Sequence[Job],
    results_dir: str,
    warnings: Sequence[str] = (),
    observer: Observer | None = None,
    datasets: Datasets | None = None,
) -> Sweep:
    """Train every run that is not finished.

    jobs: the runs; the same run can occur several times.
    results_dir: folder of the runs.
    warnings: lines for the observer, after all jobs passed their checks.
    observer: observer of the runs; None: no observer.
    datasets: data sets that earlier calls have loaded; None: they are loaded.
    Raises UserError, before anything is written, if a job cannot be run; CannotWrite if the disk is full or broken.
    """
    observer = observer or Observer()
    others = {job.cfg.results_dir for job in jobs} - {results_dir}
    if others:
        raise UserError(
            f"results_dir={results_dir},{','.join(sorted(others))}: must be one folder for all runs of a sweep"
        )
    results, datasets = Store(results_dir), datasets or Datasets(observer.note)
    results.check_writable()
    results.repair()
    told = list(dict.fromkeys([*warnings, *validate(jobs, results, datasets)]))
    jobs = list({job.id: job for job in jobs}.values())
    found = [find(job, results) for job in jobs if not job.cfg.force]
    before = [result for result in found if result is not None and result.status == "finished"]
    sweep = Sweep(jobs, {result.job.id: result for result in before}, results)
    todo = [job for job in jobs if job.id not in sweep.results]
    cost = measure(todo, results, datasets.of)
    if cost is not None:
        observer.cost(cost)
    for warning in told:
        observer.warn(warning)
    results.open()
    datasets.keep()
    names = labels(jobs)
    for line in datasets.problems(todo):
        observer.note(line)
    observer.begin(jobs, before, names)
    stop, left = StopRequest(observer), TimeLeft(sum(job.cfg.train.steps for job in todo))
    of_all = left if len(todo) > 1 else None
    with stop.listening():
        try:
            for number, result in enumerate(
                _one_after_another(todo, _Call(results, datasets, stop, names, of_all, observer)), 1
            ):
                sweep.results[result.job.id] = result
                observer.end(result, number, len(todo), left.of_all() if number < len(todo) else None)
        except KeyboardInterrupt:
            return Sweep(jobs, sweep.results, results, interrupted=True)
    return sweep


def validate(jobs: Sequence[Job], results: Store, datasets: Datasets) -> Iterator[str]:
    """Check every job against its data and yield warnings. Raises UserError for the first job that cannot be run.

    For a finished run the data are checked only if they come from the user's files, because these can change.

    jobs: the runs.
    results: the store of the runs.
    datasets: loads their data sets.
    """
    known = results.checksums()
    lacking: Counter[tuple[str, str]] = Counter()  # name of the data and of a test set -> finished runs without it
    for job in jobs:
        if not job.cfg.force and not job.cfg.dataset.path:
            found = find(job, results)
            if found is not None and found.status == "finished":
                check_functions(job.cfg)
                continue
        images = prepare(job, datasets.of(job))
        name = job.identity["dataset"]
        for kind, checksum in images.checksums.items():
            stored, where = known.setdefault(checksum_key(name, kind, job.cfg.eval), (checksum, job.cfg.dataset.path))
            if stored != checksum:
                raise UserError(
                    f"dataset.name={name}: {job.cfg.dataset.path} has different images from {where}, which has the "
                    "same name; set another dataset.name for one of them"
                )
        yield from data.warnings(images, job.cfg)
        if images.test_sets and not job.cfg.force:
            lacking.update((name, test_set) for test_set in _not_seen(job, images, results))
    for (name, test_set), count in lacking.items():
        if (name, test_set) not in datasets.told:
            datasets.told.add((name, test_set))
            runs = "1 finished run was" if count == 1 else f"{count:,} finished runs were"
            yield (
                f"{name}: {runs} trained before test set {test_set} was as it is now, so nothing is known of them "
                "there; force=true trains them again"
            )


def _not_seen(job: Job, images: data.Split, results: Store) -> list[str]:
    """Return the further test sets on which a finished run was not evaluated, or not as they are now."""
    found = find(job, results)
    if found is None or found.metrics is None:
        return []
    stored = found.metrics.get("test_sets") or {}
    return [name for name, of_set in images.test_sets.items() if stored.get(name, {}).get("sha256") != of_set.sha256]


@dataclass(frozen=True)
class _Call:
    """The arguments that all runs of one call share."""

    results: Store
    datasets: Datasets
    stop: StopRequest
    names: Mapping[str, str]
    left: TimeLeft | None
    observer: Observer


def _one_after_another(jobs: Sequence[Job], call: _Call) -> Iterator[Result]:
    """Yield the result of each job. Jobs that another process trains come last, so that nobody waits needlessly."""
    results, stop, names = call.results, call.stop, call.names
    busy = []
    for i, job in enumerate(jobs):
        if stop:
            raise KeyboardInterrupt
        label = f"[{i + 1}/{len(jobs)}] {names[job.id]}" if len(jobs) > 1 else names[job.id]
        images = prepare(job, call.datasets.of(job))
        result = execute(job, images, results, stop, label, job.cfg.force, left=call.left, observer=call.observer)
        if result.status == "busy":
            busy.append(job)
        else:
            yield result
    for job in busy:
        call.observer.note(f"{job}: another process trains it; waiting")
        images = prepare(job, call.datasets.of(job))
        result = Result(job, "busy")
        while result.status == "busy":
            if stop:
                raise KeyboardInterrupt
            # Without force, because the run of the other process is new enough.
            result = execute(
                job, images, results, stop, names[job.id], wait=PATIENCE, left=call.left, observer=call.observer
            )
        yield result
