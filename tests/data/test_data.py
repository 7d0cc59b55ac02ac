"""Data sets, splits and subsets: what is read, what is refused with which words, and which images a run gets."""

import gc
import hashlib
import io
import pickle
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from scipy import stats
from sklearn.datasets import load_digits
from torchvision import datasets

from mixbench.config.validate import SUBSETS
from mixbench.core.errors import UserError
from mixbench.data import Dataset, load, split
from mixbench.data.label_noise import corrupt
from mixbench.data.subsets import choose

CHECKOUT = Path(__file__).parents[2]
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def silent(line):
    raise AssertionError(f"nothing here takes long, but it said: {line}")


def error(function, *arguments):
    """The one line that the user is told."""
    with pytest.raises(UserError) as raised:
        function(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def no_archive(path):
    """The user is told which file is no archive, and how to make one."""
    told = error(read, str(path))
    assert told.startswith(f"{path}: ")
    assert all(word in told for word in ("numpy.savez_compressed", *ARRAYS))


# NumPy leaves a broken zip open until it is collected, and urllib an answer 404; the tests collect it themselves.
leaky = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


# Subsets


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
    counts = np.bincount(cifar10_labels[choose(cifar10_labels, n, "head", 0, 10)])
    assert (counts.min(), counts.max()) == (smallest, largest)


label_lists = st.lists(st.integers(0, 4), min_size=5, max_size=60).map(lambda some: np.array([0, 1, 2, 3, 4, *some]))


@settings(deadline=None, derandomize=True, max_examples=80)
@given(data=st.data(), labels=label_lists, seed=st.integers(0, 5), subset=st.sampled_from(["head", "random"]))
def test_subsets_are_nested_prefixes_without_repetition(data, labels, seed, subset):
    n = data.draw(st.integers(1, len(labels)))
    everything = choose(labels, len(labels), subset, seed, 5)
    assert sorted(everything) == list(range(len(labels)))
    assert choose(labels, n, subset, seed, 5).tolist() == everything[:n].tolist()
    if subset == "head":
        assert everything.tolist() == sorted(everything)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(data=st.data(), labels=label_lists, seed=st.integers(0, 5))
def test_balanced_deals_out_the_random_order_in_rounds(data, labels, seed):
    most = 5 * np.bincount(labels).min()
    n = data.draw(st.integers(5, most))
    chosen = choose(labels, n, "balanced", seed, 5)
    counts = np.bincount(labels[chosen], minlength=5)
    assert counts.max() - counts.min() <= 1
    assert chosen.tolist() == choose(labels, most, "balanced", seed, 5)[:n].tolist()
    at_random = choose(labels, len(labels), "random", seed, 5)
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
        assert choose(labels, 5 * m, "disjoint", seed, 5).tolist() == wanted
        taken += wanted
    assert len(set(taken)) == len(taken)
    told = error(choose, labels, 5 * m, "disjoint", fewest // m, 5)
    key, _, why = told.partition(": ")
    assert key == f"subset=disjoint n={5 * m} subset_seed={fewest // m}"
    assert numbers(why)[0] == fewest // m * m  # the first of the images that there are not


def test_the_order_of_subsets_never_changes():
    """Stored runs name their subset by its seed alone."""
    labels = np.repeat(np.arange(5), 200)
    assert choose(np.zeros(50_000, int), 6, "random", 0, 10).tolist() == [12569, 42502, 35289, 26576, 22685, 6123]
    assert choose(np.zeros(50_000, int), 6, "random", 1, 10).tolist() == [35111, 31602, 4732, 36335, 5839, 44185]
    assert choose(labels, 8, "balanced", 3, 5).tolist() == [681, 462, 998, 47, 382, 967, 427, 716]


def test_subsets_that_cannot_be_had(numbers):
    """Each is told with the keys at fault and the numbers that do not fit: of images, of classes, the class itself."""
    labels = np.array([0] * 10 + [1] * 10 + [2] * 3)

    def told(n, subset, subset_seed, classes):
        key, _, why = error(choose, labels, n, subset, subset_seed, classes).partition(": ")
        return key, numbers(why)

    for subset in SUBSETS:
        assert told(24, subset, 0, 3) == ("n=24", [23])
    assert len(choose(labels, 11, "balanced", 0, 3)) == 11  # 4, 4 and 3
    assert told(12, "balanced", 0, 3) == ("subset=balanced n=12", [2, 3])  # of class 2 there are 3
    assert told(2, "balanced", 0, 3) == ("subset=balanced n=2", [3])
    assert told(4, "balanced", 0, 4) == ("subset=balanced n=4", [3, 0])
    assert told(10, "disjoint", 0, 3) == ("subset=disjoint n=10", [3])
    assert told(6, "disjoint", 1, 3) == ("subset=disjoint n=6 subset_seed=1", [2, 3, 2, 3])  # images 2 to 3


# Splits


def small(train=10, test=4, channels=3):
    """Images that all differ; three classes."""
    pixels = np.random.Generator(np.random.Philox(0)).integers(0, 256, (train + test, 8, 9, channels), np.uint8)
    labels = np.arange(train + test) % 3
    return Dataset(pixels[:train], labels[:train], pixels[train:], labels[train:])


def config(dataset=None, **changes):
    of_dataset = {"source": "npz", "path": "my.npz", "mean": None, "std": None, "holdout": 0.2}
    of_dataset |= {"label_noise": 0.0, "classes": None} | (dataset or {})
    return OmegaConf.create(
        {"n": 5, "subset": "head", "subset_seed": 0, "eval": "test", "protect": []} | changes | {"dataset": of_dataset}
    )


def test_split_takes_the_subset_and_the_test_images():
    data = small()
    made = split(data, config(subset="random", subset_seed=2))
    assert np.array_equal(made.train_images, data.train_images[made.indices])
    assert np.array_equal(made.train_labels, data.train_labels[made.indices])
    assert made.indices.tolist() == choose(data.train_labels, 5, "random", 2, 3).tolist()
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
    for with_test in (True, False):
        assert data.sha256(with_test) == same.sha256(with_test)
        assert data.sha256(with_test) != relabelled.sha256(with_test)
    assert data.sha256(with_test=True) != brighter.sha256(with_test=True)
    assert data.sha256(with_test=False) == brighter.sha256(with_test=False)
    tested, held_out = split(data, config()).checksums, split(data, config({"holdout": 3}, eval="holdout")).checksums
    assert tested["data_sha256"] == data.sha256(with_test=True)
    assert held_out["data_sha256"] == data.sha256(with_test=False)
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
    assert corrupt(labels, indices, 0.5, 0, 10)[0].tolist() == [2, 0, 0, 4, 9, 8, 8, 9, 6, 0, 9, 7]
    assert corrupt(labels, indices, 0.5, 1, 10)[0].tolist() == [0, 0, 0, 0, 8, 2, 6, 0, 0, 6, 0, 0]


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
        given, replaced = corrupt(true, np.arange(50_000), rate, 3, 10)
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


# Digits


def test_digits_are_scikit_learns_in_a_fixed_shuffle():
    data, scans = load("digits", "nowhere", None, silent), load_digits()
    assert (data.train_images.shape, data.test_images.shape) == ((1297, 8, 8, 1), (500, 8, 8, 1))
    assert data.train_images.dtype == data.test_images.dtype == np.uint8
    assert (data.train_labels.dtype, data.num_classes) == (np.int64, 10)

    def rows(images, labels):
        return sorted(zip(map(tuple, images.reshape(len(images), 64)), labels.tolist(), strict=True))

    all_images = np.concatenate([data.train_images, data.test_images])
    all_labels = np.concatenate([data.train_labels, data.test_labels])
    grey = all_images.astype(float) * 16 / 255  # the scans have levels 0 to 16
    assert np.abs(grey - grey.round()).max() < 0.04
    assert rows(grey.round().astype(int), all_labels) == rows(scans.images.astype(int), scans.target)
    assert min(np.bincount(data.test_labels)) > 35  # both parts have all digits
    frozen = "61131365583740901edb773ef1aa9e2948a702076c11337335a218242dc228ff"
    assert hashlib.sha256(data.train_images.tobytes()).hexdigest() == frozen


def test_the_normalisation_of_digits_is_that_of_its_training_images():
    yaml = OmegaConf.load(CHECKOUT / "configs" / "dataset" / "digits.yaml")
    scaled = load("digits", "nowhere", None, silent).train_images / 255
    assert list(yaml.mean) == [round(float(scaled.mean()), 4)]
    assert list(yaml.std) == [round(float(scaled.std()), 4)]


def test_an_unknown_source_is_answered_with_the_choices():
    assert "did you mean cifar10?" in error(load, "cifar-10", "data", None, silent)


# Archives


def arrays(**changes):
    data = small()
    return {
        "train_images": data.train_images,
        "train_labels": data.train_labels,
        "test_images": data.test_images,
        "test_labels": data.test_labels,
    } | changes


def archive(folder, **changes):
    """An .npz of `arrays` with these changed; None leaves one out."""
    path = folder / "my.npz"
    np.savez_compressed(path, **{key: array for key, array in arrays(**changes).items() if array is not None})
    return str(path)


def read(path, source="npz"):
    return load(source, "nowhere", path, silent)


def test_an_archive_is_read_as_it_is(tmp_path):
    expected = arrays()
    data = read(archive(tmp_path))
    for key, array in expected.items():
        assert np.array_equal(getattr(data, key), array)
    assert (data.train_images.dtype, data.train_labels.dtype) == (np.uint8, np.int64)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, ">i8"])
