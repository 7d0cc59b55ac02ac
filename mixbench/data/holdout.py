"""Which training images are held out for evaluation: the end of the list, or the same share of every class."""

from collections.abc import Iterable

import numpy as np

from mixbench.core.errors import UserError
from mixbench.core.random_words import Purpose, permutations

NAMED = 5  # classes that a message names, before "and so many more"


def held_out(labels: np.ndarray, kind: str, holdout: float, subset_seed: int) -> np.ndarray:
    """bool [N]: the images of a training list that are evaluated on and never trained on.

    labels: int [N]. kind: `holdout`, the last images of the list, or `stratified`. holdout: how many, as a share below
    1, rounded, or as a number. Raises UserError where one of the sides would have no image, or none of some class.
    """
    held = round(holdout * len(labels)) if holdout < 1 else int(holdout)
    if not 0 < held < len(labels):
        raise UserError(f"dataset.holdout={holdout:g}: leaves no training or no held-out image of {len(labels)}")
    return stratified(labels, held, subset_seed) if kind == "stratified" else _tail(labels, held)


def stratified(labels: np.ndarray, held: int, subset_seed: int) -> np.ndarray:
    """bool [N]: `held` images, of every class the same share, drawn at random by subset_seed.

    A class with c of the N images should give held · c / N. Each gives the whole part of that, and the largest
    remainders one more until there are `held` (Hamilton's method; of equal remainders the lower class). A class gives
    at least one image and keeps at least one, which the others make up for: those furthest from their share first.
    Of a class go the first in a permutation of the whole list that is fixed by subset_seed. Raises UserError where a
    class has one image alone, or `held` does not leave one of each class on both sides.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise UserError(
            f"eval=stratified: class {classes[counts.argmin()]} has only 1 image in the training list, and training "
            "and evaluation need one each; leave that class out, or use eval=test"
        )
    total = len(labels)
    if not len(classes) <= held <= total - len(classes):
        raise UserError(
            f"eval=stratified: {held} of {total} images held out leave no room for one of each of the {len(classes)} "
            f"classes on both sides; set dataset.holdout from {len(classes)} to {total - len(classes)} images"
        )
    taken = np.clip(held * counts // total, 1, counts - 1)
    while left := held - taken.sum():
        step = np.sign(left)
        free = taken < counts - 1 if left > 0 else taken > 1
        behind = step * (held * counts - total * taken)  # what a class lacks of its share, in N-ths of an image
        taken[np.where(free, behind, behind.min() - 1).argmax()] += step
    order = permutations(subset_seed, Purpose.HELD_OUT, 0, 1, total)[0]
    mask = np.zeros(total, dtype=bool)
    for k, count in zip(classes, taken, strict=True):
        mask[order[labels[order] == k][:count]] = True
    return mask


def _tail(labels: np.ndarray, held: int) -> np.ndarray:
    mask = np.arange(len(labels)) >= len(labels) - held
    for part, what in ((mask, f"held out (the last {held} of {len(labels)})"), (~mask, "left to train on")):
        if lacking := set(np.unique(labels)) - set(labels[part]):
            raise UserError(
                f"eval=holdout: no image of {named(lacking)} is {what}, as in a list that is sorted by class; use "
                "eval=stratified, which holds out the same share of every class"
            )
    return mask


def named(classes: Iterable[int]) -> str:
    """Such as `class 0, 1, 2`; of many the first few."""
    numbers = [str(k) for k in sorted(classes)]
    more = f" and {len(numbers) - NAMED} more" * (len(numbers) > NAMED)
    return f"class {', '.join(numbers[:NAMED])}{more}"
