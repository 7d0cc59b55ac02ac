"""A study: a list of grids over the keys of a run, at one of several scales, turned into jobs. No torch."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from mixbench.config.assignments import Assignment, Word, key_of, option_of, value_of
from mixbench.config.combinations import fitting, repetition_warning
from mixbench.config.compose import Composer
from mixbench.config.identity import INERT, Job, cell_hash, completed
from mixbench.config.jobs import job_of
from mixbench.config.limits import LIMIT, check_count
from mixbench.config.overrides import expand, line_of, parse, text
from mixbench.config.schema import StudyConfig, typed
from mixbench.core.errors import UserError, unknown
from mixbench.runs.study_file import RULE, SCALE, SCALES, VARIANT, check_published, check_published_keys, check_study

__all__ = ["RULE", "SCALE", "SCALES", "VARIANT"]

Words = tuple[Word, ...]  # words that set one key, or several keys together


@dataclass(frozen=True)
class Study:
    """A study with the overrides of a command.

    settings: the study's own settings.
    jobs: its runs, sorted by subset_seed, seed and n.
    variants: cell hash -> the name of its grid, for grids with a name.
    scale: the chosen scale.
    scaled: overrides that this scale sets in place of the scale of the file.
    changes: overrides that make the runs differ from those of the study, such as scale=NAME. The choice of cells is not
        among them.
    further: methods of the jobs that the study's file does not have. They use the study's settings, except those of the
        method itself.
    fewer: a line if several given values are the same run; None: all runs differ.
    """

    settings: StudyConfig
    jobs: list[Job]
    variants: dict[str, str]
    scale: str
    scaled: list[str]
    changes: list[str]
    further: list[str] = field(default_factory=list)
    fewer: str | None = None


def load(composer: Composer, name: str) -> StudyConfig:
    """Load a study.

    composer: reads the study's file.
    name: name of the study.
    Raises UserError if there is no study of that name, or if its YAML file is not consistent.
    """
    if name not in composer.options("study"):
        raise unknown("study", name, composer.options("study"))
    cfg = composer.study(name)
    try:
        study = typed(cfg, StudyConfig)
    except OmegaConfBaseException as error:
        raise UserError(f"study {name}: {str(error).splitlines()[0]}") from error
    check_study(name, study)
    check_published(name, study, composer.options("method"))
    return study


def plan(composer: Composer, name: str, overrides: Sequence[Word] = (), limit: int | None = LIMIT) -> Study:
    """Return the study with the runs for these overrides.

    composer: composes the runs.
    name: name of the study.
    overrides: as in `combinations`.
    limit: largest number of runs; None: no limit.
    Raises UserError if there are more runs, or if an override does not fit.
    """
    settings = load(composer, name)
    scale, scaled, given = _scaled(settings, overrides)
    every = _combinations(composer, settings, scaled, given, limit)
    made = [job_of(composer, [f"study={name}", *words], aliases=False) for _, words in every]
    variants = {
        cell_hash(one.identity): variant for one, (variant, _) in zip(made, every, strict=True) if variant is not None
    }
    unique = {one.id: one for one in made}
    ordered = sorted(unique.values(), key=lambda j: (j.cfg.subset_seed, j.cfg.seed, j.cfg.n))
    axes = {key for grid in settings.grids for keys in grid for key in keys.split(",")}
    if any("dataset" in row for row in settings.published):  # published rows that name their data set
        axes.add("dataset.name")
    changes = [] if scale == settings.scale else [f"{SCALE}={scale}"]
    changes += [one.line for one in given if one.key not in axes | INERT]
    given_keys = {one.key for one in given}
    if not changes and not given_keys - INERT:  # every published number must belong to a run
        keys = {key for one in ordered for key in completed(one.identity)}
        check_published_keys(name, settings, keys, composer.options("method"))
    own = _own_methods(composer, name, settings)
    further = list(dict.fromkeys(one.identity["method"] for one in ordered if one.identity["method"] not in own))
    fewer = repetition_warning([[w for w in words if key_of(w) in given_keys] for _, words in every], made)
    as_overrides = [f"{key}={','.join(map(text, values))}" for key, values in scaled.items()]
    return Study(
        settings=settings,
        jobs=ordered,
        variants=variants,
        scale=scale,
        scaled=as_overrides,
        changes=changes,
        further=further,
        fewer=fewer,
    )


def combinations(composer: Composer, name: str, overrides: Sequence[Word] = ()) -> list[list[Word]]:
    """Return the words of each run of a study, `study=NAME` first.

    composer: reads the study's file.
    name: name of the study.
    overrides: `scale` chooses a scale of the study. `method` chooses among its methods and can add others. A key that a
        grid sets together with another key chooses among the grid's values. Any other key of a grid replaces the grid's
        values. All other keys are set for all runs that have them. Several assignments of one key are several values,
        as in n=100,250.
    Raises UserError if an override does not fit.
    """
    settings = load(composer, name)
    _, scaled, given = _scaled(settings, overrides)
    return [[f"study={name}", *words] for _, words in _combinations(composer, settings, scaled, given, LIMIT)]


def words_of_run(composer: Composer, words: Sequence[Word]) -> list[Word]:
    """Return the words of `mixbench run`, with the scale of a study replaced by its settings for a single run.

    composer: reads the study's file.
    words: assignments or KEY=VALUE texts.
    Raises UserError if a scale is given without a study.
    """
    if not any(key_of(word) == SCALE for word in words):
        return list(words)
    name = next((value_of(word) for word in words if key_of(word) == "study"), None)
    if name is None:
        raise UserError("scale=… needs a study; use mixbench study NAME scale=… or mixbench run study=NAME scale=…")
    _, scaled, given = _scaled(load(composer, str(name)), words)
    of_scale = [Assignment(key, values[0]) for key, values in scaled.items() if len(values) == 1]
    return [*of_scale, *(word for one in given for word in one.words)]


@dataclass
class _Given:
    """The values that a caller gives to one key.

    key: the key.
    line: all of them as a text.
    words: one text of the command, or one assignment for each value.
    """

    key: str
    line: str
    words: list[Word]

    def values(self, limit: int | None) -> list[Words]:
        """Return the words that set each of the values. Raises UserError if there are more than `limit`."""
        if isinstance(self.words[0], Assignment):
            return [(word,) for word in self.words]
        return [tuple(words) for words in expand([self.line], limit)]


def _read(words: Sequence[Word]) -> list[_Given]:
    """Group words by key. Several texts with the same key stay separate, in their order."""
    given: list[_Given] = []
    for word in words:
        before = next((one for one in given if one.key == key_of(word)), None)
        if isinstance(word, Assignment) and before is not None and isinstance(before.words[0], Assignment):
            before.words.append(word)
            before.line += f",{text(word.value)}"
        elif isinstance(word, Assignment):
            given.append(_Given(word.key, str(word), [word]))
        else:
            (override,) = parse([word])
            given.append(_Given(override.key_or_group, line_of(override), [line_of(override)]))
    return given


def _scaled(study: StudyConfig, words: Sequence[Word]) -> tuple[str, dict[str, list[Any]], list[_Given]]:
    """Return the chosen scale, key -> the values that it sets, and all other words."""
    read = _read(words)
    given = [one for one in read if one.key != SCALE]
    scales = [value_of(one.words[-1]) for one in read if one.key == SCALE]
    scale = scales[-1] if scales else study.scale
    if not isinstance(scale, str) or scale not in {study.scale, *study.scales}:
        raise unknown(f"scale of study {study.name}", scale, {study.scale, *study.scales})
    settings = {} if scale == study.scale else study.scales[scale]
    return scale, {key: _list(value) for key, value in settings.items()}, given


def _own_methods(composer: Composer, name: str, study: StudyConfig) -> set[str]:
    """Return the methods of the study's file, independent of the chosen scale and cells."""
    options = {option for grid in study.grids for option in _list(grid.get("method", []))}
    return {composer.method_name(option) for option in options} or {composer.compose([f"study={name}"]).method.name}


