"""Blocks of an image that change places: where each block goes, and the image with its blocks moved."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mixbench.mixing.regions import cell_of_pixels


def cheapest_moves(saliency: np.ndarray, wanted: np.ndarray, distance_cost: float) -> np.ndarray:
    """Return which block each place gets, int64 [M, g²]: the permutation with the smallest total cost.

    Block i at place j costs distance_cost·d² - saliency of i, the latter only if the place is wanted. d is the distance
    between i and j divided by that along a whole side.

    saliency: float [M, g, g].
    wanted: bool [M, g, g].
    distance_cost: the cost of a move along a whole side.
    """
    count, grid = saliency.shape[:2]
    line = np.arange(grid)
    squares = ((line[:, None] - line) / max(grid - 1, 1)) ** 2
    moves = distance_cost * (squares[:, None, :, None] + squares[None, :, None, :]).reshape(grid**2, grid**2)
    saliency, wanted = saliency.reshape(count, -1), wanted.reshape(count, -1)
    came_from = np.tile(np.arange(grid**2), (count, 1))
    for one in np.flatnonzero(wanted.any(axis=1) & ~wanted.all(axis=1)):  # in all other images no move pays
        block, place = linear_sum_assignment(moves - saliency[one, :, None] * wanted[one])
        came_from[one, place] = block
    return came_from


def moved(images: Tensor, came_from: Tensor) -> Tensor:
    """Return images [M, C, H, W] with their blocks moved. Blocks of another size are stretched without interpolation.

    images: [M, C, H, W].
    came_from: int64 [M, g²], which block each place gets. Blocks begin at ⌊iH/g⌋ and ⌊jW/g⌋.
    """
    count, _, height, width = images.shape
    grid = round(came_from.shape[1] ** 0.5)
    pixels: list[Tensor] = []
    for axis, side in enumerate((height, width)):
        starts = torch.arange(grid + 1, device=images.device) * side // grid
        lengths = starts.diff()
        cell = cell_of_pixels(grid, side, images.device)
        source = (came_from // grid if axis == 0 else came_from % grid).view(count, grid, grid)
        rows, columns = (cell_of_pixels(grid, one, images.device) for one in (height, width))
        source = source[:, rows][:, :, columns]  # the block of each pixel along this axis
        shape = (-1, 1) if axis == 0 else (1, -1)
        offset = (torch.arange(side, device=images.device) - starts[cell]).view(shape)
        pixels.append(starts[source] + offset * lengths[source] // lengths[cell].view(shape))
    place = (pixels[0] * width + pixels[1]).view(count, 1, -1).expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, place).view_as(images)
