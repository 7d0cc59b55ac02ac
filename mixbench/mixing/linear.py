"""Methods that blend whole images or labels by λ."""

from torch import Tensor

from mixbench.mixing.contract import Mixed, method, whole
from mixbench.mixing.operations import blend


@method()
def none(images: Tensor, targets: Tensor) -> Mixed:
    """The batch as it is: no mixing.

    images: float [B, …].
    targets: float [B, K], label weights.
    Returns both as they are.
    """
    return Mixed(images, targets, own=whole(images))


@method(draws=("partner", "lam"))
def label_mix(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> Mixed:
    """Mixup: λx + (1-λ)x[π], with the labels blended alike.

    images: float [B, …]: images [B, C, H, W], tables [B, F] or signals [B, C, T].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    Returns mixed images and targets of the same shapes.
    Source: Zhang et al. 2018, section 2.
    """
    mixed, weights = blend(images, images[partner], lam), blend(targets, targets[partner], lam)
    return Mixed(mixed, weights, own=whole(images, lam))


@method(draws=("partner", "lam"))
def data_mix(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> Mixed:
    """λx + (1-λ)x[π] with the label of x alone; with λ ~ Beta(α+1, α) it has mixup's expected loss under Beta(α, α).

    Cross-entropy is linear in the target, so weighing two labels by λ equals choosing the first with probability λ;
    given that choice, λ is Beta(α+1, α).

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    Returns mixed images, and the targets as they are.
    Source: small-data report 2018, "data-mix".
    """
    return Mixed(blend(images, images[partner], lam), targets, own=whole(images, lam))


@method(draws=("partner", "lam"))
def label_only(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> Mixed:
    """Labels blended with the partner's, images untouched: what mixup's label part does by itself.

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], the share λ of each image's own label.
    Returns the images as they are, and blended targets.
    """
    return Mixed(images, blend(targets, targets[partner], lam), own=whole(images))
