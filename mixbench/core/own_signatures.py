"""Check the signature of a user's own function: how it can be called, and which options it has."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mixbench.core import draw_settings, own_functions
from mixbench.core.draws import draws_for, settings_read_by
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS
from mixbench.core.own_functions import is_own, reason, reference_for_messages
from mixbench.core.registry import (
    KEYS_OF_NEEDS,
    Configured,
    Declaration,
    check_kind,
    configured_from_table,
    declaration_of,
    need_settings_of,
    plain,
)


class Own:
    """A user's own function with the information from its signature.

    function: the loaded function.
    declared: the draws and needs that it asks for.
    known: its options, name -> parameter.
    wanted: the settings of its draws.
    label: its name in messages, FILE.py:FUNCTION.
    """

    def __init__(self, group: str, cfg: Mapping[str, Any]):
        """Load a function and check its signature.

        group: the config group.
        cfg: configuration of the group, with `function` and `code`.
        Raises UserError if the function cannot be loaded, or its signature does not fit the group.
        """
        self.group, self.label = group, reference_for_messages(cfg["function"])
        self.function = own_functions.load(cfg["function"], cfg.get("code"))
        parameters = _parameters(self.function, self.label)
        self.declared = self._declared()
        self.wanted = settings_read_by(self.declared.draws)
        self.known = self._options(parameters)

    def takes(self) -> set[str]:
        """Return the names that a YAML file or a command may set: options, settings of draws and keys of needs."""
        return {*self.known, *self.wanted, *need_settings_of(self.declared)}

    def options(self, cfg: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Return the options that a configuration sets.

        cfg: configuration of the group.
        key: the key of `cfg` in the whole configuration.
        Raises UserError for an unknown option, a missing option, or a value of the wrong type.
        """
        for name, value in cfg.items():
            if name in self.known:
                check_kind(f"{key}.{name}", value, self.known[name].annotation)
            elif name == KEYS_OF_NEEDS["generated"] and name in self.takes():
                check_kind(f"{key}.{name}", value, str | None)
            elif name not in self.takes() and name not in GROUPS[self.group].kept_keys:
                choices = [f"{key}.{choice}" for choice in self.takes()]
                raise unknown(f"key of {self.label}", f"{key}.{name}", choices)
        pad = cfg.get("pad", 0)
        if self.group == "augment" and not (type(pad) is int and pad >= 0):  # the plan needs it to draw `shift`
            raise UserError(f"{key}.pad={pad}: must be a whole number of pixels, 0 or more")
        for name, parameter in self.known.items():
            if parameter.default is parameter.empty and name not in cfg:
                raise UserError(f"{self.group}={cfg['name']} needs {key}.{name}: {self.label} has no default for it")
        return {name: plain(value) for name, value in cfg.items() if name in self.known}

    def settings(self, cfg: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings of the draws; beta is alpha unless it is set.

        cfg: configuration of the group.
        Raises UserError if a setting is out of range.
        """
        return draw_settings.checked({name: cfg.get(name, draw_settings.DEFAULTS[name]) for name in self.wanted})

    def _declared(self) -> Declaration:
        known = draws_for(self.group)
        declared = declaration_of(self.function) if known else Declaration()
        for name in declared.draws:
            if name not in known:
                raise unknown(f"draw of the {self.group} {self.label}", name, known)
        return declared

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
        options = {p.name: p for p in keyword if p.name not in (*self.declared.draws, *self.declared.needs)}
        reserved = {*GROUPS[self.group].kept_keys, *settings_read_by(draws_for(self.group))}
        reserved |= set(KEYS_OF_NEEDS.values()) if self.group == "method" else set()
        for name in options:
            if name in reserved:
                raise UserError(f"{self.label}: the option name {name} is reserved by mixbench; rename the option")
        return options


def configured(group: str, table: Mapping[str, Callable], cfg: Mapping[str, Any], key: str | None = None) -> Configured:
    """Return the function that a group's configuration names, mixbench's or the user's own, with its options.

    group: the config group.
    table: mixbench's functions, name -> function.
    cfg: configuration of the group.
    key: the key of `cfg` in the whole configuration; None: the name of the group.
    Raises UserError for an unknown name or an option that does not fit.
    """
    key = key or group
    return OwnConfigured(group, cfg, key) if is_own(cfg) else configured_from_table(group, table, cfg, key)


class OwnConfigured(Configured):
    """A user's own function with the options of its configuration."""

    def __init__(self, group: str, cfg: Mapping[str, Any], key: str):
        own = Own(group, cfg)
        super().__init__(own.function, own.declared, own.options(cfg, key), own.settings(cfg), cfg.get("bank"))
        self.label = own.label


def _parameters(function: Callable, label: str) -> list[inspect.Parameter]:
    """Return the parameters of a function. Raises UserError if Python cannot read them."""
    function = inspect.unwrap(function)
    try:
        return list(inspect.signature(function, eval_str=True).parameters.values())
    except Exception:  # an annotation with an undefined name: the option then takes any value
        pass
    try:
        return list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError) as error:
        raise UserError(f"{label}: its parameters cannot be read ({reason(error)}); define it with def") from error
