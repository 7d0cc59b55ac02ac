"""PuzzleMix: its two problems against brute force and a linear program, its batch against a second derivation."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.sparse import lil_matrix
from torch.nn import functional as F

from mixbench.core.draws import DRAWS, Plan
from mixbench.mixing import Gradient, puzzlemix
from mixbench.mixing.blocks import cheapest_moves, moved
from mixbench.mixing.graph_cut import cheapest_labels

BATCH = 6
PARTNER = torch.tensor([3, 0, 5, 1, 4, 2])  # cycles of three and two, and a fixed point


def total(labels, costs, down, across):
    """The total cost of labellings [N, h, w] of one problem."""
    rows, columns = np.indices(labels.shape[1:])
    of_cells = costs[rows, columns, labels].sum(axis=(1, 2))
    of_pairs = (down * np.diff(labels, axis=1) ** 2).sum(axis=(1, 2)) + (across * np.diff(labels) ** 2).sum(axis=(1, 2))
    return of_cells + of_pairs / 4


def problem(rng, height, width, strength, count=1):
    costs = rng.standard_normal((count, height, width, 3))
    weights = (strength * rng.random((count, height, width)) for _ in range(2))
    down, across = weights
    return costs, down[:, :-1], across[:, :, :-1]


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 3), (1, 5), (4, 2)])
@pytest.mark.parametrize("strength", [0.0, 1.0, 6.0, 1e6])
def test_labels_by_brute_force(height, width, strength):
    rng = np.random.default_rng(round(height + 10 * strength))
    every = np.array(list(product(range(3), repeat=height * width))).reshape(-1, height, width)
    costs, down, across = problem(rng, height, width, strength, count=40)  # more than fit in one graph
    found = cheapest_labels(costs, down, across)
    for i in range(len(costs)):
        best = total(every, costs[i], down[i], across[i]).min()
        assert total(found[i : i + 1], costs[i], down[i], across[i])[0] == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_labels_of_a_larger_grid_by_linear_programming(strength):
    """Minimise over x >= X in [0, 1] with a variable for each absolute difference; its optimum is the cut's."""
    costs, down, across = problem(np.random.default_rng(4), 8, 8, strength)
    found = cheapest_labels(costs, down, across)
    cell = np.arange(64).reshape(8, 8)
    pairs = [*zip(cell[:-1].ravel(), cell[1:].ravel(), down[0].ravel(), strict=True)]
    pairs += [*zip(cell[:, :-1].ravel(), cell[:, 1:].ravel(), across[0].ravel(), strict=True)]
    flat = costs[0].reshape(64, 3)
    count = 128 + 4 * len(pairs)
    objective = np.zeros(count)
    objective[:64], objective[64:128] = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 1]
    bounds = lil_matrix((64 + 8 * len(pairs), count))
    for i in range(64):
        bounds[i, 64 + i], bounds[i, i] = 1, -1
    for k, (i, j, weight) in enumerate(pairs):
        objective[[i, j]] -= weight / 4
        objective[[64 + i, 64 + j]] += weight / 4
        for m, (one, other) in enumerate(((i, j), (64 + i, 64 + j), (i, 64 + j), (64 + i, j))):
            variable, row = 128 + 4 * k + m, 64 + 8 * k + 2 * m
            objective[variable] = weight / 4
            for sign, at in ((1, row), (-1, row + 1)):
                bounds[at, one], bounds[at, other], bounds[at, variable] = sign, -sign, -1
    best = linprog(objective, A_ub=bounds.tocsr(), b_ub=np.zeros(bounds.shape[0]), bounds=(0, 1))
    assert total(found, costs[0], down[0], across[0])[0] == pytest.approx(best.fun + flat[:, 0].sum(), abs=1e-4)
    assert len(np.unique(found)) > 1


