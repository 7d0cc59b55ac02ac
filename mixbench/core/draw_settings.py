"""The settings of a method's draws (alpha, beta, p, per_sample …): their defaults and their valid values."""

from collections.abc import Mapping
from typing import Any

from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError, unknown
from mixbench.core.partners import CHOICES
from mixbench.core.registry import non_negative

# The value of each setting if neither a user's own file nor the command sets it. beta=None means the value of alpha.
DEFAULTS: Mapping[str, Any] = {
    "alpha": 1.0,
    "beta": None,
    "p": 1.0,
    "per_sample": False,
    "off_after": 1.0,
    "larger_own": False,
    "partners": "any",
}
PARTNERS = ("any", *CHOICES)


def checked(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Check the settings of draws and convert them to numbers.

    settings: a subset of DEFAULTS.
    prefix: text before each name in messages, such as `method.`.
    Returns the settings. If alpha is among them, beta is too; its default is alpha. Both are above 0, or both are 0,
        which means that nothing is mixed.
    Raises UserError for a value out of range.
    """
    found = dict(settings)
    for key in ("alpha", "beta", "p", "off_after"):
        if key in found and not (key == "beta" and found[key] is None):
            found[key] = non_negative(f"{prefix}{key}", found[key])
    if found.get("p", 0) > 1:
        raise UserError(f"{prefix}p={found['p']}: must be a probability, from 0 to 1")
    if found.get("off_after", 1.0) > 1:
        raise UserError(f"{prefix}off_after={found['off_after']}: must be a share of the steps, from 0 to 1")
    for key in ("per_sample", "larger_own"):
        if not isinstance(found.get(key, False), bool):
            raise UserError(f"{prefix}{key}={found[key]}: must be true or false")
    if found.get("partners", "any") not in PARTNERS:
        raise unknown(f"{prefix}partners", found["partners"], PARTNERS)
    if "alpha" not in found:
        return found
    if found.get("beta") is None:
        found["beta"] = found["alpha"]
    if (found["alpha"] == 0) != (found["beta"] == 0):
        raise UserError(
            f"{prefix}alpha={found['alpha']:g} {prefix}beta={found['beta']:g}: must be both above 0, or both 0 for no "
            f"mixing (the same as method={BASELINE})"
        )
    return found


def mix_nothing(settings: Mapping[str, Any]) -> bool:
    """Whether these checked settings mean that λ is always 1, so nothing is mixed.

    settings: setting -> value, as `checked` returns them.
    """
    return "alpha" in settings and settings["alpha"] == settings["beta"] == 0


def always_mixing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of settings with which every batch of every step is mixed.

    settings: settings of draws, or a method's configuration, which has them beside its other keys. Keys that are not
        there are not added.
    """
    return {**settings, **{key: 1.0 for key in ("p", "off_after") if key in settings}}
