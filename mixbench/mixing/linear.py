"""Methods that blend whole images or labels by λ."""

from torch import Tensor

from mixbench.mixing.library import standalone
from mixbench.mixing.operations import blend


@standalone(spatial=False)
def none(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The batch as it is.

    images: float [B, C, H, W]. targets: float [B, K], label weights.
    """
    return images, targets


@standalone(spatial=False, alpha=1.0, beta=None, p=1.0, per_sample=False)
def label_mix(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Mixup: λx + (1-λ)x[π] with the labels blended alike (Zhang et al. 2018, section 2).

    images: float [B, C, H, W]. targets: float [B, K], label weights. partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ. Returns mixed images and targets of the same shapes. Images may be any
    [B, …]: tables [B, F], signals [B, C, T].
    """
    return blend(images, images[partner], lam), blend(targets, targets[partner], lam)


@standalone(spatial=False, alpha=2.0, beta=1.0, p=1.0, per_sample=False)
def data_mix(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """λx + (1-λ)x[π] with the label of x alone; with λ ~ Beta(α+1, α) it has mixup's expected loss under Beta(α, α).

    Cross-entropy is linear in the target, so weighing two labels by λ equals choosing the first with probability λ;
    given that choice, λ is Beta(α+1, α) (small-data report 2018, "data-mix").
    images: float [B, …]. targets: float [B, K], returned as they are. partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    """
    return blend(images, images[partner], lam), targets


@standalone(spatial=False, alpha=1.0, beta=None, p=1.0, per_sample=False)
def label_only(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """Images untouched, labels blended with the partner's: what mixup's label part does by itself.

    images: float [B, …], returned as they are. targets: float [B, K], label weights. partner: int64 [B], the
    permutation π. lam: float [B], the share λ of each image's own label.
    """
    return images, blend(targets, targets[partner], lam)
