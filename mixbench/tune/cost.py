"""The time that a command of tuning will take, from a few steps of each method."""

from collections.abc import Callable
from dataclasses import replace

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.runs.cost import Cost, measure
from mixbench.runs.estimate import unfinished
from mixbench.runs.store.store import Store
from mixbench.tune.plan import Plan, confirmation
from mixbench.tune.trials import finished_trials


def expected(
    composer: Composer, planned: Plan, dataset_of: Callable[[Job], data.Dataset], least: int
) -> tuple[Cost | None, dict[str, int]]:
    """Return the time of all trials and of the comparison of the winners, and method -> its finished trials.

    Each method is measured with its default settings; what tuning changes is taken to change no time.

    composer: composes the runs.
    planned: the plan.
    dataset_of: returns the data set of a job. Its images can be black.
    least: number of steps of all runs together from which it is measured; the time of fewer steps is None.
    """
    results, finished = Store(planned.results_dir), finished_trials(composer, planned)
    jobs: dict[str, Job] = {}
    runs: dict[str, int] = {}
    for candidate in planned.candidates:
        trials = candidate.count(planned.asked.trials) - finished[candidate.option]
        confirming = unfinished(confirmation(composer, planned, candidate, []), results)
        for job, count in ((candidate.default, trials * planned.asked.splits), *((one, 1) for one in confirming)):
            if count:
                jobs[job.id], runs[job.id] = job, count
    if sum(runs[run_id] * job.cfg.train.steps for run_id, job in jobs.items()) < least:
        return None, finished
    cost = measure(list(jobs.values()), results, dataset_of, least=1)
    if cost is not None:
        seconds = sum(cost.each[run_id] * count for run_id, count in runs.items())
        cost = replace(cost, seconds=seconds, runs=sum(runs.values()))
    return cost, finished
