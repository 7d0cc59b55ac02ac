"""Load a data set as uint8 arrays: CIFAR from torchvision, digits from scikit-learn, others from the user's files.

MedMNIST is read by `sources/medmnist.py`.
"""

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from http.client import HTTPException
from pathlib import Path
from typing import cast

import numpy as np
from filelock import FileLock
from omegaconf import DictConfig

from mixbench.core.errors import UserError, unknown
from mixbench.core.pictures import COLUMNS, OF_PICTURES
from mixbench.core.random_words import Purpose, permutations
from mixbench.data.sources import medmnist, npz
from mixbench.data.sources.npz import Content
from mixbench.data.sources.parts import GIVEN, TEST, TRAIN, VAL, name_of_test_set
from mixbench.data.sources.pictures.listing import Listing
from mixbench.data.sources.pictures.reading import Settings, at_once, list_pictures, read_pictures

SOURCES = ("cifar10", "cifar100", "digits", "photos", medmnist.NAME, "npz", *OF_PICTURES)
CIFAR_TRAIN, CIFAR_TEST = 50_000, 10_000
CIFAR_CLASSES = {"cifar10": 10, "cifar100": 100}
DIGITS_TRAIN = 1297  # the other 500 of the 1,797 images are test images
# Square crops of the photographs: side, offsets of the crops, corner of each photograph's first crop that contains its
# subject, and side after resizing, all in pixels.
CROP, CROP_OFFSETS, CROP_CORNERS, PHOTO_SIDE = 300, range(0, 121, 20), ((0, 0), (7, 100)), 48
PHOTOS_TRAIN = 64  # of 98


@dataclass(frozen=True)
class Labelled:
    """Images with their labels.

    images: uint8 [N, H, W, C].
    labels: int64 [N].
    """

    images: np.ndarray
    labels: np.ndarray

    @cached_property
    def sha256(self) -> str:
        """Checksum of the images and labels."""
        return _sha256(self.images, self.labels)


