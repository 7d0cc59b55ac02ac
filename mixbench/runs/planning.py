"""Turn the settings of a caller into runs, for single runs and sweeps, from the command line and from Python."""

from collections.abc import Sequence
from dataclasses import dataclass

from mixbench.config.assignments import Word
from mixbench.config.combinations import repetition_warning
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.config.jobs import job_of


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
