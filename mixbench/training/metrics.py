"""Metrics of a classifier from its logits: accuracy, recall of each class, NLL, calibration error. No torch."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

MEDIAN_OF = 10  # number of last evaluations whose median is reported (Zhang et al. 2018, section 3.2)
CALIBRATION = ("temperature", "unscaled_nll", "unscaled_ece", "scaled_nll", "scaled_ece")  # values of `calibration`
ECE_BINS = 15  # Guo et al. 2017, section 4.1
OLDER = {"test_loss": "eval_loss", "test_accuracy": "eval_accuracy"}  # old names of history columns -> current names
TEMPERATURES = (0.01, 100.0)  # search range; with a half that has no mistakes, the best temperature would go to 0


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the accuracy in percent.

    logits: float [N, K].
    labels: int [N].
    """
    return 100 * int((logits.argmax(axis=1) == labels).sum()) / len(labels)


def per_class_accuracy(logits: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """Return the accuracy in percent on the images of each class (its recall); None for a class without images.

    logits: float [N, K].
    labels: int [N].
    """
    classes = [labels == k for k in range(logits.shape[1])]
    return [accuracy(logits[of_class], labels[of_class]) if of_class.any() else None for of_class in classes]


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log-likelihood in nats of the labels under the softmax of the logits.

    logits: float [N, K].
    labels: int [N].
    """
    return float(-log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels].mean())


def ece(logits: np.ndarray, labels: np.ndarray, bins: int = ECE_BINS) -> float:
    """Return the expected calibration error, 0 to 1: the mean |accuracy - confidence| over bins of the confidence.

    logits: [N, K].
    labels: int [N].
    bins: number of bins of equal width, (i/bins, (i+1)/bins], each weighted by its number of predictions.
    Source: Guo et al. 2017, equation 3.
    """
    confidence = np.exp(log_softmax(logits.astype(np.float64), axis=1)).max(axis=1)
    gap = (logits.argmax(axis=1) == labels) - confidence
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(index, weights=gap, minlength=bins)).sum() / len(labels))


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the T from 0.01 to 100 for which logits / T have the lowest NLL.

    logits: float [N, K].
    labels: int [N].
    Source: Guo et al. 2017, section 4.2.
    """
    logits = logits.astype(np.float64)
    low, high = np.log(TEMPERATURES)
    # The NLL is convex in 1/T, so it has only one minimum in log T as well.
    found = minimize_scalar(lambda t: nll(logits / np.exp(t), labels), bounds=(low, high), method="bounded")
    return float(np.exp(found.x))


def calibration(logits: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Return NLL and ECE before (`unscaled_…`) and after (`scaled_…`) temperature scaling, and the temperature.

    The temperature is fitted on images 0, 2, 4, …, and NLL and ECE are computed on the others. All values are None if
    there are fewer than two images.

    logits: float [N, K].
    labels: int [N].
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
    """Return a history row of any version with the current column names.

    row: column -> value.
    """
    return {OLDER.get(key, key): value for key, value in row.items()}


def of_history(history: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return accuracies in percent over a run's evaluations: the last, the best and the median of the last ten.

    history: the evaluations in order, at least one.
    """
    accuracies = [current(row)["eval_accuracy"] for row in history]
    return {
        "final_accuracy": accuracies[-1],
        "best_accuracy": max(accuracies),
        "median10_accuracy": float(statistics.median(accuracies[-MEDIAN_OF:])),
    }


def of_test_set(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return accuracy, NLL and the accuracy of each class on a further test set.

    logits: float [N, K], after the last step.
    labels: int [N].
    """
    return {
        "accuracy": accuracy(logits, labels),
        "nll": nll(logits, labels),
        "per_class_accuracy": per_class_accuracy(logits, labels),
    }


def of_logits(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return NLL, calibration and the accuracy of each class.

    logits: float [N, K], after the last step.
    labels: int [N].
    """
    return {
        "nll": nll(logits, labels),
        "ece": ece(logits, labels),
        **calibration(logits, labels),
        "per_class_accuracy": per_class_accuracy(logits, labels),
    }