def test_labels_of_a_problem_do_not_depend_on_others_and_low_ones_win_ties():
    costs, down, across = problem(np.random.default_rng(2), 4, 4, 1.0, count=70)
    together = cheapest_labels(costs, down, across)
    for i in (0, 31, 69):
        assert np.array_equal(cheapest_labels(costs[i : i + 1], down[i : i + 1], across[i : i + 1])[0], together[i])
    tied = np.zeros((1, 2, 2, 3))
    tied[0, 0, 0] = [-1, 0, 0]
    tied[0, 1, 1] = [0, 0, -1]
    weights = np.full((1, 1, 2), 4.0)
    assert cheapest_labels(tied, weights, weights.swapaxes(1, 2)).tolist() == [[[0, 0], [0, 0]]]


# Moves


@pytest.mark.parametrize("distance_cost", [0.0, 0.1, 0.8])
def test_moves_by_brute_force_over_permutations(distance_cost):
    rng = np.random.default_rng(0)
    saliency, wanted = rng.random((30, 2, 2)), rng.random((30, 2, 2)) < 0.5
    found = cheapest_moves(saliency, wanted, distance_cost)

    def cost(i, came_from):
        place = np.stack(np.divmod(np.arange(4), 2))
        moves = ((place - place[:, list(came_from)]) ** 2).sum()
        return distance_cost * moves - (saliency[i].ravel()[list(came_from)] * wanted[i].ravel()).sum()

    for i in range(30):
        assert sorted(found[i]) == [0, 1, 2, 3]
        best = min(cost(i, one) for one in permutations(range(4)))
        assert cost(i, found[i]) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("height", "width", "grid"), [(8, 8, 4), (12, 20, 2), (7, 9, 2)])
