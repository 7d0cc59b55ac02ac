"""What stored logits say about a classifier: accuracy, recall of each class, NLL, calibration error. No torch."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax

MEDIAN_OF = 10  # evaluations whose median is reported (Zhang et al. 2018, section 3.2)
ECE_BINS = 15  # Guo et al. 2017, section 4.1


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


def of_history(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """The accuracies in percent of a run's evaluations: of the last, the best, and the median of the last ten."""
    accuracies = [row["test_accuracy"] for row in history]
    return {
        "final_accuracy": accuracies[-1],
        "best_accuracy": max(accuracies),
        "median10_accuracy": float(statistics.median(accuracies[-MEDIAN_OF:])),
    }


def of_logits(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """What the final network's logits [N, K] on the evaluation images of labels [N] say beyond their accuracy."""
    per_class = per_class_accuracy(logits, labels)
    return {"nll": nll(logits, labels), "ece": ece(logits, labels), "per_class_accuracy": per_class}
