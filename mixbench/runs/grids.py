"""Turn a grid of settings in Python, key -> values, into runs. Torch and Hydra are imported only when needed."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mixbench.config.limits import check_count
from mixbench.core.errors import UserError

if TYPE_CHECKING:
    from mixbench.config.assignments import Word
    from mixbench.runs.planning import Planned

OF_CALL = ("results_dir", "config_dir", "progress")  # set for a call, not for single runs


def runs_of(
    grid: Mapping[str, Sequence[Any]],
    results_dir: str | Path,
    config_dir: str | Path | None,
    progress: str,
    limit: int | None,
) -> "Planned":
    """Return the runs of every combination of the values.

    grid: key -> its values.
    results_dir, config_dir, progress: as in `mixbench.run`, for all runs.
    limit: largest number of combinations; None: no limit.
    Raises UserError if there are more combinations, or if a key or value does not fit.
    """
    from mixbench.config.combinations import fitting
    from mixbench.config.compose import Composer
    from mixbench.config.folder import config_folder
    from mixbench.runs.planning import plan_runs
    from mixbench.runs.study import words_of_run

    check_count(math.prod(map(len, grid.values())), limit, remedy="set limit=None")
    words = _assigned(grid)
    with Composer(config_folder(config_dir)) as composer:
        combinations = fitting(composer, [list(one) for one in itertools.product(*words.values())])
        always = _of_call(results_dir, progress)
        return plan_runs(composer, [words_of_run(composer, [*one, *always]) for one in combinations])


def runs_of_study(
    name: str,
    settings: Mapping[str, Sequence[Any]],
    results_dir: str | Path,
    config_dir: str | Path | None,
    progress: str,
    limit: int | None,
) -> "tuple[Planned, dict[str, str]]":
    """Return the runs of a study, and cell hash -> the name of its grid.

    name: name of the study.
    settings: key -> values that replace those of the study.
    results_dir, config_dir, progress, limit: as in `runs_of`.
    Raises UserError if there is no such study, or if a setting does not fit it.
    """
    from mixbench.config.compose import Composer
    from mixbench.config.folder import config_folder
    from mixbench.runs.planning import Planned
    from mixbench.runs.study import plan

    given = list(itertools.chain.from_iterable(_assigned(settings).values()))
    with Composer(config_folder(config_dir)) as composer:
        planned = plan(composer, name, [*given, *_of_call(results_dir, progress)], limit)
    return Planned(planned.jobs, [planned.fewer] if planned.fewer else []), planned.variants


def values(grid: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return key -> list of values for a grid in which a single value need not be in a list.

    grid: key -> one value, or several in a list, tuple, range, array or series.
    Raises UserError if it is not a dictionary of keys.
    """
    if not isinstance(grid, Mapping):
        raise UserError(f'grid={_short(grid)}: must be a dictionary, as in {{"method": ["none", "mixup"], "n": 500}}')
    return {_key(key): _several(value) for key, value in grid.items()}


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise UserError(f"{_short(key)}: keys must be texts, as in {{'n': [100, 500]}}")
    if key in OF_CALL:
        raise UserError(f"{key}: cannot be in the grid; pass it as an argument, as in {key}=…")
    return key


def _several(value: Any) -> list[Any]:
    """Return the values of a key of a grid as a list."""
    if isinstance(value, np.ndarray | pd.Series):
        return np.atleast_1d(np.asarray(value)).tolist()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return list(value)
    return [value]


def _assigned(grid: Mapping[str, Sequence[Any]]) -> "dict[str, list[Word]]":
    from mixbench.config.assignments import Assignment

    for key, its_values in grid.items():
        if not len(its_values):
            raise UserError(f"{key}: has no values; give at least one")
    return {key: [Assignment(key, _plain(key, value)) for value in its] for key, its in grid.items()}


def _of_call(results_dir: str | Path, progress: str) -> "list[Word]":
    from mixbench.config.assignments import Assignment

    return [Assignment("results_dir", str(checked_folder(results_dir))), Assignment("progress", progress)]


def checked_folder(results_dir: Any) -> Path:
    """Return the folder of results as a path.

    results_dir: what the caller gave.
    Raises UserError if it is not a path.
    """
    if not isinstance(results_dir, str | Path) or str(results_dir) in ("", "."):
        raise UserError(f"results_dir={results_dir!r}: must be the path of a folder, such as 'results'")
    return Path(results_dir)


def _plain(key: str, value: Any) -> Any:
    """Return a value with types that YAML has. Raises UserError for any other type."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.ndarray):
        value = np.atleast_1d(value).tolist()
    if isinstance(value, tuple | list | range):
        return [_plain(key, item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(key, item) for name, item in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    raise UserError(f"{key}={_short(value)}: must be a text, a number, true or false, a list, a dictionary, or None")


def _short(value: Any) -> str:
    return " ".join(repr(value).split())[:80]
