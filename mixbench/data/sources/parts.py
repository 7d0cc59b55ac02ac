"""The parts of a data set: train, val, test, and further test sets with names of their own, such as test-siteB."""

import re

TRAIN, VAL, TEST = "train", "val", "test"
GIVEN = (TEST, VAL)  # parts that `eval` can name
# Names of folders and values of a split column, in lower case -> the part of the data set that they mean.
PARTS = {
    "train": TRAIN,
    "training": TRAIN,
    "test": TEST,
    "testing": TEST,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
}
NAMED = re.compile(r"test(?:ing)?[-_ ](.+)", re.IGNORECASE)  # test-siteB, test_siteB
CHOICES = "train, val, test, or test-NAME for a further test set"


def part_of(word: str) -> str | None:
    """Return the part that the name of a folder, or a value of a split column, means.

    word: such as `Train`, `validation` or `test_siteB`.
    Returns train, val, test or test-NAME; None if it means no part.
    """
    named = NAMED.fullmatch(word)
    if named is None:
        return PARTS.get(word.lower())
    name = re.sub(r"[^\w-]+", "-", named[1]).strip("-_")
    return f"{TEST}-{name}" if name else None


def name_of_test_set(part: str) -> str | None:
    """Return the name of a further test set, such as siteB; None for train, val and test.

    part: as from `part_of`.
    """
    return part.removeprefix(f"{TEST}-") if part.startswith(f"{TEST}-") else None
