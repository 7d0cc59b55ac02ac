"""A study: a list of grids over the keys of a run, turned into jobs. No torch."""

import itertools
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixbench.config import Composer, StudyConfig, expand, parse
from mixbench.errors import UserError, unknown
from mixbench.identity import INERT, Job, job
from mixbench.stats import RULES


def load(composer: Composer, name: str) -> StudyConfig:
    """The study of that name. Raises UserError where there is none."""
    if name not in composer.options("study"):
        raise unknown("study", name, composer.options("study"))
    cfg = composer.compose([f"study={name}"]).study
    try:
        study = OmegaConf.to_object(cfg)
    except OmegaConfBaseException as error:
        raise UserError(f"study {name}: {str(error).splitlines()[0]}") from error
    if study is None or not study.grids:
        raise UserError(f"study {name}: its YAML has no study.grids")
    for rule in (study.rule, study.published_rule or study.rule):
        if rule not in RULES:
            raise unknown(f"rule of study {name}", rule, RULES)
    if study.published and study.published_rule is None:
        raise UserError(f"study {name}: study.published needs study.published_rule, one of {', '.join(RULES)}")
    return study


def jobs(composer: Composer, name: str, overrides: Sequence[str] = ()) -> list[Job]:
    """The runs of a study, the first seed's first and small subsets first; overrides as in `combinations`."""
    made = [job(composer.compose(combination)) for combination in combinations(composer, name, overrides)]
    unique = {made_job.id: made_job for made_job in made}
    return sorted(unique.values(), key=lambda j: (j.cfg.subset_seed, j.cfg.seed, j.cfg.n))


def combinations(composer: Composer, name: str, overrides: Sequence[str] = ()) -> list[list[str]]:
    """The overrides of each run, `study=NAME` first.

    overrides: `method` chooses among the study's methods; another key of a grid gets the values given in place of the
    grid's; any other key is set for all runs. Raises UserError where one of them does not fit.
    """
    study = load(composer, name)
    if any(override.key_or_group == "study" for override in parse(overrides)):
        raise UserError("study=…: the study is already named; to use its settings elsewhere: mixbench run study=NAME")
    return [
        [f"study={name}", *itertools.chain.from_iterable(values)]
        for axes in _axes(composer, study, overrides)
        for values in itertools.product(*axes.values())
    ]


def published(study: StudyConfig, n: int, method: str) -> float | None:
    """The number that the study's source prints for a cell, in percent; None where it has none."""
    row = next((row for row in study.published if row["n"] == n), {})
    return row.get(method)


def changes(study: StudyConfig, overrides: Sequence[str]) -> list[str]:
    """The overrides that make the runs other than the study's, beyond the choice of cells."""
    axes = {key for grid in study.grids for key in grid}
    return [o.input_line for o in parse(overrides) if o.key_or_group not in axes | INERT]


def _axes(composer: Composer, study: StudyConfig, overrides: Sequence[str]) -> list[dict[str, list[list[str]]]]:
    """For each grid: key -> its values, each as the overrides that set it."""
    given = {o.key_or_group: [list(values) for values in expand([o.input_line])] for o in parse(overrides)}
    grids = [{key: _settings(key, values) for key, values in grid.items()} for grid in study.grids]
    if "method" in given:
        known = {value[0].partition("=")[2] for grid in grids for value in grid.get("method", [])}
        wanted = [composer.method_name(value[0].partition("=")[2]) for value in given.pop("method")]
        for name in wanted:
            if name not in known:
                raise unknown(f"method in study {study.name}", name, known)
        chosen = [[f"method={name}"] for name in wanted]
        grids = [grid | {"method": [v for v in grid.get("method", []) if v in chosen]} for grid in grids]
    return [grid | given for grid in grids]


def _settings(key: str, values: Any) -> list[list[str]]:
    values = values if isinstance(values, list) else [values]
    return [[f"{key}={_text(value)}"] for value in values]


def _text(value: Any) -> str:
    """A YAML value in Hydra's override grammar."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
