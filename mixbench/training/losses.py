"""Losses, functions of (logits, targets) that return a scalar, and targets as smoothed one-hot rows.

logits and targets are float [B, K]. A row of targets holds the weights of one image's labels: one-hot, smoothed or
mixed. Except for a term without gradient, every loss is linear in the targets, so the gradient for a mixed row is the
mix of the gradients for its labels.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def one_hot(labels: Tensor, classes: int, smoothing: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return smoothed one-hot targets, onehot (1 - ε) + ε / K.

    Labels are smoothed before mixing. Because mixing is linear with weights that sum to 1, smoothing after mixing would
    give the same targets.

    labels: int64 [B].
    classes: number of classes, K.
    smoothing: ε, from 0 to 1.
    dtype: dtype of the targets.
    Returns float [B, K].
    Source: Szegedy et al. 2016, section 7.
    """
    off = smoothing / classes
    return torch.full((len(labels), classes), off, dtype=dtype, device=labels.device).scatter_(
        1, labels[:, None], 1 - smoothing + off
    )


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy: the mean over the batch of -Σ t log p, where p is the softmax of the logits.

    logits: float [B, K].
    targets: float [B, K], label weights t.
    Returns a scalar tensor.
    """
    return F.cross_entropy(logits, targets)


def kl(logits: Tensor, targets: Tensor) -> Tensor:
    """Kullback-Leibler divergence: the mean over the batch of Σ t log(t / p), with 0 log 0 = 0.

    p is the softmax of the logits. The loss is cross-entropy minus the entropy of the targets: the gradient is equal,
    but the loss is 0 if p equals the targets.

    logits: float [B, K].
    targets: float [B, K], label weights t.
    Returns a scalar tensor.
    """
    return F.kl_div(F.log_softmax(logits, dim=1), targets, reduction="batchmean")


def binary_cross_entropy(logits: Tensor, targets: Tensor, *, sum_classes: bool = False) -> Tensor:
    """Binary cross-entropy: -t log σ - (1 - t) log(1 - σ) for each class, where σ is the sigmoid of the logit.

    Classes are independent, so target rows need not sum to 1. It is timm's BinaryCrossEntropy without the threshold.

    logits: float [B, K].
    targets: float [B, K], label weights t.
    sum_classes: False: mean over batch and classes. True: sum over classes and mean over the batch, K times as large.
    Returns a scalar tensor.
    Source: Wightman et al. 2021, "ResNet strikes back".
    """
    loss = F.binary_cross_entropy_with_logits(logits, targets)
    return loss * logits.shape[1] if sum_classes else loss


LOSSES = {"ce": cross_entropy, "kl": kl, "bce": binary_cross_entropy}


def loss_per_row(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor) -> Tensor:
    """float [B]: the loss of each row.

    It uses torch.func.vmap, so the loss must not read the value of a tensor, as `if` and `.item()` do.

    loss: a function of (logits, targets) that returns a scalar.
    logits, targets: float [B, K].
    """

    def of_row(logits: Tensor, targets: Tensor) -> Tensor:
        return loss(logits[None], targets[None])

    return torch.func.vmap(of_row)(logits, targets)


def ignore_slow_rows() -> None:
    """Ignore torch's warning that `loss_per_row` is slow for some losses, such as kl."""
    warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
