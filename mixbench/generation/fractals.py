"""Fractals: attractors of random iterated function systems, in colour. A pure function of a seed.

A system is a few contractive affine maps of the plane. Points that jump from map to map at random settle on its
attractor. The picture shows how often a pixel is hit (on a logarithmic scale) and by which maps.

Source: Barnsley 1988, "Fractals Everywhere", for iterated function systems and the random walk; Anderson and Farrell
2022, "Improving Fractal Pre-training", section 3, for drawing maps by their singular values. The colours are ours.
"""

from dataclasses import dataclass

import numpy as np

from mixbench.core.random_words import Purpose, uniform, words

FEWEST, MOST = 2, 5  # maps of a system
LARGEST = (0.35, 0.85)  # bounds of a map's larger singular value; below 1, so the map is contractive
WALKERS, SETTLING, STEPS = 256, 20, 100  # points, steps before they are shown, steps that are shown
POINTS_PER_PIXEL = 8  # at least; larger images get more steps
FILLED = 0.1  # smallest share of pixels that a picture hits; other systems look empty and are drawn again
ATTEMPTS = 16  # systems that are tried; the last one is used as it is
WORDS = 64  # random words of a system: 1 for the walk, 1 for the number of maps, 8 for each map, 3 for each colour


@dataclass(frozen=True)
class System:
    """An iterated function system of M maps x -> A x + b, and its colours.

    linear: float64 [M, 2, 2], A of each map.
    shift: float64 [M, 2], b of each map.
    probabilities: float64 [M], how often a point jumps by each map; they follow the areas that the maps fill.
    colours: float64 [M, 3] from 0 to 1.
    background: float64 [3] from 0 to 1.
    walk: seed of the points' jumps.
    """

    linear: np.ndarray
    shift: np.ndarray
    probabilities: np.ndarray
    colours: np.ndarray
    background: np.ndarray
    walk: int


def fractals(seed: int, count: int, height: int, width: int, channels: int) -> np.ndarray:
    """uint8 [count, height, width, channels]: fractals. The first ones do not depend on their number.

    seed: seed of the fractals.
    count: number of fractals.
    height, width: size in pixels.
    channels: 1 or 3.
    """
    return np.stack([_fractal(seed, number, height, width, channels) for number in range(count)])


def draw_system(seed: int, number: int) -> System:
    """Return a random system.

    seed: seed of the fractals.
    number: number of the system, from 0.
    """
    walk = int(words(seed, Purpose.FRACTALS, number, 1, 1)[0, 0])
    u = uniform(seed, Purpose.FRACTALS, number, 1, WORDS)[0][1:]
    maps = FEWEST + int(u[0] * (MOST - FEWEST + 1))
    drawn = u[1 : 1 + 8 * MOST].reshape(-1, 8)[:maps]
    colours = u[1 + 8 * MOST :][: 3 * (1 + MOST)].reshape(-1, 3)
    larger = LARGEST[0] + (LARGEST[1] - LARGEST[0]) * drawn[:, 0]
    smaller = larger * (0.3 + 0.7 * drawn[:, 1])
    scale = np.zeros((maps, 2, 2))
    scale[:, 0, 0] = larger * np.where(drawn[:, 2] < 0.5, -1, 1)
    scale[:, 1, 1] = smaller * np.where(drawn[:, 3] < 0.5, -1, 1)
    linear = _rotations(drawn[:, 4]) @ scale @ _rotations(drawn[:, 5])
    areas = np.maximum(larger * smaller, 0.02)
    shift, probabilities = 2 * drawn[:, 6:8] - 1, areas / areas.sum()
    return System(linear, shift, probabilities, 0.25 + 0.75 * colours[1 : 1 + maps], 0.3 * colours[0], walk)


def _rotations(turns: np.ndarray) -> np.ndarray:
    """float64 [M, 2, 2]: rotations by these shares of a full turn."""
    cosine, sine = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    return np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=-2)


def _fractal(seed: int, number: int, height: int, width: int, channels: int) -> np.ndarray:
    for attempt in range(ATTEMPTS):
        system = draw_system(seed, number * ATTEMPTS + attempt)
        counts, shares = _walk(system, height, width)
        if (counts > 0).mean() >= FILLED:
            break
    strength = (np.log1p(counts) / np.log1p(counts.max()))[..., None]
    shown = (1 - strength) * system.background + strength * (shares @ system.colours)
    shown = shown if channels == 3 else shown.mean(axis=-1, keepdims=True)
    return np.rint(255 * shown.clip(0, 1)).astype(np.uint8)


def _walk(system: System, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each pixel is hit, [H, W], and the recent maps of the points that hit it, [H, W, M], as shares.

    The attractor fills the picture in both directions.
    """
    maps = len(system.linear)
    steps = max(STEPS, -(-POINTS_PER_PIXEL * height * width // WALKERS))
    u = uniform(system.walk, Purpose.FRACTALS, 0, 1, WALKERS * (SETTLING + steps))[0]
    bounds = np.cumsum(system.probabilities)[:-1]
    point, recent = np.zeros((WALKERS, 2)), np.full((WALKERS, maps), 1 / maps)
    points, recents = [], []
    for k, chosen in enumerate(np.searchsorted(bounds, u, side="right").reshape(-1, WALKERS)):
        point = np.einsum("nij,nj->ni", system.linear[chosen], point) + system.shift[chosen]
        recent = 0.5 * recent + 0.5 * np.eye(maps)[chosen]
        if k >= SETTLING:
            points.append(point)
            recents.append(recent)
    reached, weights = np.concatenate(points), np.concatenate(recents)
    low, extent = reached.min(axis=0), np.maximum(np.ptp(reached, axis=0), 1e-9)
    cells = np.minimum((reached - low) / extent * (height, width), (height - 1, width - 1)).astype(np.int64)
    flat = cells[:, 0] * width + cells[:, 1]
    counts = np.bincount(flat, minlength=height * width)
    sums = np.stack([np.bincount(flat, weights=w, minlength=height * width) for w in weights.T], axis=-1)
    shares = sums / np.maximum(counts, 1)[:, None]
    return counts.reshape(height, width), shares.reshape(height, width, maps)
