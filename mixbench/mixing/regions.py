"""Methods that replace a rectangle of the image."""

import torch
from torch import Tensor

from mixbench.mixing.linear import blend


def cutmix(
    images: Tensor, targets: Tensor, *, partner: Tensor, lam: Tensor, centre: Tensor, correct_lambda: bool = True
) -> tuple[Tensor, Tensor]:
    """A box of the partner, of about 1-λ of the area, pasted in at the same place (Yun et al. 2019, Algorithm A1).

    images: float [B, C, H, W]. targets: float [B, K], label weights. partner: int64 [B], the permutation π.
    lam: float [B]. centre: int64 [B, 2], row and column of the box's centre; the box is clipped to the image.
    correct_lambda: weigh the labels by the true area after clipping (the paper's code), or by the λ that was drawn.
    """
    height, width = images.shape[2:]
    share = (1 - lam.double()).clamp(min=0).sqrt()
    halves = torch.stack([(height * share).long() // 2, (width * share).long() // 2], dim=1)
    inside, area = box(centre, halves, height, width)
    mixed = torch.where(inside, images[partner], images)
    if correct_lambda:
        lam = 1 - area / (height * width)
    return mixed, blend(targets, targets[partner], lam)


def cutout(
    images: Tensor, targets: Tensor, *, applied: Tensor, centre: Tensor, length: float = 0.5
) -> tuple[Tensor, Tensor]:
    """A square hole filled with 0, which is the mean colour of normalised images (DeVries and Taylor 2017).

    images: float [B, C, H, W], normalised. targets: float [B, K], returned as they are. applied: bool [B], whether the
    image gets a hole. centre: int64 [B, 2], row and column of its centre; it is clipped to the image.
    length: side of the hole as a share of the image's shorter side. Raises ValueError where it is not in (0, 1].
    """
    if not 0 < length <= 1:
        raise ValueError(f"length={length}: must be above 0 and at most 1")
    height, width = images.shape[2:]
    half = int(length * min(height, width)) // 2
    halves = (half * applied.long())[:, None].expand(-1, 2)
    inside, _ = box(centre, halves, height, width)
    return images.masked_fill(inside, 0), targets


def box(centre: Tensor, halves: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Boxes of centre ± half a side, clipped to the image.

    centre, halves: int64 [B, 2], rows and columns. Returns bool [B, 1, H, W], true inside, and the areas int64 [B].
    """
    top, left = (centre - halves).clamp(min=0).unbind(dim=1)
    bottom = (centre[:, 0] + halves[:, 0]).clamp(max=height)
    right = (centre[:, 1] + halves[:, 1]).clamp(max=width)
    rows, columns = (torch.arange(size, device=centre.device) for size in (height, width))
    in_rows = (rows >= top[:, None]) & (rows < bottom[:, None])
    in_columns = (columns >= left[:, None]) & (columns < right[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None], (bottom - top) * (right - left)