def _combinations(
    composer: Composer,
    study: StudyConfig,
    scaled: Mapping[str, list[Any]],
    given: Sequence[_Given],
    limit: int | None,
) -> list[tuple[str | None, list[Word]]]:
    """Return for each run the name of its grid (or None) and its words. The runs are counted before they are made."""
    grids = _axes(composer, study, scaled, given, limit)
    check_count(sum(math.prod(map(len, axes.values())) for _, axes in grids), limit)
    named = [
        (variant, list(itertools.chain.from_iterable(values)))
        for variant, axes in grids
        for values in itertools.product(*axes.values())
    ]
    # The name of the grid is included, so that `fitting` keeps equal combinations of two grids apart.
    kept = fitting(composer, [[Assignment(VARIANT, variant), *words] for variant, words in named])
    return [(value_of(first), words) for first, *words in kept]


def _axes(
    composer: Composer,
    study: StudyConfig,
    scaled: Mapping[str, list[Any]],
    given: Sequence[_Given],
    limit: int | None,
) -> list[tuple[str | None, dict[str, list[Words]]]]:
    """Return for each grid its name, and key -> its values, each as the words that set it."""
    set_for_all: dict[str, list[Words]] = {
        key: [(Assignment(key, value),) for value in values] for key, values in scaled.items()
    }
    set_for_all |= {one.key: one.values(limit) for one in given}
    if "study" in set_for_all:
        raise UserError(
            "study=…: the command already names a study; to use the settings of another, use mixbench run study=NAME"
        )
    wanted = set_for_all.pop("method", None)
    grids = [
        (grid.get(VARIANT), {key: _settings(study, key, value) for key, value in grid.items() if key != VARIANT})
        for grid in study.grids
    ]
    further: list[tuple[str | None, dict[str, list[Words]]]] = []
    if wanted is not None:
        known = {option_of(value[0]) for _, grid in grids for value in grid.get("method", [])}
        options = [option_of(value[0]) for value in wanted]
        chosen = {option: _among(composer, option, known) for option in options}
        further = _further(grids, [option for option, own in chosen.items() if own is None], set_for_all)
        own = set(chosen.values())
        grids = [
            (variant, grid | {"method": [value for value in grid.get("method", []) if option_of(value[0]) in own]})
            for variant, grid in grids
        ]
        if further and not any(all(grid.values()) for _, grid in grids):
            return further
    return [*((name, grid) for name, grid in _set_in_grids(study, grids, set_for_all) if all(grid.values())), *further]


