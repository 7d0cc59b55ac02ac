"""From what a caller asks for to the runs that it means: for one run, a sweep, and both of command line and Python."""

from collections.abc import Sequence
from dataclasses import dataclass

from mixbench.config.assignments import Word
from mixbench.config.combinations import collapsed
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.config.jobs import job_of


@dataclass(frozen=True)
class Planned:
    """The runs of one call.

    jobs: one for each combination, so that a run may occur twice.
    warnings: a line where combinations are fewer runs than they are.
    """

    jobs: list[Job]
    warnings: list[str]


def plan_runs(composer: Composer, combinations: Sequence[Sequence[Word]]) -> Planned:
    """The runs that combinations of settings mean.

    composer: composes them.
    combinations: the words of each run.
    Raises UserError where one of them does not fit.
    """
    jobs = [job_of(composer, words) for words in combinations]
    fewer = collapsed([list(words) for words in combinations], jobs)
    return Planned(jobs, [fewer] if fewer else [])
