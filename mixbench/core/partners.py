"""Partners of the same or another class or group: permutations of a batch, made from a uniform one."""

from collections.abc import Callable

import numpy as np


def same_class(drawn: np.ndarray, labels: np.ndarray, protected: np.ndarray) -> np.ndarray:
    """int64 [B]: a permutation in which each image and its partner have the same label.

    The images of a class form one cycle in random order, so each other image of its class is equally likely to be an
    image's partner. An image that is alone in its class is its own partner.

    drawn: int64 [B], a uniform permutation, whose only use is the random order.
    labels: int [B]; or the groups, for partners of the same group.
    protected: bool [B], images that are their own partners and nobody else's.
    """
    found = np.arange(len(drawn))
    for label in np.unique(labels[~protected]):
        members = drawn[(labels[drawn] == label) & ~protected[drawn]]
        found[members] = np.roll(members, -1)
    return found


def other_class(drawn: np.ndarray, labels: np.ndarray, protected: np.ndarray) -> np.ndarray:
    """int64 [B]: a permutation in which as many images as possible have a partner with another label.

    The uniform permutation is kept where it fits. An image whose partner has its own label swaps partners with the
    first image in random order with which both then have partners of other classes. Only if one class has more than
    half of the images there is no such image for some of that class; these become their own partners.

    The permutations that fit are not equally likely, and neither are the partners of one image, because images are
    handled in their order in the batch. In training this order is random, so over many batches each image of a class is
    an equally likely partner.

    drawn: int64 [B], a uniform permutation.
    labels: int [B]; or the groups, for partners of other groups.
    protected: bool [B], images that are their own partners and nobody else's.
    """
    found = drawn.copy()
    for i in np.flatnonzero((labels[found] == labels) & ~protected):
        if labels[found[i]] != labels[i]:  # an earlier swap has given it another partner
            continue
        fits = (labels[drawn] != labels[i]) & (labels[found[drawn]] != labels[i]) & ~protected[drawn]
        if fits.any():
            j = drawn[fits.argmax()]
            found[[i, j]] = found[[j, i]]
        else:
            before = int(np.flatnonzero(found == i)[0])
            found[[before, i]] = found[i], i
    return found


CHOICES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "same-class": same_class,
    "other-class": other_class,
    "same-group": same_class,
    "other-group": other_class,
}
OF_GROUPS = ("same-group", "other-group")  # choices that look at the groups of images instead of their classes
