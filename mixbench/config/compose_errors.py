"""One-line messages for errors in a configuration: what is wrong, and the nearest spelling. No torch."""

import dataclasses
import difflib
import re
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from mixbench.config import own_groups
from mixbench.config.options import shipped, yaml_text
from mixbench.config.overrides import first_line
from mixbench.config.schema import Config
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import FIXED_KEYS, GROUPS

# Errors that Hydra and OmegaConf raise for a file or value that does not fit: their own, and Python's.
UNFIT = (
    HydraException,
    OmegaConfBaseException,
    yaml.YAMLError,
    RecursionError,
    OverflowError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    AssertionError,
)


def has(cfg: DictConfig, key: str) -> bool:
    """Whether a configuration has a key, such as method.alpha.

    cfg: the composed configuration.
    key: the whole key.
    """
    marker = object()
    try:
        return OmegaConf.select(cfg, key, default=marker, throw_on_missing=False) is not marker
    except UNFIT:  # not a valid key, such as a..b
        return False


# What the type of a key in config/schema.py is called in words.
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def unfit_value(line: str, key: str, error: BaseException) -> UserError:
    """Return the error for a value that does not fit its key's type.

    line: the override, such as n=many.
    key: its key.
    error: what OmegaConf raised; its message is used if the type has no description of ours.
    """
    wanted = _type_of(key)
    optional = type(None) in get_args(wanted)
    (kind, *others) = [one for one in get_args(wanted) if one is not type(None)] if optional else [wanted]
    if get_origin(kind) is list and not others:
        texts = get_args(kind)[0] is str
        needed = f"a list of {'texts' if texts else 'numbers'}, as in {key}={'[a,b]' if texts else '[0.5,0.5]'}"
    elif kind in KINDS and not others:
        needed = KINDS[kind]
    else:
        return UserError(f"{line}: {first_line(error)}")
    return UserError(f"{line}: must be {needed}{' or null' if optional else ''}")


def _type_of(key: str) -> Any:
    """The type that the schema gives a key; None where it gives none."""
    wanted: Any = Config
    for name in key.split("."):
        hints = get_type_hints(wanted) if dataclasses.is_dataclass(wanted) else {}
        wanted = hints.get(name)
    return wanted


def unknown_key(cfg: DictConfig, key: str) -> UserError:
    """Return the error for a key that the configuration does not have, with the nearest known keys.

    cfg: the composed configuration.
    key: the whole key, such as method.alhpa.
    """
    parent, _, last = key.rpartition(".")
    dotted = None if parent else _with_dot(cfg, key)
    if dotted is not None:
        return UserError(f"unknown key {key!r} (did you mean {dotted}?)")
    if not parent and key not in cfg:  # the name can be correct, or nearly, but without its group
        below = {f"{group}.{key}": key for group in GROUPS for key in cfg.get(group) or () if group != "study"}
        near = difflib.get_close_matches(last, [*map(str, cfg), *below.values()], n=1, cutoff=0.75)
        meant = [whole for whole, name in below.items() if name in near and name not in (*FIXED_KEYS, *cfg)]
        if meant:
            return UserError(f"unknown key {key!r} (did you mean {' or '.join(meant)}?)")
    node = OmegaConf.select(cfg, parent) if parent and has(cfg, parent) else None
    if isinstance(node, DictConfig) and own_groups.is_own(node):
        return own_groups.unknown_key(parent.split(".")[0], node, last, parent)
    if parent and not isinstance(node, DictConfig):
        return unknown("key", key, [str(k) for k in cfg])
    node = node if isinstance(node, DictConfig) else cfg
    prefix = f"{parent}." if parent else ""
    name = f" ({parent}={node.get('name')})" if parent and "name" in node else ""
    return unknown(f"key{name}", key, [f"{prefix}{k}" for k in node])


def _with_dot(cfg: DictConfig, key: str) -> str | None:
    """Return the key `model.width` if `model_width` was typed; None if no group has a similar key."""
    group, _, name = key.partition("_")
    if group not in GROUPS or not name:
        return None
    near = difflib.get_close_matches(name, [str(known) for known in cfg.get(group) or ()], n=1, cutoff=0.75)
    elsewhere = any(re.search(rf"^{re.escape(name)}:", yaml_text(group, option), re.M) for option in shipped(group))
    return f"{group}.{near[0]}" if near else f"{group}.{name}" if elsewhere else None


def of_file(chosen: str, error: BaseException) -> UserError:
    """Return the error for files that cannot be composed. Hydra wraps the cause, but only the cause names the key.

    chosen: the chosen options, such as `method=cutmix`, for the message.
    error: what Hydra raised.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.full_key:
            known = [] if cause.parent_node is None else [str(key) for key in cause.parent_node]
            parent = str(cause.full_key).rpartition(".")[0]
            wrong = unknown("key", str(cause.full_key), [f"{parent}.{key}" if parent else key for key in known])
            return UserError(f"{chosen}: {wrong}")
        if isinstance(cause, OmegaConfBaseException):
            return UserError(f"{chosen}: {f'{cause.full_key}: ' if cause.full_key else ''}{first_line(cause)}")
        cause = cause.__cause__ or cause.__context__
    return UserError(f"{chosen}: {first_line(error)}")
