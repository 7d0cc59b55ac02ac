"""PuzzleMix: the mask that keeps most saliency of both images, and blocks that move to where the mask shows them."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.mixing.blocks import cheapest_moves, moved
from mixbench.mixing.contract import Gradient, Mixed, method
from mixbench.mixing.graph_cut import cheapest_labels
from mixbench.mixing.operations import blend
from mixbench.mixing.regions import cells

GRIDS = (2, 4, 8, 16)  # blocks along a side; the published code draws one of them
SMOOTHNESS_GRID = 16  # divides the smoothness, besides the blocks along a side, as in the published code
LEAST = 1e-8  # added to probabilities before the logarithm, as in the published code
OF_UNIT_RANGE = 0.25  # differences of images from 0 to 1, as a share of those of normalised images: a usual deviation


@method(draws=("partner", "lam", "size"), needs=("input_gradient",))
def puzzlemix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    size: Tensor,
    input_gradient: Gradient,
    smoothness: float = 1.2,
    pixel_smoothness: float = 0.5,
    prior: float = 0.2,
    neighbourhood: int = 4,
    transport: bool = True,
    distance_cost: float = 0.8,
    transport_grid: int | None = None,
) -> Mixed:
    """PuzzleMix: blocks of both images, chosen by their saliency and moved; labels by the area of the chosen mask.

    Each block gets a share 1, 1/2 or 0 of the image. The shares minimise the saliency that is lost, plus differences
    between neighbouring blocks, plus η times minus the logarithm of their probability under a binomial prior with mean
    λ. Then the blocks of each image move, so that salient ones come to where the image shows, at the cost of their
    distance. Both minima are exact, after negative weights of pairs of neighbours are set to 0. The published code
    approximates them: the shares by alpha-beta swaps, the moves by what is in effect one round in which blocks compete
    for places, after which some places can stay empty. (It repeats the round with the same costs, because it adds the
    cost of lost places only after its loop.)

    It works on the host: the blocks' saliency is copied from the device.

    images: float [B, C, H, W], normalised.
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], the mean of the prior; 1 for images that are not mixed.
    size: float [B] in (0, 1); it chooses the blocks along a side from those of 2, 4, 8 and 16 that are at most half the
        shorter side in pixels.
    input_gradient: its root mean square over the channels is the saliency, as the sum over a block divided by the sum.
    smoothness: β, the cost of different neighbours.
    pixel_smoothness: γ, how far that cost depends on the difference of the pixels at the border of the two blocks.
    prior: η, the weight of the prior.
    neighbourhood: side, in pixels, of the parts at the border of blocks whose mean colours are compared.
    transport: True: blocks move.
    distance_cost: ε, the cost of a move along a whole side, where the saliency of an image sums to 1.
    transport_grid: fewest blocks along a side that move: larger blocks are divided for it. None: blocks of the mask.
    Returns mixed images and targets.
    Raises ValueError if a number is out of range.
    Source: Kim et al. 2020, section 4; github.com/snu-mllab/PuzzleMix, mixup.py.
    """
    numbers = {"smoothness": smoothness, "pixel_smoothness": pixel_smoothness, "prior": prior}
    for name, value in (numbers | {"distance_cost": distance_cost}).items():
        if not value >= 0:
            raise ValueError(f"{name}={value}: must be 0 or more")
    if neighbourhood < 1:
        raise ValueError(f"neighbourhood={neighbourhood}: must be at least 1")
    if transport_grid not in (None, *GRIDS):
        raise ValueError(f"transport_grid={transport_grid}: must be one of {', '.join(map(str, GRIDS))}, or null")
    possible = _grids(images)
    chosen = torch.where(lam < 1, (size.double() * len(possible)).long(), -1).cpu()
    own = torch.ones_like(images[:, :1])
    mine, other = images.clone(), images[partner]
    for number, grid in enumerate(possible):
        here = torch.nonzero(chosen == number)[:, 0].to(images.device)
        if len(here) == 0:
            continue
        pair = torch.cat([here, partner[here]])
        both, saliency = images[pair].detach().float(), input_gradient.magnitudes[pair].float()
        costs = _costs(saliency, lam[here], grid, prior)
        down, across = _smooth(both, costs, grid, smoothness, pixel_smoothness, neighbourhood)
        shares = 1 - cheapest_labels(costs, down, across) / 2
        own[here] = cells(torch.from_numpy(shares).to(own).flatten(1), grid, grid, *images.shape[2:])
        if transport:
            fine = min(max(grid, transport_grid or grid), possible[-1])
            shown = shares.repeat(fine // grid, axis=1).repeat(fine // grid, axis=2)
            shown = np.concatenate([shown > 0, shown < 1])
            came_from = torch.from_numpy(cheapest_moves(_shares(saliency, fine), shown, distance_cost))
            mine[here], other[here] = moved(images[pair], came_from.to(images.device)).chunk(2)
    share = own.double().mean(dim=(1, 2, 3))
    return Mixed(torch.lerp(other, mine, own), blend(targets, targets[partner], share), own=own)


def _grids(images: Tensor) -> tuple[int, ...]:
    """Return the possible numbers of blocks along a side of the images."""
    return tuple(grid for grid in GRIDS if 2 * grid <= min(images.shape[2:])) or GRIDS[:1]


def _shares(saliency: Tensor, grid: int) -> np.ndarray:
    """float64 [M, g, g]: the share of each block in an image's saliency [M, 1, H, W]; equal if there is none."""
    means = F.adaptive_avg_pool2d(saliency, grid)[:, 0].double().cpu().numpy()
    total = means.sum(axis=(1, 2), keepdims=True)
    return np.where(total > 0, means / np.where(total > 0, total, 1), 1 / grid**2)


