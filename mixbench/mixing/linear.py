"""Methods that blend whole images, whole labels or both with weight λ."""

from torch import Tensor

from mixbench.mixing.contract import Mixed, method, whole
from mixbench.mixing.operations import blend


@method()
def none(images: Tensor, targets: Tensor) -> Mixed:
    """No mixing: the batch stays unchanged.

    images: float [B, …].
    targets: float [B, K], label weights.
    Returns the images and targets unchanged.
    """
    return Mixed(images, targets, own=whole(images))


@method(draws=("partner", "lam"))
def label_mix(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> Mixed:
    """Mixup: images become λx + (1-λ)x[π], and labels are blended in the same way.

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
    """Data mixing: images become λx + (1-λ)x[π], and each image keeps its own label.

    With λ ~ Beta(α+1, α) the expected loss equals that of mixup with λ ~ Beta(α, α). Cross-entropy is linear in the
    target, so weighting two labels by λ and 1-λ equals choosing the first label with probability λ. Given that choice,
    λ follows Beta(α+1, α).

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    Returns mixed images and unchanged targets.
    Source: small-data report 2018, "data-mix".
    """
    return Mixed(blend(images, images[partner], lam), targets, own=whole(images, lam))


@method(draws=("partner", "lam"))
def mixup_io(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> Mixed:
    """Mixup of inputs only: images become λx + (1-λ)x[π], with the label of the image that has the larger share.

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ. At exactly 1/2 the image's own label is kept.
    Returns mixed images, and the targets of the image or of its partner.
    Source: Wang et al. 2023, "On the Pitfall of Mixup for Uncertainty Calibration".
    """
    larger = (lam >= 0.5).to(lam.dtype)
    mixed, weights = blend(images, images[partner], lam), blend(targets, targets[partner], larger)
    return Mixed(mixed, weights, own=whole(images, lam))


@method(draws=("partner", "lam"))
def label_only(images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor) -> Mixed:
    """Label mixing only: labels are blended with the partner's, images stay unchanged. It isolates mixup's label part.

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], the share λ of each image's own label.
    Returns unchanged images and mixed targets.
    """
    return Mixed(images, blend(targets, targets[partner], lam), own=whole(images))
