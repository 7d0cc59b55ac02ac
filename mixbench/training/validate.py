"""Checks that the functions and networks of a configuration exist and accept their options. No data is loaded."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mixbench import models
from mixbench.augment import AUGMENTS
from mixbench.core.draws import Plan
from mixbench.core.errors import UserError, unknown
from mixbench.core.own_functions import reason
from mixbench.core.own_signatures import OwnConfigured, configured
from mixbench.core.registry import Configured
from mixbench.mixing.contract import Mixed, StandIns
from mixbench.mixing.invariants import violations
from mixbench.mixing.runner import Single, build, check_part
from mixbench.training import own_checks
from mixbench.training.context import Providers
from mixbench.training.losses import LOSSES


def check(cfg: DictConfig, providers: Providers | None = None) -> None:
    """Raises UserError where a function, network or option does not exist, or nothing provides what the method needs.

    cfg: validated (identity.job).
    """
    augment, method = configured("augment", AUGMENTS, cfg.augment), build(cfg.method)
    loss = configured("loss", LOSSES, cfg.loss)
    models.check(cfg.model)
    # Called on two empty images: what their options may be is the functions' to know.
    images, targets = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.eye(2)
    floats = images.float()
    plan = Plan(0, 2, 2, 8, 8, draws=augment.draws, pad=max(0, augment.options.get("pad", 0)))
    _try("augment", augment, lambda: own_checks.augmented(augment(images, decided=_tensors(plan.drawn(0, 1))), images))
    _try("loss", loss, lambda: own_checks.loss(loss(torch.zeros(2, 2, requires_grad=True), targets, decided={})))
    for key, one in method.singles().items():
        for need in one.function.needs:
            (providers or Providers()).check(need)
            if need == "attention":
                models.check_attention(cfg.model)
        mixed = _try(key, one.function, partial(_mix, one, floats, targets, plan))
        if one is not method:
            check_part(key, one.name, floats, mixed)
        known = models.layers(cfg.model)
        for layer in one.layers():
            if layer not in known:
                raise unknown(f"layer (model={cfg.model.name}) in {key}.{one.function.layers}", layer, known)


def broken(cfg: DictConfig) -> list[str]:
    """Why a method cannot be trusted, a sentence each: what `check` refuses, or the invariants that it breaks.

    cfg: validated (config.identity.job). What a method needs is served by stand-ins.
    """
    try:
        check(cfg, Providers(teacher=lambda images: images, generated=lambda index: index))  # they are not called
    except UserError as error:
        return [str(error)]
    # The group is a dictionary; OmegaConf has one type for whatever a configuration may be.
    return violations(cast(dict[str, Any], OmegaConf.to_container(cfg.method)))


def _mix(method: Single, images: Tensor, targets: Tensor, plan: Plan) -> Mixed:
    mixed = method(images, targets, _tensors(method.drawn(plan, 0, 1)), StandIns())
    own_checks.mixed(mixed, images, targets)
    return mixed


def _try(key: str, function: Configured, call: Callable[[], Any]) -> Any:
    """What the call returns.

    Raises UserError where the call finds a value at fault, which stands under `key`, or a user's function fails.
    """
    try:
        return call()
    except Exception as error:
        if isinstance(function, OwnConfigured):
            raise UserError(f"{function.label}: fails on two empty images of 8x8 ({reason(error)})") from error
        if isinstance(error, ValueError):
            raise UserError(f"{key}.{error}") from error
        raise


def _tensors(decided: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values[0]) for name, values in decided.items()}
