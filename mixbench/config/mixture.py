"""A mixture of methods in a configuration: the methods, their probabilities and their settings. No torch."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mixbench.config import own_groups
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import FIXED_KEYS, OF_FUNCTIONS
from mixbench.core.registry import non_negative

PARTS = "method.parts."  # prefix of the settings of a mixture's methods, such as method.parts.cutmix.alpha


def is_mixture(method: Mapping[str, Any]) -> bool:
    """Whether the config group `method` is a mixture.

    method: the config group.
    """
    return "parts" in method


def sets_part(cfg: DictConfig, key: str) -> bool:
    """Whether a key is for a method of the configuration's mixture.

    `fill_in_parts` checks that the method has it.

    cfg: the composed configuration.
    key: the whole key, such as method.parts.cutmix.alpha.
    """
    return f"{key}.".startswith(PARTS) and is_mixture(cfg.method)


def functions(cfg: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (key, configuration) of all groups and parts of a mixture that name a function or network.

    cfg: the composed configuration, or a stored one.
    """
    for group in OF_FUNCTIONS:
        node = cfg.get(group) or {}
        yield group, node
        yield from ((f"{group}.parts.{name}", part) for name, part in (node.get("parts") or {}).items())


def fill_in_parts(
    method: DictConfig, known: Collection[str], of_option: Callable[[str], DictConfig], stored: bool = False
) -> None:
    """Fill in all settings of each method of a mixture from its file, under `parts`. Aliases become methods.

    method: the composed config group. `parts` has the settings that differ from those files.
    known: options of the config group `method`.
    of_option: takes an option and returns the config group of its file.
    stored: only stored runs are read (see own_groups.fill_in_function).
    Raises UserError for an unknown method or key.
    """
    given = method.parts
    if not isinstance(given, DictConfig):
        raise UserError(f"method.parts={given}: set its keys instead, as in method.parts.cutmix.p=0.5")
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
            raise UserError(f"{at}={settings}: set its keys instead, as in {at}.p=0.5")
        part = method.parts[name]
        for key, value in settings.items():
            if key in FIXED_KEYS:
                raise UserError(f"{at}.{key}={value}: cannot be set here; choose methods with method.methods")
            if key not in part and not own_groups.takes("method", part, str(key), stored):
                from mixbench.config.compose_errors import unknown_key  # which needs Hydra; loading results does not

                raise unknown_key(OmegaConf.create({"method": method}), f"{at}.{key}")
            part[key] = value


def check_and_sort(method: DictConfig, at: str) -> None:
    """Check methods and probabilities and sort them, so that equal mixtures are the same run.

    Methods with probability 0 are removed.

    method: the complete config group.
    at: its key in the configuration.
    Raises UserError if methods or probabilities do not fit.
    """
    names, shares = method.methods, method.probabilities
    if not OmegaConf.is_list(names) or not names:
        raise UserError(f"{at}.methods={names}: must be a list, as in {at}.methods=[label-mix,cutmix]")
    if shares is None:
        shares = OmegaConf.create([1 / len(names)] * len(names))
    if not OmegaConf.is_list(shares) or len(shares) != len(names):
        raise UserError(
            f"{at}.probabilities={shares}: must be a list of {len(names)} numbers, one for each of {at}.methods"
        )
    shares = [non_negative(f"{at}.probabilities", share) for share in shares]
    if abs(sum(shares) - 1) >= 1e-6:
        raise UserError(f"{at}.probabilities={shares}: must be numbers that sum to 1")
    if len(set(names)) < len(names):
        raise UserError(f"{at}.methods={list(names)}: must name each method only once")
    used = sorted((name, share) for name, share in zip(names, shares, strict=True) if share > 0)
    if any(is_mixture(method.parts[name]) for name, _ in used):
        raise UserError(f"{at}.methods={list(names)}: a mixture cannot be part of a mixture")
    method.methods, method.probabilities = [name for name, _ in used], [share for _, share in used]
    method.parts = {name: method.parts[name] for name, _ in used}