def _among(composer: Composer, option: str, known: set[str]) -> str | None:
    """Return the study's method that equals an option, possibly under another name; None if the study has none."""
    if option not in composer.options("method"):
        raise unknown("method", option, composer.options("method"))
    settings = composer.compose([f"method={option}"]).method
    same = (name for name in sorted(known - {option}) if composer.compose([f"method={name}"]).method == settings)
    return option if option in known else next(same, None)


def _further(
    grids: list[tuple[str | None, dict[str, list[Words]]]], options: list[str], given: dict[str, list[Words]]
) -> list[tuple[str | None, dict[str, list[Words]]]]:
    """Return grids for methods that the study does not have: its own grids without the settings of its methods."""
    made = []
    for option in options:
        for variant, grid in grids:
            axes: dict[str, list[Words]] = {"method": [(Assignment("method", option),)]}
            for keys, values in grid.items():
                # Of keys that a grid sets together, those of the method are removed and the others stay together.
                kept = [tuple(word for word in value if key_of(word).split(".")[0] != "method") for value in values]
                if any(kept):
                    others = [key for key in keys.split(",") if key != "method" and not key.startswith("method.")]
                    axes[",".join(others)] = list(dict.fromkeys(kept))
            made.append((None if variant is None else option, axes | given))
    return made


def _set_in_grids(
    study: StudyConfig, grids: list[tuple[str | None, dict[str, list[Words]]]], given: dict[str, list[Words]]
) -> list[tuple[str | None, dict[str, list[Words]]]]:
    """Return the grids with the given values.

    The values of a key replace the grid's own. If the grid sets the key together with another key, they choose among
    the grid's values. A key of the method that only other grids have does not change a grid.

    Raises UserError if a value chooses nothing.
    """
    axes = {key for _, grid in grids for keys in grid for key in keys.split(",")}
    made = [(variant, dict(grid)) for variant, grid in grids]
    for key, values in given.items():
        choices: list[Any] = []
        for _, grid in made:
            keys = next((keys for keys in grid if "," in keys and key in keys.split(",")), None)
            if keys is not None:
                place, wanted = keys.split(",").index(key), [value_of(value[0]) for value in values]
                choices += [value_of(value[place]) for value in grid[keys]]
                grid[keys] = [value for value in grid[keys] if value_of(value[place]) in wanted]
            elif key in grid or key not in axes or not key.startswith("method."):
                grid[key] = values
        for value in values if choices else []:
            if value_of(value[0]) not in choices:
                raise unknown(f"{key} in study {study.name}", value_of(value[0]), {str(choice) for choice in choices})
    if not any(all(grid.values()) for _, grid in made):
        raise UserError(
            f"study {study.name}: no run of the study has the given values of {', '.join(given)} together; change or "
            "leave out one of them"
        )
    return made


def _settings(study: StudyConfig, keys: str, values: Any) -> list[Words]:
    """Turn `key: [1, 2]` into words, and `a,b: [[1, 2], [3, 4]]` into pairs of words."""
    names, settings = keys.split(","), []
    for value in _list(values):
        parts = _list(value) if len(names) > 1 else [value]
        if len(parts) != len(names):
            raise UserError(f"study {study.name}: {keys}: {value}: must be lists of {len(names)} values each")
        settings.append(tuple(Assignment(key, part) for key, part in zip(names, parts, strict=True)))
    return settings


def _list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]
