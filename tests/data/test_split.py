"""Splits: hold-out, normalisation, checksum, label noise, names of classes and protected ones."""

import pickle

import numpy as np
import pytest
from data_inputs import CHECKOUT, config, error, small
from omegaconf import OmegaConf
from scipy import stats
from sklearn.datasets import load_digits
from torchvision import datasets

from mixbench.data import Dataset, split
from mixbench.data.label_noise import corrupt_labels
from mixbench.data.subsets import choose_subset


def test_split_takes_the_subset_and_the_test_images():
    data = small()
    made = split(data, config(subset="random", subset_seed=2))
    assert np.array_equal(made.train_images, data.train_images[made.indices])
    assert np.array_equal(made.train_labels, data.train_labels[made.indices])
    assert made.indices.tolist() == choose_subset(data.train_labels, 5, "random", 2, 3).tolist()
    assert np.array_equal(made.eval_images, data.test_images)
    assert np.array_equal(made.eval_labels, data.test_labels)
    assert made.num_classes == 3
    assert made.class_counts == np.bincount(data.train_labels[made.indices], minlength=3).tolist()


@pytest.mark.parametrize(("holdout", "held"), [(0.3, 3), (0.35, 4), (0.5, 5), (3, 3)])
def test_holdout_is_the_end_of_the_training_list_and_in_no_subset(holdout, held, numbers):
    data = small()
    made = split(data, config({"holdout": holdout}, eval="holdout", n=10 - held, subset="random"))
    assert np.array_equal(made.eval_images, data.train_images[-held:])
    assert np.array_equal(made.eval_labels, data.train_labels[-held:])
    assert sorted(made.indices) == list(range(10 - held))
    too_many = config({"holdout": holdout}, eval="holdout", n=11 - held)
    key, _, why = error(split, data, too_many).partition(": ")
    assert (key, numbers(why)) == (f"n={11 - held}", [10 - held, held, 10])
    assert "dataset.holdout" in why


@pytest.mark.parametrize("holdout", [0.01, 10, 11])
def test_a_holdout_must_leave_images_on_both_sides(holdout, numbers):
    key, _, why = error(split, small(), config({"holdout": holdout}, eval="holdout")).partition(": ")
    assert (key, numbers(why)) == (f"dataset.holdout={holdout}", [10])


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_is_the_subsets_own_unless_given(channels, numbers):
    data = small(train=2500, channels=channels)
    made = split(data, config(n=2100))
    scaled = data.train_images[:2100] / 255
    assert made.mean == pytest.approx(scaled.mean(axis=(0, 1, 2)), rel=1e-12)
    assert made.std == pytest.approx(scaled.std(axis=(0, 1, 2)), rel=1e-9)

    given_too = split(data, config({"mean": [0.5] * channels, "std": [0.25] * channels}))
    assert (given_too.mean.tolist(), given_too.std.tolist()) == ([0.5] * channels, [0.25] * channels)
    key, _, why = error(split, data, config({"mean": [0.5] * 2, "std": [0.25] * 2})).partition(": ")
    assert key == "dataset.mean=[0.5, 0.5] dataset.std=[0.25, 0.25]"
    assert numbers(why) == [channels]


def test_images_of_one_colour_can_be_normalised():
    black = Dataset(*(np.zeros(s, np.uint8) for s in [(6, 8, 8, 1), 6, (2, 8, 8, 1), 2]))
    made = split(black, config())
    assert made.mean.tolist() == [0]
    assert 0 < made.std[0] < 0.01


def test_the_checksum_covers_the_training_arrays_and_the_test_arrays_where_they_are_used():
    data, same = small(), small()
    brighter, relabelled = small(), small()
    brighter.test_images[0, 0, 0, 0] ^= 1
    relabelled.train_labels[0] ^= 1
    for part in ("test", None):
        assert data.sha256(part) == same.sha256(part)
        assert data.sha256(part) != relabelled.sha256(part)
    assert data.sha256("test") != brighter.sha256("test")
    assert data.sha256() == brighter.sha256()
    tested, held_out = split(data, config()).checksums, split(data, config({"holdout": 3}, eval="holdout")).checksums
    assert tested["data_sha256"] == data.sha256("test")
    assert held_out["data_sha256"] == data.sha256()
    assert tested["train_sha256"] == held_out["train_sha256"] == data.train_sha256


