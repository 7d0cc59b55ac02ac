"""Checks of a study's YAML file before anything is trained. No torch."""

import math
from collections.abc import Collection, Iterator
from typing import Any

from mixbench.config.schema import StudyConfig
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import OF_FUNCTIONS
from mixbench.training.rules import RULES

SCALES = ("paper", "cpu", "smoke")  # as published; smaller, for a CPU; one cell in seconds, as a test
SCALE, VARIANT, RULE = "scale", "variant", "rule"


def check_study(name: str, study: StudyConfig | None) -> None:
    """Check everything that can be checked without other files.

    name: name of the study, for messages.
    study: content of its file; None: the file says nothing about a study.
    Raises UserError.
    """
    if study is None or not study.grids:
        raise UserError(f"study {name}: its YAML file has no study.grids; add at least one grid")
    for rule in (
        study.rule,
        study.published_rule or study.rule,
        *(row.get(RULE, study.rule) for row in study.published),
    ):
        if rule not in RULES:
            raise unknown(f"rule of study {name}", rule, RULES)
    for scale in (study.scale, *study.scales):
        if scale not in SCALES:
            raise unknown(f"scale of study {name}", scale, SCALES)
    if study.published and study.published_rule is None:
        raise UserError(f"study {name}: study.published needs study.published_rule, one of {', '.join(RULES)}")
    for grid in study.grids:
        _check_settings(f"study {name}: study.grids", grid)
        if not isinstance(grid.get(VARIANT, ""), str):
            raise UserError(f"study {name}: variant: {grid[VARIANT]}: must be a name")
    for scale, settings in study.scales.items():
        _check_settings(f"study {name}: study.scales.{scale}", settings)


def _check_settings(where: str, settings: dict[str, Any]) -> None:
    """Raise UserError for a value that no key can have. Only keys of a function can have a dictionary as value."""
    for key, value in settings.items():
        free = all(part.split(".")[0] in OF_FUNCTIONS and "." in part for part in key.split(","))
        if value == [] or (not free and any(isinstance(item, dict) for item in _leaves(value))):
            raise UserError(f"{where}: {key}: {value}: must be a value, or a list of values")


def check_published(name: str, study: StudyConfig, methods: Collection[str]) -> None:
    """Check that published values are numbers.

    name: name of the study, for messages.
    study: content of its file.
    methods: names of all methods.
    Raises UserError for the first value that is not a number.
    """
    for row in study.published:
        for key, value in row.items():
            where = f"study {name}: study.published: {key}: {value}"
            numbers = value if isinstance(value, list) else [value]
            if key in methods and not (1 <= len(numbers) <= 2 and all(map(_percent, numbers))):
                raise UserError(f"{where}: must be an accuracy in percent, or [accuracy, sd]")
            if any(isinstance(item, dict) for item in _leaves(value)):
                raise UserError(f"{where}: must be a value, or a list of values")


def check_published_keys(name: str, study: StudyConfig, keys: Collection[str], methods: Collection[str]) -> None:
    """Check that each published row can belong to a run of the study.

    name: name of the study, for messages.
    study: content of its file.
    keys: keys of its runs.
    methods: names of all methods.
    Raises UserError for a row with a key that no run has.
    """
    for row in study.published:
        for key in row:
            if key not in (*keys, *methods, RULE):
                raise unknown(f"method or key in study.published of study {name}", key, [*methods, *keys])


def _percent(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value <= 100


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
