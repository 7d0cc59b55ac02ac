"""Which images are the first n of a subset."""

import numpy as np
import pytest
from data_inputs import CHECKOUT, error
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import datasets

from mixbench.config.validate import SUBSETS
from mixbench.data import load
from mixbench.data.subsets import choose_subset


@pytest.fixture(scope="module")
def cifar10_labels():
    """CIFAR-10's training labels from a copy of the data set beside or inside the checkout."""
    beside = CHECKOUT.parent / "shared" / "data" / "cifar10" / "labels.npz"
    if beside.exists():
        with np.load(beside) as archive:
            return archive["train_labels"].astype(np.int64)
    if not (CHECKOUT / "data" / datasets.CIFAR10.base_folder).is_dir():
        pytest.skip("no copy of CIFAR-10 here")
    return load("cifar10", str(CHECKOUT / "data"), None, print).train_labels


PUBLISHED = [  # the smallest and the largest class among the first n training images, as the small-data report has them
    (100, 4, 16),
    (250, 18, 35),
    (500, 40, 65),
    (1000, 85, 112),
    (5000, 460, 520),
    (10000, 937, 1032),
    (20000, 1925, 2042),
    (50000, 5000, 5000),
]


@pytest.mark.parametrize(("n", "smallest", "largest"), PUBLISHED)
def test_the_head_of_cifar10_has_the_published_class_counts(cifar10_labels, n, smallest, largest):
    counts = np.bincount(cifar10_labels[choose_subset(cifar10_labels, n, "head", 0, 10)])
    assert (counts.min(), counts.max()) == (smallest, largest)


label_lists = st.lists(st.integers(0, 4), min_size=5, max_size=60).map(lambda some: np.array([0, 1, 2, 3, 4, *some]))


@settings(deadline=None, derandomize=True, max_examples=80)
@given(data=st.data(), labels=label_lists, seed=st.integers(0, 5), subset=st.sampled_from(["head", "random"]))
def test_subsets_are_nested_prefixes_without_repetition(data, labels, seed, subset):
    n = data.draw(st.integers(1, len(labels)))
    everything = choose_subset(labels, len(labels), subset, seed, 5)
    assert sorted(everything) == list(range(len(labels)))
    assert choose_subset(labels, n, subset, seed, 5).tolist() == everything[:n].tolist()
    if subset == "head":
        assert everything.tolist() == sorted(everything)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(data=st.data(), labels=label_lists, seed=st.integers(0, 5))
def test_balanced_deals_out_the_random_order_in_rounds(data, labels, seed):
    most = 5 * np.bincount(labels).min()
    n = data.draw(st.integers(5, most))
    chosen = choose_subset(labels, n, "balanced", seed, 5)
    counts = np.bincount(labels[chosen], minlength=5)
    assert counts.max() - counts.min() <= 1
    assert chosen.tolist() == choose_subset(labels, most, "balanced", seed, 5)[:n].tolist()
    at_random = choose_subset(labels, len(labels), "random", seed, 5)
    for k, count in enumerate(counts):
        assert chosen[labels[chosen] == k].tolist() == at_random[labels[at_random] == k][:count].tolist()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(data=st.data(), labels=label_lists)
def test_disjoint_subsets_take_each_class_in_file_order(numbers, data, labels):
    fewest = np.bincount(labels).min()
    m = data.draw(st.integers(1, fewest))
    taken = []
    for seed in range(fewest // m):
        wanted, seen = [], [0] * 5
        for index, label in enumerate(labels):
            if seed * m <= seen[label] < (seed + 1) * m:
                wanted.append(index)
            seen[label] += 1
        assert choose_subset(labels, 5 * m, "disjoint", seed, 5).tolist() == wanted
        taken += wanted
    assert len(set(taken)) == len(taken)
    told = error(choose_subset, labels, 5 * m, "disjoint", fewest // m, 5)
    key, _, why = told.partition(": ")
    assert key == f"subset=disjoint n={5 * m} subset_seed={fewest // m}"
    assert numbers(why)[0] == fewest // m * m  # the first of the images that there are not


def test_the_order_of_subsets_never_changes():
    """Stored runs name their subset by its seed alone."""
    labels = np.repeat(np.arange(5), 200)
    assert choose_subset(np.zeros(50_000, int), 6, "random", 0, 10).tolist() == [
        12569,
        42502,
        35289,
        26576,
        22685,
        6123,
    ]
    assert choose_subset(np.zeros(50_000, int), 6, "random", 1, 10).tolist() == [35111, 31602, 4732, 36335, 5839, 44185]
    assert choose_subset(labels, 8, "balanced", 3, 5).tolist() == [681, 462, 998, 47, 382, 967, 427, 716]


def test_subsets_that_cannot_be_had(numbers):
    """Each is told with the keys at fault and the numbers that do not fit: of images, of classes, the class itself."""
    labels = np.array([0] * 10 + [1] * 10 + [2] * 3)

    def told(n, subset, subset_seed, classes):
        key, _, why = error(choose_subset, labels, n, subset, subset_seed, classes).partition(": ")
        return key, numbers(why)

    for subset in SUBSETS:
        assert told(24, subset, 0, 3) == ("n=24", [23])
    assert len(choose_subset(labels, 11, "balanced", 0, 3)) == 11  # 4, 4 and 3
    assert told(12, "balanced", 0, 3) == ("subset=balanced n=12", [2, 3])  # of class 2 there are 3
    assert told(2, "balanced", 0, 3) == ("subset=balanced n=2", [3])
    assert told(4, "balanced", 0, 4) == ("subset=balanced n=4", [3, 0])
    assert told(10, "disjoint", 0, 3) == ("subset=disjoint n=10", [3])
    assert told(6, "disjoint", 1, 3) == ("subset=disjoint n=6 subset_seed=1", [2, 3, 2, 3])  # images 2 to 3