def test_greyscale_without_a_channel_and_labels_in_a_column_are_medmnists_way(tmp_path, dtype):
    grey, labels = small(channels=1), (np.arange(10) % 3).astype(dtype)
    path = archive(
        tmp_path,
        train_images=grey.train_images[..., 0],
        test_images=grey.test_images[..., 0],
        train_labels=labels[:, None],
        test_labels=labels[:4, None],
    )
    data = read(path)
    assert np.array_equal(data.train_images, grey.train_images)
    assert np.array_equal(data.test_images, grey.test_images)
    assert data.train_labels.tolist() == labels.tolist()
    assert data.test_labels.tolist() == labels[:4].tolist()


IMAGES, LABELS = small().train_images, small().train_labels
REFUSED = {
    "missing key": ({"train_labels": None}, ["no train_labels", "this one train_images, test_images, test_labels"]),
    "float images": ({"train_images": IMAGES / 255}, ["train_images is float64", "uint8", "255"]),
    "float labels": ({"train_labels": LABELS * 1.0}, ["train_labels is float64", "integers"]),
    "text labels": ({"train_labels": LABELS.astype(str)}, ["train_labels is <U21", "integers"]),
    "channels first": (
        {"train_images": IMAGES.transpose(0, 3, 1, 2)},
        ["train_images has shape (10, 3, 8, 9)", "transpose(0, 2, 3, 1)"],
    ),
    "flat images": ({"test_images": IMAGES.reshape(10, -1)[:4]}, ["test_images has shape (4, 216)", "[N, H, W]"]),
    "four channels": ({"train_images": np.zeros((10, 8, 9, 4), np.uint8)}, ["(10, 8, 9, 4)", "C 1 or 3"]),
    "one-hot labels": ({"train_labels": np.eye(3, dtype=int)[LABELS]}, ["train_labels has shape (10, 3)", "[N]"]),
    "fewer labels": ({"train_labels": LABELS[:9]}, ["10 train_images but 9 train_labels"]),
    "more labels": ({"test_labels": LABELS}, ["4 test_images but 10 test_labels"]),
    "negative label": ({"train_labels": LABELS - 1}, ["train_labels has a label -1", "start at 0"]),
    "negative test label": ({"test_labels": LABELS[:4] - 1}, ["test_labels has a label -1"]),
    "unknown test label": ({"test_labels": LABELS[:4] + 3}, ["test_labels go up to 5, train_labels only to 2"]),
    "too small": ({"train_images": IMAGES[:, :7]}, ["train_images are 7x9", "8x8 or larger"]),
    "shapes differ": ({"test_images": IMAGES[:4, :, :8]}, ["(8, 9, 3)", "(8, 8, 3)"]),
    "empty": ({"test_images": IMAGES[:0], "test_labels": LABELS[:0]}, ["test_images is empty"]),
    "pickled objects": ({"train_labels": LABELS.astype(object)}, ["train_labels", "Python objects"]),
}


