"""What a function on a batch, or a network, asks for: decisions of the plan, needs, YAML options.

A function that declares its draws (`declare`) gets those; of any other the draws are the keyword parameters with names
in draws.DRAWS. All other keyword parameters are options.
"""

import inspect
import math
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from mixbench.core.draws import DRAWS, settings_read_by
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS

DECLARATION = "mixbench_declaration"  # attribute of a function that declares what it asks for


@dataclass(frozen=True)
class Declaration:
    """What a function asks for by name. layers: its option that lists layers of the network, where it has one."""

    draws: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    layers: str | None = None


def declare(
    function: Callable,
    draws: tuple[str, ...],
    needs: tuple[str, ...] = (),
    known_needs: Collection[str] = (),
    layers: str | None = None,
) -> None:
    """Attach a declaration to a function. Raises ValueError where it does not fit the function's signature."""
    name, keywords = function.__name__, _keywords(function)
    for kind, given, known in (("draw", draws, DRAWS), ("need", needs, known_needs)):
        for one in given:
            if one not in known:
                raise ValueError(f"{name}: {unknown(kind, one, known)}")
            if one not in keywords:
                raise ValueError(
                    f"{name}: declares the {kind} {one!r}, but has no keyword-only parameter {one!r}; put * before it"
                )
    for one in settings_read_by(draws) & keywords.keys():
        raise ValueError(f"{name}: option {one!r} has the name of a setting of its draws; rename the option")
    if layers is not None and layers not in keywords:
        raise ValueError(f"{name}: layers={layers!r} names no keyword-only parameter")
    setattr(function, DECLARATION, Declaration(draws, needs, layers))


def declaration_of(function: Callable) -> Declaration:
    """What the function declares; where it does not, the draws by the names of its keyword-only parameters."""
    declared = getattr(function, DECLARATION, None)
    if declared is None:
        declared = Declaration(tuple(name for name in _keywords(function) if name in DRAWS))
    return declared


def draws_of(function: Callable) -> tuple[str, ...]:
    """The decisions that the function takes, names from draws.DRAWS."""
    return declaration_of(function).draws


def options_of(function: Callable) -> dict[str, inspect.Parameter]:
    """The function's keyword parameters that are neither draws nor needs: what its YAML file may set."""
    declared = declaration_of(function)
    return {
        name: parameter
        for name, parameter in _keywords(function).items()
        if name not in (*declared.draws, *declared.needs)
    }


def settings_of(function: Callable) -> set[str]:
    """The keys of the plan (alpha, beta, p, per_sample) that bear on what the function asks for."""
    return settings_read_by(draws_of(function))


class Configured:
    """A function with the options of its configuration, to be called with a batch and a step's decisions.

    declared: what it asks for. options: what its configuration sets. settings: what its draws are made with.
    """

    def __init__(self, function: Callable, declared: Declaration, options: dict[str, Any], settings: Mapping[str, Any]):
        self.function, self.options, self.settings = function, options, settings
        self.draws, self.needs, self.layers = declared.draws, declared.needs, declared.layers

    def option(self, name: str) -> Any:
        """The value of an option: of the configuration, or its default."""
        return self.options.get(name, options_of(self.function)[name].default)

    def __call__(self, *batch: Any, decided: Mapping[str, Any], needs: Mapping[str, Any] | None = None) -> Any:
        """decided: of a step, the draws among them. needs: name -> what the function is given under that name."""
        return self.function(*batch, **{name: decided[name] for name in self.draws}, **(needs or {}), **self.options)


def of_table(group: str, table: Mapping[str, Callable], cfg: Mapping[str, Any], key: str) -> Configured:
    """The function of a table, name -> function, that a configuration names, with its options.

    cfg: of the group. key: where it stands in the whole. Raises UserError for what does not fit.
    """
    if cfg["name"] not in table:
        raise unknown(f"{key}.name", cfg["name"], table)
    function = inspect.unwrap(table[cfg["name"]])
    settings = {name: cfg[name] for name in settings_of(function)}
    return Configured(function, declaration_of(function), options(group, function, cfg, key), settings)


def options(group: str, function: Callable, cfg: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The options that `cfg` sets, the group's configuration, which stands at `key` in the whole.

    Raises UserError for an option that does not fit.
    """
    known, settings = options_of(function), settings_of(function)
    others = {*GROUPS[group].own_keys, *settings}
    for name, value in cfg.items():
        if name in known:
            check_kind(f"{key}.{name}", value, known[name].annotation)
        elif name not in others:
            choices = [f"{key}.{choice}" for choice in (*known, *others)]
            raise unknown(f"key ({group}={cfg['name']})", f"{key}.{name}", choices)
    needed = [name for name, parameter in known.items() if parameter.default is parameter.empty]
    missing = [name for name in (*needed, *sorted(others)) if name not in cfg]
    if missing:
        raise UserError(f"{group}={cfg['name']} needs {key}.{missing[0]}")
    return {name: plain(value) for name, value in cfg.items() if name in known}


def check_kind(key: str, value: Any, wanted: Any) -> None:
    """Raises UserError where the value of `key` is not of the wanted kind.

    wanted: an annotation: bool, int, float, str, the Literal of the values that there are, a list or tuple of any
    number of one of these, or a union of them and None. An annotation of another kind takes any value.
    """
    origin, of = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        if not any(_is_of_kind(key, value, one) for one in of):
            names = " or ".join(getattr(one, "__name__", str(one)) for one in of)
            raise UserError(f"{key}={value}: must be {names}")
    elif origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in of):  # 18.0 is no depth
            raise unknown(key, value, map(str, of))
    elif origin in (tuple, list, Sequence) and of:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise UserError(f"{key}={value}: must be a list, as in {key}=[a,b]")
        for item in value:
            check_kind(key, item, of[0])
    elif wanted in (bool, int, float, str):
        kinds = (int, float) if wanted is float else wanted
        if not isinstance(value, kinds) or (isinstance(value, bool) and wanted is not bool):
            raise UserError(f"{key}={value}: must be {wanted.__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{key}={value}: must be a finite number")


def _is_of_kind(key: str, value: Any, wanted: Any) -> bool:
    if value is None or wanted is types.NoneType:
        return value is None and wanted is types.NoneType
    try:
        check_kind(key, value, wanted)
    except UserError:
        return False
    return True


def non_negative(key: str, value: Any) -> float:
    """The value of `key` as a number. Raises UserError where it is none, not finite, or below 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{key}={value}: must be a number")
    if not 0 <= value < math.inf:
        raise UserError(f"{key}={value}: must be a finite number, 0 or more")
    return float(value)


def check_bounds(what: str, low: float, high: float, most: float) -> None:
    """Raises ValueError where not 0 < low <= high <= most and finite; they are called min_<what> and max_<what>."""
    if not 0 < low <= high:
        raise ValueError(f"min_{what}={low}: must be above 0 and at most max_{what}, {high}")
    if high > most:
        raise ValueError(f"max_{what}={high}: must be at most {most}")
    if high == math.inf:
        raise ValueError(f"max_{what}={high}: must be a finite number")


def plain(value: Any) -> Any:
    """A list of a configuration as a tuple, any other value as it is."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _keywords(function: Callable) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(inspect.unwrap(function)).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
