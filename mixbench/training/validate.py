"""Whether what a configuration names exists and takes the options that it sets: refused before anything is loaded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mixbench import models
from mixbench.augment import AUGMENTS
from mixbench.core.draws import Plan
from mixbench.core.errors import UserError, unknown
from mixbench.core.registry import Configured
from mixbench.mixing.contract import StandIns
from mixbench.mixing.invariants import violations
from mixbench.mixing.runner import build, check_part
from mixbench.training.context import Providers
from mixbench.training.losses import LOSSES


def check(cfg: DictConfig, providers: Providers | None = None) -> None:
    """Raises UserError where a function, network or option does not exist, or nothing provides what the method needs.

    cfg: settled (identity.job).
    """
    augment, method = Configured("augment", AUGMENTS, cfg.augment), build(cfg.method)
    Configured("loss", LOSSES, cfg.loss)
    models.check(cfg.model)
    # Called on two empty images: what their options may be is the functions' to know.
    images, targets = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.eye(2)
    floats = images.float()
    plan = Plan(0, 2, 2, 8, 8, draws=augment.draws, pad=max(0, augment.options.get("pad", 0)))
    _try("augment", lambda: augment(images, decided=_tensors(plan.drawn(0, 1))))
    for key, one in method.singles().items():
        for need in one.function.needs:
            (providers or Providers()).check(need)
            if need == "attention":
                models.check_attention(cfg.model)
        mixed = _try(key, lambda one=one: one(floats, targets, _tensors(one.drawn(plan, 0, 1)), StandIns()))
        if one is not method:
            check_part(key, one.name, floats, mixed)
        known = models.layers(cfg.model)
        for layer in one.layers():
            if layer not in known:
                raise unknown(f"layer (model={cfg.model.name}) in {key}.{one.function.layers}", layer, known)


def broken(cfg: DictConfig) -> list[str]:
    """Why a method cannot be trusted, a sentence each: what `check` refuses, or the invariants that it breaks.

    cfg: settled (identity.job). What a method needs is served by stand-ins.
    """
    try:
        check(cfg, Providers(teacher=lambda images: images, generated=lambda index: index))  # they are not called
    except UserError as error:
        return [str(error)]
    return violations(OmegaConf.to_container(cfg.method))


def _try(key: str, call: Callable[[], Any]) -> Any:
    """What the call returns. Raises UserError where the call finds a value at fault, which stands under `key`."""
    try:
        return call()
    except ValueError as error:
        raise UserError(f"{key}.{error}") from error


def _tensors(decided: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values[0]) for name, values in decided.items()}
