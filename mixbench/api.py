"""The Python API: train runs, load stored runs, compare methods and get a recommendation. See docs/api.md.

Loading, comparing and recommending do not import torch or Hydra.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mixbench.config.limits import LIMIT
from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError, unknown
from mixbench.runs import grids
from mixbench.runs.observer import Observer
from mixbench.runs.store import predictions, reading, records, store
from mixbench.runs.store.reading import PREDICTIONS, Place

if TYPE_CHECKING:
    from mixbench.runs.planning import Planned
    from mixbench.runs.sweep import Sweep

__all__ = ["Run", "RunFailed", "UserError", "compare", "load_runs", "recommend", "run", "study", "sweep"]

# Keys whose value is never a list.
SINGLE = {"n", "seed", "subset_seed", "method", "dataset", "augment", "model", "loss", "subset", "eval"}
COMPARED = ["n", "setting", "method", "baseline", "accuracy", "gain", "low", "high", "p_adjusted"]
COMPARED += ["expected", "may_be_best", "equivalent_n"]


class RunFailed(RuntimeError):
    """A run failed during training. Finished runs stay stored; the same call tries the failed runs again."""


@dataclass(frozen=True)
class Run:
    """A finished run. For a row of `load_runs` it is Run(row["id"], row["folder"]).

    id: name of the run, which is derived from its configuration.
    folder: folder of its files, or, for a run that was read from an archive, its place in the archive.
    """

    id: str
    folder: Place

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json: accuracies in percent, calibration, times, and the run's identity.

        Raises OSError or ValueError if the file cannot be read.
        """
        return store.read_metrics(self.folder)

    def history(self) -> pd.DataFrame:
        """Return the evaluations of the run.

        Returns one row for each evaluation, with the columns step, epoch, lr, train_loss, eval_loss, eval_accuracy (in
            percent) and seconds.
        """
        from mixbench.training.metrics import OLDER

        text = reading.read_text(self.folder, "history.csv")
        return pd.read_csv(io.StringIO(text)).rename(columns=OLDER)

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the network's predictions for the evaluation images.

        Returns logits float16 [N, K] and labels int32 [N].
        Raises FileNotFoundError if they were not kept, and ValueError if the file is damaged.
        """
        path = f"{self.folder}/{PREDICTIONS}"
        if not reading.has(self.folder, PREDICTIONS):
            raise FileNotFoundError(f"{path}: the predictions of this run were not kept")
        found = predictions.read_predictions(self.folder)
        if found is None:
            raise ValueError(f"{path}: is damaged, or is not a file of predictions")
        return found

    def correct(self) -> np.ndarray:
        """Return which evaluation images the run classifies correctly after its last step.

        The result comes from the logits or, if an archive has no logits, from its correct.json. The logits are stored
        as float16, so images whose largest logits are almost equal can count differently than in final_accuracy.

        Returns bool [N], in the order of the images.
        Raises FileNotFoundError if neither was kept, and ValueError if the file is damaged.
        """
        found = predictions.read_correct(self.folder)
        if found is None:
            raise FileNotFoundError(f"{self.folder}: has neither predictions.npz nor correct.json")
        return found


def run(
    *,
    results_dir: str | Path = "results",
    config_dir: str | Path | None = None,
    progress: str = "off",
    **settings: Any,
) -> Run:
    """Train one run. If it is already stored, return the stored run.

    results_dir: folder of the stored runs.
    config_dir: folder with your own YAML files and functions, as --config-dir. None: the folder named by the
        environment variable MIXBENCH_CONFIG_DIR, if it is set.
    progress: "off": silent. "on": a progress bar and lines on standard error. "auto": a bar on a terminal, else lines.
    settings: the keys of `mixbench run`, such as method="mixup", n=500. Pass keys with a dot as
        **{"model.width": 16}.
    Returns the finished run.
    Raises UserError for a mistake in the settings, RunFailed if training fails, and KeyboardInterrupt.
    """
    try:
        made = _make(grids.runs_of(_one_value(settings), results_dir, config_dir, progress, limit=None), progress)
    except UserError as error:
        lists = {key for key, value in settings.items() if isinstance(value, list | tuple | range | np.ndarray)}
        several = sorted(lists & SINGLE)
        if several:
            raise UserError(
                f"{error} ({several[0]} has several values: use mixbench.sweep to train a run for each)"
            ) from error
        raise
    (job,) = made.jobs
    return Run(job.id, made.store.folder(job.id))


def sweep(
    grid: Mapping[str, Any],
    *,
    results_dir: str | Path = "results",
    config_dir: str | Path | None = None,
    progress: str = "off",
    limit: int | None = LIMIT,
) -> pd.DataFrame:
    """Train all runs of a grid that are not stored yet.

    grid: key -> one value, or several in a list, tuple, range, array or series. Every combination is a run. A key that
        a method does not have, such as method.alpha of none, is left out of that method's runs. If the value of an
        option is itself a list, put it in another list: {"method.layers": [["input", "stage1"]]}.
    results_dir, config_dir, progress: as in `run`.
    limit: largest number of combinations, to catch mistakes. None: no limit.
    Returns one row for each run, like `load_runs`.
    Raises UserError before anything is trained; RunFailed, after all other runs, if a run fails; KeyboardInterrupt.
    """
    planned = grids.runs_of(grids.values(grid), results_dir, config_dir, progress, limit)
    return _frame_of(_make(planned, progress))


def study(
    name: str,
    *,
    results_dir: str | Path = "results",
    config_dir: str | Path | None = None,
    progress: str = "off",
    limit: int | None = LIMIT,
    **settings: Any,
) -> pd.DataFrame:
    """Train all runs of a study that are not stored yet, like `mixbench study`. Only runs are written.

    name: name of the study, see `mixbench list studies`.
    results_dir, config_dir, progress, limit: as in `sweep`.
    settings: scale="smoke", or values that replace those of the study, such as n=[100, 250].
    Returns one row for each run of the study, like `load_runs`.
    Raises the errors of `sweep`.
    """
    planned, variants = grids.runs_of_study(name, grids.values(settings), results_dir, config_dir, progress, limit)
    return _frame_of(_make(planned, progress), variants)


def load_runs(results_dir: str | Path = "results", *, study: str | None = None) -> pd.DataFrame:
    """Load the finished runs of a results folder or of an archive. Damaged runs are left out with a warning.

    results_dir: the results folder, whose runs are in <results_dir>/runs; or a file that `mixbench export` made, or a
        runs.zip of published records, which is read without unpacking.
    study: name of a study whose published records are loaded, from <results_dir>/published/<study>/runs.zip or else
        from the package. None: your own runs.
    Returns one row for each run, with its configuration (n, method, method.alpha, …), measured values (final_accuracy
        in percent, …), id and folder. Dtypes are nullable. A value that is a list is stored as its text.
    Raises UserError if there is no such folder, and for a file that is not an archive of runs.
    """
    root = grids.checked_folder(results_dir)
    if study is not None:
        runs = _records(root, study)
    elif root.is_file():
        runs = root
    else:
        runs = root / "runs"
        if not runs.is_dir():
            raise UserError(
                f"{runs}: no such folder; mixbench.run(..., results_dir=…) creates it and stores runs there"
            )
    found, problems = store.scan(runs)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return _nullable(found)


def _records(root: Path, study: str) -> Path:
    """Return the archive of a study's records. Raises UserError if there is none."""
    if root.is_file():
        raise UserError(f"results_dir={root}: is a file, which study={study} does not go with; leave study out")
    runs = records.find(root, study)
    if not runs.is_file():
        known = unknown("study with records", study, records.studies(root))
        raise UserError(f"{known}; load_runs({str(root)!r}) loads your own runs")
    return runs


