"""What a function or network asks for: draws of the plan, needs and options from its YAML file.

A function can declare its draws with `declare`. Otherwise its draws are the keyword parameters whose names are in
draws.DRAWS. All other keyword parameters are options.
"""

import inspect
import math
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from mixbench.core.draws import DRAWS, has_default, settings_read_by
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS

CURRENT = "current"  # the teacher that is the network being trained
DECLARATION = "mixbench_declaration"  # attribute of a function that holds its declaration
# need -> the key of a method's file that says where it comes from. It is no option: the function does not get it.
KEYS_OF_NEEDS = {"teacher": "teacher", "generated": "bank"}


@dataclass(frozen=True)
class Declaration:
    """What a function asks for by name.

    draws: names from draws.DRAWS.
    needs: names from mixing.contract.NEEDS.
    layers: name of its option that lists layers of the network; None: it has no such option.
    views: of a loss: the number of views of each image that it compares. 1: it compares none.
    backends: the backends of `mixbench generate` whose banks it takes; none: those of every backend.
    """

    draws: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    layers: str | None = None
    views: int = 1
    backends: tuple[str, ...] = ()


def declare(
    function: Callable,
    draws: tuple[str, ...],
    needs: tuple[str, ...] = (),
    known_needs: Collection[str] = (),
    layers: str | None = None,
    views: int = 1,
    backends: tuple[str, ...] = (),
) -> None:
    """Attach a declaration to a function.

    function: the function.
    draws: names of the draws that it asks for.
    needs: names of its needs.
    known_needs: all names of needs.
    layers: name of the option that lists its layers; None: no such option.
    views: of a loss: the number of views of each image that it compares.
    backends: the backends whose banks it takes; none: those of every backend.
    Raises ValueError if the declaration does not fit the function's signature.
    """
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
    setattr(function, DECLARATION, Declaration(draws, needs, layers, views, backends))


def declaration_of(function: Callable) -> Declaration:
    """Return the function's declaration; if it has none, the draws among its keyword-only parameters.

    function: a method, augmentation or other function of a config group.
    """
    declared = getattr(function, DECLARATION, None)
    if declared is None:
        declared = Declaration(tuple(name for name in _keywords(function) if name in DRAWS))
    return declared


def draws_of(function: Callable) -> tuple[str, ...]:
    """Return the names of the draws that the function asks for.

    function: as for `declaration_of`.
    """
    return declaration_of(function).draws


def options_of(function: Callable) -> dict[str, inspect.Parameter]:
    """Return the function's options, which its YAML file may set: keyword parameters that are no draws and no needs.

    function: as for `declaration_of`.
    Returns name -> parameter.
    """
    declared = declaration_of(function)
    return {
        name: parameter
        for name, parameter in _keywords(function).items()
        if name not in (*declared.draws, *declared.needs)
    }


def settings_of(function: Callable) -> set[str]:
    """Return the settings (alpha, beta, p, per_sample) that the function's draws read.

    function: as for `declaration_of`.
    """
    return settings_read_by(draws_of(function))


def need_settings_of(declared: Declaration) -> set[str]:
    """Return the keys that choose how needs are filled.

    declared: what the function asks for.
    """
    return {KEYS_OF_NEEDS[need] for need in declared.needs if need in KEYS_OF_NEEDS}


class Configured:
    """A function with the options of its configuration. It is called with a batch and the decisions of a step.

    function: the function.
    declared: the draws and needs that it asks for.
    options: the options that its configuration sets.
    settings: the settings of its draws.
    bank: folder of the generated images that it needs; None: not set.
    """

    def __init__(
        self,
        function: Callable,
        declared: Declaration,
        options: dict[str, Any],
        settings: Mapping[str, Any],
        bank: str | None = None,
    ):
        self.function, self.options, self.settings, self.bank = function, options, settings, bank
        self.draws, self.needs = declared.draws, declared.needs
        self.layers, self.views, self.backends = declared.layers, declared.views, declared.backends

    def option(self, name: str) -> Any:
        """Return the value of an option, from the configuration or the default of the function.

        name: name of the option.
        """
        return self.options.get(name, options_of(self.function)[name].default)

    def __call__(self, *batch: Any, decided: Mapping[str, Any], needs: Mapping[str, Any] | None = None) -> Any:
        """Call the function.

        batch: its positional arguments.
        decided: decisions of the step by name; they include the function's draws.
        needs: name of a need -> the value that the function gets.
        """
        return self.function(*batch, **{name: decided[name] for name in self.draws}, **(needs or {}), **self.options)


