"""The settings of a method's draws, alpha, beta, p and per_sample: their defaults, and what values they can have."""

from collections.abc import Mapping
from typing import Any

from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError
from mixbench.core.registry import non_negative

# Setting -> its value where neither a user's own file nor the command gives one; beta None: as alpha.
DEFAULTS: Mapping[str, Any] = {"alpha": 1.0, "beta": None, "p": 1.0, "per_sample": False}


def checked(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings as numbers; where there is alpha, beta is alpha unless it is given.

    settings: some of DEFAULTS.
    prefix: what stands before their names in messages, such as `method.`.
    Returns them; alpha and beta are both above 0, or both 0, with which nothing is mixed.
    Raises UserError for a value out of range.
    """
    found = dict(settings)
    for key in ("alpha", "beta", "p"):
        if key in found and not (key == "beta" and found[key] is None):
            found[key] = non_negative(f"{prefix}{key}", found[key])
    if found.get("p", 0) > 1:
        raise UserError(f"{prefix}p={found['p']}: must be a probability, from 0 to 1")
    if not isinstance(found.get("per_sample", False), bool):
        raise UserError(f"{prefix}per_sample={found['per_sample']}: must be true or false")
    if "alpha" not in found:
        return found
    if found.get("beta") is None:
        found["beta"] = found["alpha"]
    if (found["alpha"] == 0) != (found["beta"] == 0):
        raise UserError(
            f"{prefix}alpha={found['alpha']:g} {prefix}beta={found['beta']:g}: no Beta distribution has exactly one of "
            f"the two 0; with both 0 nothing is mixed, as with method={BASELINE}"
        )
    return found


def mix_nothing(settings: Mapping[str, Any]) -> bool:
    """Whether λ is always 1. settings: checked."""
    return "alpha" in settings and settings["alpha"] == settings["beta"] == 0
