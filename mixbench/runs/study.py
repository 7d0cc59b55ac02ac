"""A study: a list of grids over the keys of a run, at one of several scales, turned into jobs. No torch."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from mixbench.config.assignments import Assignment, Word, key_of, option_of, value_of
from mixbench.config.combinations import collapsed, fitting
from mixbench.config.compose import Composer
from mixbench.config.identity import INERT, Job, cell_hash, completed
from mixbench.config.jobs import job_of
from mixbench.config.limits import LIMIT, check_count
from mixbench.config.overrides import expand, line_of, parse, text
from mixbench.config.schema import StudyConfig, typed
from mixbench.core.errors import UserError, unknown
from mixbench.runs.study_file import RULE, SCALE, SCALES, VARIANT, check, check_published, check_published_keys

__all__ = ["RULE", "SCALE", "SCALES", "VARIANT"]

Words = tuple[Word, ...]  # that set a key, or several together


@dataclass(frozen=True)
class Study:
    """A study under the overrides of a command.

    jobs: its runs, the first seed's first and small subsets first. variants: cell hash -> the name of its grid, where
    grids have one. scale: the one chosen; scaled: what it sets, as overrides, in place of the file's own scale.
    changes: overrides that make the runs other than the study's, beyond the choice of cells; scale=NAME among them.
    further: methods among the jobs' that the study's file does not have, at its settings but for the method's own.
    fewer: a line where values that were given make fewer runs than they are.
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
    """The study of that name. Raises UserError where there is none, or where its YAML does not fit together."""
    if name not in composer.options("study"):
        raise unknown("study", name, composer.options("study"))
    cfg = composer.study(name)
    try:
        study = typed(cfg, StudyConfig)
    except OmegaConfBaseException as error:
        raise UserError(f"study {name}: {str(error).splitlines()[0]}") from error
    check(name, study)
    check_published(name, study, composer.options("method"))
    return study


def plan(composer: Composer, name: str, overrides: Sequence[Word] = (), limit: int | None = LIMIT) -> Study:
    """The study's runs under the overrides, which are as in `combinations`. Raises UserError beyond `limit` runs."""
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
    if any("dataset" in row for row in settings.published):  # which say themselves of which data they are
        axes.add("dataset.name")
    changes = [f"{SCALE}={scale}"] * (scale != settings.scale)
    changes += [one.line for one in given if one.key not in axes | INERT]
    said = {one.key for one in given}
    if not changes and not said - INERT:  # of all that is published some run must be
        keys = {key for one in ordered for key in completed(one.identity)}
        check_published_keys(name, settings, keys, composer.options("method"))
    own = _own_methods(composer, name, settings)
    further = list(dict.fromkeys(one.identity["method"] for one in ordered if one.identity["method"] not in own))
    fewer = collapsed([[w for w in words if key_of(w) in said] for _, words in every], made)
    as_overrides = [f"{key}={','.join(map(text, values))}" for key, values in scaled.items()]
    return Study(settings, ordered, variants, scale, as_overrides, changes, further, fewer)


def combinations(composer: Composer, name: str, overrides: Sequence[Word] = ()) -> list[list[Word]]:
    """The words of each run, `study=NAME` first.

    overrides: `scale` chooses a scale of the study, `method` among its methods and further ones, a key that a grid sets
    together with another among its values; another key of a grid gets the values given in place of the grid's; any
    other key is set for all runs that have it. Several assignments of one key are several values, as in n=100,250.
    Raises UserError where one of them does not fit.
    """
    settings = load(composer, name)
    _, scaled, given = _scaled(settings, overrides)
    return [[f"study={name}", *words] for _, words in _combinations(composer, settings, scaled, given, LIMIT)]


def of_run(composer: Composer, words: Sequence[Word]) -> list[Word]:
    """The words of `mixbench run`, where study=NAME may come with a scale: what that sets for a single run."""
    if not any(key_of(word) == SCALE for word in words):
        return list(words)
    name = next((value_of(word) for word in words if key_of(word) == "study"), None)
    if name is None:
        raise UserError("scale=… belongs to a study: mixbench study NAME scale=… or mixbench run study=NAME scale=…")
    _, scaled, given = _scaled(load(composer, str(name)), words)
    of_scale = [Assignment(key, values[0]) for key, values in scaled.items() if len(values) == 1]
    return [*of_scale, *(word for one in given for word in one.words)]


@dataclass
class _Given:
    """What a caller says of one key: a text of the command, or an assignment for each value. line: as a text."""

    key: str
    line: str
    words: list[Word]

    def values(self, limit: int | None) -> list[Words]:
        """The words that set each of the values. Raises UserError where there are more than `limit`."""
        if isinstance(self.words[0], Assignment):
            return [(word,) for word in self.words]
        return [tuple(words) for words in expand([self.line], limit)]


