"""What stored logits say about a classifier: accuracy, recall of each class, NLL, calibration error. No torch."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

MEDIAN_OF = 10  # evaluations whose median is reported (Zhang et al. 2018, section 3.2)
CALIBRATION = ("temperature", "unscaled_nll", "unscaled_ece", "scaled_nll", "scaled_ece")  # what `calibration` gives
ECE_BINS = 15  # Guo et al. 2017, section 4.1
OLDER = {"test_loss": "eval_loss", "test_accuracy": "eval_accuracy"}  # columns of histories, whatever was evaluated on
TEMPERATURES = (0.01, 100.0)  # where the best one is looked for; a half without mistakes would have it go to 0


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Percent of rows of logits [N, K] whose largest entry is the label [N]."""
    return 100 * int((logits.argmax(axis=1) == labels).sum()) / len(labels)


def per_class_accuracy(logits: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """Percent of each class's images that are recognised (its recall); None for a class without images."""
    classes = [labels == k for k in range(logits.shape[1])]
    return [accuracy(logits[of_class], labels[of_class]) if of_class.any() else None for of_class in classes]


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood of the labels [N] under softmax of the logits [N, K], in nats."""
    return float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean())


def ece(logits: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> float:
    """Expected calibration error, 0 to 1: mean |accuracy - confidence| over equal-width bins of the confidence.

    Bins are (i/bins, (i+1)/bins], weighted by how many predictions fall in (Guo et al. 2017, equation 3).
    """
    confidence = np.exp(log_softmax(logits.astype(np.float64), axis=1)).max(axis=1)
    gap = (logits.argmax(axis=1) == labels) - confidence
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(index, weights=gap, minlength=bins)).sum() / len(labels))


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The T, from 0.01 to 100, whose logits [N, K] / T have the lowest NLL (Guo et al. 2017, section 4.2)."""
    logits = logits.astype(np.float64)
    low, high = np.log(TEMPERATURES)
    # The NLL is convex in 1/T, so that it has one minimum in log T too.
    found = minimize_scalar(lambda t: nll(logits / np.exp(t), labels), bounds=(low, high), method="bounded")
    return float(np.exp(found.x))


def calibration(logits: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """NLL and ECE before and after temperature scaling.

    The temperature is fitted on every second image from the first; `unscaled_…` and `scaled_…` are of the others. Each
    is None where there are no two images.
    """
    if len(labels) < 2:
        return dict.fromkeys(CALIBRATION)
    best = temperature(logits[::2], labels[::2])
    logits, labels = logits[1::2], labels[1::2]
    scaled = logits.astype(np.float64) / best
    return {
        "temperature": best,
        "unscaled_nll": nll(logits, labels),
        "unscaled_ece": ece(logits, labels),
        "scaled_nll": nll(scaled, labels),
        "scaled_ece": ece(scaled, labels),
    }


def current(row: Mapping[str, float]) -> dict[str, float]:
    """An evaluation of a run of any version under the names that columns have today."""
    return {OLDER.get(key, key): value for key, value in row.items()}


def of_history(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """The accuracies in percent of a run's evaluations: of the last, the best, and the median of the last ten."""
    accuracies = [current(row)["eval_accuracy"] for row in history]
    return {
        "final_accuracy": accuracies[-1],
        "best_accuracy": max(accuracies),
        "median10_accuracy": float(statistics.median(accuracies[-MEDIAN_OF:])),
    }


def of_logits(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What the final network's logits [N, K] on the evaluation images of labels [N] say beyond their accuracy."""
    return {
        "nll": nll(logits, labels),
        "ece": ece(logits, labels),
        **calibration(logits, labels),
        "per_class_accuracy": per_class_accuracy(logits, labels),
    }
