"""Covariances from common test images, against sums that are written out and a crossed bootstrap."""

import itertools

import numpy as np
import pytest

from mixbench import stats
from mixbench.stats.images import contrast_covariance


def correct_of(units, methods, images, seed=0, of_image=1.0):
    """Runs whose methods differ image by image."""
    draw = np.random.Generator(np.random.PCG64(seed))
    easy = 1.5 * draw.standard_normal(images) + of_image * draw.standard_normal((methods, images))
    logits = 0.1 * draw.standard_normal((units, methods, 1)) + easy
    return (draw.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)


@pytest.mark.parametrize("missing", [[], [(0, 1)], [(0, 1), (2, 0), (3, 0)]])
def test_they_are_the_means_over_pairs_of_runs_on_different_units(missing):
    correct = correct_of(4, 3, 50)
    for unit, method in missing:
        correct[unit, method] = np.nan
    found = stats.image_covariance(correct)
    for a, b in itertools.product(range(3), repeat=2):
        pairs = [
            np.cov(correct[i, a], correct[k, b])[0, 1] / 50 * 1e4
            for i, k in itertools.permutations(range(4), 2)
            if (i, a) not in missing and (k, b) not in missing
        ]
        assert found[a, b] == pytest.approx(np.mean(pairs))


def test_a_method_without_two_runs_has_none():
    correct = correct_of(2, 2, 20)
    correct[1, 1] = np.nan
    found = stats.image_covariance(correct)
    assert np.isnan(found[1, 1])
    assert np.isfinite(found[0, 0])
    assert np.isfinite(contrast_covariance(found)).all()


def test_the_variance_of_a_gain_is_that_of_a_crossed_bootstrap():
    """Subsets and images are both drawn again. There the interaction of both counts three times (Owen 2007)."""
    units, images = 15, 300
    correct = correct_of(units, 2, images, seed=3)
    differences = 100 * (correct[:, 1] - correct[:, 0])
    draw = np.random.Generator(np.random.PCG64(0))
    means = [
        differences[draw.integers(units, size=units)][:, draw.integers(images, size=images)].mean() for _ in range(5000)
    ]
    table = stats.PairedTable(100 * correct.mean(-1), [[(s, 0)] for s in range(units)], [units], "subsets")
    (gain,) = stats.compare(table, stats.image_covariance(correct)).gains
    rest = differences - differences.mean(0) - differences.mean(1, keepdims=True) + differences.mean()
    interaction = (rest**2).sum() / ((units - 1) * (images - 1)) / (units * images)
    few = (units - 1) / units  # what drawing with replacement leaves of a variance between units
    assert few * (gain.sd**2 / units + 2 * interaction) + gain.image_sd**2 == pytest.approx(np.var(means), rel=0.07)
    assert gain.image_share > 0.5, "methods differ image by image here, which more subsets do not average out"


def test_methods_that_agree_on_every_image_have_no_error_from_images():
    correct = correct_of(6, 1, 200, of_image=0.0).repeat(3, axis=1)
    assert contrast_covariance(stats.image_covariance(correct)) == pytest.approx(np.zeros((2, 2)), abs=1e-9)


def test_estimated_covariances_have_no_negative_variance():
    for seed in range(20):
        found = contrast_covariance(stats.image_covariance(correct_of(2, 6, 30, seed, of_image=0.0)))
        assert np.linalg.eigvalsh(found).min() > -1e-9
        assert found == pytest.approx(found.T)
