"""The Python API: make runs, load stored ones, compare methods, get a recommendation. See docs/api.md.

Loading, comparing and recommending import neither torch nor Hydra.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError, unknown
from mixbench.runs.store import store

if TYPE_CHECKING:
    from mixbench.config.identity import Job
    from mixbench.runs.observer import Observer
    from mixbench.runs.sweep import Sweep

__all__ = ["Run", "RunFailed", "UserError", "compare", "load_runs", "recommend", "run", "study", "sweep"]

COMPARED = ["n", "setting", "method", "baseline", "accuracy", "gain", "low", "high", "p", "p_adjusted", "equivalent_n"]


class RunFailed(RuntimeError):
    """A run failed while it trained. Runs that are finished stay stored; the same call tries the failed ones again."""


@dataclass(frozen=True)
class Run:
    """A finished run in a store.

    id: its name, which follows from its configuration.
    folder: where its files are.
    """

    id: str
    folder: Path

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds: accuracies in percent, calibration, times, and the run's identity."""
        return store.read_metrics(self.folder)

    def history(self) -> pd.DataFrame:
        """A row for each evaluation: step, epoch, lr, train_loss, eval_loss, eval_accuracy (percent), seconds."""
        from mixbench.training.metrics import OLDER

        return pd.read_csv(self.folder / "history.csv").rename(columns=OLDER)

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits float16 [N, K] and labels int32 [N] of the evaluation images.

        Raises FileNotFoundError where they were not kept, or are damaged.
        """
        found = store.read_predictions(self.folder)
        if found is None:
            raise FileNotFoundError(f"{self.folder / 'predictions.npz'}: there are no predictions of this run")
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
    config_dir: a folder of your own YAML files and functions, as --config-dir.
    progress: "off", silent; "on", a bar and lines on standard error; "auto", a bar on a terminal, else lines.
    settings: the keys of `mixbench run`, such as method="mixup", n=500; those with a dot as **{"model.width": 16}.
    Returns the run, which is finished.
    Raises UserError for a mistake in the settings, RunFailed, KeyboardInterrupt.
    """
    jobs = _jobs({key: [value] for key, value in settings.items()}, results_dir, config_dir, progress)
    made = _make(jobs, progress)
    return Run(jobs[0].id, made.store.folder(jobs[0].id))


def sweep(
    grid: Mapping[str, Any],
    *,
    results_dir: str | Path = "results",
    config_dir: str | Path | None = None,
    progress: str = "off",
) -> pd.DataFrame:
    """Make every run of a grid that is not finished.

    grid: key -> a value, or a list, tuple, range or array of values. Every combination is a run; a key that a method
    does not have, such as method.alpha of none, stays out of that method's runs. An option whose value is itself a
    list stands in a list: {"method.layers": [["input", "stage1"]]}.
    results_dir, config_dir, progress: as in `run`.
    Returns the runs as `load_runs` does, a row each.
    Raises UserError before anything is trained; RunFailed where a run failed, after all others; KeyboardInterrupt.
    """
    jobs = _jobs({key: _values(value) for key, value in grid.items()}, results_dir, config_dir, progress)
    return _frame_of(_make(jobs, progress))


def study(
    name: str,
    *,
    results_dir: str | Path = "results",
    config_dir: str | Path | None = None,
    progress: str = "off",
    **settings: Any,
) -> pd.DataFrame:
    """Make every run of a study that is not finished, as `mixbench study` does; nothing but the runs is written.

    name: of a study, see `mixbench list studies`.
    results_dir, config_dir, progress: as in `run`.
    settings: scale="smoke", or values in place of the study's, such as n=[100, 250].
    Returns the study's runs as `load_runs` does, a row each.
    Raises as `sweep`.
    """
    from mixbench.config.compose import Composer
    from mixbench.runs.study import plan

    values = {key: _values(value) for key, value in settings.items()}
    words = _words({**values, "results_dir": [str(results_dir)], "progress": [progress]})
    with Composer(_text(config_dir)) as composer:
        planned = plan(composer, name, words, None)
    return _frame_of(_make(planned.jobs, progress), planned.variants)


