"""Fractals: attractors of contractive maps, the same for the same seed, neither empty nor of one colour."""

import numpy as np
import pytest

from mixbench.generation.fractals import draw_system, fractals


def test_every_map_is_contractive_and_probabilities_sum_to_1():
    seen = set()
    for number in range(60):
        system = draw_system(3, number)
        maps = len(system.linear)
        seen.add(maps)
        # By the spectral norm: how much the map stretches a vector at most.
        assert np.linalg.norm(system.linear, ord=2, axis=(1, 2)).max() < 0.86
        assert system.shift.shape == (maps, 2)
        assert system.colours.shape == (maps, 3)
        assert system.probabilities.sum() == pytest.approx(1)
        assert (system.probabilities > 0).all()
        assert 0 <= system.colours.min() <= system.colours.max() <= 1
    assert seen == {2, 3, 4, 5}


def test_the_attractor_of_a_system_is_its_own_union_of_images():
    """The picture's pixels are those of the attractor, found here by applying all maps to a set of points again."""
    system = draw_system(0, 0)
    points = np.zeros((1, 2))
    while len(points) < 20_000:  # all words of the same length
        points = np.concatenate([points @ linear.T + b for linear, b in zip(system.linear, system.shift, strict=True)])
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    cells = np.minimum((points - low) / extent * 8, 7).astype(int)
    there = np.zeros((8, 8), dtype=bool)
    there[cells[:, 0], cells[:, 1]] = True
    picture = fractals(0, 1, 8, 8, 3)[0]
    background = np.rint(255 * system.background)
    drawn = (picture != background).any(axis=2)
    assert (drawn & ~there).sum() <= 2  # rounding of the attractor's edges
    assert (there & ~drawn).sum() <= 2


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 20, 3), (33, 9, 3)])
def test_any_size_is_filled_and_repeatable_and_a_shorter_list_is_its_beginning(shape):
    made = fractals(5, 6, *shape)
    assert made.shape == (6, *shape)
    assert made.dtype == np.uint8
    assert np.array_equal(made[:2], fractals(5, 2, *shape))
    assert not np.array_equal(made[0], fractals(6, 1, *shape)[0])
    assert len(np.unique(made.reshape(6, -1), axis=0)) == 6
    for picture in made:
        colours, counts = np.unique(picture.reshape(-1, shape[2]), axis=0, return_counts=True)
        assert len(colours) > 5
        assert counts.max() <= 0.9 * shape[0] * shape[1]


def test_pictures_are_those_that_banks_hold():
    """Golden values: another picture for the same seed needs another FRACTALS_VERSION. Processors round differently."""
    made = fractals(0, 3, 6, 6, 3).astype(float)
    assert made.mean(axis=(1, 2, 3)) == pytest.approx(MEANS, abs=0.1)
    assert made[2, :, :, 1].ravel()[:12] == pytest.approx(PIXELS, abs=1)


MEANS = [61.287, 109.065, 78.759]
PIXELS = [28.0, 88.0, 108.0, 62.0, 28.0, 28.0, 28.0, 104.0, 127.0, 102.0, 66.0, 60.0]
