"""Choose the images held out for evaluation: the end of the training list, or the same share of every class.

For validation, the same share of every class of a run's subset is held out.
"""

import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from mixbench.core.errors import UserError
from mixbench.core.random_words import Purpose, permutations

NAMED = 5  # classes that a message names before "and N more"


def held_out(
    labels: np.ndarray,
    kind: str,
    holdout: float,
    subset_seed: int,
    groups: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> np.ndarray:
    """bool [N]: the images of a training list that are used for evaluation and never for training.

    labels: int [N].
    kind: `holdout`, the last images of the list, or `stratified`.
    holdout: size of the held-out part: a share if below 1 (rounded to whole images), else a number of images.
    subset_seed: seed for `stratified`.
    groups: int [N]; images of one group are all held out or none is. None: there are no groups.
    names: names of the classes, for messages; None: they have numbers only.
    Raises UserError if one of the parts would have no image, or no image of some class.
    """
    held = _number(holdout, len(labels))
    if not 0 < held < len(labels):
        raise UserError(
            f"dataset.holdout={holdout:g}: must hold out at least one of {len(labels)} images and leave at least one"
        )
    if kind != "stratified":
        if groups is not None:
            raise UserError("eval=holdout: does not keep groups together; use eval=stratified")
        return _tail(labels, held, names)
    if groups is not None:
        return by_group(labels, held, subset_seed, groups)
    return stratified(labels, held, subset_seed, names)


def by_group(labels: np.ndarray, held: int, subset_seed: int, groups: np.ndarray) -> np.ndarray:
    """bool [N]: about `held` images, whole groups of them, with about the same share of every class.

    One fold of scikit-learn's StratifiedGroupKFold with as many folds as make its size nearest to `held`. Of its folds,
    which differ in size, it is the one with the nearest number of images.

    labels: int [N].
    held: number of images to hold out.
    subset_seed: seed of the order in which groups are dealt to the folds.
    groups: int [N], the group of each image.
    Raises UserError if no fold leaves an image of each class on both sides.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    count, most = len(np.unique(groups)), len(labels)
    classes = set(np.unique(labels))
    folds = min(max(2, round(most / held)), count)
    order = int(permutations(subset_seed, Purpose.HELD_OUT, 0, 1, 2**16)[0][0])
    best = None
    if folds >= 2:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=order)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds is looked at below
            for _, fold in splitter.split(np.zeros(most), labels, groups):
                mask = np.zeros(most, dtype=bool)
                mask[fold] = True
                whole = set(np.unique(labels[mask])) == classes == set(np.unique(labels[~mask]))
                if whole and (best is None or abs(mask.sum() - held) < abs(best.sum() - held)):
                    best = mask
    if best is None:
        raise UserError(
            f"eval=stratified: {count} groups cannot be divided so that training and evaluation both have an image of "
            f"each of {len(classes)} classes; each class needs images of at least two groups"
        )
    return best


def validation(labels: np.ndarray, holdout: float, subset_seed: int, seed: int) -> np.ndarray:
    """bool [n]: the images of a subset that are used for validation; the others are trained on.

    Each class gives its share, as with `stratified`, but it may give none, and it always keeps an image to train on.
    Of classes with equal remainders, chance decides which one gives one image more. Runs of one subset with other seeds
    have other validation images, so that their mean is more exact than one of them.

    labels: int [n], the labels of the subset, as the user knows them.
    holdout: size of the validation part: a share if below 1 (rounded to whole images), else a number of images.
    subset_seed, seed: seeds of the choice.
    Raises UserError if there would be no image for validation, or if a class would have none left to train on.
    """
    n, classes = len(labels), len(np.unique(labels))
    held, most = _number(holdout, n), n - classes
    if not 0 < held <= most:
        what = f"eval=validation n={n} dataset.holdout={holdout:g}: holds out {held} of the {n} images"
        if not most:
            raise UserError(
                f"{what}, but training needs one of each of the {classes} classes; use a larger n than {classes}"
            )
        raise UserError(
            f"{what}, but must hold out at least 1 and leave one of each of the {classes} classes; set dataset.holdout "
            f"to 1 … {most} images, or use a larger n"
        )
    order = permutations(subset_seed, Purpose.VALIDATION, seed, 1, n)[0]
    # In the order of their first images, so that chance breaks ties.
    found, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
    by_chance = np.argsort(first)
    found, counts = found[by_chance], counts[by_chance]
    return _drawn(labels, found, _shares(counts, held, least=0), order)


def stratified(labels: np.ndarray, held: int, subset_seed: int, names: Sequence[str] | None = None) -> np.ndarray:
    """bool [N]: `held` images, with the same share of every class, drawn at random by subset_seed.

    A class with c of the N images should give held · c / N images. Each class gives the whole part of that number, and
    the classes with the largest remainders give one more until there are `held` images (Hamilton's method; of equal
    remainders, the lower class number). Every class gives at least one image and keeps at least one. Other classes
    compensate for this, those furthest from their share first. The images of a class are the first ones in a
    permutation of the whole list that is fixed by subset_seed.

    labels: int [N].
    held: number of images to hold out.
    subset_seed: seed of the permutation.
    names: names of the classes, for messages; None: they have numbers only.
    Raises UserError if a class has only one image, or if `held` does not allow one image of each class in both parts.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise UserError(
            f"eval=stratified: {named([classes[counts.argmin()]], names)} has only 1 image in the training list, but "
            "training and evaluation need one each; add images of it, remove the class, or use eval=test"
        )
    total = len(labels)
    if not len(classes) <= held <= total - len(classes):
        raise UserError(
            f"eval=stratified: {held} of {total} images are held out, but training and evaluation both need one image "
            f"of each of {len(classes)} classes; set dataset.holdout to {len(classes)} … {total - len(classes)} images"
        )
    order = permutations(subset_seed, Purpose.HELD_OUT, 0, 1, total)[0]
    return _drawn(labels, classes, _shares(counts, held, least=1), order)


def _number(holdout: float, images: int) -> int:
    return round(holdout * images) if holdout < 1 else int(holdout)


def _shares(counts: np.ndarray, held: int, least: int) -> np.ndarray:
    """int [K]: how many images each class gives: its share by Hamilton's method, and so that it keeps at least one.

    counts: int [K], images of each class.
    held: number of images to hold out, which must be possible.
    least: smallest number of images that a class gives.
    """
    total = counts.sum()
    taken = np.clip(held * counts // total, least, counts - 1)
    while left := held - taken.sum():
        step = np.sign(left)
        free = taken < counts - 1 if left > 0 else taken > least
        behind = step * (held * counts - total * taken)  # distance of a class from its share, in N-ths of an image
        taken[np.where(free, behind, behind.min() - 1).argmax()] += step
    return taken


def _drawn(labels: np.ndarray, classes: np.ndarray, taken: np.ndarray, order: np.ndarray) -> np.ndarray:
    """bool [N]: of each class the first images in the given order."""
    mask = np.zeros(len(labels), dtype=bool)
    for k, count in zip(classes, taken, strict=True):
        mask[order[labels[order] == k][:count]] = True
    return mask


def _tail(labels: np.ndarray, held: int, names: Sequence[str] | None) -> np.ndarray:
    mask = np.arange(len(labels)) >= len(labels) - held
    for part, what in ((mask, f"held out (the last {held} of {len(labels)})"), (~mask, "left to train on")):
        if lacking := set(np.unique(labels)) - set(labels[part]):
            raise UserError(
                f"eval=holdout: no image of {named(lacking, names)} is {what}, which happens if the list is sorted by "
                "class; use eval=stratified, which holds out the same share of every class"
            )
    return mask


def named(classes: Iterable[int], names: Sequence[str] | None = None) -> str:
    """Name classes in a message, such as `class 0, 1, 2`. Of many classes, only the first five are named.

    classes: numbers of classes.
    names: their names, by number; None: the numbers are named.
    """
    texts = [str(k) if names is None else names[k] for k in sorted(classes)]
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return f"class {', '.join(texts[:NAMED])}{more}"
