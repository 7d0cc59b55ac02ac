"""Read images and labels from an .npz archive. All headers are checked before memory is allocated for an array."""

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib import format as npy

from mixbench.core import memory
from mixbench.core.errors import UserError
from mixbench.data.sources.parts import GIVEN, TEST, TRAIN, part_of

TRAIN_KEYS, TEST_KEYS = ("train_images", "train_labels"), ("test_images", "test_labels")
FURTHER = re.compile(r"(test_.+)_(?:images|labels)")  # test_siteB_images
LARGEST_LABEL = 99_999  # a network has an output for each class; a larger label is a mistake, not a class
SMALLEST_SIDE = 8  # pixels; halved three times, it is one pixel
ARRAYS = ", ".join((*TRAIN_KEYS, *TEST_KEYS))
ARRAYS_TO_SAVE = f"{' and '.join(TRAIN_KEYS)} (uint8 [N, H, W, C] and integers from 0)"
PACKING = "docs/quickstart.md shows how to pack a folder of pictures"
HOW_TO_MAKE = f"save your images with numpy.savez_compressed as {ARRAYS_TO_SAVE}"
# Raised by zipfile and NumPy for content that is damaged, encrypted or compressed by an unknown method.
DAMAGE = (ValueError, OSError, EOFError, IndexError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Array:
    """The header of an array in the archive.

    member: the array's file in the archive.
    shape, dtype: of the array.
    bytes: size of the array without its header.
    """

    member: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype
    bytes: int


@dataclass(frozen=True)
class Content:
    """The images and labels of an archive.

    parts: train, val, test or test-NAME -> images uint8 [N, H, W, C] and labels int64 [N] in 0 … K - 1.
    class_names: names of the classes; None if labels are the numbers 0 … K - 1.
    """

    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    class_names: list[str] | None


def read_images(
    path: str,
    part: str | None = TEST,
    only_labels: bool = False,
    say: Callable[[str], None] = lambda line: None,
    test_sets: bool = False,
) -> Content:
    """Read the images and labels of an archive; other arrays are ignored.

    Before anything is read, every header must match the size of its file in the archive, and all arrays together must
    fit in the free memory (memory.available).

    path: the archive, as the user gives it.
    part: the part to read besides the training images: test or val. None: no other part.
    only_labels: whether to check of the images only their headers. The images that are returned are then black.
    say: called with a line on images and labels that are converted.
    test_sets: whether to read the further test sets too, such as test_siteB_images and test_siteB_labels.
    Returns the parts that were read.
    Raises UserError, which names the array, if the archive cannot be used.
    """
    file = os.path.expanduser(path)
    _check_place(path, file)
    try:
        with zipfile.ZipFile(file) as archive:
            there = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            keys = _keys(path, there, part, test_sets)
            every = [key for pair in keys.values() for key in pair]
            found = {key: _head(path, archive, there[key]) for key in every}
            for key, array in found.items():
                (_check_images if key.endswith("images") else _check_labels)(path, key, array)
            _check_together(path, found, list(keys.values()))
            arrays = {
                key: _black(array) if only_labels and key.endswith("images") else _read(archive, array)
                for key, array in found.items()
            }
    except zipfile.BadZipFile as error:
        if zipfile.is_zipfile(file):
            raise UserError(f"{path}: not a readable .npz archive ({_first_line(error)}); save it again") from error
        raise UserError(
            f"{path}: not an .npz archive; save one with numpy.savez_compressed, with the arrays {ARRAYS}"
        ) from error
    except DAMAGE as error:
        raise UserError(f"{path}: not a readable .npz archive ({_first_line(error)}); save it again") from error
    except MemoryError as error:
        needed = sum(array.bytes for array in found.values())
        raise UserError(
            f"{path}: its arrays take {memory.size(needed)} of memory, which is not available; use fewer or smaller "
            "images"
        ) from error
    _convert_images(path, arrays, say)
    names = _number_labels(path, arrays, say)
    return Content({part: (_images(arrays[images]), arrays[labels]) for part, (images, labels) in keys.items()}, names)


def _check_place(path: str, file: str) -> None:
    if os.path.isdir(file):
        raise UserError(f"dataset.path={path}: is a folder, must be an .npz archive; {PACKING}")
    if not os.path.isfile(file):
        what = "not a file" if os.path.exists(file) else "no such file"
        raise UserError(f"dataset.path={path}: {what}; correct the path, or {HOW_TO_MAKE}")


def _keys(path: str, there: Collection[str], part: str | None, test_sets: bool) -> dict[str, tuple[str, str]]:
    """Return part -> keys of its images and labels. Raises UserError if a part has not both."""
    keys = {name: (f"{name}_images", f"{name}_labels") for name in (TRAIN, part) if name is not None}
    given = [name for name in GIVEN if f"{name}_images" in there and f"{name}_labels" in there]
    for name, pair in keys.items():
        for key in pair:
            if key in there:
                continue
            if name != TRAIN and all(train in there for train in TRAIN_KEYS):
                other = f"eval={given[0]}, or " if given and given[0] != name else ""
                raise UserError(
                    f"{path}: has no {key}, but eval={name} needs {' and '.join(pair)}; use {other}eval=stratified, "
                    "which evaluates on a held-out part of the training list"
                )
            raise UserError(
                f"{path}: has no {key}, only {', '.join(there) or 'nothing'}; must have {ARRAYS}; eval=stratified "
                f"needs only {' and '.join(TRAIN_KEYS)}"
            )
    for stem in dict.fromkeys(match[1] for key in there if test_sets and (match := FURTHER.fullmatch(key))):
        name, pair = part_of(stem), (f"{stem}_images", f"{stem}_labels")
        lacking = [key for key in pair if key not in there]
        if lacking:
            raise UserError(
                f"{path}: has no {lacking[0]}, but a further test set has both {' and '.join(pair)}; save both, or "
                "rename the other one"
            )
        if name in keys:
            raise UserError(f"{path}: {keys[name][0]} and {pair[0]} are both the part {name}; rename one")
        if name is not None:
            keys[name] = pair
    return keys


def _head(path: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Read the header of an array. Raises UserError if it is not an array, or its size does not match its file."""
    key = member.filename.removesuffix(".npy")
    with archive.open(member) as file:
        try:
            version = npy.read_magic(file)
            readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
            shape, _, dtype = readers[version](file)
        except DAMAGE:
            raise
        except Exception as error:  # NumPy evaluates the text of the header, which can fail in any way
            raise UserError(f"{path}: {key} is not an array of numbers") from error
        there = member.file_size - file.tell()
    if dtype.hasobject:  # reading Python objects could run code
        problem = (
            "images of different sizes or other Python objects; resize all images to one size and save uint8 "
            "[N, H, W, C]"
            if key.endswith("images")
            else "Python objects; save integers from 0"
        )
        raise UserError(f"{path}: {key} contains {problem}")
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed != there:
        raise UserError(
            f"{path}: {key} should have {memory.size(claimed)} ({dtype} of shape {shape}) but has "
            f"{memory.size(there)}: the archive is damaged; save it again"
        )
    return Array(member, shape, dtype, claimed)


def _check_images(path: str, key: str, images: Array) -> None:
    shape = images.shape if len(images.shape) != 3 else (*images.shape, 1)
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UserError(f"{path}: {key} is {images.dtype}, must be uint8; save brightness from 0 to 255")
    if len(shape) != 4 or shape[3] not in (1, 3):
        first = len(shape) == 4 and shape[1] in (1, 3)
        remedy = f"; channels come last: save {key}.transpose(0, 2, 3, 1)" if first else ""
        if len(shape) == 4 and shape[3] == 4:
            remedy = f"; drop the alpha channel: save {key}[..., :3]"
        elif len(shape) == 4 and shape[3] == 2:
            remedy = f"; drop the alpha channel: save {key}[..., 0]"
        raise UserError(f"{path}: {key} has shape {shape}, must be [N, H, W] or [N, H, W, C] with C 1 or 3{remedy}")
    if shape[0] == 0:
        raise UserError(f"{path}: {key} is empty")
    if min(shape[1:3]) < SMALLEST_SIDE:
        raise UserError(
            f"{path}: {key} are {shape[1]}x{shape[2]}, must be at least {SMALLEST_SIDE}x{SMALLEST_SIDE}; resize them, "
            "best to 32x32 or more"
        )


def _check_labels(path: str, key: str, labels: Array) -> None:
    if not np.issubdtype(labels.dtype, np.integer) and labels.dtype.kind not in "US":
        raise UserError(f"{path}: {key} is {labels.dtype}, must be integers from 0 or names; save them as such")
    if len(labels.shape) != 1 and labels.shape[1:] != (1,):
        raise UserError(f"{path}: {key} has shape {labels.shape}, must be [N] or [N, 1]: one label for each image")


def _check_together(path: str, found: Mapping[str, Array], pairs: Sequence[tuple[str, str]]) -> None:
    """Raise UserError if arrays do not fit together. pairs: keys of images and labels; those for training first."""
    for images, labels in pairs:
        if found[images].shape[0] != found[labels].shape[0]:
            raise UserError(
                f"{path}: {found[images].shape[0]} {images} but {found[labels].shape[0]} {labels}; save one label for "
                "each image, in the same order"
            )
    (first, size), *others = [(images, (*found[images].shape[1:], 1)[:3]) for images, _ in pairs]
    for images, other in others:
        if other != size:
            raise UserError(f"{path}: {first} are {size} and {images} {other} (H, W, C); they must have the same size")
    needed, free = sum(array.bytes for array in found.values()), memory.available()
    if free is not None and needed > free:
        raise UserError(
            f"{path}: its arrays take {memory.size(needed)} of memory, but only {memory.size(free)} are free; "
            "use fewer or smaller images"
        )


def _read(archive: zipfile.ZipFile, array: Array) -> np.ndarray:
    with archive.open(array.member) as file:
        return npy.read_array(file, allow_pickle=False)


def _black(array: Array) -> np.ndarray:
    """Return zeros of the array's shape that take no memory."""
    return np.broadcast_to(np.uint8(0), array.shape)


def _convert_images(path: str, arrays: dict[str, np.ndarray], say: Callable[[str], None]) -> None:
    """Turn floating-point brightness into whole levels, in place. Training images say whether white is 1 or 255."""
    images = [key for key in arrays if key.endswith("images") and arrays[key].dtype.kind == "f"]
    scale = 255
    for key in images:
        low, high = float(arrays[key].min()), float(arrays[key].max())
        if key == images[0] and high <= 1:
            scale = 1
        if not (low >= 0 and high <= scale):  # false for NaN too
            raise UserError(
                f"{path}: {key} is {arrays[key].dtype} from {low:g} to {high:g}, must be from 0 to 1 or from 0 to 255, "
                "all images alike; save the brightness before it is normalised"
            )
        say(f"{path}: {key} is {arrays[key].dtype} from 0 to {scale}; rounded to 256 levels")
        arrays[key] = np.rint(arrays[key] * (255 / scale)).astype(np.uint8)


def _number_labels(path: str, arrays: dict[str, np.ndarray], say: Callable[[str], None]) -> list[str] | None:
    """Number the labels from 0, in place. Labels that are names or other numbers are sorted and become names.

    Returns the names of the classes; None if the training labels are the numbers 0 … K - 1.
    """
    labels = {key: of_part.reshape(len(of_part)) for key, of_part in arrays.items() if key.endswith("labels")}
    named = {key: of_part.dtype.kind in "US" for key, of_part in labels.items()}
    if len(set(named.values())) > 1:
        kinds = ", ".join(f"{key} is {of_part.dtype}" for key, of_part in labels.items())
        raise UserError(f"{path}: {kinds}; save all as names, or all as integers from 0")
    if named[TRAIN_KEYS[1]]:
        given = {key: np.array([_text(name) for name in of_part], object) for key, of_part in labels.items()}
    else:
        given = {key: _numbers(path, key, of_part) for key, of_part in labels.items()}
    classes = sorted(set(given[TRAIN_KEYS[1]].tolist()))
    number = {value: k for k, value in enumerate(classes)}
    for key, of_part in given.items():
        unseen = sorted(set(of_part.tolist()) - number.keys())
        if unseen:
            raise UserError(
                f"{path}: {key} has the label {unseen[0]!r}, which no training image has; add training images of this "
                "class, or remove these"
            )
        arrays[key] = np.array([number[value] for value in of_part.tolist()], np.int64)
    if named[TRAIN_KEYS[1]]:
        say(f"{path}: labels are names and are numbered in their order: {len(classes):,} classes")
    elif classes == list(range(len(classes))):
        return None
    else:
        say(
            f"{path}: labels are {len(classes):,} numbers from {classes[0]} to {classes[-1]}, not 0 to "
            f"{len(classes) - 1}; they are numbered in their order from 0 and stay the names of the classes"
        )
    return [str(value) for value in classes]


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def _images(images: np.ndarray) -> np.ndarray:
    return images[..., None] if images.ndim == 3 else images


def _numbers(path: str, key: str, labels: np.ndarray) -> np.ndarray:
    """Return labels as int64. Raises UserError for numbers that are no classes."""
    for label in (labels.min(), labels.max()):
        if not 0 <= label <= LARGEST_LABEL:
            raise UserError(f"{path}: {key} has a label {label}, labels must be from 0 to {LARGEST_LABEL}")
    return labels.astype(np.int64)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