def compare(runs: pd.DataFrame, baseline: str = BASELINE, rule: str = "final") -> pd.DataFrame:
    """Compare every method with the baseline on the same subsets and seeds.

    runs: the table from `load_runs`, or some of its rows.
    baseline: the method with which the others are compared.
    rule: the accuracy to compare: "final", "median10" or "best".
    Returns one row for each setting and method, smallest n first. Values that cannot be computed are missing. Columns:
        n, setting: number of images, and a description of what else differs between settings.
        method, baseline: their names.
        accuracy: mean accuracy, in percent.
        gain: mean of the paired differences, in percentage points.
        low, high: interval of the gain. The intervals of a setting hold together with a probability of 95 %. If the
            runs store which test images they classify correctly, the choice of these images is part of it.
        p_adjusted: p-value of the gain, adjusted for all methods of the setting.
        expected: the gain to count on when it is measured again.
        may_be_best: whether the method may be the best of the setting.
        equivalent_n: number of images with which the baseline reaches the method's accuracy; infinite if it is above
            the largest n.
    Raises UserError for an unknown rule or baseline, and for a table that does not hold runs.
    """
    rows = []
    for setting in _settings(runs, baseline, rule):
        for method in setting.methods:
            gain, worth = method.gain, method.equivalent
            low, high = gain.interval if gain and gain.interval else (None, None)
            row = [setting.n, setting.name, method.name, setting.baseline and setting.baseline.name]
            row += [method.summary.mean, gain and gain.mean, low, high, gain and gain.p]
            row += [gain and gain.expected, gain and gain.may_be_best]
            rows.append([*row, worth and worth.images])
    return pd.DataFrame(rows, columns=COMPARED).convert_dtypes()


