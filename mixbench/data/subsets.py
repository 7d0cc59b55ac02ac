"""Choose the n training images of a run: fixed, shared by all methods, and nested (the 100 are among the 500).

Only `disjoint` is not nested: its subsets of one n have no image in common.
"""

import numpy as np

from mixbench.core.errors import UserError
from mixbench.core.random_words import Purpose, permutations


def choose_subset(
    labels: np.ndarray, n: int, subset: str, subset_seed: int, num_classes: int, held: int = 0
) -> np.ndarray:
    """int64 [n]: the positions of the chosen images in the training list.

    labels: int [N], the labels of the training list.
    n: number of images to choose.
    subset: `head`: the first n images. `random`: the first n of a permutation fixed by subset_seed. `balanced`: the
        first n after that permutation is dealt out in rounds, with one image of each class per round, so that class
        counts differ by at most 1. `disjoint`: of each class, in the order of the list, the m = n / num_classes images
        after the first subset_seed · m; the positions are ascending. For n = 500 of CIFAR-10 these are the splits of
        the small-data benchmark GEM (Brigato et al. 2022, gem/datasets/cifair.py).
    subset_seed: seed of the choice.
    num_classes: number of classes.
    held: number of images of the whole list that are held out for evaluation; used only in messages.
    Raises UserError if the list does not have n such images.
    """
    if n > len(labels):
        why = f", because {held} of {len(labels) + held} are held out for evaluation (dataset.holdout)" if held else ""
        raise UserError(f"n={n}: must be at most {len(labels)}, the number of training images{why}")
    if subset == "head":
        return np.arange(n)
    if subset == "disjoint":
        return _disjoint(labels, n, subset_seed, num_classes)
    shuffled = permutations(subset_seed, Purpose.SUBSET, 0, 1, len(labels))[0]
    if subset == "random":
        return shuffled[:n]
    if n < num_classes:
        raise UserError(f"subset=balanced n={n}: needs at least one image for each of the {num_classes} classes")
    rounds = np.empty(len(labels), dtype=np.int64)
    for k in range(num_classes):
        of_class = labels[shuffled] == k
        rounds[of_class] = np.arange(of_class.sum())
    chosen = shuffled[np.argsort(rounds, kind="stable")][:n]
    counts = np.bincount(labels[chosen], minlength=num_classes)
    if counts.max() - counts.min() > 1:
        short = counts.argmin()
        raise UserError(
            f"subset=balanced n={n}: class {short} has only {counts[short]} images; use a smaller n or subset=random"
        )
    return chosen


def _disjoint(labels: np.ndarray, n: int, subset_seed: int, num_classes: int) -> np.ndarray:
    m, over = divmod(n, num_classes)
    if over:
        raise UserError(f"subset=disjoint n={n}: n must be a multiple of {num_classes}, the number of classes")
    first, end = subset_seed * m, (subset_seed + 1) * m
    parts = [np.flatnonzero(labels == k)[first:end] for k in range(num_classes)]
    for k, part in enumerate(parts):
        if len(part) < m:
            raise UserError(
                f"subset=disjoint n={n} subset_seed={subset_seed}: takes images {first} to {end - 1} of each class, "
                f"but class {k} has only {(labels == k).sum()} images; use a smaller n or subset_seed"
            )
    return np.sort(np.concatenate(parts))
