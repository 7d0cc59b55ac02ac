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
from mixbench.mixing.checks import check_mixed
from mixbench.mixing.contract import Mixed, StandIns
from mixbench.mixing.invariants import violations
from mixbench.mixing.runner import Single, build_method, check_part
from mixbench.training import own_checks
from mixbench.training.context import Providers
from mixbench.training.losses import LOSSES, ignore_slow_rows, of_rows

ROWS = 5  # of the batch on which functions are tried: odd, so that a fixed number of rows, or half of them, is told
CLASSES = 7  # neither as many as rows nor a number that a mistaken slice is likely to have


def check(cfg: DictConfig, providers: Providers | None = None, returned: bool = True) -> None:
    """Raises UserError where a function, network or option does not exist, or nothing provides what the method needs.

    cfg: validated (config.identity.job).
    returned: whether to check what the method returns, too.
    """
    augment, method = configured("augment", AUGMENTS, cfg.augment), build_method(cfg.method)
    loss = configured("loss", LOSSES, cfg.loss)
    models.check_model(cfg.model)
    # Called on a few small images: what their options may be is the functions' to know.
    images = torch.randint(256, (ROWS, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    floats = images.float() / 128 - 1
    targets = torch.eye(CLASSES)[torch.arange(ROWS) % CLASSES]
    plan = Plan(0, ROWS, ROWS, 8, 8, draws=augment.draws, pad=max(0, augment.options.get("pad", 0)))
    _try("augment", augment, lambda: own_checks.augmented(augment(images, decided=_tensors(plan.drawn(0, 1))), images))
    logits = torch.zeros(ROWS, CLASSES, requires_grad=True)
    _try("loss", loss, lambda: own_checks.loss(loss(logits, targets, decided={})))
    for key, one in method.singles().items():
        for need in one.function.needs:
            (providers or Providers()).check(need)
            if need == "attention":
                models.check_attention(cfg.model)
        mixed = _try(key, one.function, partial(_mix, one, floats, targets, plan))
        if returned:
            _try(key, one.function, partial(check_mixed, mixed, floats, targets, one.layers()))
        if returned and mixed.weights is not None:
            _check_rows(loss, logits, targets, one)
        if returned and one is not method:
            check_part(key, one.name, floats, targets, mixed)
        known = models.layer_names(cfg.model)
        for layer in one.layers():
            if layer not in known:
                raise unknown(f"layer (model={cfg.model.name}) in {key}.{one.function.layers}", layer, known)


def broken(cfg: DictConfig) -> list[str]:
    """Why a method cannot be trusted, a sentence each: what `check` refuses, or the invariants that it breaks.

    cfg: validated (config.identity.job). What a method needs is served by stand-ins.
    """
    try:
        every = Providers(teacher=lambda images: images, generated=lambda index: index)  # they are not called
        check(cfg, every, returned=False)  # the invariants tell more of it
    except UserError as error:
        return [str(error)]
    # The group is a dictionary; OmegaConf has one type for whatever a configuration may be.
    return violations(cast(dict[str, Any], OmegaConf.to_container(cfg.method)))


def _mix(one: Single, images: Tensor, targets: Tensor, plan: Plan) -> Mixed:
    return one(images, targets, _tensors(one.drawn(plan, 0, 1)), StandIns())


def _check_rows(loss: Configured, logits: Tensor, targets: Tensor, method: Single) -> None:
    """Raises UserError where the loss cannot be computed for each row, as weights of the rows need it.

    loss: known to work on the batch of logits and targets.
    """
    ignore_slow_rows()
    try:
        of_rows(partial(loss, decided={}), logits, targets)
    except Exception as error:  # torch's text speaks of vmap, or it is whatever a user's loss raises
        name = loss.label if isinstance(loss, OwnConfigured) else "loss"
        raise UserError(
            f"{name}: cannot be computed for one row at a time, which method={method.name} needs, since it returns "
            "weights; write the loss without `if`, float() or .item() of a tensor"
        ) from error


def _try(key: str, function: Configured, call: Callable[[], Any]) -> Any:
    """What the call returns.

    Raises UserError where the call finds a value at fault, which stands under `key`, or a user's function fails.
    """
    try:
        return call()
    except Exception as error:
        if isinstance(function, OwnConfigured):
            raise UserError(f"{function.label}: fails on {ROWS} images of 8x8 ({reason(error)})") from error
        if isinstance(error, ValueError):
            raise UserError(f"{key}.{error}") from error
        raise


def _tensors(decided: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values[0]) for name, values in decided.items()}