def _costs(saliency: Tensor, lam: Tensor, grid: int, prior: float) -> np.ndarray:
    """float64 [M, g, g, 3]: the cost of the shares 1, 1/2 and 0 of the image: lost saliency, and the prior.

    saliency: float [2M, 1, H, W], of images and their partners.
    lam: float [M].
    """
    own, other = np.split(_shares(saliency, grid), 2)
    share = lam.double().cpu().numpy()
    binomial = np.stack([share**2, 2 * share * (1 - share), (1 - share) ** 2], axis=-1)
    unlikely = -np.log(binomial + LEAST) * prior / grid**2
    return np.stack([other, (own + other) / 2, own], axis=-1) + unlikely[:, None, None]


def _smooth(
    both: Tensor, costs: np.ndarray, grid: int, smoothness: float, pixel_smoothness: float, neighbourhood: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights between neighbouring blocks, and add to `costs` what depends on one of two neighbours.

    With e[a, b] the difference of colours across a border, from image a to image b, the cost of shares z and w on both
    sides is bilinear between the four e. For shares 0 and 1 it equals, up to a constant, a cost of z, a cost of w and a
    weight times (z - w)², which is also used for shares of 1/2, as in the published code.

    Returns float64 [M, g - 1, g] and [M, g, g - 1], 0 or more.
    """
    scale = smoothness / (grid * SMOOTHNESS_GRID)
    weights: list[np.ndarray] = []
    for axis in (1, 2):
        upright = both if axis == 1 else both.mT
        edges = scale * pixel_smoothness * OF_UNIT_RANGE * _edges(upright, grid, neighbourhood)
        (own_own, own_other), (other_own, other_other) = edges
        before = np.stack([own_own + own_other, other_own + other_other]) / 2  # of the block before the border
        after = np.stack([own_own + other_own, own_other + other_other]) / 2
        weight = scale + (own_other + other_own - own_own - other_other) / 2
        upper, lower = (slice(None, -1), slice(1, None))
        view = costs if axis == 1 else costs.swapaxes(1, 2)
        for part, (own, other) in ((upper, before), (lower, after)):
            view[:, part] += np.stack([own, (own + other) / 2, other], axis=-1)
        weights.append(np.maximum(weight if axis == 1 else weight.swapaxes(1, 2), 0))  # a negative one has no exact cut
    return weights[0], weights[1]


def _edges(both: Tensor, grid: int, neighbourhood: int) -> np.ndarray:
    """float64 [2, 2, M, g - 1, g]: mean differences of colours across the border between blocks, one above the other.

    The first axis is the image above the border (the image or its partner), the second the one below.

    both: float [2M, C, H, W], images and their partners.
    """
    height, width = both.shape[2:]
    starts = torch.arange(1, grid, device=both.device) * height // grid
    depth = max(1, min(neighbourhood, height // grid))
    parts = grid * max(1, width // grid // neighbourhood)
    offsets = torch.arange(depth, device=both.device)
    above, below = (
        F.adaptive_avg_pool2d(both[:, :, starts[:, None] + shift].mean(dim=3), (grid - 1, parts))
        for shift in (offsets - depth, offsets)
    )
    found = [
        [(one - other).abs().mean(dim=1).unflatten(-1, (grid, -1)).mean(dim=-1) for other in below.chunk(2)]
        for one in above.chunk(2)
    ]
    return torch.stack([torch.stack(row) for row in found]).double().cpu().numpy()
