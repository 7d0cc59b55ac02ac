"""What a function on a batch asks for, read off its signature: decisions of the plan, and options from YAML."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from mixbench.errors import UserError, unknown
from mixbench.plan import DRAWS, SETTINGS


def draws_of(function: Callable) -> tuple[str, ...]:
    """The decisions that the function takes: its keyword parameters whose names are in plan.DRAWS."""
    return tuple(name for name in _keywords(function) if name in DRAWS)


def options_of(function: Callable) -> dict[str, inspect.Parameter]:
    """The function's other keyword parameters: what its YAML file may set."""
    return {name: parameter for name, parameter in _keywords(function).items() if name not in DRAWS}


def settings_of(function: Callable) -> set[str]:
    """The keys of the plan (alpha, beta, p, per_sample) that bear on what the function asks for."""
    return {key for name in draws_of(function) for key in SETTINGS.get(name, ())}


def options(group: str, function: Callable, cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The options that `cfg`, the group's configuration, sets. Raises UserError for a key that does not fit."""
    known = options_of(function)
    reserved = {"name", "version"} | settings_of(function)
    for key, value in cfg.items():
        if key in reserved:
            continue
        if key not in known:
            raise unknown(
                f"key ({group}={cfg['name']})", f"{group}.{key}", [f"{group}.{k}" for k in {*known, *reserved}]
            )
        wanted = known[key].annotation
        fits = (
            isinstance(value, bool)
            if wanted is bool
            else isinstance(value, (int, float) if wanted is float else wanted)
        )
        if not fits or (wanted is not bool and isinstance(value, bool)):
            raise UserError(f"{group}.{key}={value}: must be {wanted.__name__}")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in cfg]
    missing += sorted((settings_of(function) | ({"version"} if group == "method" else set())) - set(cfg))
    if missing:
        raise UserError(f"{group}={cfg['name']} needs {group}.{missing[0]}")
    return {key: value for key, value in cfg.items() if key in known}


def _check_kind(key: str, value: Any, wanted: Any) -> None:
    """An annotation is bool, int, float, str, or the Literal of the values that there are."""
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise unknown(key, value, get_args(wanted))
        return
    kinds = (int, float) if wanted is float else wanted
    if not isinstance(value, kinds) or (isinstance(value, bool) and wanted is not bool):
        raise UserError(f"{key}={value}: must be {wanted.__name__}")


def _keywords(function: Callable) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
