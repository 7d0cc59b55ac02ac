"""A mixture of methods in a configuration: which, how probable, and under `parts` the settings of each. No torch."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mixbench.config import own_groups
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import FIXED_KEYS, OF_FUNCTIONS
from mixbench.core.registry import non_negative

PARTS = "method.parts."  # begins the keys of the settings of a mixture's methods: method.parts.cutmix.alpha


def is_mixture(method: Mapping[str, Any]) -> bool:
    """Whether the group `method` of a configuration is a mixture."""
    return "parts" in method


def sets_part(cfg: DictConfig, key: str) -> bool:
    """Whether a key is for the methods of the configuration's mixture; which keys they have, `complete` knows."""
    return f"{key}.".startswith(PARTS) and is_mixture(cfg.method)


def functions(cfg: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The places in a configuration that name a function or network, (key, what stands there): groups and parts."""
    for group in OF_FUNCTIONS:
        node = cfg.get(group) or {}
        yield group, node
        yield from ((f"{group}.parts.{name}", part) for name, part in (node.get("parts") or {}).items())


def complete(
    method: DictConfig, known: Collection[str], of_option: Callable[[str], DictConfig], stored: bool = False
) -> None:
    """Give each method of a mixture, under `parts`, all the settings of its own file; an alias by its own name.

    method: composed, with the settings under `parts` that differ from those files.
    known: the options of the group `method`. of_option: option -> the group of its file.
    stored: only stored runs are read (own_groups.complete).
    Raises UserError for a method or key that there is not.
    """
    given = method.parts
    if not isinstance(given, DictConfig):
        raise UserError(f"method.parts={given}: has keys, as in method.parts.cutmix.p=0.5")
    if OmegaConf.is_list(method.methods):
        for option in method.methods:
            if option not in known:
                raise unknown("method.methods", option, known)
        own = [of_option(option) for option in method.methods]
        method.methods = [part.name for part in own]
        method.parts = {part.name: part for part in own}
    for name, settings in given.items():
        at = f"{PARTS}{name}"
        if name not in method.methods:
            raise unknown(f"key (method={method.name})", at, [f"{PARTS}{part}" for part in method.parts])
        if not isinstance(settings, DictConfig):
            raise UserError(f"{at}={settings}: has keys, as in {at}.p=0.5")
        part = method.parts[name]
        for key, value in settings.items():
            if key in FIXED_KEYS:
                raise UserError(f"{at}.{key}={value}: is the method's own; name methods in method.methods")
            if key not in part and not own_groups.takes("method", part, str(key), stored):
                from mixbench.config.compose_errors import unknown_key  # which needs Hydra; loading results does not

                raise unknown_key(OmegaConf.create({"method": method}), f"{at}.{key}")
            part[key] = value


def order(method: DictConfig, at: str) -> None:
    """Check methods and probabilities, and put them in one order: the same mixture is the same run.

    method: completed, at the key `at` of the configuration. A method of probability 0 is left out.
    Raises UserError where they do not fit.
    """
    names, shares = method.methods, method.probabilities
    if not OmegaConf.is_list(names) or not names:
        raise UserError(f"{at}.methods={names}: must be a list, as in {at}.methods=[label-mix,cutmix]")
    if shares is None:
        shares = OmegaConf.create([1 / len(names)] * len(names))
    if not OmegaConf.is_list(shares) or len(shares) != len(names):
        raise UserError(f"{at}.probabilities={shares}: must be a list of {len(names)}, one for each of {at}.methods")
    shares = [non_negative(f"{at}.probabilities", share) for share in shares]
    if abs(sum(shares) - 1) >= 1e-6:
        raise UserError(f"{at}.probabilities={shares}: must be numbers that sum to 1")
    if len(set(names)) < len(names):
        raise UserError(f"{at}.methods={list(names)}: each method can be named once")
    used = sorted((name, share) for name, share in zip(names, shares, strict=True) if share > 0)
    if any(is_mixture(method.parts[name]) for name, _ in used):
        raise UserError(f"{at}.methods={list(names)}: a mixture cannot be part of a mixture")
    method.methods, method.probabilities = [name for name, _ in used], [share for _, share in used]
    method.parts = {name: method.parts[name] for name, _ in used}
