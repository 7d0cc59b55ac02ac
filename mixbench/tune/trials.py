"""Train the trials of all methods in turn, so that at any time every method has had equally many."""

from collections.abc import Sequence

from mixbench.config.assignments import Assignment
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.core.errors import UserError
from mixbench.runs.observer import Observer
from mixbench.runs.run import Result, find, prepare
from mixbench.runs.store.store import Store
from mixbench.runs.sweep import Datasets, run_jobs
from mixbench.training.rules import RULES
from mixbench.tune.found import Trial, Trials, write_trials
from mixbench.tune.plan import Candidate, Plan, trial
from mixbench.tune.search import Search

RULE = RULES["final"]  # the accuracy that chooses settings: the best of a run would be chosen by its own noise too


class TuningObserver(Observer):
    """Observes tuning: besides the runs, the trials."""

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
    searches = [(one, Search(one)) for one in planned.candidates]
    trials = Trials()
    results: dict[str, Result] = {}  # with force=true, the same settings are trained once
    for number in range(planned.asked.trials):
        for candidate, search in searches:
            if number >= candidate.count(planned.asked.trials):
                continue
            done = _trial(composer, planned, candidate, number, search.ask(), datasets, observer, results)
            if done is None:
                trials.interrupted = True
                return trials
            search.tell(done.accuracy)
            trials.found.append(done)
            observer.trial(done)
            write_trials(planned, trials)
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
            job, _ = _job(composer, planned, candidate, search.ask())
            result = None if job is None else find(job, store)
            if job is not None and (result is None or result.metrics is None or job.cfg.force):
                break
            search.tell(None if result is None or result.metrics is None else result.metrics[RULE.key])
            count += 1
        counts[candidate.option] = count
    return counts


def _trial(
    composer: Composer,
    planned: Plan,
    candidate: Candidate,
    number: int,
    settings: list[Assignment],
    datasets: Datasets,
    observer: Observer,
    results: dict[str, Result],
) -> Trial | None:
    """Return a trial with its result; None if the user asked to stop."""
    job, note = _job(composer, planned, candidate, settings)
    if job is None:
        return Trial(candidate, number, settings, None, note=note)
    if job.id not in results:
        try:
            sweep = run_jobs([job], planned.results_dir, observer=observer, datasets=datasets)
        except UserError as error:
            if number == 0:  # not about suggested settings
                raise
            return Trial(candidate, number, settings, None, note=str(error))
        if sweep.interrupted:
            return None
        results[job.id] = sweep.results[job.id]
    result = results[job.id]
    accuracy = result.metrics[RULE.key] if result.metrics is not None else None
    trained = result.status == "trained"
    seconds = result.metrics["seconds"] if result.metrics is not None and trained else None
    return Trial(candidate, number, settings, job, accuracy, result.note, trained, seconds)


def _job(
    composer: Composer, planned: Plan, candidate: Candidate, settings: Sequence[Assignment]
) -> tuple[Job | None, str]:
    """Return the run of a trial, and an empty text; None and the reason if the settings do not fit together."""
    try:
        return trial(composer, planned.asked, candidate, settings), ""
    except UserError as error:
        return None, str(error)
