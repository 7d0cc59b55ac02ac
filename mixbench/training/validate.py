"""Checks that the functions and networks of a configuration exist and accept their options. No data is loaded."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from mixbench import models
from mixbench.augment import AUGMENTS
from mixbench.config import teacher
from mixbench.core.draw_settings import always_mixing
from mixbench.core.draws import Plan
from mixbench.core.errors import UserError, unknown
from mixbench.core.own_functions import reason
from mixbench.core.own_signatures import OwnConfigured, configured
from mixbench.core.registry import CURRENT, Configured
from mixbench.mixing.checks import check_mixed
from mixbench.mixing.contract import Mixed, StandIns
from mixbench.mixing.invariants import violations
from mixbench.mixing.runner import Single, build_method, check_part
from mixbench.training import own_checks
from mixbench.training.context import Providers
from mixbench.training.losses import LOSSES, ignore_slow_rows, loss_per_row
from mixbench.training.views import check_mixed_views, check_views

ROWS = 5  # rows of the batch for trying functions; odd, to detect a fixed number of rows or half of them
CLASSES = 7  # differs from ROWS, and a wrong slice is unlikely to have this number


def check_functions(cfg: DictConfig, providers: Providers | None = None, returned: bool = True) -> None:
    """Raise UserError if a function, network or option does not exist, or if nothing provides a need of the method.

    cfg: validated configuration (config.identity.job).
    providers: what the caller of training provides; None: nothing.
    returned: whether to check what the method returns, too.
    """
    augment, method = configured("augment", AUGMENTS, cfg.augment), build_method(cfg.method)
    loss = configured("loss", LOSSES, cfg.loss)
    models.check_model(cfg.model)
    check_views(cfg.loss.name, loss, cfg.augment.name, augment)
    # The functions are called with a few small images, because only they know which values their options can have.
    images = torch.randint(256, (ROWS, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    floats = images.float() / 128 - 1
    targets = torch.eye(CLASSES)[torch.arange(ROWS) % CLASSES]
    plan = Plan(0, ROWS, ROWS, 8, 8, draws=augment.draws, pad=max(0, augment.options.get("pad", 0)))
    _try(
        "augment",
        augment,
        lambda: own_checks.check_augmented(augment(images, decided=_tensors(plan.drawn(0, 1))), images),
    )
    logits = torch.zeros(ROWS, CLASSES, requires_grad=True)
    of_views = logits.repeat(loss.views, 1), targets.repeat(loss.views, 1)
    _try("loss", loss, lambda: own_checks.check_loss(loss(*of_views, decided={})))
    for key, one in method.singles().items():
        for need in one.function.needs:
            if need in models.MAPS:
                models.check_maps(cfg.model, need)
        stand_ins = StandIns()
        mixed = _try(key, one.function, partial(_mix, one, floats, targets, plan, stand_ins))
        if teacher.named(cfg.method) == CURRENT and (providers is None or providers.teacher is None):
            for kind in sorted(stand_ins.teacher.asked):
                models.check_maps(cfg.model, kind)
        if returned:
            _try(key, one.function, partial(check_mixed, mixed, floats, targets, one.layers()))
            check_mixed_views(cfg.loss.name, loss, one, mixed, ROWS)
        if returned and mixed.weights is not None:
            _check_loss_per_row(loss, logits, targets, one)
        if returned and one is not method:
            check_part(key, one.name, floats, targets, mixed)
        known = models.layer_names(cfg.model)
        for layer in one.layers():
            if layer not in known:
                raise unknown(f"layer (model={cfg.model.name}) in {key}.{one.function.layers}", layer, known)


def asked_of_teacher(cfg: DictConfig) -> set[str]:
    """Return the maps for which a method, or a method of a mixture, asks its teacher: names from models.MAPS.

    The method is tried on a few small images.

    cfg: validated configuration (config.identity.job).
    """
    stand_ins = StandIns()
    for one in build_method(cfg.method).singles().values():
        if "teacher" in one.function.needs:
            _mix(one, torch.zeros(ROWS, 1, 8, 8), torch.eye(CLASSES)[:ROWS], Plan(0, ROWS, ROWS, 8, 8), stand_ins)
    return stand_ins.teacher.asked


def method_problems(cfg: DictConfig) -> list[str]:
    """Return the problems of a method, one sentence each: the error of `check_functions`, or violated invariants.

    The method's needs are filled with stand-ins.

    cfg: validated configuration (config.identity.job).
    """
    try:
        check_functions(cfg, returned=False)  # the invariants say more about what the method returns
    except UserError as error:
        return [str(error)]
    # The group is a dictionary, but OmegaConf's type covers everything that a configuration can be.
    return violations(cast(dict[str, Any], OmegaConf.to_container(cfg.method)))


def _mix(one: Single, images: Tensor, targets: Tensor, plan: Plan, stand_ins: StandIns) -> Mixed:
    # Always mix, because a method need not ask for anything for a batch that is not mixed.
    drawn = replace(plan, draws=one.function.draws, **always_mixing(one.function.settings)).drawn(0, 1)
    return one(images, targets, _tensors(drawn), stand_ins)


def _check_loss_per_row(loss: Configured, logits: Tensor, targets: Tensor, method: Single) -> None:
    """Raise UserError if the loss cannot be computed for each row, which weights of rows require.

    loss: a loss that works on the whole batch of logits and targets.
    """
    ignore_slow_rows()
    try:
        loss_per_row(partial(loss, decided={}), logits, targets)
    except Exception as error:  # torch's error about vmap, or any error of a user's loss
        name = loss.label if isinstance(loss, OwnConfigured) else "loss"
        raise UserError(
            f"{name}: cannot be computed row by row, but method={method.name} needs that because it returns weights; "
            "write the loss without `if`, float() or .item() of a tensor"
        ) from error


def _try(key: str, function: Configured, call: Callable[[], Any]) -> Any:
    """Return the result of a call.

    key: the key of the function's options, for messages.
    Raises UserError if the call refuses the value of an option, or if a user's own function fails.
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
