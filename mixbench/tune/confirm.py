"""Compare the winners on new subsets, by the same statistics as every other comparison of mixbench."""

from collections.abc import Sequence

import pandas as pd

from mixbench.analysis import method_names
from mixbench.analysis.compare import RACES
from mixbench.analysis.frame import identity_keys, is_of_method, run_frame
from mixbench.analysis.select import Selection
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.config.schema import StudyConfig
from mixbench.runs.store import store
from mixbench.runs.store.store import Store
from mixbench.tune.found import Trials, folder
from mixbench.tune.plan import Plan, confirmation


def jobs(composer: Composer, planned: Plan, trials: Trials) -> list[Job]:
    """Return the runs that confirm the winners, subset after subset.

    composer: composes the runs.
    planned: the plan.
    trials: all trials.
    """
    winners = [(one, winner) for one in planned.candidates if (winner := trials.winner(one)) is not None]
    of_each = [confirmation(composer, planned, one, winner.settings) for one, winner in winners]
    return [job for of_pair in zip(*of_each, strict=True) for job in of_pair]


def selection(planned: Plan, confirming: Sequence[Job]) -> Selection:
    """Return the finished runs of the confirmation, for tables, the verdict and the report.

    planned: the plan.
    confirming: the runs.
    """
    results = Store(planned.results_dir)
    found = []
    for job in {job.id: job for job in confirming}.values():
        place = results.folder(job.id)
        if results.state(job.id).name == "finished":
            found.append({**store.read_metrics(place), "folder": place})
    identity = planned.candidates[0].default.identity
    frame = with_tuned_keys_of_methods(run_frame(found, shown=method_names.of_jobs(confirming)))
    frame.attrs[RACES] = False  # the number of these runs was fixed beforehand; a race at the setting is about others
    return Selection(
        frame=frame,
        rows=StudyConfig.rows,
        columns=StudyConfig.columns,
        rule=StudyConfig.rule,
        out=folder(planned),
        title=f"Tuned methods on {identity['dataset']}, n = {identity['n']}",
        source=results.runs,
        own_runs=results.runs,
    )


def with_tuned_keys_of_methods(frame: pd.DataFrame) -> pd.DataFrame:
    """Return runs in which every key that differs between them belongs to the method.

    Tuning chooses the weight decay, for example, of each method apart. The runs differ in nothing else but seeds, and
    one method with its settings is compared with another.

    frame: the runs of a confirmation, one row each.
    """
    of_setting = [key for key in identity_keys(frame) if not is_of_method(key)]
    differing = [key for key in of_setting if len(set(frame[key].astype(str))) > 1]
    return frame.rename(columns={key: f"method.{key}" for key in differing})