def configured_from_table(group: str, table: Mapping[str, Callable], cfg: Mapping[str, Any], key: str) -> Configured:
    """Return the function of mixbench that a configuration names, with its options.

    group: the config group.
    table: name -> function.
    cfg: configuration of the group.
    key: the key of `cfg` in the whole configuration.
    Raises UserError for an unknown name or an option that does not fit.
    """
    if cfg["name"] not in table:
        raise unknown(f"{key}.name", cfg["name"], table)
    function = inspect.unwrap(table[cfg["name"]])
    settings = {name: cfg[name] for name in settings_of(function) if name in cfg}
    declared = declaration_of(function)
    return Configured(function, declared, options(group, function, cfg, key), settings, cfg.get("bank"))


def options(group: str, function: Callable, cfg: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the options that a configuration sets.

    group: the config group.
    function: the function that takes the options.
    cfg: configuration of the group.
    key: the key of `cfg` in the whole configuration.
    Raises UserError for an unknown option, a missing option, or a value of the wrong type.
    """
    known, settings = options_of(function), settings_of(function)
    others = {*GROUPS[group].own_keys, *settings}
    chosen = need_settings_of(declaration_of(function))
    for name, value in cfg.items():
        if name in known:
            check_kind(f"{key}.{name}", value, known[name].annotation)
        elif name == KEYS_OF_NEEDS["generated"] and name in chosen:
            check_kind(f"{key}.{name}", value, str | None)
        elif name not in others | chosen and name not in GROUPS[group].optional_keys:
            choices = [f"{key}.{choice}" for choice in (*known, *others, *chosen)]
            raise unknown(f"key ({group}={cfg['name']})", f"{key}.{name}", choices)
    needed = [name for name, parameter in known.items() if parameter.default is parameter.empty]
    missing = [name for name in (*needed, *sorted(others)) if name not in cfg and not has_default(name)]
    if missing:
        raise UserError(f"{group}={cfg['name']} needs {key}.{missing[0]}")
    return {name: plain(value) for name, value in cfg.items() if name in known}


def check_kind(key: str, value: Any, wanted: Any) -> None:
    """Check that a value fits a type annotation.

    key: name of the value in messages.
    value: the value.
    wanted: bool, int, float, str, a Literal, a list or tuple of any length of one of these, or a union of them and
        None. Any other annotation accepts every value.
    Raises UserError if the value does not fit.
    """
    origin, of = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):
        if not any(_is_of_kind(key, value, one) for one in of):
            names = " or ".join(getattr(one, "__name__", str(one)) for one in of)
            raise UserError(f"{key}={value}: must be {names}")
    elif origin is Literal:
        if not any(value == choice and type(value) is type(choice) for choice in of):  # 18.0 is not a valid depth
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
    """Return a value as a float.

    key: name of the value in messages.
    value: the value.
    Raises UserError if it is not a number, not finite, or below 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{key}={value}: must be a number")
    if not 0 <= value < math.inf:
        raise UserError(f"{key}={value}: must be a finite number, 0 or more")
    return float(value)


def check_bounds(what: str, low: float, high: float, most: float) -> None:
    """Check that 0 < low <= high <= most and that high is finite.

    what: name of the bounded value; messages say min_<what> and max_<what>.
    low: lower bound.
    high: upper bound.
    most: largest upper bound.
    Raises ValueError if they do not.
    """
    if not 0 < low <= high:
        raise ValueError(f"min_{what}={low}: must be above 0 and at most max_{what}, {high}")
    if high > most:
        raise ValueError(f"max_{what}={high}: must be at most {most}")
    if high == math.inf:
        raise ValueError(f"max_{what}={high}: must be a finite number")


def plain(value: Any) -> Any:
    """Return a list of a configuration as a tuple, and any other value unchanged.

    value: a value of a configuration.
    """
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _keywords(function: Callable) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(inspect.unwrap(function)).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