def test_moved_blocks_hold_what_was_in_their_block(height, width, grid):
    images = torch.arange(2.0 * 3 * height * width).view(2, 3, height, width)
    came_from = torch.stack([torch.randperm(grid**2, generator=torch.Generator().manual_seed(k)) for k in range(2)])
    out = moved(images, came_from)
    rows, columns = ([side * k // grid for k in range(grid + 1)] for side in (height, width))

    def block(image, number):
        r, c = divmod(number, grid)
        return image[:, rows[r] : rows[r + 1], columns[c] : columns[c + 1]]

    for i in range(2):
        for place in range(grid**2):
            got, source = block(out[i], place), block(images[i], int(came_from[i, place]))
            if got.shape == source.shape:
                assert torch.equal(got, source)
            assert set(got.unique().tolist()) <= set(source.unique().tolist())
    still = torch.arange(grid**2).expand(2, -1)
    assert torch.equal(moved(images, still), images)


# The method


def decide(height, width, step=0, **options):
    plan = Plan(3, 100, BATCH, height, width, draws=tuple(DRAWS), alpha=1.0, beta=1.0, **options)
    decided = {name: torch.from_numpy(values[0]) for name, values in plan.steps(step, 1).items()} | {"partner": PARTNER}
    return {name: decided[name] for name in ("partner", "lam", "size")}


def batch(height, width):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, height, width, generator=generator)
    gradient = torch.rand(BATCH, 3, height, width, generator=generator) ** 6
    return images, torch.eye(BATCH), Gradient(gradient)


def energies(every, images, gradient, i, j, lam, numbers):
    """The cost of every mask [N, 2, 2] of image i with partner j: the definition with differences across borders."""
    beta, gamma, eta, near = numbers
    height, width = images.shape[2:]
    rows, columns = (slice(0, height // 2), slice(height // 2, None)), (slice(0, width // 2), slice(width // 2, None))
    magnitude = gradient.values.double().square().mean(dim=1).sqrt()
    salient = [np.array([[magnitude[k, r, c].mean() for c in columns] for r in rows]) for k in (i, j)]
    own, other = (one / one.sum() for one in salient)
    cost = (every * other + (1 - every) * own).sum(axis=(1, 2))
    binomial = {1.0: lam**2, 0.5: 2 * lam * (1 - lam), 0.0: (1 - lam) ** 2}
    cost += eta / 4 * np.vectorize(lambda z: -np.log(binomial[z] + 1e-8))(every).sum(axis=(1, 2))
    scale = beta / 2 / 16

    def difference(axis, place, a, b):
        """Mean difference of colours across the middle, from image a to image b, in parts of `near` pixels."""
        first, second = (images[k].transpose(1, 2) if axis else images[k] for k in (a, b))
        middle, along = first.shape[1] // 2, first.shape[2] // 2
        deep = min(near, middle)
        count = max(1, along // near)
        edges = [place * along + along * m // count for m in range(count + 1)]
        above, below = first[:, middle - deep : middle], second[:, middle : middle + deep]
        parts = [above[..., s:e].mean(dim=(1, 2)) - below[..., s:e].mean(dim=(1, 2)) for s, e in pairwise(edges)]
        return scale * gamma * 0.25 * torch.stack(parts).abs().mean().item()

    for axis in (0, 1):
        for place in (0, 1):
            z, w = (every[:, k, place] if axis == 0 else every[:, place, k] for k in (0, 1))
            e11, e10 = difference(axis, place, i, i), difference(axis, place, i, j)
            e01, e00 = difference(axis, place, j, i), difference(axis, place, j, j)
            cost += z * (e11 + e10) / 2 + (1 - z) * (e01 + e00) / 2 + w * (e11 + e01) / 2 + (1 - w) * (e10 + e00) / 2
            cost += max(0, scale + (e10 + e01 - e11 - e00) / 2) * (z - w) ** 2
    return cost


@pytest.mark.parametrize(("height", "width"), [(4, 4), (6, 12), (16, 16)])
@pytest.mark.parametrize("numbers", [(1.2, 0.5, 0.2, 4), (20.0, 2.0, 0.05, 2)])
def test_masks_of_two_by_two_blocks_by_brute_force(height, width, numbers):
    images, targets, gradient = batch(height, width)
    every = np.array(list(product((1.0, 0.5, 0.0), repeat=4))).reshape(-1, 2, 2)
    options = dict(zip(("smoothness", "pixel_smoothness", "prior", "neighbourhood"), numbers, strict=True))
    for step in range(3):
        decided = decide(height, width, step, per_sample=True)
        decided["size"] = torch.zeros(BATCH)
        mixed = puzzlemix(images, targets, **decided, input_gradient=gradient, transport=False, **options)
        for i in range(BATCH):
            j, lam = PARTNER[i].item(), decided["lam"][i].item()
            cost = energies(every, images, gradient, i, j, lam, numbers)
            mask = mixed.own[i, 0, [0, -1]][:, [0, -1]].numpy()
            (found,) = np.flatnonzero((every == mask).all(axis=(1, 2)))
            assert cost[found] == pytest.approx(cost.min(), abs=1e-6)
            blended = mixed.own[i] * images[i] + (1 - mixed.own[i]) * images[j]
            torch.testing.assert_close(mixed.images[i], blended)
            share = mixed.own[i].mean()
            torch.testing.assert_close(mixed.targets[i], share * targets[i] + (1 - share) * targets[j])


def test_binary_masks_cost_what_they_tear_apart():
    """For masks without halves, differences are charged where they occur, up to a constant for each border."""
    images, _, gradient = batch(8, 8)
    every = np.array(list(product((1.0, 0.0), repeat=4))).reshape(-1, 2, 2)
    with_pixels = energies(every, images, gradient, 0, 3, 0.5, (1.2, 0.5, 0.0, 4))
    without = energies(every, images, gradient, 0, 3, 0.5, (1.2, 0.0, 0.0, 4))
    charged = []
    for mask in every:
        own = torch.from_numpy(mask.repeat(4, axis=0).repeat(4, axis=1)) == 1
        shown = torch.where(own, images[0], images[3])
        mean = F.avg_pool2d(shown[None].double(), 4)[0]
        torn = sum((mean[:, 0, c] - mean[:, 1, c]).abs().mean() for c in (0, 1))
        charged.append(torn + sum((mean[:, r, 0] - mean[:, r, 1]).abs().mean() for r in (0, 1)))
    constant = with_pixels - without - 1.2 / 32 * 0.5 * 0.25 * np.array(charged)
    assert np.ptp(constant) < 1e-7


@pytest.mark.parametrize("transport_grid", [None, 8])
def test_moves_show_more_saliency_and_are_those_of_the_mask(transport_grid):
    images, targets, gradient = batch(16, 16)
    decided = decide(16, 16)
    decided["size"] = torch.full((BATCH,), 0.5)  # 4 of 2, 4 and 8 blocks
    decided["lam"] = torch.full((BATCH,), 0.5)
    options = {"input_gradient": gradient, "prior": 0.0, "smoothness": 0.0, "distance_cost": 0.001}
    still = puzzlemix(images, targets, **decided, **options, transport=False)
    found = puzzlemix(images, targets, **decided, **options, transport_grid=transport_grid)
    assert torch.equal(found.own, still.own)
    assert not torch.equal(found.images, still.images)
    grid = transport_grid or 4
    share = F.adaptive_avg_pool2d(gradient.magnitudes, grid)[:, 0].double()
    share = (share / share.sum(dim=(1, 2), keepdim=True)).numpy()
    mask = found.own[:, 0, :: 16 // grid, :: 16 // grid].numpy()
    own = moved(images, torch.from_numpy(cheapest_moves(share, mask > 0, 0.001)))
    other = moved(images[PARTNER], torch.from_numpy(cheapest_moves(share[PARTNER], mask < 1, 0.001)))
    torch.testing.assert_close(found.images, found.own * own + (1 - found.own) * other)


def test_without_smoothness_and_prior_each_block_shows_the_more_salient_image():
    images, targets, gradient = batch(16, 16)
    decided = decide(16, 16) | {"size": torch.full((BATCH,), 0.9), "lam": torch.full((BATCH,), 0.5)}
    mixed = puzzlemix(images, targets, **decided, input_gradient=gradient, prior=0.0, smoothness=0.0)
    share = F.avg_pool2d(gradient.magnitudes, 2)[:, 0]
    share = share / share.sum(dim=(1, 2), keepdim=True)
    expected = (share > share[PARTNER]).float()
    expected[4] = 1  # its own partner: all the same
    assert torch.equal(mixed.own[:, 0, ::2, ::2], expected)


def test_the_prior_draws_the_share_towards_lambda():
    images, targets, gradient = batch(16, 16)
    shares = []
    for lam in (0.05, 0.5, 0.95):
        decided = decide(16, 16) | {"lam": torch.full((BATCH,), lam)}
        shares.append(puzzlemix(images, targets, **decided, input_gradient=gradient, prior=2.0).own.mean().item())
    assert shares[0] < 0.1 < shares[1] < 0.9 < shares[2]


def test_the_gradient_is_not_computed_for_a_batch_that_is_not_mixed():
    images, targets, _ = batch(16, 16)

    def never():
        raise AssertionError("nothing is mixed")

    mixed = puzzlemix(images, targets, **decide(16, 16, p=0.0), input_gradient=Gradient(never))
    assert torch.equal(mixed.images, images)


@pytest.mark.parametrize(
    ("name", "value"),
    [("smoothness", -1.0), ("prior", float("nan")), ("neighbourhood", 0), ("transport_grid", 3), ("distance_cost", -1)],
)
def test_numbers_out_of_range_are_refused(name, value):
    images, targets, gradient = batch(8, 8)
    with pytest.raises(ValueError, match=f"^{name}="):
        puzzlemix(images, targets, **decide(8, 8), input_gradient=gradient, **{name: value})
