"""Losses: (logits, targets) -> a scalar; and the targets that they begin from, labels as smoothed one-hot rows.

logits and targets are float [B, K]. A row of targets holds the weights of one image's labels: one-hot, smoothed, mixed.
Up to a term without gradient every loss is linear in the targets: a mixed row gives the mix of its labels' gradients.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def one_hot(labels: Tensor, classes: int, smoothing: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Targets [B, K] of labels int64 [B]: onehot (1 - ε) + ε / K (Szegedy et al. 2016, section 7).

    Smoothing comes before mixing: the rows of a batch are mixed as they are here, and since mixing is linear with
    weights of sum 1, smoothing the mixture would give the same.
    """
    off = smoothing / classes
    return torch.full((len(labels), classes), off, dtype=dtype, device=labels.device).scatter_(
        1, labels[:, None], 1 - smoothing + off
    )


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-Σ t log p of each image, p the softmax of its logits; mean over the batch."""
    return F.cross_entropy(logits, targets)


def kl(logits: Tensor, targets: Tensor) -> Tensor:
    """KL(t || p) = Σ t log(t / p) of each image, with 0 log 0 = 0; mean over the batch.

    Cross-entropy less the targets' own entropy: the same gradient, but 0 where the network meets the targets.
    """
    return F.kl_div(F.log_softmax(logits, dim=1), targets, reduction="batchmean")


def binary_cross_entropy(logits: Tensor, targets: Tensor, *, sum_classes: bool = False) -> Tensor:
    """-t log σ - (1 - t) log(1 - σ), σ the sigmoid of a logit: each class for itself, so rows need not sum to 1.

    Mean over batch and classes, or with `sum_classes` the sum over classes, mean over the batch: K times as much.
    Wightman et al. 2021 ("ResNet strikes back"); timm's BinaryCrossEntropy without its threshold.
    """
    loss = F.binary_cross_entropy_with_logits(logits, targets)
    return loss * logits.shape[1] if sum_classes else loss


LOSSES = {"ce": cross_entropy, "kl": kl, "bce": binary_cross_entropy}


def of_rows(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, targets: Tensor) -> Tensor:
    """float [B], the loss of each row by itself; logits and targets: float [B, K].

    By torch.func.vmap: the loss may not ask for the value of a tensor, as `if` and `.item()` do.
    """

    def of_row(logits: Tensor, targets: Tensor) -> Tensor:
        return loss(logits[None], targets[None])

    return torch.func.vmap(of_row)(logits, targets)


def ignore_slow_rows() -> None:
    """Ignore from now on that torch computes some losses, such as kl, row by row in `of_rows`: it is only slower."""
    warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
