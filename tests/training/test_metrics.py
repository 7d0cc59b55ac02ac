"""Metrics against scikit-learn, a plain loop and netcal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax
from sklearn.metrics import accuracy_score, log_loss, recall_score

from mixbench.training import metrics

COUNT, CLASSES = 600, 5


def stored(dtype=np.float64):
    """Logits [600, 5] and labels that follow them loosely, from plain arithmetic."""
    n = np.arange(COUNT)
    logits = np.stack([3 * np.sin(1.7 * n * (k + 1) + k * k) for k in range(CLASSES)], axis=1)
    noise = 2 * np.cos(n[:, None] * np.arange(1, CLASSES + 1) * 0.77)
    labels = (logits * (1 + np.cos(n * 2.3))[:, None] + noise).argmax(axis=1)
    return logits.astype(dtype), labels


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_accuracy_recall_and_nll_are_scikit_learns(dtype):
    logits, labels = stored(dtype)
    predicted, probabilities = logits.argmax(axis=1), softmax(logits.astype(np.float64), axis=1)
    assert metrics.accuracy(logits, labels) == pytest.approx(100 * accuracy_score(labels, predicted))
    recall = 100 * recall_score(labels, predicted, average=None)
    assert metrics.per_class_accuracy(logits, labels) == pytest.approx(recall)
    assert metrics.nll(logits, labels) == pytest.approx(log_loss(labels, probabilities, labels=range(CLASSES)))


def test_a_class_without_images_has_no_recall():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [1.0, 0.0, 0.5]])
    assert metrics.per_class_accuracy(logits, np.array([0, 0, 2])) == [50.0, None, 0.0]


def test_large_logits_have_a_finite_nll():
    logits = np.array([[60000.0, 0.0], [0.0, 60000.0]], dtype=np.float16)
    assert metrics.nll(logits, np.array([0, 0])) == pytest.approx(float(logits[0, 0]) / 2)


def ece_by_loop(logits, labels, bins):
    """Guo et al. 2017, equations 1 to 3, read aloud: for each bin, who falls in, how sure, how right."""
    error = 0.0
    confidence = softmax(np.asarray(logits, dtype=np.float64), axis=1).max(axis=1)
    for b in range(bins):
        inside = [i for i, c in enumerate(confidence) if b / bins < c <= (b + 1) / bins]
        if inside:
            right = np.mean([np.argmax(logits[i]) == labels[i] for i in inside])
            error += len(inside) / len(labels) * abs(right - np.mean([confidence[i] for i in inside]))
    return error


@settings(deadline=None, derandomize=True, max_examples=60)
@given(data=st.data(), count=st.integers(1, 30), classes=st.integers(2, 6), bins=st.integers(1, 20))
def test_ece_by_brute_force(data, count, classes, bins):
    logits = data.draw(arrays(np.float32, (count, classes), elements=st.floats(-5, 5, width=16)))
    labels = data.draw(arrays(np.int64, count, elements=st.integers(0, classes - 1)))
    assert metrics.ece(logits, labels, bins) == pytest.approx(ece_by_loop(logits, labels, bins), abs=1e-9)


def test_ece_is_netcals():
    logits, labels = stored()
    # netcal 1.4.0: ECE(bins).measure(softmax(logits, axis=1), labels); it needs pyro and gpytorch, so not run here
    assert metrics.ece(logits, labels, bins=10) == pytest.approx(0.09220203996503984, rel=1e-9)
    assert metrics.ece(logits, labels) == pytest.approx(0.10161033241149717, rel=1e-9)  # 15 bins


def test_ece_puts_a_confidence_on_an_edge_below_it_and_certainty_in_the_last_bin():
    even, surer = np.zeros((4, 2)), np.log([[3.0, 1.0], [3.0, 1.0]])  # confidence 0.5, an edge of 2 bins, and 0.75
    logits, labels = np.concatenate([even, surer]), np.array([0, 1, 1, 1, 0, 0])
    assert metrics.ece(logits, labels, bins=2) == pytest.approx((4 * 0.25 + 2 * 0.25) / 6)  # of one bin: 0.5 / 6

    certain = np.array([[900.0, 0.0], [0.0, 900.0], [900.0, 0.0], [900.0, 0.0]])  # and 0.95, in the same bin
    certain[3] = np.log([19.0, 1.0])
    assert metrics.ece(certain, np.array([0, 1, 0, 1]), bins=15) == pytest.approx((3.95 - 3) / 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("sharper", [0.2, 1.0, 7.0])
def test_temperature_by_brute_force(dtype, sharper):
    logits, labels = stored()
    logits = (logits * sharper).astype(dtype)
    grid = np.exp(np.linspace(np.log(0.05), np.log(50), 4001))
    lowest = grid[np.argmin([metrics.nll(logits / t, labels) for t in grid])]
    assert metrics.temperature(logits, labels) == pytest.approx(lowest, rel=0.002)


def test_temperature_undoes_a_factor():
    logits, labels = stored()
    assert metrics.temperature(8 * logits, labels) == pytest.approx(8 * metrics.temperature(logits, labels), rel=1e-3)


def test_temperature_stays_within_its_bounds_where_nothing_is_wrong():
    logits = np.eye(3)[[0, 1, 2, 0]]
    assert 0.01 <= metrics.temperature(logits, np.array([0, 1, 2, 0])) < 0.1  # where the NLL has sunk to 0
    assert metrics.temperature(logits, np.array([1, 2, 0, 1])) == pytest.approx(100, rel=0.01)


def test_calibration_is_measured_on_the_half_that_the_temperature_has_not_seen():
    logits, labels = stored()
    found = metrics.calibration(logits, labels)
    fitted = metrics.temperature(logits[0::2], labels[0::2])
    others, of_others = logits[1::2], labels[1::2]
    assert found["temperature"] == fitted
    probabilities = softmax(others / fitted, axis=1)
    assert found["scaled_nll"] == pytest.approx(log_loss(of_others, probabilities, labels=range(CLASSES)))
    assert found["scaled_ece"] == pytest.approx(ece_by_loop(others / fitted, of_others, 15))
    assert found["unscaled_nll"] == pytest.approx(log_loss(of_others, softmax(others, axis=1), labels=range(CLASSES)))
    assert found["unscaled_ece"] == pytest.approx(ece_by_loop(others, of_others, 15))


def test_an_overconfident_network_is_mended_by_a_temperature():
    logits, labels = stored()
    found = metrics.calibration(20 * logits, labels)
    assert found["scaled_nll"] < found["unscaled_nll"] / 2
    assert found["scaled_ece"] < found["unscaled_ece"] / 2


def test_one_image_has_no_calibration():
    found = metrics.calibration(np.array([[1.0, 0.0]]), np.array([0]))
    assert set(found.values()) == {None}
