"""Label noise: wrong training labels, determined by subset_seed only, for studies of the effect of wrong labels."""

import numpy as np

from mixbench.core.random_words import Purpose, uniform


def corrupt_labels(
    labels: np.ndarray, indices: np.ndarray, rate: float, subset_seed: int, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Replace a share of the labels by random labels, uniform over all classes including the true one.

    Image i has two uniform numbers, which are a pure function of (subset_seed, i). Its label is replaced if the first
    number is below the rate, and the second number chooses the new class. So an image has the same label in all subsets
    that contain it, and a higher rate replaces all labels that a lower rate replaces.

    labels: int64 [n], the true labels.
    indices: int64 [n], positions of the images in the training list.
    rate: probability of replacing a label.
    subset_seed: seed of the noise.
    num_classes: number of classes.
    Returns the labels for training, int64 [n], and which of them were replaced, bool [n].
    Source: symmetric noise of the mixup paper (Zhang et al. 2018, section 3.4), whose code is that of Zhang et al. 2017
        ("Understanding deep learning requires rethinking generalization").
    """
    u = uniform(subset_seed, Purpose.LABEL_NOISE, 0, indices.max() + 1, 2)[indices]
    replaced = u[:, 0] < rate
    return np.where(replaced, (u[:, 1] * num_classes).astype(np.int64), labels), replaced