@dataclass(frozen=True)
class Dataset:
    """The images and labels of a data set.

    train_images: uint8 [N, H, W, C].
    train_labels: int64 [N] in 0 … num_classes - 1.
    test_images: uint8 [M, H, W, C]; None: not needed.
    test_labels: int64 [M]; None: not needed.
    class_names: names of the classes, in the order of the labels; None: they have numbers only.
    groups: int64 [N]; training images with equal numbers are kept on one side of a split. None: there are no groups.
    listing: the picture files of all parts; None: the images are of another source.
    val_images, val_labels: as test_images and test_labels, of the part for validation.
    test_sets: name -> a further test set, such as one of another camera or site.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray | None = None
    test_labels: np.ndarray | None = None
    class_names: list[str] | None = None
    groups: np.ndarray | None = None
    listing: Listing | None = None
    val_images: np.ndarray | None = None
    val_labels: np.ndarray | None = None
    test_sets: Mapping[str, Labelled] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """The largest training label + 1."""
        return int(self.train_labels.max()) + 1

    def given(self, part: str | None) -> Labelled | None:
        """Return the images of a part that the data set itself sets aside for evaluation.

        part: a value of the key `eval`; only test and val are such parts.
        Returns None if there are none.
        """
        return self._given.get(str(part))

    def sha256(self, part: str | None = None) -> str:
        """Return the checksum of the images and labels.

        part: test or val, whose images and labels are then included.
        Returns the hexadecimal SHA-256. Raises ValueError if there are no images of the part.
        """
        if part is None:
            return hashlib.sha256(self.train_sha256.encode()).hexdigest()
        given = self.given(part)
        if given is None:
            raise ValueError(f"the data set has no {part} images")
        return hashlib.sha256(f"{self.train_sha256} {given.sha256}".encode()).hexdigest()

    @cached_property
    def train_sha256(self) -> str:
        """Checksum of the training images and labels, and of the groups where there are any."""
        groups = [] if self.groups is None else [self.groups]
        return _sha256(self.train_images, self.train_labels, *groups)

    @cached_property
    def _given(self) -> dict[str, Labelled]:
        parts = {TEST: (self.test_images, self.test_labels), VAL: (self.val_images, self.val_labels)}
        return {
            part: Labelled(images, labels)
            for part, (images, labels) in parts.items()
            if images is not None and labels is not None
        }


def settings_of(cfg: DictConfig) -> Settings:
    """Return how a run's picture files are read. Decoded pictures are kept in the folder of the results.

    cfg: the validated configuration of the run.
    """
    dataset = cfg.dataset
    if dataset.source not in OF_PICTURES:
        return Settings()
    columns = {column: dataset[f"{column}_column"] for column in COLUMNS}
    return Settings(dataset.size, dataset.fit, columns, Path(cfg.results_dir) / "cache")


def key_of(cfg: DictConfig) -> tuple:
    """Return what two runs must share to use the same loaded data set.

    cfg: the validated configuration of a run.
    """
    dataset = cfg.dataset
    settings = settings_of(cfg).key
    named = (dataset.name, dataset.size) if dataset.source == medmnist.NAME else None
    return dataset.source, dataset.root, dataset.path, named, _part(cfg), _has_test_sets(cfg), settings


def listing_for(cfg: DictConfig) -> Listing | None:
    """List the picture files of a run without opening them.

    cfg: the validated configuration of the run.
    Returns None if its images are of another source. Raises UserError if the files cannot be used.
    """
    dataset = cfg.dataset
    return list_pictures(dataset.source, dataset.path, settings_of(cfg)) if dataset.source in OF_PICTURES else None


def load_for(
    cfg: DictConfig,
    say: Callable[[str], None],
    evaluated: bool = True,
    listing: Listing | None = None,
    keep: Callable[[Callable[[], None]], None] = at_once,
) -> Dataset:
    """Load the data set of a run.

    cfg: the validated configuration of the run.
    say: called with a line of text before anything that takes long, and on files that are left out.
    evaluated: whether the run is evaluated; False: an archive needs no test images.
    listing: the picture files, if they have been listed (`listing_for`); None: they are listed.
    keep: called with a function that writes decoded pictures to the cache, if they are not there.
    Raises UserError if the images cannot be loaded.
    """
    dataset, part = cfg.dataset, _part(cfg) if evaluated else None
    if dataset.source == medmnist.NAME:
        return _of_content(medmnist.read_medmnist(dataset.name, dataset.size, dataset.root, part, say))
    test_sets = evaluated and _has_test_sets(cfg)
    return load(dataset.source, dataset.root, dataset.path, say, part, settings_of(cfg), test_sets, listing, keep)


def load_labels_for(cfg: DictConfig, listing: Listing | None = None) -> Dataset:
    """Load what is needed to check a run: labels and sizes (`load_labels`).

    cfg: the validated configuration of the run.
    listing: the picture files, if they have been listed (`listing_for`); None: they are listed.
    Raises UserError if the user's files cannot be used.
    """
    dataset, part = cfg.dataset, _part(cfg)
    if dataset.source == medmnist.NAME:
        made = medmnist.read_medmnist(dataset.name, dataset.size, dataset.root, part, lambda line: None, True)
        return _of_content(made)
    return load_labels(dataset.source, dataset.path, part, settings_of(cfg), _has_test_sets(cfg), listing)


def _part(cfg: DictConfig) -> str | None:
    """Return the part of its data set that a run is evaluated on; None if it is held out of the training list."""
    return cfg.eval if cfg.eval in GIVEN else None


def _has_test_sets(cfg: DictConfig) -> bool:
    """Whether a run is evaluated on the further test sets. Runs that choose settings see no evaluation images."""
    return cfg.eval != "validation"


def load(
    source: str,
    root: str,
    path: str | None,
    say: Callable[[str], None],
    part: str | None = TEST,
    settings: Settings = Settings(),  # noqa: B008 - it is frozen
    test_sets: bool = False,
    listing: Listing | None = None,
    keep: Callable[[Callable[[], None]], None] = at_once,
) -> Dataset:
    """Load the images of a source other than MedMNIST.

    source: a name from SOURCES.
    root: folder for downloads.
    path: the folder or table of the pictures, or an .npz archive to read instead; None: no archive.
    say: called with a line of text before anything that takes long.
    part: the part that an archive must have besides the training images: test or val. None: no other part is read.
    settings: how picture files are read.
    test_sets: whether to read the further test sets too.
    listing: the picture files, if they have been listed; None: they are listed.
    keep: called with a function that writes decoded pictures to the cache, if they are not there.
    Raises UserError if the images cannot be loaded.
    """
    if source not in SOURCES:
        raise unknown("dataset.source", source, SOURCES)
    if source in OF_PICTURES:
        read = read_pictures(source, str(path), settings, say, listing, keep)
        return _of_pictures(read.listing, read.images)
    if path:
        return _archive(source, path, part, test_sets, say=say)
    offline = {"digits": _digits, "photos": _photos}
    return offline[source]() if source in offline else _cifar(source, Path(root).expanduser(), say)


def load_labels(
    source: str,
    path: str | None,
    part: str | None = TEST,
    settings: Settings = Settings(),  # noqa: B008 - it is frozen
    test_sets: bool = False,
    listing: Listing | None = None,
) -> Dataset:
    """Load what is needed to check a plan: labels and sizes. Nothing is downloaded, and images can be black.

    Of CIFAR, not even the labels are read. It has equally many images of each class, in an order that does not matter.
    Picture files are listed, but not opened, so the broken ones among them count too.

    source: a name from SOURCES.
    path: the folder or table of the pictures, or an .npz archive to read instead; None: no archive.
    part: the part that an archive must have besides the training images: test or val. None: no other part.
    settings: how picture files are read.
    test_sets: whether to read the further test sets too.
    listing: the picture files, if they have been listed; None: they are listed.
    Raises UserError if the files cannot be used.
    """
    if source not in SOURCES:
        raise unknown("dataset.source", source, SOURCES)
    if source in OF_PICTURES:
        listing = listing or list_pictures(source, str(path), settings)
        black = np.broadcast_to(np.uint8(0), (len(listing.pictures), settings.size, settings.size, 3))
        return _of_pictures(listing, black)
    if path:
        return _archive(source, path, part, test_sets, only_labels=True)
    offline = {"digits": _digits, "photos": _photos}
    if source in offline:
        return offline[source]()
    parts = []
    for count in (CIFAR_TRAIN, CIFAR_TEST):
        black = np.broadcast_to(np.uint8(0), (count, 32, 32, 3))
        parts += [black, np.arange(count) % CIFAR_CLASSES[source]]
    return Dataset(*parts)


def _of_pictures(listing: Listing, images: np.ndarray) -> Dataset:
    labels = np.array([picture.label for picture in listing.pictures], np.int64)
    parts = np.array([picture.part for picture in listing.pictures])
    there = sorted(set(parts.tolist()))
    if len(there) == 1:  # no copy of all pictures
        content = Content({TRAIN: (images, labels)}, listing.classes)
    else:
        content = Content({part: (images[parts == part], labels[parts == part]) for part in there}, listing.classes)
    groups = None
    if any(picture.group is not None for picture in listing.pictures):
        named = np.array([str(picture.group) for picture in listing.pictures])[parts == TRAIN]
        groups = np.unique(named, return_inverse=True)[1].astype(np.int64)
    return _of_content(content, groups, listing)


def _of_content(content: Content, groups: np.ndarray | None = None, listing: Listing | None = None) -> Dataset:
    nothing = (None, None)
    test, val = content.parts.get(TEST, nothing), content.parts.get(VAL, nothing)
    named = {name_of_test_set(part): arrays for part, arrays in content.parts.items()}
    return Dataset(
        *content.parts[TRAIN],
        *test,
        content.class_names,
        groups,
        listing,
        *val,
        {name: Labelled(*arrays) for name, arrays in named.items() if name is not None},
    )


def _archive(
    source: str,
    path: str,
    part: str | None,
    test_sets: bool,
    only_labels: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Dataset:
    dataset = _of_content(npz.read_images(path, part, only_labels, say, test_sets))
    if source.startswith("cifar") and len(dataset.train_images) != CIFAR_TRAIN:
        raise UserError(
            f"{path}: has {len(dataset.train_images)} training images, but {source} has {CIFAR_TRAIN}; "
            "use dataset=npz for a part of the data set"
        )
    return dataset


def _sha256(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _cifar(source: str, root: Path, say: Callable[[str], None]) -> Dataset:
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[source]
    by_hand = f"put {kind.filename} (MD5 {kind.tgz_md5}) into {root}/ yourself, or set dataset.path=ARCHIVE.npz"
    there = root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{source}.lock"):  # torchvision writes directly to the archive's name
            if not (root / kind.base_folder).exists() and not check_integrity(root / kind.filename, kind.tgz_md5):
                say(f"{source} is not in {root}/: downloading about 170 MB from {kind.url} (or {by_hand})")
            train, test = (kind(root, train=train, download=True) for train in (True, False))
    except (OSError, RuntimeError, HTTPException) as error:
        (root / f".{source}.lock").unlink(missing_ok=True)
        if not there:
            with contextlib.suppress(OSError):
                root.rmdir()  # created above; a folder with any content stays
        raise UserError(f"{source} cannot be read or downloaded ({error}); {by_hand}") from error
    return Dataset(train.data, np.array(train.targets), test.data, np.array(test.targets))


def _digits() -> Dataset:
    images, labels = _scans()
    # The scans are ordered by writer. A fixed shuffle puts the same writers into both parts.
    shuffled = permutations(0, Purpose.DIGITS, 0, 1, len(images))[0]
    train, test = shuffled[:DIGITS_TRAIN], shuffled[DIGITS_TRAIN:]
    return Dataset(images[train], labels[train], images[test], labels[test])


@cache
def _scans() -> tuple[np.ndarray, np.ndarray]:
    """Return all images and labels of the digits, which scikit-learn reads from a text file: 0.03 s."""
    from sklearn.datasets import load_digits
    from sklearn.utils import Bunch

    digits = cast(Bunch, load_digits())  # scikit-learn has no types: a pair if return_X_y
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # the scans have 17 grey levels
    return images, digits.target


def _photos() -> Dataset:
    """Return overlapping crops of two photographs. Training and test images share pixels: accuracies mean little."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    crops, labels = [], []
    for label, (photo, corner) in enumerate(zip(load_sample_images().images, CROP_CORNERS, strict=True)):
        for down, right in itertools.product(CROP_OFFSETS, repeat=2):
            top, left = corner[0] + down, corner[1] + right
            crop = Image.fromarray(photo[top : top + CROP, left : left + CROP])
            crops.append(np.asarray(crop.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BOX)))
            labels.append(label)
    images, labels = np.stack(crops), np.array(labels)
    shuffled = permutations(1, Purpose.DIGITS, 0, 1, len(images))[0]
    train, test = shuffled[:PHOTOS_TRAIN], shuffled[PHOTOS_TRAIN:]
    return Dataset(images[train], labels[train], images[test], labels[test])