def _read(words: Sequence[Word]) -> list[_Given]:
    """What the words say, key by key; of several texts of one key each, in their order."""
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
    """The scale that the words choose, key -> the values that it sets, and what else they say."""
    read = _read(words)
    given = [one for one in read if one.key != SCALE]
    scales = [value_of(one.words[-1]) for one in read if one.key == SCALE]
    scale = scales[-1] if scales else study.scale
    if not isinstance(scale, str) or scale not in {study.scale, *study.scales}:
        raise unknown(f"scale of study {study.name}", scale, {study.scale, *study.scales})
    settings = {} if scale == study.scale else study.scales[scale]
    return scale, {key: _list(value) for key, value in settings.items()}, given


def _own_methods(composer: Composer, name: str, study: StudyConfig) -> set[str]:
    """The methods of the study's file, whatever scale and cells are chosen."""
    options = {option for grid in study.grids for option in _list(grid.get("method", []))}
    return {composer.method_name(option) for option in options} or {composer.compose([f"study={name}"]).method.name}


def _combinations(
    composer: Composer,
    study: StudyConfig,
    scaled: Mapping[str, list[Any]],
    given: Sequence[_Given],
    limit: int | None,
) -> list[tuple[str | None, list[Word]]]:
    """For each run the name of its grid, where it has one, and its words. Counted before they are made."""
    grids = _axes(composer, study, scaled, given, limit)
    check_count(sum(math.prod(map(len, axes.values())) for _, axes in grids), limit)
    named = [
        (variant, list(itertools.chain.from_iterable(values)))
        for variant, axes in grids
        for values in itertools.product(*axes.values())
    ]
    # Each is kept with the name of its grid, so that `fitting` tells apart what two grids share.
    kept = fitting(composer, [[Assignment(VARIANT, variant), *words] for variant, words in named])
    return [(value_of(first), words) for first, *words in kept]


def _axes(
    composer: Composer,
    study: StudyConfig,
    scaled: Mapping[str, list[Any]],
    given: Sequence[_Given],
    limit: int | None,
) -> list[tuple[str | None, dict[str, list[Words]]]]:
    """For each grid its name, and key -> its values, each as the words that set it."""
    set_for_all: dict[str, list[Words]] = {
        key: [(Assignment(key, value),) for value in values] for key, values in scaled.items()
    }
    set_for_all |= {one.key: one.values(limit) for one in given}
    if "study" in set_for_all:
        raise UserError("study=…: the study is already named; to use its settings elsewhere: mixbench run study=NAME")
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
    """Which of the study's methods an option is, itself or by another name; None where it is a further one."""
    if option not in composer.options("method"):
        raise unknown("method", option, composer.options("method"))
    settings = composer.compose([f"method={option}"]).method
    same = (name for name in sorted(known - {option}) if composer.compose([f"method={name}"]).method == settings)
    return option if option in known else next(same, None)


def _further(
    grids: list[tuple[str | None, dict[str, list[Words]]]], options: list[str], given: dict[str, list[Words]]
) -> list[tuple[str | None, dict[str, list[Words]]]]:
    """Grids of methods that the study does not have: its own grids without what these set of their methods."""
    made = []
    for option in options:
        for variant, grid in grids:
            axes: dict[str, list[Words]] = {"method": [(Assignment("method", option),)]}
            for keys, values in grid.items():
                # Of keys that a grid sets together those of the method go, and the others stay together.
                kept = [tuple(word for word in value if key_of(word).split(".")[0] != "method") for value in values]
                if any(kept):
                    others = [key for key in keys.split(",") if key != "method" and not key.startswith("method.")]
                    axes[",".join(others)] = list(dict.fromkeys(kept))
            made.append((None if variant is None else option, axes | given))
    return made


def _set_in_grids(
    study: StudyConfig, grids: list[tuple[str | None, dict[str, list[Words]]]], given: dict[str, list[Words]]
) -> list[tuple[str | None, dict[str, list[Words]]]]:
    """The grids with what is given set in them.

    A key's values stand in place of a grid's own, but choose among values that are set together with another key's; a
    key of the method that only other grids have leaves a grid as it is. Raises UserError where a value chooses nothing.
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
        raise UserError(f"study {study.name}: none of its runs has all of {', '.join(given)} as given")
    return made


def _settings(study: StudyConfig, keys: str, values: Any) -> list[Words]:
    """`key: [1, 2]` as words; `a,b: [[1, 2], [3, 4]]` as pairs of them."""
    names, settings = keys.split(","), []
    for value in _list(values):
        parts = _list(value) if len(names) > 1 else [value]
        if len(parts) != len(names):
            raise UserError(f"study {study.name}: {keys} needs lists of {len(names)} values; got {value}")
        settings.append(tuple(Assignment(key, part) for key, part in zip(names, parts, strict=True)))
    return settings


def _list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]
