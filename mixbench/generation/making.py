"""Make a bank: variants of training images and fractals, file by file, so that an interrupted bank can go on."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout

from mixbench.core import banks, files
from mixbench.core.errors import UserError
from mixbench.core.version import __version__
from mixbench.generation.fractals import fractals

LOCK = ".lock"
FRACTALS_VERSION = 1  # raised when the same seed gives other fractals


class Backend(Protocol):
    """Makes variants of images.

    name: its name in commands and recipes.
    variants: names of the variants of each image, such as filters or prompts.
    per_file: images in one file of the bank.
    """

    name: str
    variants: tuple[str, ...]
    per_file: int

    def recipe(self) -> dict[str, Any]:
        """Return what the variants depend on beside the images and the seed, as JSON values."""
        ...

    def make(self, images: np.ndarray, indices: np.ndarray, seed: int) -> np.ndarray:
        """uint8 [B, V, H, W, C]: variants of images. Each depends on its own image alone.

        images: uint8 [B, H, W, C].
        indices: int64 [B], positions of the images in the training list.
        seed: seed of what is random.
        """
        ...


@dataclass(frozen=True)
class Wanted:
    """The images of a bank.

    dataset: name of the data set, for messages.
    train_sha256: checksum of its whole training list.
    images: uint8 [M, H, W, C], the images to make variants of.
    indices: int64 [M], their positions in the training list.
    seed: seed of the fractals and of the backend.
    fractals: number of fractals.
    """

    dataset: str
    train_sha256: str
    images: np.ndarray
    indices: np.ndarray
    seed: int
    fractals: int


@dataclass(frozen=True)
class Made:
    """A complete bank.

    manifest: content of bank.json.
    before: images whose variants were there before this call.
    """

    manifest: dict[str, Any]
    before: int


def make_bank(
    folder: Path, wanted: Wanted, backend: Backend, advance: Callable[[int], None] = lambda images: None
) -> Made:
    """Make a bank, or finish one that was interrupted. A complete bank stays as it is.

    folder: the bank's folder.
    wanted: the images.
    backend: makes the variants.
    advance: called with a number of images after each file of the bank, including files that were there before.
    Raises UserError if the folder has a bank with other settings or other content, or another process makes it, and
        CannotWrite if the disk is full.
    """
    recipe = _recipe(wanted, backend)
    _check_place(folder, recipe)
    with files.folder_for(folder / banks.PLAN):
        lock = FileLock(folder / LOCK)
        try:
            with lock.acquire(timeout=0):
                made = _made(folder, wanted, backend, recipe, advance)
                (folder / LOCK).unlink(missing_ok=True)
                return made
        except Timeout:
            raise UserError(f"bank={folder}: another process makes this bank; wait for it") from None


def _made(
    folder: Path, wanted: Wanted, backend: Backend, recipe: dict[str, Any], advance: Callable[[int], None]
) -> Made:
    sizes = recipe["parts"]
    for path in list(folder.iterdir()):
        if files.writer(path.name) is not None:  # left by a process that was killed: nobody else holds the lock
            files.remove(path)
    if (folder / banks.MANIFEST).exists():
        manifest = banks.read_manifest(str(folder), banks.BANK)
        if all((folder / name).is_file() for name in manifest["files"]):
            advance(sum(sizes))
            return Made(manifest, sum(sizes))
    else:
        files.write_json(folder / banks.PLAN, {"format": banks.FORMAT, "recipe": recipe})
    before = first = 0
    for number, size in enumerate(sizes):
        path, part = folder / banks.part_name(number), slice(first, first + size)
        if path.is_file():
            before += size
        else:
            _write(path, backend.make(wanted.images[part], wanted.indices[part], wanted.seed))
        first += size
        advance(size)
    height, width, channels = wanted.images.shape[1:]
    _write(folder / banks.INDICES, wanted.indices.astype("<i8"))
    _write(folder / banks.FRACTALS, fractals(wanted.seed, wanted.fractals, height, width, channels))
    names = [*map(banks.part_name, range(len(sizes))), banks.INDICES, banks.FRACTALS]
    manifest = {"format": banks.FORMAT, "mixbench": __version__, "recipe": recipe}
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    manifest["sha256"] = banks.content_checksum(manifest)
    text = json.dumps(manifest, indent=1, allow_nan=False) + "\n"
    files.write_all({folder / banks.MANIFEST: text}, without=[folder / banks.PLAN])
    return Made(manifest, before)


def _recipe(wanted: Wanted, backend: Backend) -> dict[str, Any]:
    """Return what decides the content of a bank. An interrupted bank goes on only with an equal recipe."""
    count = len(wanted.images)
    whole, rest = divmod(count, backend.per_file)
    return {
        "dataset": wanted.dataset,
        "train_sha256": wanted.train_sha256,
        "images": count,
        "indices_sha256": hashlib.sha256(wanted.indices.astype("<i8").tobytes()).hexdigest(),
        "size": list(wanted.images.shape[1:]),
        "backend": backend.name,
        "variants": list(backend.variants),
        "seed": wanted.seed,
        "fractals": wanted.fractals,
        "fractals_version": FRACTALS_VERSION,
        **backend.recipe(),
        "parts": [backend.per_file] * whole + [rest] * bool(rest),
    }


def _check_place(folder: Path, recipe: dict[str, Any]) -> None:
    """Raise UserError if the folder has other files, or a bank, complete or not, of another recipe."""
    files.check_writable(folder, banks.BANK)
    known = next((name for name in (banks.MANIFEST, banks.PLAN) if (folder / name).exists()), None)
    if known is None:
        if folder.is_dir() and any(map(_is_other, folder.iterdir())):
            raise UserError(f"bank={folder}: the folder has other files; choose an empty or a new folder")
        return
    try:
        there = files.read_json(folder / known).get("recipe")
    except (OSError, ValueError) as error:
        raise UserError(f"bank={folder}: {known} cannot be read ({error}); choose another folder") from error
    there = there if isinstance(there, dict) else {}
    differs = [key for key in {**there, **recipe} if there.get(key) != recipe.get(key)]
    if differs:
        key = differs[0]
        raise UserError(
            f"bank={folder}: the folder has a bank with other settings ({key}: {there.get(key)}, now "
            f"{recipe.get(key)}); choose another folder, or delete this one"
        )


def _is_other(path: Path) -> bool:
    """Whether a file of a folder is none that an interrupted bank leaves."""
    return path.name != LOCK and files.writer(path.name) is None


def _write(path: Path, array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array), allow_pickle=False)
    files.write(path, lambda file: file.write(content.getbuffer()))
