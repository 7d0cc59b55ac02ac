"""Methods that train on the clean batch beside the mixed one."""

from typing import Literal

import torch
from torch import Tensor

from mixbench.mixing.contract import Mixed, method, whole
from mixbench.mixing.linear import label_mix


@method(draws=("partner", "lam"))
def regmixup(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    eta: float = 1.0,
    reduction: Literal["mean", "sum"] = "mean",
) -> Mixed:
    """RegMixup: the clean batch and its mixup go through the network together; the loss of the mixup regularises.

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ in the second half. Beta(20, 20) in the published code.
    eta: weight η of the loss of the mixed batch.
    reduction: "mean": over the 2B rows, as in the published code, so each batch counts one half. "sum": of the mean
        loss of the clean batch and η times that of the mixed one, as in the paper.
    Returns 2B images and targets: first the clean ones, then the mixed ones. Their weights are None if all are 1.
    Raises ValueError if eta is negative.
    Source: Pinto et al. 2022, section 3; code FrancescoPinto/RegMixup, models/regmixup.py.
    """
    if eta < 0:
        raise ValueError(f"eta={eta}: must be 0 or more")
    mixed = label_mix(images, targets, partner=partner, lam=lam)
    scale = 2.0 if reduction == "sum" else 1.0
    weights = None
    if (scale, scale * eta) != (1.0, 1.0):
        ones = torch.ones(len(images), dtype=targets.dtype, device=targets.device)
        weights = torch.cat([scale * ones, scale * eta * ones])
    return Mixed(
        torch.cat([images, mixed.images]),
        torch.cat([targets, mixed.targets]),
        own=torch.cat([whole(images), whole(images, lam)]),
        weights=weights,
    )
