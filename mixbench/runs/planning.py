"""Turn the settings of a caller into runs, for single runs and sweeps, from the command line and from Python."""

from collections.abc import Sequence
from dataclasses import dataclass

from mixbench import data
from mixbench.config.assignments import Word
from mixbench.config.combinations import repetition_warning
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.config.jobs import job_of
from mixbench.runs.datasets import Datasets
from mixbench.runs.store.store import Store


@dataclass(frozen=True)
class Planned:
    """The runs of one call.

    jobs: one for each combination; a run can occur more than once.
    warnings: a line if several combinations are the same run.
    """

    jobs: list[Job]
    warnings: list[str]


def plan_runs(composer: Composer, combinations: Sequence[Sequence[Word]]) -> Planned:
    """Return the runs of combinations of settings.

    composer: composes their configurations.
    combinations: the words of each run.
    Raises UserError if a word does not fit.
    """
    jobs = [job_of(composer, words) for words in combinations]
    fewer = repetition_warning([list(words) for words in combinations], jobs)
    return Planned(jobs, [fewer] if fewer else [])


def check_data(jobs: Sequence[Job], results: Store, datasets: Datasets) -> None:
    """Check whether the data sets have the images of the runs. No image is read and nothing is downloaded.

    As before training, finished runs are checked only if their images come from an archive, which can change.

    jobs: the runs of a call.
    results: the store of the runs.
    datasets: the data sets of the call.
    Raises UserError for the first run that cannot be trained.
    """
    checked = set()
    for job in jobs:
        dataset = job.cfg.dataset
        if not (job.cfg.force or dataset.path) and results.state(job.id).name == "finished":
            continue
        choice = (
            *data.key_of(job.cfg),
            str(dataset),
            job.cfg.n,
            job.cfg.subset,
            job.cfg.subset_seed,
            job.cfg.eval,
            str(job.cfg.protect),
        )
        if choice not in checked:  # methods and seeds share their images
            data.check(datasets.labels(job.cfg), job.cfg)
            checked.add(choice)
