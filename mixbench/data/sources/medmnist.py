"""Read a MedMNIST data set (Yang et al. 2023, MedMNIST v2) with the package `medmnist`, which downloads it if needed.

The package knows the names, sizes, tasks, class names and addresses of the sets; images are read as from any archive.
"""

import contextlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from mixbench.core.errors import UserError, unknown
from mixbench.core.pictures import MEDMNIST_PLAIN_SIZE
from mixbench.data.sources import npz
from mixbench.data.sources.npz import Content
from mixbench.data.sources.parts import TEST, TRAIN

NAME = "medmnist"  # of the package, and of the source


def read_medmnist(
    name: str, size: int, root: str, part: str | None, say: Callable[[str], None], only_labels: bool = False
) -> Content:
    """Read a data set of MedMNIST.

    name: name of the set with its size, such as pathmnist or pathmnist_64.
    size: pixels of a side.
    root: folder of the archives. A set that is not there is downloaded into it, unless only labels are needed.
    part: the part to read besides the training images: test or val. None: no other part.
    say: called with a line of text before anything that takes long.
    only_labels: whether images can be black. If the set is not in the folder, its labels are then made up: as many as
        there are, equally many of each class.
    Returns the parts, with the names of the classes.
    Raises UserError if the set cannot be read.
    """
    package = _package(name, size)
    flag = name if size == MEDMNIST_PLAIN_SIZE else name.removesuffix(f"_{size}")
    about = _about(package, flag)
    folder = Path(root).expanduser()
    file = folder / f"{name}.npz"
    counts = {part_: about["n_samples"][part_] for part_ in (TRAIN, part) if part_ is not None}
    names = [str(about["label"][key]) for key in sorted(about["label"], key=int)]
    if not file.exists():
        if only_labels:
            return Content(
                {key: _made_up(count, size, about["n_channels"], len(names)) for key, count in counts.items()}, names
            )
        _download(package, about, file, size, say)
    content = npz.read_images(str(file), part, only_labels, say)
    there = {key: len(labels) for key, (_, labels) in content.parts.items()}
    found_classes = int(content.parts[TRAIN][1].max()) + 1
    if there != counts or found_classes != len(names) or content.class_names is not None:
        found = ", ".join(f"{count:,} {key}" for key, count in there.items())
        expected = ", ".join(f"{count:,} {key}" for key, count in counts.items())
        raise UserError(
            f"{file}: has {found} images, but {name} has {expected} images of {len(names)} classes; put the whole "
            "archive there, or read your own with dataset=npz"
        )
    return Content(content.parts, names)


def _package(name: str, size: int) -> Any:
    try:  # by name: the checker of types must not need libraries that are seldom installed
        return importlib.import_module(NAME)
    except ImportError as error:
        raise UserError(
            f"dataset=medmnist needs the package {error.name}, which is not installed; install it with pip install "
            f"'mixbench[medmnist]', or read the archive itself with dataset=npz dataset.path={name}.npz"
        ) from error


def _about(package: Any, flag: str) -> dict[str, Any]:
    """Return what the package knows of a set. Raises UserError if there is no such set, or its task does not fit."""
    about = package.INFO
    usable = [key for key in about if "multi-label" not in about[key]["task"] and not key.endswith("3d")]
    if flag not in about:
        raise unknown("dataset.name", flag, usable)
    if flag in usable:
        return about[flag]
    why = "its images are three-dimensional" if flag.endswith("3d") else "its images have several labels each"
    raise UserError(f"dataset.name={flag}: {why}, which mixbench does not train on; choices: {', '.join(usable)}")


def _made_up(count: int, size: int, channels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    return np.broadcast_to(np.uint8(0), (count, size, size, channels)), np.arange(count) % classes


def _download(package: Any, about: dict[str, Any], file: Path, size: int, say: Callable[[str], None]) -> None:
    """Let the package download an archive into its folder. Raises UserError if that fails."""
    flag = "" if size == MEDMNIST_PLAIN_SIZE else f"_{size}"
    address = about[f"url{flag}"]
    by_hand = f"put it there yourself from {address}, or set dataset.root to the folder that has it"
    folder = file.parent
    there, lock = folder.exists(), folder / f".{file.stem}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):  # torchvision, which the package uses, writes directly to the archive's name
            if not file.exists():
                say(f"{file.name} is not in {folder}/: downloading it from {address} ({about['license']})")
                getattr(package, about["python_class"])(split=TEST, root=str(folder), size=size, download=True)
    except (OSError, RuntimeError) as error:
        lock.unlink(missing_ok=True)
        file.unlink(missing_ok=True)  # a part of a download would be taken for the whole archive
        if not there:
            with contextlib.suppress(OSError):
                folder.rmdir()  # created above; a folder with any content stays
        raise UserError(f"{file}: is not there and cannot be downloaded; {by_hand}") from error
