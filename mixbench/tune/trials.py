"""Train the trials of all methods in turn, so that at any time every method has had equally many."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from mixbench.config.assignments import Assignment
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.core.errors import UserError
from mixbench.runs.datasets import Datasets
from mixbench.runs.observer import Observer
from mixbench.runs.run import Result, find, prepare
from mixbench.runs.store.store import Store
from mixbench.runs.sweep import run_jobs
from mixbench.training.rules import RULES
from mixbench.tune.found import Trial, Trials, write_trials
from mixbench.tune.plan import Candidate, Plan, runs_of_trial
from mixbench.tune.search import Search

RULE = RULES["final"]  # the accuracy that chooses settings: the best of a run would be chosen by its own noise too


class TuningObserver(Observer):
    """Observes tuning: besides the runs, the trials. It remembers that the user asked to stop.

    A request in the last step of a run does not interrupt this run, so only the observer knows of it.
    """

    stopped = False

    def stopping(self) -> None:
        self.stopped = True

    def trial(self, done: Trial) -> None:
        """Called when a trial has ended.

        done: the trial.
        """


def run_trials(composer: Composer, planned: Plan, datasets: Datasets, observer: TuningObserver) -> Trials:
    """Train all trials that are not finished, and write a table of the trials after each of them.

    composer: composes the runs.
    planned: the plan.
    datasets: the data sets of the command.
    observer: observes runs and trials.
    Raises UserError, before anything is written, if default settings cannot be trained, and CannotWrite.
    """
    for candidate in planned.candidates:
        prepare(candidate.default, datasets.of(candidate.default))
    trainer = _Trainer(composer, planned, datasets, observer)
    searches = [(one, Search(one)) for one in planned.candidates]
    trials = Trials()
    for number in range(planned.asked.trials):
        for candidate, search in searches:
            if number >= candidate.count(planned.asked.trials):
                continue
            done = trainer.trial(candidate, number, search.ask())
            if done is None:
                trials.interrupted = True
                return trials
            search.tell(done.accuracy)
            trials.found.append(done)
            observer.trial(done)
            write_trials(planned, trials)
            if observer.stopped:
                trials.interrupted = True
                return trials
    return trials


def finished_trials(composer: Composer, planned: Plan) -> dict[str, int]:
    """Return for each method how many of its trials are finished, up to the first one that is not.

    composer: composes the runs.
    planned: the plan.
    """
    store = Store(planned.results_dir)
    counts = {}
    for candidate in planned.candidates:
        search, count = Search(candidate), 0
        while count < candidate.count(planned.asked.trials):
            jobs, _ = _jobs(composer, planned, candidate, search.ask())
            results = [None if job.cfg.force else find(job, store) for job in jobs]
            if any(result is None or result.metrics is None for result in results):
                break
            search.tell(_accuracy([result for result in results if result is not None]))
            count += 1
        counts[candidate.option] = count
    return counts


@dataclass
class _Trainer:
    """Trains trials. A run that occurs in several trials is trained once, with force=true too.

    composer, planned, datasets, observer: as in `run_trials`.
    results: run id -> result.
    """

    composer: Composer
    planned: Plan
    datasets: Datasets
    observer: TuningObserver
    results: dict[str, Result] = field(default_factory=dict)

    def trial(self, candidate: Candidate, number: int, settings: list[Assignment]) -> Trial | None:
        """Return a trial with its result; None if the user asked to stop.

        candidate: the method.
        number: number of the trial.
        settings: the settings that were suggested.
        Raises UserError if default settings cannot be trained, and CannotWrite.
        """
        jobs, note = _jobs(self.composer, self.planned, candidate, settings)
        todo = [job for job in jobs if job.id not in self.results]
        if todo:
            try:
                sweep = run_jobs(todo, self.planned.results_dir, observer=self.observer, datasets=self.datasets)
            except UserError as error:
                if not settings:  # the mistake is in the command
                    raise
                return Trial(candidate, number, settings, [], note=str(error))
            self.results |= sweep.results
            if sweep.interrupted:
                return None
        results = [self.results[job.id] for job in jobs]
        now = [self.results[job.id] for job in todo if self.results[job.id].status == "trained"]
        return Trial(
            candidate,
            number,
            settings,
            jobs,
            accuracy=_accuracy(results),
            note=note or "; ".join(dict.fromkeys(result.note for result in results if result.note)),
            seconds=sum(result.metrics["seconds"] for result in now if result.metrics) if now else None,
        )


def _accuracy(results: Sequence[Result]) -> float | None:
    """Return the mean accuracy over the runs of a trial, in percent; None if there is none, or if one has failed."""
    found = [result.metrics[RULE.key] for result in results if result.metrics is not None]
    return statistics.fmean(found) if found and len(found) == len(results) else None


def _jobs(
    composer: Composer, planned: Plan, candidate: Candidate, settings: Sequence[Assignment]
) -> tuple[list[Job], str]:
    """Return the runs of a trial, and an empty text; without runs, the reason why the settings do not fit together."""
    try:
        return runs_of_trial(composer, planned.asked, candidate, settings), ""
    except UserError as error:
        return [], str(error)
