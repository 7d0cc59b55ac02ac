"""The optimizer of a run, which weights decay, and the limit of the gradient's norm."""

from collections.abc import Collection

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from mixbench.config.schema import TrainConfig


def build_optimizer(model: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
    """Return the optimizer that the config group `train` describes.

    model: the network, on its device.
    train: the validated config group. train.momentum is the momentum of SGD and β1 of AdamW.
    Returns SGD or AdamW. With train.no_decay its second group of parameters has no weight decay.
    Source: Loshchilov and Hutter 2019, Algorithm 2 (AdamW).
    """
    groups = _groups(model, train.weight_decay) if train.no_decay else model.parameters()
    if train.optimizer == "adamw":
        betas = (train.momentum, train.beta2)
        return torch.optim.AdamW(groups, lr=train.lr, betas=betas, weight_decay=train.weight_decay, fused=True)
    return torch.optim.SGD(
        groups,
        lr=train.lr,
        momentum=train.momentum,
        weight_decay=train.weight_decay,
        nesterov=train.nesterov,
        fused=True,
    )


def clip_gradients(model: nn.Module, train: TrainConfig) -> None:
    """Scale the gradients so that the norm of all of them together is at most train.clip_norm.

    model: the network, after the backward pass.
    train: the config group `train`; if its clip_norm is null, the gradients stay unchanged.
    """
    if train.clip_norm is not None:
        clip_grad_norm_(model.parameters(), train.clip_norm)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Return two groups of parameters: those that decay, and norms, biases and the network's embeddings.

    A parameter with one axis is the weight of a norm or a bias. A network names its embeddings in NO_DECAY.
    """
    embeddings: Collection[str] = getattr(model, "NO_DECAY", ())
    kept = {name for name, parameter in model.named_parameters() if parameter.ndim <= 1 or name in embeddings}
    decaying = [parameter for name, parameter in model.named_parameters() if name not in kept]
    constant = [parameter for name, parameter in model.named_parameters() if name in kept]
    groups = ({"params": decaying, "weight_decay": weight_decay}, {"params": constant, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]
