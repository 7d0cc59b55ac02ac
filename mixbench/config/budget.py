"""What a training step costs, and runs that train as many rows as others do, not as many steps. No torch.

The unit of cost is a row: one image that goes forward and backward through the network. A step without mixing trains
one row for each image of its batch. The files of methods and losses that take more say so by their key `cost`: rows for
each image of a batch. A forward pass without a backward pass counts as a third of a row, since a backward pass does
about twice the work of a forward pass. The cost is that of a step that mixes: with `p` below 1 or `off_after`, the
steps that mix nothing cost less, so a budget of rows is then not used up. Such files also have a key `budget`, which a
command can set:

    steps   train as many steps as the other methods
    rows    train as many rows as the other methods, so fewer steps

The identity of a run has the budget, and train.steps as the command sets it. So runs with different budgets have the
same setting, and stand beside each other in tables and comparisons.
"""

import math
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig

from mixbench.config import mixture
from mixbench.config.copies import copied
from mixbench.core.costs import check_cost, cost_of
from mixbench.core.errors import UserError, unknown

BUDGETS = ("steps", "rows")
GROUPS_WITH_COST = ("method", "loss")


def cost(cfg: Mapping[str, Any]) -> float:
    """Return the rows that a step trains for each image of its batch.

    cfg: a validated configuration.
    """
    return math.prod(_cost_of(cfg[group]) for group in GROUPS_WITH_COST)


def check(cfg: Mapping[str, Any]) -> None:
    """Check costs and budgets.

    cfg: a composed configuration.
    Raises UserError if one does not fit.
    """
    for group in GROUPS_WITH_COST:
        _check_node(cfg[group], group)
    for name, part in (cfg["method"].get("parts") or {}).items():
        _check_node(part, f"method.parts.{name}")
        if part.get("budget", "steps") != "steps":
            raise UserError(
                f"method.parts.{name}.budget={part['budget']}: has no effect on a part of a mixture; leave it out"
            )


def within_budget(cfg: DictConfig) -> DictConfig:
    """Return the configuration with the steps that the budget allows. Evaluations and warm-up come earlier, too.

    cfg: a validated configuration, whose train.steps is the number of steps without mixing.
    """
    share = math.prod(_cost_of(cfg[group]) for group in GROUPS_WITH_COST if cfg[group].get("budget") == "rows")
    if share == 1:
        return cfg
    cfg = copied(cfg)
    train = cfg.train
    train.steps = max(1, round(train.steps / share))
    train.eval_every = max(1, round(train.eval_every / share))
    train.warmup = min(round(train.warmup / share), train.steps - 1)
    return cfg


def _check_node(node: Mapping[str, Any], at: str) -> None:
    """at: the key of the node in the configuration."""
    check_cost(node, at)
    budget = node.get("budget", "steps")
    if budget not in BUDGETS:
        raise unknown(f"{at}.budget", budget, BUDGETS)


def _cost_of(node: Mapping[str, Any]) -> float:
    if not mixture.is_mixture(node):
        return cost_of(node)
    shares = zip(node["probabilities"], node["parts"].values(), strict=True)  # sorted alike by mixture.check_and_sort
    return sum(share * cost_of(part) for share, part in shares)
