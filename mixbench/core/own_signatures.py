"""Whether a user's own function can be called as its group calls it, and with which options: read off its signature."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from mixbench.core import draws, own_functions
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS
from mixbench.core.own_functions import is_own, reason, told
from mixbench.core.registry import Configured, check_kind

DECLARATION = "mixbench_declaration"  # attribute of a function that declares its draws
AUGMENT_DRAWS = ("shift", "mirror", "uniforms")
# What λ and the others are drawn with where neither YAML file nor command says it.
SETTINGS = {"alpha": 1.0, "beta": None, "p": 1.0, "per_sample": False}


class Own:
    """A user's own function, loaded, with what its signature says.

    function: what is called. draws: the decisions that it takes. needs: what else it asks for, where it declares that.
    layers: its option that lists layers of the network, where it declares one. known: its options, name -> parameter.
    label: how messages name it, FILE.py:FUNCTION.
    """

    def __init__(self, group: str, cfg: Mapping[str, Any]):
        """cfg: of the group, with `function` and `code`. Raises UserError where it cannot be loaded or called so."""
        self.group, self.label = group, told(cfg["function"])
        self.function = own_functions.load(cfg["function"], cfg.get("code"))
        parameters = _parameters(self.function, self.label)
        self.draws, self.needs, self.layers = self._declared(parameters)
        settings = {key for name in self.draws for key in draws.SETTINGS.get(name, ())}
        self.wanted = settings if group == "method" else set()
        self.known = self._options(parameters)

    def takes(self) -> set[str]:
        """The names that a YAML file or a command may set: options of the function, settings of its draws."""
        return {*self.known, *self.wanted}

    def options(self, cfg: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The options that `cfg` sets, the group's configuration, which stands at `key` in the whole.

        Raises UserError for one that the function does not have, for one that is missing and for one of a wrong type.
        """
        for name, value in cfg.items():
            if name in self.known:
                check_own_kind(f"{key}.{name}", value, self.known[name].annotation)
            elif name not in self.wanted and name not in GROUPS[self.group].kept_keys:
                choices = [f"{key}.{choice}" for choice in self.takes()]
                raise unknown(f"key of {self.label}", f"{key}.{name}", choices)
        pad = cfg.get("pad", 0)
        if self.group == "augment" and not (type(pad) is int and pad >= 0):  # the plan draws `shift` by it
            raise UserError(f"{key}.pad={pad}: must be a whole number of pixels, 0 or more")
        for name, parameter in self.known.items():
            if parameter.default is parameter.empty and name not in cfg:
                raise UserError(f"{self.group}={cfg['name']} needs {key}.{name}: {self.label} has no default for it")
        return {name: _plain(value) for name, value in cfg.items() if name in self.known}

    def settings(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """What the draws are made with; β is α where it is not given."""
        chosen = {name: cfg.get(name, SETTINGS[name]) for name in self.wanted}
        if "beta" in chosen and chosen["beta"] is None:
            chosen["beta"] = chosen["alpha"]
        return chosen

    def _declared(self, parameters: Sequence[inspect.Parameter]) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
        """Draws, needs and the option of layers: as declared, else the keyword-only parameters named as draws."""
        if self.group not in ("method", "augment"):
            return (), (), None
        declared = getattr(self.function, DECLARATION, None)
        names = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.name in draws.DRAWS)
        names = names if declared is None else tuple(declared.draws)
        known = AUGMENT_DRAWS if self.group == "augment" else draws.DRAWS
        for name in names:
            if name not in known:
                raise unknown(f"draw of the {self.group} {self.label}", name, known)
        needs = tuple(getattr(declared, "needs", ()))
        return names, needs, getattr(declared, "layers", None)

    def _options(self, parameters: Sequence[inspect.Parameter]) -> dict[str, inspect.Parameter]:
        batch = GROUPS[self.group].batch
        keyword = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        shape = f"({', '.join(batch)}, *, options)"
        for parameter in parameters:
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise UserError(f"{self.label}: takes {parameter}, so its options have no names; make it {shape}")
        if len(by_place) > len(batch):
            name = by_place[len(batch)].name
            raise UserError(f"{self.label}: {name} must be keyword-only; put * before it, as in {shape}")
        if len(by_place) < len(batch):
            names = ", ".join(p.name for p in by_place) or "nothing"
            raise UserError(f"{self.label}: takes {names} by position; make it {shape}")
        options = {p.name: p for p in keyword if p.name not in (*self.draws, *self.needs)}
        reserved = {*GROUPS[self.group].kept_keys, *(SETTINGS if self.group == "method" else ())}
        for name in options:
            if name in reserved:
                raise UserError(f"{self.label}: the option {name} has a name that is mixbench's own; rename it")
        return options


def configured(group: str, table: Mapping[str, Callable], cfg: Mapping[str, Any], key: str | None = None) -> Configured:
    """The function that a group's configuration names, of mixbench's table or the user's own, with its options.

    table: name -> function. cfg: of the group. key: where it stands in the configuration, else `group`.
    Raises UserError for what does not fit.
    """
    return OwnConfigured(group, cfg, key or group) if is_own(cfg) else Configured(group, table, cfg, key)


class OwnConfigured(Configured):
    """As Configured, of a user's own function."""

    def __init__(self, group: str, cfg: Mapping[str, Any], key: str):
        own = Own(group, cfg)
        self.function, self.label = own.function, own.label
        self.draws, self.needs, self.layers = own.draws, own.needs, own.layers
        self.options, self.settings = own.options(cfg, key), own.settings(cfg)


def check_own_kind(key: str, value: Any, wanted: Any) -> None:
    """As registry.check_kind, with unions (`float | None`) and lists too; an annotation of another kind takes anything.

    Raises UserError where the value of `key` is not of the wanted kind.
    """
    if get_origin(wanted) in (Union, types.UnionType):
        choices = get_args(wanted)
        if (value is None and type(None) in choices) or any(map(lambda one: _fits(key, value, one), choices)):
            return
        raise UserError(f"{key}={value}: must be {' or '.join(getattr(one, '__name__', str(one)) for one in choices)}")
    if get_origin(wanted) in (list, Sequence):
        wanted = tuple[get_args(wanted)[0], ...]
    of_tuple = get_origin(wanted) is tuple and (get_args(wanted) or (None,))[0] in (bool, int, float, str)
    if wanted in (bool, int, float, str) or get_origin(wanted) is Literal or of_tuple:
        check_kind(key, value, wanted)


def _fits(key: str, value: Any, wanted: Any) -> bool:
    if wanted is type(None):
        return False
    try:
        check_own_kind(key, value, wanted)
    except UserError:
        return False
    return True


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _parameters(function: Callable, label: str) -> list[inspect.Parameter]:
    """Raises UserError where Python cannot tell them."""
    function = inspect.unwrap(function)
    try:
        return list(inspect.signature(function, eval_str=True).parameters.values())
    except Exception:  # an annotation that names nothing: its option takes any value
        pass
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise UserError(f"{label}: its parameters cannot be read ({reason(error)}); define it with def") from error
