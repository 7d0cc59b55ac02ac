"""Choose the training images held out for evaluation: the end of the list, or the same share of every class."""

from collections.abc import Iterable

import numpy as np

from mixbench.core.errors import UserError
from mixbench.core.random_words import Purpose, permutations

NAMED = 5  # classes that a message names before "and N more"


def held_out(labels: np.ndarray, kind: str, holdout: float, subset_seed: int) -> np.ndarray:
    """bool [N]: the images of a training list that are used for evaluation and never for training.

    labels: int [N].
    kind: `holdout`, the last images of the list, or `stratified`.
    holdout: size of the held-out part: a share if below 1 (rounded to whole images), else a number of images.
    subset_seed: seed for `stratified`.
    Raises UserError if one of the parts would have no image, or no image of some class.
    """
    held = round(holdout * len(labels)) if holdout < 1 else int(holdout)
    if not 0 < held < len(labels):
        raise UserError(
            f"dataset.holdout={holdout:g}: must hold out at least one of {len(labels)} images and leave at least one"
        )
    return stratified(labels, held, subset_seed) if kind == "stratified" else _tail(labels, held)


def stratified(labels: np.ndarray, held: int, subset_seed: int) -> np.ndarray:
    """bool [N]: `held` images, with the same share of every class, drawn at random by subset_seed.

    A class with c of the N images should give held · c / N images. Each class gives the whole part of that number, and
    the classes with the largest remainders give one more until there are `held` images (Hamilton's method; of equal
    remainders, the lower class number). Every class gives at least one image and keeps at least one. Other classes
    compensate for this, those furthest from their share first. The images of a class are the first ones in a
    permutation of the whole list that is fixed by subset_seed.

    labels: int [N].
    held: number of images to hold out.
    subset_seed: seed of the permutation.
    Raises UserError if a class has only one image, or if `held` does not allow one image of each class in both parts.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise UserError(
            f"eval=stratified: class {classes[counts.argmin()]} has only 1 image in the training list, but training "
            "and evaluation need one each; remove the class, or use eval=test"
        )
    total = len(labels)
    if not len(classes) <= held <= total - len(classes):
        raise UserError(
            f"eval=stratified: {held} of {total} images are held out, but training and evaluation both need one image "
            f"of each of {len(classes)} classes; set dataset.holdout to {len(classes)} … {total - len(classes)} images"
        )
    taken = np.clip(held * counts // total, 1, counts - 1)
    while left := held - taken.sum():
        step = np.sign(left)
        free = taken < counts - 1 if left > 0 else taken > 1
        behind = step * (held * counts - total * taken)  # distance of a class from its share, in N-ths of an image
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
                f"eval=holdout: no image of {named(lacking)} is {what}, which happens if the list is sorted by class; "
                "use eval=stratified, which holds out the same share of every class"
            )
    return mask


def named(classes: Iterable[int]) -> str:
    """Name classes in a message, such as `class 0, 1, 2`. Of many classes, only the first five are named.

    classes: numbers of classes.
    """
    numbers = [str(k) for k in sorted(classes)]
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"class {', '.join(numbers[:NAMED])}{more}"