def recommend(runs: pd.DataFrame, baseline: str = BASELINE, rule: str = "final") -> pd.DataFrame:
    """Recommend a method for each setting, with the evidence.

    runs, baseline, rule: as in `compare`.
    Returns one row for each setting, with the columns n, setting, method (the recommended method; missing if no method
        is significantly better) and verdict (a few sentences).
    Raises the errors of `compare`.
    """
    from mixbench.analysis.recommend import recommend as verdict_of

    rows = []
    for setting in _settings(runs, baseline, rule):
        chosen = setting.recommended
        rows.append([setting.n, setting.name, chosen and chosen.name, verdict_of(setting)])
    return pd.DataFrame(rows, columns=["n", "setting", "method", "verdict"]).convert_dtypes()


def _settings(runs: pd.DataFrame, baseline: str, rule: str) -> Sequence[Any]:
    from mixbench.analysis.compare import compare as compared
    from mixbench.config.validate import SEEDS
    from mixbench.training.rules import RULES

    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    needed = ("cell", "method", "n", *SEEDS, RULES[rule].key) if len(runs) else ("cell",)
    if missing := [key for key in needed if key not in runs]:
        raise UserError(
            f"runs: has no column {missing[0]}; pass the table that mixbench.load_runs returns, or some of its rows"
        )
    if len(runs) and baseline != BASELINE and baseline not in (methods := set(runs["method"].dropna())):
        from mixbench.config.compose import Composer

        with Composer() as composer:  # an alias, such as mixup, is stored under the name of its method
            method = composer.method_name(baseline)
        if method not in methods:
            raise unknown("baseline", baseline, methods)
        baseline = method
    return compared(runs, rule, (baseline,))


def _one_value(settings: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {key: [value] for key, value in settings.items()}


def _make(planned: "Planned", progress: str) -> "Sweep":
    from mixbench.runs.sweep import run_jobs

    results_dir = planned.jobs[0].cfg.results_dir
    made = run_jobs(planned.jobs, results_dir, planned.warnings, _observer(results_dir, progress))
    if made.interrupted:
        raise KeyboardInterrupt
    if made.failed:
        first, *others = made.failed
        more = f", and {len(others)} more" if others else ""
        raise RunFailed(f"{first.job}: {first.note}{more}; finished runs are kept in {made.store.runs}")
    return made


class _Warnings(Observer):
    """Reports only warnings, as Python warnings."""

    def warn(self, line: str) -> None:
        warnings.warn(line, stacklevel=2)


def _observer(results_dir: str, progress: str) -> Observer:
    if progress == "off":
        return _Warnings()
    from mixbench.cli.console import Console

    return Console(store.Store(results_dir), to_stderr=True)


def _frame_of(made: "Sweep", variants: Mapping[str, str] | None = None) -> pd.DataFrame:
    folders = [made.store.folder(job.id) for job in made.jobs]
    return _nullable([store.read_metrics(folder) | {"folder": folder} for folder in folders], variants)


def _nullable(found: Sequence[dict[str, Any]], variants: Mapping[str, str] | None = None) -> pd.DataFrame:
    from mixbench.analysis.frame import run_frame

    frame = run_frame(found, variants)
    for key in frame.columns.drop("folder"):
        frame[key] = _column(frame[key])
    return frame


def _column(values: Any) -> Any:
    """Return a column with a nullable dtype. Floats such as 100.0 percent stay floats."""
    if any(isinstance(value, float) for value in values):
        return values.astype("Float64")
    return values.convert_dtypes()
