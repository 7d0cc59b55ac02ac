"""Which n training images a run gets: fixed, shared by all methods, and nested (the 100 are among the 500).

All but `disjoint` are nested, whose subsets of one n have no image in common instead.
"""

import numpy as np

from mixbench.core.errors import UserError
from mixbench.core.random_words import Purpose, permutations


def choose(labels: np.ndarray, n: int, subset: str, subset_seed: int, num_classes: int, held: int = 0) -> np.ndarray:
    """Indices int64 [n] into the training list, whose labels are int [N].

    subset: `head` (the first n), `random` (the first n of a permutation fixed by subset_seed), `balanced` (that
    permutation dealt out in rounds, one image of each class a round: class counts differ by at most 1) or `disjoint`
    (of each class, in the list's order, the m = n / num_classes images after the first subset_seed · m: at n = 500 of
    CIFAR-10 the splits of the small-data benchmark GEM, Brigato et al. 2022, gem/datasets/cifair.py), ascending.
    held: how many images of the whole list are held out for evaluation, for messages alone. Raises UserError where n
    images cannot be had.
    """
    if n > len(labels):
        why = f": {held} of {len(labels) + held} are held out for evaluation (dataset.holdout)" if held else ""
        raise UserError(f"n={n}: there are only {len(labels)} training images{why}")
    if subset == "head":
        return np.arange(n)
    if subset == "disjoint":
        return _disjoint(labels, n, subset_seed, num_classes)
    shuffled = permutations(subset_seed, Purpose.SUBSET, 0, 1, len(labels))[0]
    if subset == "random":
        return shuffled[:n]
    if n < num_classes:
        raise UserError(f"subset=balanced n={n}: fewer images than the {num_classes} classes")
    rounds = np.empty(len(labels), dtype=np.int64)
    for k in range(num_classes):
        of_class = labels[shuffled] == k
        rounds[of_class] = np.arange(of_class.sum())
    chosen = shuffled[np.argsort(rounds, kind="stable")][:n]
    counts = np.bincount(labels[chosen], minlength=num_classes)
    if counts.max() - counts.min() > 1:
        short = counts.argmin()
        raise UserError(f"subset=balanced n={n}: class {short} has only {counts[short]} images")
    return chosen


def _disjoint(labels: np.ndarray, n: int, subset_seed: int, num_classes: int) -> np.ndarray:
    m, over = divmod(n, num_classes)
    if over:
        raise UserError(f"subset=disjoint n={n}: must be a multiple of the {num_classes} classes")
    first, end = subset_seed * m, (subset_seed + 1) * m
    parts = [np.flatnonzero(labels == k)[first:end] for k in range(num_classes)]
    for k, part in enumerate(parts):
        if len(part) < m:
            raise UserError(
                f"subset=disjoint n={n} subset_seed={subset_seed}: takes images {first} to {end - 1} of each class, "
                f"and class {k} has only {(labels == k).sum()} images"
            )
    return np.sort(np.concatenate(parts))
