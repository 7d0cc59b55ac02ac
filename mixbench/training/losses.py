"""Losses, functions of (logits, targets) that return a scalar, and targets as smoothed one-hot rows.

logits and targets are float [B, K]. A row of targets holds the weights of one image's labels: one-hot, smoothed or
mixed. Except for a term without gradient, ce, kl and bce are linear in the targets, so the gradient for a mixed row is
the mix of the gradients for its labels.
"""

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.core import registry


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


def decoupled(logits: Tensor, targets: Tensor, *, eta: float = 0.1) -> Tensor:
    """Decoupled mixup: cross-entropy + η · (-log φ_ab - log φ_ba) for the two classes a and b of a mixed row.

    φ_ab = e^z_a / Σ e^z_c over all classes c except b, so neither class competes with the other. a and b are the
    classes with the two largest weights. A row whose second largest weight is no larger than its smallest one has one
    class, and cross-entropy alone. With two classes in all, φ is 1. The published code also leaves the part out where λ
    is exactly 1/2, or within 1/1000 of 0 or 1.

    logits: float [B, K].
    targets: float [B, K], label weights.
    eta: η.
    Returns a scalar tensor.
    Raises ValueError if eta is negative.
    Source: Liu et al. 2023, "Harnessing Hard Mixed Samples with Decoupled Regularizer", section 4; code
        Westlake-AI/openmixup, soft_mix_cross_entropy.
    """
    if eta < 0:
        raise ValueError(f"eta={eta}: must be 0 or more")
    if logits.shape[1] < 3:
        return cross_entropy(logits, targets)
    weights, pair = targets.topk(2, dim=1)
    others = pair.flip(1)[:, :, None]  # the class that is left out beside each class of the pair
    without = logits[:, None].expand(-1, 2, -1).scatter(2, others, -torch.inf)
    part = (without.logsumexp(dim=2) - logits.gather(1, pair)).sum(dim=1)
    mixed = (weights[:, 1] > targets.amin(dim=1)).to(part.dtype)
    return cross_entropy(logits, targets) + eta * (part * mixed).mean()


def jsd(logits: Tensor, targets: Tensor, *, weight: float = 12.0) -> Tensor:
    """Cross-entropy of the first view, and the Jensen-Shannon divergence of the predictions for three views.

    The divergence is the mean over views and images of KL(p_view, mean of the p). The published code bounds the mean
    from below by 10⁻⁷; here its logarithm is computed without rounding to 0.

    logits: float [3B, K]: first those of the clean images, then those of two augmented views of them.
    targets: float [3B, K], label weights; only the first B rows are used.
    weight: weight of the divergence.
    Returns a scalar tensor.
    Raises ValueError if weight is negative.
    Source: Hendrycks et al. 2020, AugMix, section 3; code google-research/augmix, cifar.py.
    """
    if weight < 0:
        raise ValueError(f"weight={weight}: must be 0 or more")
    rows = len(logits) // VIEWS
    log_p = F.log_softmax(logits, dim=1).view(VIEWS, rows, -1)
    log_mean = log_p.logsumexp(dim=0) - math.log(VIEWS)
    divergence = (log_p.exp() * (log_p - log_mean)).sum(dim=2).mean()
    return cross_entropy(logits[:rows], targets[:rows]) + weight * divergence


VIEWS = 3  # clean, and two augmented ones
registry.declare(jsd, (), views=VIEWS)

LOSSES = {"ce": cross_entropy, "kl": kl, "bce": binary_cross_entropy, "decoupled": decoupled, "jsd": jsd}


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