# Label noise


def noisy(data, rate, **changes):
    """The split with noise, and the labels that training gets, by the images' index in the training list."""
    made = split(data, config({"label_noise": rate}, **changes))
    return made, dict(zip(made.indices.tolist(), made.train_labels.tolist(), strict=True))


@pytest.mark.parametrize("subset", ["head", "random", "balanced"])
@pytest.mark.parametrize("rate", [0.2, 0.7, 1.0])
def test_noise_recomputed_image_by_image(subset, rate):
    data = small(train=40)
    made, given = noisy(data, rate, n=30, subset=subset, subset_seed=4)
    for place, i in enumerate(made.indices.tolist()):
        # The first two words of the image's own counter, as uniform numbers.
        philox = np.random.Philox(key=np.array([4, 20], dtype=np.uint64), counter=i)
        u, v = ((int(word) >> 11) / 2**53 + 2.0**-54 for word in philox.random_raw(2))
        assert made.true_labels[place] == data.train_labels[i]
        assert made.replaced[place] == (u < rate)
        assert given[i] == (int(3 * v) if u < rate else data.train_labels[i])
    assert made.label_noise == rate
    assert made.class_counts == np.bincount(data.train_labels[made.indices], minlength=3).tolist()


def test_the_noise_never_changes():
    """Stored runs name their wrong labels by subset_seed alone."""
    labels, indices = np.zeros(12, np.int64), np.arange(12)
    assert corrupt_labels(labels, indices, 0.5, 0, 10)[0].tolist() == [2, 0, 0, 4, 9, 8, 8, 9, 6, 0, 9, 7]
    assert corrupt_labels(labels, indices, 0.5, 1, 10)[0].tolist() == [0, 0, 0, 0, 8, 2, 6, 0, 0, 6, 0, 0]


@pytest.mark.parametrize("subset", ["head", "random", "balanced"])
def test_noise_is_nested_in_n_and_in_its_rate(subset):
    data = small(train=400)
    _, given = noisy(data, 0.3, n=300, subset=subset, subset_seed=1)
    for n in (3, 50, 299):
        some = noisy(data, 0.3, n=n, subset=subset, subset_seed=1)[1]
        assert some.items() <= given.items()
    before = None
    for rate in (0.1, 0.3, 0.9):
        made, labels = noisy(data, rate, n=300, subset=subset, subset_seed=1)
        of_rate = {i: labels[i] for i in made.indices[made.replaced].tolist()}
        assert before is None or (before.items() < of_rate.items())
        before = of_rate


def test_an_image_has_the_same_label_in_every_kind_of_subset():
    data = small(train=200)
    splits = [noisy(data, 0.5, n=200, subset=subset)[1] for subset in ("head", "random")]
    splits.append(noisy(data, 0.5, n=198, subset="balanced")[1])
    assert splits[0] == splits[1]
    assert splits[2].items() <= splits[0].items()
    held = noisy(data, 0.5, n=100, eval="holdout")[1]
    assert held.items() <= splits[0].items()


def test_the_share_of_noise_and_its_labels_are_as_said():
    true = np.arange(50_000) % 10
    for rate in (0.2, 0.5, 0.8):
        given, replaced = corrupt_labels(true, np.arange(50_000), rate, 3, 10)
        assert stats.binomtest(int(replaced.sum()), 50_000, rate).pvalue > 0.001
        assert stats.chisquare(np.bincount(given[replaced], minlength=10)).pvalue > 0.001
        for k in (0, 7):  # whatever the true label is
            assert stats.chisquare(np.bincount(given[replaced & (true == k)], minlength=10)).pvalue > 0.001
        assert stats.binomtest(int((given != true).sum()), 50_000, 0.9 * rate).pvalue > 0.001
        assert np.array_equal(given[~replaced], true[~replaced])