@pytest.mark.parametrize(("changes", "named"), REFUSED.values(), ids=REFUSED)
def test_a_malformed_archive_is_refused_with_its_trouble_named(tmp_path, changes, named):
    path = archive(tmp_path, **changes)
    told = error(read, path)
    assert told.startswith(f"{path}: ")
    for words in named:
        assert words in told


def test_a_pickle_in_an_archive_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    path = archive(tmp_path, train_labels=np.array([Bomb()] * 10))
    assert "Python objects" in error(read, path)
    assert not (tmp_path / "run").exists()


@leaky
def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "my.npz"
    assert error(read, str(path)) == f"dataset.path={path}: no such file"
    assert error(read, str(tmp_path)).startswith(f"dataset.path={tmp_path}: a folder")
    whole = Path(archive(tmp_path)).read_bytes()
    for content in (b"not a zip", b"", whole[: len(whole) // 2]):
        path.write_bytes(content)
        no_archive(path)
    gc.collect()


def test_a_single_array_is_no_archive(tmp_path):
    path = tmp_path / "my.npz"
    with path.open("wb") as file:
        np.save(file, IMAGES)
    no_archive(path)


def test_a_damaged_archive_is_refused(tmp_path):
    path = Path(archive(tmp_path))
    content = bytearray(path.read_bytes())
    name, extra = content[26:28], content[28:30]  # their lengths, in the header of the first member
    content[30 + int.from_bytes(name, "little") + int.from_bytes(extra, "little")] = 7  # a block type that is not one
    path.write_bytes(content)
    told = error(read, str(path))
    assert told.startswith(f"{path}: ")
    assert "readable" in told
    assert "savez_compressed" not in told  # it is an archive, but a broken one


def test_a_zip_of_other_things_under_the_keys_is_refused(tmp_path):
    path = tmp_path / "my.npz"
    with zipfile.ZipFile(path, "w") as file:
        for key in arrays():
            file.writestr(f"{key}.npy", "not an array")
    assert str(path) in error(read, str(path))


def test_cifar_from_an_archive_must_be_the_whole_of_it(tmp_path, numbers):
    path = archive(tmp_path)
    told = error(read, path, "cifar10")
    assert path in told
    assert numbers(told.replace(path, "")) == [10, 50_000]
    assert "dataset=npz" in told  # the remedy
    cut_short = config({"source": "cifar10", "path": "c.npz"})
    key, _, why = error(split, small(), cut_short).partition(": ")
    assert key == "eval=test"
    assert "c.npz" in why
    assert numbers(why) == [4, 10_000]
    assert why.endswith("eval=stratified")  # the remedy
    cut_short.eval = "stratified"
    cut_short.dataset.holdout = 3
    assert len(split(small(), cut_short).eval_images) == 3


# CIFAR's download


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder, and the address at which a server on this machine offers it."""
    folder = tmp_path / "web"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def publish(web, monkeypatch, kind, key):
    """Put a tiny archive in CIFAR's format on the server, and have torchvision take it for the real one."""
    folder, address = web
    pixels = small(train=25).train_images[:, :1, :1, 0].repeat(3072, axis=1).reshape(25, 3072)
    pixels[:, :3072:1024] += np.arange(3, dtype=np.uint8)  # the top left pixel tells the channels apart
    labels = (np.arange(25) % 10).tolist()
    names = [name for name, _ in kind.train_list + kind.test_list]
    parts = np.array_split(np.arange(25), len(names))
    files = {
        name: {"data": pixels[part], key: [labels[i] for i in part]} for name, part in zip(names, parts, strict=True)
    } | {kind.meta["filename"]: {kind.meta["key"]: [str(k) for k in range(10)]}}
    files = {name: pickle.dumps(content) for name, content in files.items()}
    with tarfile.open(folder / kind.filename, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{kind.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    def md5(content):
        return hashlib.md5(content, usedforsecurity=False).hexdigest()

    monkeypatch.setattr(kind, "url", f"{address}/{kind.filename}")
    monkeypatch.setattr(kind, "tgz_md5", md5((folder / kind.filename).read_bytes()))
    monkeypatch.setattr(kind, "train_list", [[name, md5(files[name])] for name, _ in kind.train_list])
    monkeypatch.setattr(kind, "test_list", [[name, md5(files[name])] for name, _ in kind.test_list])
    monkeypatch.setattr(kind, "meta", kind.meta | {"md5": md5(files[kind.meta["filename"]])})
    return pixels.reshape(25, 3, 32, 32).transpose(0, 2, 3, 1), labels, len(parts[-1])


@pytest.mark.parametrize(
    ("source", "kind", "key"), [("cifar10", datasets.CIFAR10, "labels"), ("cifar100", datasets.CIFAR100, "fine_labels")]
)
def test_cifar_is_downloaded_once_and_read_in_order(tmp_path, web, monkeypatch, source, kind, key):
    images, labels, test = publish(web, monkeypatch, kind, key)
    said = []
    data = load(source, str(tmp_path / "data"), None, said.append)
    assert np.array_equal(data.train_images, images[:-test])
    assert np.array_equal(data.test_images, images[-test:])
    assert data.train_labels.tolist() == labels[:-test]
    assert data.test_labels.tolist() == labels[-test:]
    assert data.train_images.dtype == np.uint8
    assert data.train_labels.dtype == np.int64
    assert len(said) == 1
    assert kind.url in said[0]
    assert kind.tgz_md5 in said[0]

    (web[0] / kind.filename).unlink()
    by_hand = tmp_path / "by_hand"
    by_hand.mkdir()
    (tmp_path / "data" / kind.filename).rename(by_hand / kind.filename)
    for root in (tmp_path / "data", by_hand):  # the unpacked folder alone, and the archive alone
        again = load(source, str(root), None, silent)
        assert again.sha256(with_test=True) == data.sha256(with_test=True)


@leaky
@pytest.mark.parametrize("trouble", ["not found", "nobody answers", "cut short"])
def test_a_failed_download_tells_what_to_put_where_by_hand(tmp_path, web, monkeypatch, trouble):
    kind = datasets.CIFAR10
    publish(web, monkeypatch, kind, "labels")
    served = web[0] / kind.filename
    if trouble == "not found":
        served.unlink()
    elif trouble == "nobody answers":
        monkeypatch.setattr(kind, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    else:
        served.write_bytes(served.read_bytes()[:-100])
    root = tmp_path / "data"
    told = error(load, "cifar10", str(root), None, lambda line: None)
    assert all(word in told for word in (kind.filename, kind.tgz_md5, f"{root}/"))
    assert root.exists() == (trouble == "cut short")  # a folder that was made for nothing is gone
    gc.collect()
