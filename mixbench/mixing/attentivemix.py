"""Attentive CutMix: the cells of the partner that a teacher responds to most."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.mixing.contract import Mixed, Teacher, method, unmixed
from mixbench.mixing.operations import blend, known_all_false, ranks
from mixbench.mixing.regions import cells


@method(draws=("partner", "lam"), needs=("teacher",))
def attentivemix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    teacher: Teacher,
    grid: int = 7,
    top_k: int | None = 6,
) -> Mixed:
    """Attentive CutMix: the partner's most active cells replace the cells at the same places; labels by area.

    A cell is as active as the mean over the channels of a teacher's last features there. Features of another size than
    the grid are resized. Of equally active cells, the first in reading order is used.

    images: float [B, C, H, W].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ; 1 for images that are not mixed. Otherwise used only without top_k.
    teacher: its activation [B, 1, h, w] of images before mixing chooses the cells.
    grid: g, cells along a side, at most the shorter side in pixels. Cells begin at ⌊iH/g⌋ and ⌊jW/g⌋. 7 in the paper.
    top_k: number of cells from the partner, at most all; 6 in the paper. None: round((1 - λ)g²), halves to even.
    Returns mixed images and targets.
    Raises ValueError if grid is below 2 or top_k below 1.
    Source: Walawalkar et al. 2020, section 2.
    """
    if grid < 2:
        raise ValueError(f"grid={grid}: must be at least 2")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k}: must be at least 1, or null")
    if known_all_false(lam < 1):
        return unmixed(images, targets)
    height, width = images.shape[2:]
    grid = min(grid, height, width)
    found = teacher.activation(images, targets).detach()
    found = found.to(torch.promote_types(found.dtype, torch.float32))
    active = F.interpolate(found, (grid, grid), mode="bilinear", antialias=True)[partner].flatten(1)
    count = ((1 - lam.double()) * grid**2).round() if top_k is None else top_k * (lam < 1)
    stays = cells(ranks(active, descending=True) >= count[:, None], grid, grid, height, width)
    share = stays.double().mean(dim=(1, 2, 3))
    mixed = torch.where(stays, images, images[partner])
    return Mixed(mixed, blend(targets, targets[partner], share), own=stays.to(images.dtype))