def test_noise_touches_training_labels_alone():
    data, untouched = small(train=60), small(train=60)
    for changes in ({"eval": "test"}, {"eval": "holdout", "subset": "random", "n": 40}):
        clean, wrong = split(data, config(**changes)), noisy(data, 1.0, **changes)[0]
        for name in ("train_images", "eval_images", "eval_labels", "mean", "std", "indices", "true_labels"):
            assert np.array_equal(getattr(clean, name), getattr(wrong, name)), name
        assert (clean.checksums, clean.class_counts) == (wrong.checksums, wrong.class_counts)
        assert not clean.replaced.any()
        assert wrong.replaced.all()
        assert clean.train_labels_sha256 != wrong.train_labels_sha256
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        assert np.array_equal(getattr(data, name), getattr(untouched, name)), name


def test_another_subset_seed_is_another_noise():
    data = small(train=200)
    one, other = (noisy(data, 0.5, n=200, subset_seed=seed)[1] for seed in (0, 1))
    assert one != other


def test_a_rate_of_0_changes_nothing():
    made = split(small(), config())
    assert made.train_labels.tolist() == made.true_labels.tolist()
    assert made.train_labels.dtype == np.int64
    assert not made.replaced.any()


# Names of classes, and classes that are protected


def test_class_names_must_be_as_many_as_the_classes(numbers):
    assert split(small(), config({"classes": ["a", "b", "c"]})).num_classes == 3
    for names in (["a", "b"], list("abcd")):
        key, _, why = error(split, small(), config({"classes": names})).partition(": ")
        assert (key, numbers(why)[:2]) == ("dataset.classes", [len(names), 3])


def yaml_of(dataset):
    return OmegaConf.load(CHECKOUT / "configs" / "dataset" / f"{dataset}.yaml")


def test_the_names_of_classes_are_the_data_sets_own():
    things = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    assert list(yaml_of("cifar10").classes) == things
    fine = list(yaml_of("cifar100").classes)
    assert len(fine) == 100
    assert fine == sorted(set(fine))  # torchvision's order is that of CIFAR-100's meta file, which is the alphabet's
    assert [fine[k] for k in (0, 1, 41, 58, 83, 99)] == [
        "apple",
        "aquarium_fish",
        "lawn_mower",
        "pickup_truck",
        "sweet_pepper",
        "worm",
    ]
    assert list(yaml_of("digits").classes) == [str(k) for k in load_digits().target_names]
    assert yaml_of("npz").classes is None


@pytest.mark.parametrize("source", ["cifar10", "cifar100"])
def test_the_names_of_classes_are_those_that_torchvision_reads(source):
    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[source]
    meta = CHECKOUT / "data" / kind.base_folder / kind.meta["filename"]
    if not meta.exists():
        pytest.skip(f"no copy of {source} here")
    assert list(yaml_of(source).classes) == pickle.loads(meta.read_bytes())[kind.meta["key"]]


def test_protected_images_are_those_of_the_classes_by_given_label():
    data = small(train=60)
    assert split(data, config(n=50)).protected is None
    made = split(data, config({"label_noise": 0.6}, n=50, protect=[0, 2]))
    assert made.protected.dtype == bool
    assert made.protected.tolist() == [label in (0, 2) for label in made.train_labels.tolist()]
    assert made.protected.tolist() != [label in (0, 2) for label in made.true_labels.tolist()]


def test_protected_classes_must_be_there_and_leave_one(numbers):
    key, _, why = error(split, small(), config(protect=[1, 3])).partition(": ")
    assert (key, numbers(why)) == ("protect", [3, 0, 2])  # the class that there is not, and the first and last one
    told = error(split, small(), config(protect=[0, 1, 2]))
    assert told.startswith("protect=[0, 1, 2]: ")
    assert told.endswith("method=none")  # the remedy
