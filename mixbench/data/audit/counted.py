"""Who is a duplicate of whom: between training and test images, within each, and with different labels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixbench.data.audit.duplicates import Duplicates


@dataclass(frozen=True)
class Counted:
    """The duplicates of a data set. Training images come first in the list, then the test images.

    duplicates: what was found in the list.
    labels: int64 [N].
    test: bool [N], which pictures are test images.
    groups: int64 [N], pictures that are kept on one side of a split; None: there are no groups.
    """

    duplicates: Duplicates
    labels: np.ndarray
    test: np.ndarray
    groups: np.ndarray | None = None

    @cached_property
    def _members(self) -> dict[int, np.ndarray]:
        """Group of equal pictures -> its pictures, for groups with any duplicate. Plain pictures have none."""
        same, plain = self.duplicates.same, self.duplicates.plain
        wanted = np.bincount(same) > 1
        wanted[self.duplicates.near] = True
        there = np.flatnonzero(wanted[same] & ~plain)
        order = there[np.argsort(same[there], kind="stable")]
        numbers, starts = np.unique(same[order], return_index=True)
        if not len(numbers):
            return {}
        return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))

    @cached_property
    def _neighbours(self) -> dict[int, list[int]]:
        """Group of equal pictures -> groups that are nearly equal."""
        found: dict[int, list[int]] = {number: [] for number in self._members}
        for one, other in self.duplicates.near.tolist():
            found[one].append(other)
            found[other].append(one)
        return found

    def in_both(self) -> list[tuple[int, int, bool]]:
        """Return (test image, training image, whether they are equal) for each test image that has a duplicate."""
        found = []
        for number, members in self._members.items():
            tested = members[self.test[members]]
            if not len(tested):
                continue
            equal = members[~self.test[members]]
            near = self._near(number, test=False)
            if len(equal) or len(near):
                copy = int(equal[0] if len(equal) else near[0])
                found += [(int(one), copy, bool(len(equal))) for one in tested]
        return sorted(found)

    def within(self, test: bool) -> list[tuple[int, int, bool]]:
        """Return (picture, an earlier one, whether they are equal) for each picture that has a duplicate before it.

        test: whether test images are compared with each other; False: training images.
        """
        found = []
        for number, members in self._members.items():
            there = members[self.test[members] == test]
            near = np.sort(self._near(number, test))
            for k, one in enumerate(there.tolist()):
                if k:
                    found.append((one, int(there[0]), True))
                elif len(near) and near[0] < one:
                    found.append((one, int(near[0]), False))
        return sorted(found)

    def other_label(self) -> list[tuple[int, int, bool]]:
        """Return (picture, an earlier one, whether they are equal) for pictures with another label than a duplicate.

        Each picture is named once, with its first such duplicate.
        """
        found = []
        for number, members in self._members.items():
            near = np.concatenate([self._members[n] for n in self._neighbours[number]] or [members[:0]])
            for one in members.tolist():
                for others, exact in ((members, True), (near, False)):
                    wrong = others[(self.labels[others] != self.labels[one]) & (others < one)]
                    if len(wrong):
                        found.append((one, int(wrong.min()), exact))
                        break
        return sorted(found)

    def expected_split(self, share: float) -> float:
        """Return how many held-out pictures are expected to have a duplicate among the others of the training list.

        share: share of the training list that is held out at random. Duplicates of one group are on one side.
        """
        expected = 0.0
        for number, members in self._members.items():
            copies = np.concatenate([self._members[n] for n in (number, *self._neighbours[number])])
            copies = copies[~self.test[copies]]
            # Apart from the picture itself: what is held out or not, independently of each other.
            free = (len(copies) if self.groups is None else len(np.unique(self.groups[copies]))) - 1
            expected += int((~self.test[members]).sum()) * share * (1 - share**free)
        return expected

    def _near(self, number: int, test: bool) -> np.ndarray:
        """Return the pictures of one part that are nearly equal to those of a group of equal pictures."""
        found = [self._members[n] for n in self._neighbours[number]]
        pictures = np.concatenate(found) if found else np.empty(0, np.int64)
        return pictures[self.test[pictures] == test]
