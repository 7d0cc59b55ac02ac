"""The Python API: make runs, load stored ones, compare methods, get a recommendation. See docs/api.md.

Loading, comparing and recommending import neither torch nor Hydra.
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

# Keys that take one value, never a list.
SINGLE = {"n", "seed", "subset_seed", "method", "dataset", "augment", "model", "loss", "subset", "eval"}
COMPARED = ["n", "setting", "method", "baseline", "accuracy", "gain", "low", "high", "p", "p_adjusted", "equivalent_n"]


class RunFailed(RuntimeError):
    """A run failed while it trained. Runs that are finished stay stored; the same call tries the failed ones again."""


@dataclass(frozen=True)
class Run:
    """A finished run; that of a row of `load_runs` is Run(row["id"], row["folder"]).

    id: its name, which follows from its configuration.
    folder: where its files are: a folder, or for a run that was read from an archive its place in that.
    """

    id: str
    folder: Place

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds: accuracies in percent, calibration, times, and the run's identity."""
        return store.read_metrics(self.folder)

    def history(self) -> pd.DataFrame:
        """A row for each evaluation: step, epoch, lr, train_loss, eval_loss, eval_accuracy (percent), seconds."""
        from mixbench.training.metrics import OLDER

        text = reading.read_text(self.folder, "history.csv")
        return pd.read_csv(io.StringIO(text)).rename(columns=OLDER)

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits float16 [N, K] and labels int32 [N] of the evaluation images.

        Raises FileNotFoundError where they were not kept, ValueError where they are damaged.
        """
        path = f"{self.folder}/{PREDICTIONS}"
        if not reading.has(self.folder, PREDICTIONS):
            raise FileNotFoundError(f"{path}: the predictions of this run were not kept")
        found = predictions.read_predictions(self.folder)
        if found is None:
            raise ValueError(f"{path}: is damaged, or no file of predictions")
        return found

    def correct(self) -> np.ndarray:
        """Which evaluation images the run recognises after its last step: bool [N], in the images' order.

        It comes from the logits, which are float16, or for a run whose archive left them out from what that holds in
        their place. Where two logits are as good as equal, an image may count otherwise than in final_accuracy.
        Raises FileNotFoundError where neither was kept, ValueError where they are damaged.
        """
        found = predictions.read_correct(self.folder)
        if found is None:
            raise FileNotFoundError(f"{self.folder}: which images this run recognises was not kept")
        return found


def run(
    *,
    results_dir: str | Path = "results",
    config_dir: str | Path | None = None,
    progress: str = "off",
    **settings: Any,
) -> Run:
    """Make one run, or find it made.

    results_dir: where runs are stored.
    config_dir: a folder of your own YAML files and functions, as --config-dir; None: the one that the environment
        variable MIXBENCH_CONFIG_DIR names, if any.
    progress: "off", silent; "on", a bar and lines on standard error; "auto", a bar on a terminal, else lines.
    settings: the keys of `mixbench run`, such as method="mixup", n=500; those with a dot as **{"model.width": 16}.
    Returns the run, which is finished.
    Raises UserError for a mistake in the settings, RunFailed, KeyboardInterrupt.
    """
    try:
        made = _make(grids.runs_of(_one_value(settings), results_dir, config_dir, progress, limit=None), progress)
    except UserError as error:
        lists = {key for key, value in settings.items() if isinstance(value, list | tuple | range | np.ndarray)}
        several = sorted(lists & SINGLE)
        if several:
            raise UserError(f"{error} ({several[0]} has several values: mixbench.sweep makes a run of each)") from error
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
    """Make every run of a grid that is not finished.

    grid: key -> a value, or several: a list, tuple, range, array or series. Every combination is a run; a key that a
        method does not have, such as method.alpha of none, stays out of that method's runs. An option whose value is
        itself a list stands in a list: {"method.layers": [["input", "stage1"]]}.
    results_dir, config_dir, progress: as in `run`.
    limit: the most combinations that are not taken for a slip; None: any number.
    Returns the runs as `load_runs` does, a row each.
    Raises UserError before anything is trained; RunFailed where a run failed, after all others; KeyboardInterrupt.
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
    """Make every run of a study that is not finished, as `mixbench study` does; nothing but the runs is written.

    name: of a study, see `mixbench list studies`.
    results_dir, config_dir, progress, limit: as in `sweep`.
    settings: scale="smoke", or values in place of the study's, such as n=[100, 250].
    Returns the study's runs as `load_runs` does, a row each.
    Raises as `sweep`.
    """
    planned, variants = grids.runs_of_study(name, grids.values(settings), results_dir, config_dir, progress, limit)
    return _frame_of(_make(planned, progress), variants)


