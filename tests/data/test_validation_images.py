"""eval=validation: which of the n images of a subset are kept for validation, and that nothing else is evaluated."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError
from mixbench.data import Dataset, positions, split
from mixbench.data.holdout import validation


@pytest.fixture(scope="module")
def make():
    with Composer() as composer:
        yield lambda *words: job(composer.compose(["dataset=digits", "n=60", *words])).cfg


@pytest.fixture(scope="module")
def numbered():
    """A list of 300 images of ten classes, each with its number as its first pixels, and test images that are white."""
    images = np.zeros((300, 8, 8, 1), np.uint8)
    images.reshape(300, -1)[:, :2] = np.arange(300, dtype="<u2").view(np.uint8).reshape(300, 2)
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 30))
    return Dataset(images, labels, np.full((50, 8, 8, 1), 255, np.uint8), np.arange(50) % 10)


def numbers_of(images):
    return images.reshape(len(images), -1)[:, :2].copy().view("<u2")[:, 0]


def nearest(counts, held):
    """Every division of `held` over the classes that leaves each an image: those nearest to the classes' shares."""

    def divisions(rest, left):
        if not rest:
            if left == 0:
                yield ()
            return
        for taken in range(min(rest[0] - 1, left) + 1):
            for others in divisions(rest[1:], left - taken):
                yield (taken, *others)

    def distance(division):
        shares = zip(counts, division, strict=True)
        return sum((Fraction(held * count, sum(counts)) - taken) ** 2 for count, taken in shares)

    every = list(divisions(tuple(counts), held))
    best = min(map(distance, every))
    return {division for division in every if distance(division) == best}


@settings(deadline=None, derandomize=True, max_examples=150)
@given(counts=st.lists(st.integers(1, 8), min_size=1, max_size=4), held=st.integers(1, 30), seed=st.integers(0, 5))
def test_each_class_gives_its_share_and_keeps_an_image_or_it_is_refused(counts, held, seed):
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    assume(held < len(labels))
    if held > len(labels) - len(counts):
        with pytest.raises(UserError, match="eval=validation"):
            validation(labels, held, 3, seed)
        return
    mask = validation(labels, held, 3, seed)
    assert tuple(np.bincount(labels[mask], minlength=len(counts))) in nearest(counts, held)


def test_within_ties_every_class_and_image_is_as_likely():
    labels = np.repeat(np.arange(5), 4)
    times = sum(validation(labels, 3, 0, seed).astype(int) for seed in range(4000))
    assert times.sum() == 3 * 4000
    # 3 of 20 images each time: 600 for each; a standard deviation is 22.6.
    assert np.abs(times - 600).max() < 110


def test_which_images_validate_never_changes():
    labels = np.arange(40) % 4
    assert np.flatnonzero(validation(labels, 0.2, 0, 0)).tolist() == [2, 3, 9, 20, 24, 25, 27, 30]
    assert np.flatnonzero(validation(labels, 0.2, 0, 1)).tolist() == [4, 5, 10, 16, 22, 27, 31, 37]


@pytest.mark.parametrize("subset", ["head", "random", "balanced", "disjoint"])
def test_the_n_images_are_those_of_a_run_and_are_either_trained_on_or_validated_on(make, numbered, subset):
    words = [f"subset={subset}", "subset_seed=2"]
    whole = split(numbered, make(*words))
    part = split(numbered, make(*words, "eval=validation", "seed=4"))
    trained, validated = numbers_of(part.train_images), numbers_of(part.eval_images)
    assert len(trained) == 48
    assert sorted([*trained, *validated]) == sorted(numbers_of(whole.train_images))
    assert trained.tolist() == part.indices.tolist()
    assert np.array_equal(part.train_labels, numbered.train_labels[trained])
    assert np.array_equal(part.eval_labels, numbered.train_labels[validated])
    assert set(part.train_labels) == set(whole.train_labels)


def test_other_seeds_validate_on_other_images_of_the_same_subset(make, numbered):
    found = [positions(numbered, make("eval=validation", "subset=random", f"seed={seed}")) for seed in range(3)]
    assert len({tuple(sorted([*trained, *validated])) for trained, validated in found}) == 1
    assert len({tuple(validated) for _, validated in found}) == 3


def test_wrong_labels_are_wrong_for_validation_too(make, numbered):
    words = ["subset=random", "dataset.label_noise=0.5"]
    whole, part = split(numbered, make(*words)), split(numbered, make(*words, "eval=validation"))
    given = dict(zip(numbers_of(whole.train_images), whole.train_labels, strict=True))
    assert part.eval_labels.tolist() == [given[number] for number in numbers_of(part.eval_images)]
    assert part.train_labels.tolist() == [given[number] for number in numbers_of(part.train_images)]


def test_test_images_are_neither_needed_nor_part_of_the_checksum(make, numbered):
    cfg = make("eval=validation")
    without = Dataset(numbered.train_images, numbered.train_labels)
    assert split(without, cfg).checksums == split(numbered, cfg).checksums
    data.check(without, cfg)


@pytest.mark.parametrize("words", [["n=10"], ["dataset.holdout=51"], ["dataset.holdout=0.001"]])
def test_a_subset_that_is_too_small_is_refused_in_one_line(make, numbered, words):
    with pytest.raises(UserError) as raised:
        data.check(numbered, make("eval=validation", "subset=balanced", *words))
    assert "\n" not in str(raised.value)
    assert words[0].split("=")[1] in str(raised.value)


def test_a_run_of_it_has_its_own_id_also_on_the_head_of_the_list():
    with Composer() as composer:
        ids = {job(composer.compose([f"eval={kind}", "subset_seed=1"])).id for kind in ("test", "validation")}
        ids.add(job(composer.compose(["eval=validation", "subset_seed=2"])).id)
    assert len(ids) == 3
