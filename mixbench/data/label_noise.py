"""Label noise: which training labels are wrong, fixed by subset_seed alone, for studies of what wrong labels do."""

import numpy as np

from mixbench.core.random_words import Purpose, uniform


def corrupt(
    labels: np.ndarray, indices: np.ndarray, rate: float, subset_seed: int, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Replace a share `rate` of the labels by random ones, uniform over all classes, the true one included.

    labels: int64 [n], the true ones. indices: int64 [n], where the images stand in the training list.
    Returns the labels that a run is given, int64 [n], and which of them were replaced, bool [n].

    Symmetric noise of the mixup paper (Zhang et al. 2018, section 3.4), whose code is that of Zhang et al. 2017
    ("Understanding deep learning requires rethinking generalization"). Image i has two uniform numbers, a pure function
    of (subset_seed, i): it is noisy where the first is below the rate, and its label is the class that the second falls
    into. So it has the same label in every subset that holds it, and a higher rate keeps what a lower one replaced.
    """
    u = uniform(subset_seed, Purpose.LABEL_NOISE, 0, indices.max() + 1, 2)[indices]
    replaced = u[:, 0] < rate
    return np.where(replaced, (u[:, 1] * num_classes).astype(np.int64), labels), replaced