def load_runs(results_dir: str | Path = "results", *, study: str | None = None) -> pd.DataFrame:
    """The finished runs of a store or of an archive.

    results_dir: of the store, whose runs are in <results_dir>/runs; or a file that `mixbench export` made, or a
        runs.zip of records, which is read as it is.
    study: the records that were published with a study, of <results_dir>/published/<study>/runs.zip or, where there is
        none, of the package; None: your own runs.
    Returns a row for each run: its configuration (n, method, method.alpha, …), what was measured (final_accuracy in
    percent, …), id and folder. Dtypes are nullable; a value that is a list stands as its text. Damaged and unfinished
    runs are left out with a warning.
    Raises UserError where there is no such folder, and for a file that is no archive of runs.
    """
    root = grids.checked_folder(results_dir)
    if study is not None:
        runs = _records(root, study)
    elif root.is_file():
        runs = root
    else:
        runs = root / "runs"
        if not runs.is_dir():
            raise UserError(f"{runs}: there is no such folder; mixbench.run(..., results_dir=…) stores runs in one")
    found, problems = store.scan(runs)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return _nullable(found)


def _records(root: Path, study: str) -> Path:
    """The archive of a study's records. Raises UserError where there is none."""
    if root.is_file():
        raise UserError(f"results_dir={root}: is a file, which study={study} does not go with; leave study out")
    runs = records.find(root, study)
    if not runs.is_file():
        known = unknown("study with records", study, records.studies(root))
        raise UserError(f"{known}; load_runs({str(root)!r}) loads your own runs")
    return runs


def compare(runs: pd.DataFrame, baseline: str = BASELINE, rule: str = "final") -> pd.DataFrame:
    """Every method beside the baseline on the same subsets and seeds.

    runs: as `load_runs` gives them, or some of those rows.
    baseline: the method that the others are compared with.
    rule: which accuracy: final, median10 or best.
    Returns a row for each setting and method, small n first:
    n, setting: images, and what else tells settings apart, in words.
    method, baseline: their names.
    accuracy: mean, percent.
    gain, low, high: mean of the paired differences in percentage points, and its 95 % t interval.
    p, p_adjusted: of a paired t test, two-sided; after Holm's correction over the methods of the setting.
    equivalent_n: how many images the baseline needs for the method's accuracy; infinite beyond the largest n.
    Values that the runs cannot give are missing.
    Raises UserError for an unknown rule or baseline, and for a table that is not of runs.
    """
    rows = []
    for setting in _settings(runs, baseline, rule):
        for method in setting.methods:
            gain, worth = method.gain, method.equivalent
            low, high = gain.interval if gain and gain.interval else (None, None)
            row = [setting.n, setting.name, method.name, setting.baseline and setting.baseline.name]
            row += [method.summary.mean, gain and gain.mean, low, high, gain and gain.p, method.p_holm]
            rows.append([*row, worth and worth.images])
    return pd.DataFrame(rows, columns=COMPARED).convert_dtypes()


def recommend(runs: pd.DataFrame, baseline: str = BASELINE, rule: str = "final") -> pd.DataFrame:
    """What to use in each setting, and how sure that is.

    runs, baseline, rule: as in `compare`.
    Returns a row for each setting: n; setting; method, the recommended one, missing where no method is significantly
    better; verdict, two or three sentences.
    Raises as `compare`.
    """
    from mixbench.analysis.recommend import recommend as in_words

    rows = []
    for setting in _settings(runs, baseline, rule):
        chosen = setting.recommended
        rows.append([setting.n, setting.name, chosen and chosen.name, in_words(setting)])
    return pd.DataFrame(rows, columns=["n", "setting", "method", "verdict"]).convert_dtypes()


def _settings(runs: pd.DataFrame, baseline: str, rule: str) -> Sequence[Any]:
    from mixbench.analysis.compare import compare as compared
    from mixbench.config.validate import SEEDS
    from mixbench.training.rules import RULES

    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    needed = ("cell", "method", "n", *SEEDS, RULES[rule].key) if len(runs) else ("cell",)
    if missing := [key for key in needed if key not in runs]:
        raise UserError(f"runs: has no column {missing[0]}; give what mixbench.load_runs returns, or some of its rows")
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
        raise RunFailed(f"{first.job}: {first.note}{more}; what is finished is kept in {made.store.runs}")
    return made


class _Warnings(Observer):
    """Says nothing but what a person should read before anything trains, as Python's warnings."""

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
    """A column of a frame with a dtype that knows missing values; 100.0 percent stays a number with a fraction."""
    if any(isinstance(value, float) for value in values):
        return values.astype("Float64")
    return values.convert_dtypes()
