"""Read images and labels from an .npz archive. All headers are checked before memory is allocated for an array."""

import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib import format as npy

from mixbench.core import memory
from mixbench.core.errors import UserError

TRAIN_KEYS, TEST_KEYS = ("train_images", "train_labels"), ("test_images", "test_labels")
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


def read_images(
    path: str, with_test: bool, only_labels: bool = False, say: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, np.ndarray], list[str] | None]:
    """Read the images and labels of an archive; other arrays are ignored.

    Before anything is read, every header must match the size of its file in the archive, and all arrays together must
    fit in the free memory (memory.available).

    path: the archive, as the user gives it.
    with_test: whether to read test images and labels too.
    only_labels: whether to check of the images only their headers. The images that are returned are then black.
    say: called with a line on images and labels that are converted.
    Returns train_images uint8 [N, H, W, C] and train_labels int64 [N] and, if `with_test`, test_images and test_labels;
        and the names of the classes, if labels are names.
    Raises UserError, which names the array, if the archive cannot be used.
    """
    keys = (*TRAIN_KEYS, *TEST_KEYS) if with_test else TRAIN_KEYS
    file = os.path.expanduser(path)
    _check_place(path, file)
    try:
        with zipfile.ZipFile(file) as archive:
            found = {key: _head(path, archive, member) for key, member in _members(path, archive, keys).items()}
            for key, array in found.items():
                (_check_images if key.endswith("images") else _check_labels)(path, key, array)
            _check_together(path, found)
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
    names = _number_names(path, arrays, say)
    for key in keys:
        arrays[key] = _images(arrays[key]) if key.endswith("images") else _labels(path, key, arrays[key])
    _check_numbering(path, arrays)
    return arrays, names


def _check_place(path: str, file: str) -> None:
    if os.path.isdir(file):
        raise UserError(f"dataset.path={path}: is a folder, must be an .npz archive; {PACKING}")
    if not os.path.isfile(file):
        what = "not a file" if os.path.exists(file) else "no such file"
        raise UserError(f"dataset.path={path}: {what}; correct the path, or {HOW_TO_MAKE}")


def _members(path: str, archive: zipfile.ZipFile, keys: tuple[str, ...]) -> dict[str, zipfile.ZipInfo]:
    there = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    for key in keys:
        if key in there:
            continue
        if key in TEST_KEYS and all(train in there for train in TRAIN_KEYS):
            raise UserError(
                f"{path}: has no {key}, but eval=test needs {' and '.join(TEST_KEYS)}; use eval=stratified, which "
                "evaluates on a held-out part of the training list"
            )
        raise UserError(
            f"{path}: has no {key}, only {', '.join(there) or 'nothing'}; must have {ARRAYS}; eval=stratified needs "
            f"only {' and '.join(TRAIN_KEYS)}"
        )
    return {key: there[key] for key in keys}


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
        raise UserError(f"{path}: {key} has shape {labels.shape}, must be [N] or [N, 1]")


def _check_together(path: str, found: Mapping[str, Array]) -> None:
    for images, labels in (TRAIN_KEYS, TEST_KEYS):
        if images in found and found[images].shape[0] != found[labels].shape[0]:
            raise UserError(
                f"{path}: {found[images].shape[0]} {images} but {found[labels].shape[0]} {labels}; save one label for "
                "each image, in the same order"
            )
    sizes = {key: (*found[key].shape[1:], 1)[:3] for key in ("train_images", "test_images") if key in found}
    if len(set(sizes.values())) > 1:
        raise UserError(
            f"{path}: train_images are {sizes['train_images']} and test_images {sizes['test_images']} (H, W, C); they "
            "must have the same size"
        )
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
                "training and test images alike; save the brightness before it is normalised"
            )
        say(f"{path}: {key} is {arrays[key].dtype} from 0 to {scale}; rounded to 256 levels")
        arrays[key] = np.rint(arrays[key] * (255 / scale)).astype(np.uint8)


def _number_names(path: str, arrays: dict[str, np.ndarray], say: Callable[[str], None]) -> list[str] | None:
    """Number labels that are names, in place, in the order of the names. Returns the names; None if there are none."""
    labels = {key: arrays[key] for key in (TRAIN_KEYS[1], TEST_KEYS[1]) if key in arrays}
    if all(of_part.dtype.kind not in "US" for of_part in labels.values()):
        return None
    if any(of_part.dtype.kind not in "US" for of_part in labels.values()):
        kinds = ", ".join(f"{key} is {of_part.dtype}" for key, of_part in labels.items())
        raise UserError(f"{path}: {kinds}; save both as names, or both as integers from 0")
    train = arrays[TRAIN_KEYS[1]]
    names = sorted({_text(name) for name in train.ravel()})
    number = {name: k for k, name in enumerate(names)}
    for key, of_part in labels.items():
        given = [_text(name) for name in of_part.ravel()]
        unseen = sorted(set(given) - number.keys())
        if unseen:
            raise UserError(
                f"{path}: {key} has {unseen[0]!r}, which no training image has; add training images of it, or remove "
                "these"
            )
        arrays[key] = np.array([number[name] for name in given], np.int64)
    say(f"{path}: labels are names and are numbered in their order: {len(names):,} classes")
    return names


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


def _images(images: np.ndarray) -> np.ndarray:
    return images[..., None] if images.ndim == 3 else images


def _labels(path: str, key: str, labels: np.ndarray) -> np.ndarray:
    labels = labels.reshape(len(labels))
    if labels.min() < 0:
        raise UserError(f"{path}: {key} has a label {labels.min()}, labels must be from 0 to {LARGEST_LABEL}")
    if labels.max() > LARGEST_LABEL:
        raise UserError(f"{path}: {key} has a label {labels.max()}, labels must be from 0 to {LARGEST_LABEL}")
    return labels.astype(np.int64)


def _check_numbering(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise UserError if labels do not start at 0 or test labels are larger than all training labels.

    A class number without training images would still get an output of the network.
    """
    labels, of_test = arrays["train_labels"], arrays.get("test_labels")
    first, last = labels.min(), labels.max()
    if first > 0:
        both = "" if of_test is None else f" and test_labels - {first}"
        raise UserError(
            f"{path}: train_labels start at {first}, must start at 0; save train_labels - {first}{both} instead"
        )
    if of_test is not None and of_test.max() > last:
        raise UserError(
            f"{path}: test_labels go up to {of_test.max()}, but train_labels only to {last}; add training images of "
            "these classes, or remove their test images"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