def load_runs(results_dir: str | Path = "results", *, study: str | None = None) -> pd.DataFrame:
    """The finished runs of a store.

    results_dir: of the store.
    study: the records that came with a study, in <results_dir>/<study>/runs; None: your own, in <results_dir>/runs.
    Returns a row for each run: its configuration (n, method, method.alpha, …), what was measured (final_accuracy in
    percent, …), id and folder; dtypes are nullable. Damaged runs are left out with a warning.
    Raises UserError where there is no such folder.
    """
    import warnings

    root = Path(results_dir)
    runs = root / "runs" if study is None else root / study / "runs"
    if not runs.is_dir():
        stored = sorted(path.parent.name for path in root.glob("*/runs"))
        if study is not None and stored:
            raise unknown(f"study in {root}", study, stored)
        raise UserError(f"{runs}: there is no such folder; mixbench.run(..., results_dir=…) stores runs in one")
    found, problems = store.scan(runs)
    for problem in problems:
        warnings.warn(problem, stacklevel=2)
    return _nullable(found)


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
    from mixbench.training.rules import RULES

    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    needed = ("cell", "method", "n", RULES[rule].key) if len(runs) else ("cell",)
    if missing := [key for key in needed if key not in runs]:
        raise UserError(f"runs: has no column {missing[0]}; give what mixbench.load_runs returns, or some of its rows")
    if len(runs) and baseline != BASELINE and baseline not in (methods := set(runs["method"].dropna())):
        raise unknown("baseline", baseline, methods)
    return compared(runs, rule, (baseline,))


def _jobs(
    grid: Mapping[str, Sequence[Any]], results_dir: str | Path, config_dir: str | Path | None, progress: str
) -> "list[Job]":
    """The jobs of every combination of the values."""
    from mixbench.config.assignments import Assignment
    from mixbench.config.combinations import fitting
    from mixbench.config.compose import Composer
    from mixbench.config.jobs import job_of

    for key, values in grid.items():
        if not len(values):
            raise UserError(f"{key}: has no value")
    choices = [[Assignment(key, _plain(key, value)) for value in values] for key, values in grid.items()]
    always = [Assignment("results_dir", str(results_dir)), Assignment("progress", progress)]
    jobs = []
    with Composer(_text(config_dir)) as composer:
        for words in fitting(composer, [list(words) for words in itertools.product(*choices)]):
            jobs.append(job_of(composer, [*words, *always]))
    return jobs


def _make(jobs: "Sequence[Job]", progress: str) -> "Sweep":
    from mixbench.runs.sweep import run_jobs

    made = run_jobs(jobs, jobs[0].cfg.results_dir, observer=_observer(jobs[0].cfg.results_dir, progress))
    if made.interrupted:
        raise KeyboardInterrupt
    if made.failed:
        first, *others = made.failed
        more = f", and {len(others)} more" if others else ""
        raise RunFailed(f"{first.job}: {first.note}{more}; what is finished is kept in {made.store.runs}")
    return made


def _observer(results_dir: str, progress: str) -> "Observer | None":
    if progress == "off":
        return None
    from mixbench.cli.console import Console

    return Console(store.Store(results_dir))


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


def _words(grid: Mapping[str, Sequence[Any]]) -> list[str]:
    from mixbench.config.overrides import text

    return [f"{key}={','.join(text(_plain(key, value)) for value in values)}" for key, values in grid.items()]


def _values(value: Any) -> Sequence[Any]:
    """The values that a key of a grid is to take."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, list | tuple | range | set) else [value]


def _plain(key: str, value: Any) -> Any:
    """A value as YAML has it. Raises UserError for another kind."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(key, item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(key, item) for name, item in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    raise UserError(f"{key}={value!r}: must be a text, a number, true or false, a list, a dictionary, or None")


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)
