"""Masks of patches that rectangles fill, as in BEiT."""

import math

import torch
from torch import Tensor

from mixbench.mixing.regions import rectangle

RECTANGLES = 40  # tries to fill a mask with rectangles
LONGEST = 1 / 0.3  # largest aspect ratio of a rectangle; BEiT, Bao et al. 2022, Algorithm 1


def block_mask(noise: Tensor, wanted: Tensor, rows: int, columns: int, minimum: int) -> Tensor:
    """Return masks of patches that rectangles fill, bool [B, rows, columns].

    A rectangle has a uniform area between `minimum` and the patches that are still wanted, an aspect ratio whose
    logarithm is uniform, and a uniform place. It is used if it is smaller than the image in both directions, and if it
    adds at least one patch and at most those still wanted.

    noise: float [B or 1, …], standard normal; four numbers make a rectangle.
    wanted: int64 [B], number of patches.
    rows, columns: patches along the sides.
    minimum: smallest area of a rectangle, in patches, unless fewer are wanted.
    Source: Bao et al. 2022, Algorithm 1 (BEiT).
    """
    numbers = torch.special.ndtr(noise.flatten(1).double())
    tries = min(RECTANGLES, numbers.shape[1] // 4)
    uniforms = numbers[:, : 4 * tries].view(-1, tries, 4).expand(len(wanted), -1, -1)
    taken = torch.zeros(len(wanted), rows, columns, dtype=torch.bool, device=wanted.device)
    for area, ratio, top, left in (uniforms[:, k].unbind(dim=1) for k in range(tries)):
        missing = wanted - taken.sum(dim=(1, 2))
        area = minimum + (missing - minimum) * area
        ratio = (math.log(LONGEST) * (2 * ratio - 1)).exp()
        sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], dim=1).round().long()
        corner = torch.stack([top * (rows - sides[:, 0] + 1), left * (columns - sides[:, 1] + 1)], dim=1).long()
        inside = rectangle(corner, sides, rows, columns)[:, 0]
        added = (inside & ~taken).sum(dim=(1, 2))
        fits = (sides[:, 0] < rows) & (sides[:, 1] < columns) & (added > 0) & (added <= missing)
        taken = taken | (inside & fits[:, None, None])
    return taken
