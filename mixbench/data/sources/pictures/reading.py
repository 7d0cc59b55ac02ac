"""Decode all pictures of a data set on all cores, once: the pixels are kept in a cache with a checksum."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mixbench.core import files, memory
from mixbench.core.errors import UserError
from mixbench.core.pictures import CROP
from mixbench.data.sources.npz import DAMAGE
from mixbench.data.sources.parts import TRAIN
from mixbench.data.sources.pictures.decoding import Broken, decode
from mixbench.data.sources.pictures.listing import Listing, Picture, list_folder
from mixbench.data.sources.pictures.table import list_table

VERSION = 1  # of decoding; another version does not read the caches of this one
MANY, PARTS_TOLD = 2000, 4  # pictures from which on it is told that they are decoded, and after which parts of them
SHOWN = 5  # files that a line names


@dataclass(frozen=True)
class Settings:
    """How pictures are read.

    size: pixels of a side.
    fit: `crop` or `squash` (`decoding.decode`).
    columns: `path`, `label`, `split` and `group` -> name of a table's column, or None.
    cache: folder in which decoded pictures are kept; None: they are not kept.
    """

    size: int = 64
    fit: str = CROP
    columns: Mapping[str, str | None] = field(default_factory=dict)
    cache: Path | None = None

    @property
    def key(self) -> tuple:
        """What tells these settings from others."""
        return self.size, self.fit, tuple(sorted(self.columns.items())), self.cache


@dataclass(frozen=True)
class Pictures:
    """The decoded pictures of a data set.

    listing: the pictures that could be decoded, and what was left out with the reason.
    images: uint8 [N, size, size, C], in the order of the listing; C is 1 if all pictures are grey, otherwise 3.
    """

    listing: Listing
    images: np.ndarray


def list_pictures(source: str, path: str, settings: Settings) -> Listing:
    """List the pictures of a data set without opening them.

    source: `folder` or `csv`.
    path: the folder or table.
    settings: how pictures are read.
    Raises UserError if it cannot be used.
    """
    return list_folder(path) if source == "folder" else list_table(path, settings.columns)


def at_once(write: Callable[[], None]) -> None:
    """Write decoded pictures to the cache as soon as they are decoded.

    write: writes them.
    """
    write()


def read_pictures(
    source: str,
    path: str,
    settings: Settings,
    say: Callable[[str], None],
    listing: Listing | None = None,
    keep: Callable[[Callable[[], None]], None] = at_once,
) -> Pictures:
    """Decode the pictures of a data set, or read them from the cache if neither files nor settings have changed.

    source: `folder` or `csv`.
    path: the folder or table.
    settings: how pictures are read.
    say: called with a line of text on files that are left out.
    listing: the pictures, if they have been listed; None: they are listed.
    keep: called with a function that writes the decoded pictures to the cache, if they are not there.
    Raises UserError if the data set cannot be used.
    """
    listing = listing or list_pictures(source, path, settings)
    known = _cached(listing, settings)
    pixels, broken = known or _decode_all(path, listing, settings, say)
    if not known:
        keep(lambda: _keep(listing, settings, pixels, broken))
    reasons = dict(broken)
    good = [k for k in range(len(listing.pictures)) if k not in reasons]
    skipped = [*listing.skipped, *((listing.pictures[k].name, reason) for k, reason in broken)]
    if skipped:
        say(_skipped(path, skipped))
    there = [listing.pictures[k] for k in good]
    lost = sorted({picture.label for picture in listing.pictures} - {p.label for p in there if p.part == TRAIN})
    if lost:
        first = next(k for k in reasons if listing.pictures[k].label == lost[0] and listing.pictures[k].part == TRAIN)
        raise _unusable(
            path, f"picture of {listing.classes[lost[0]]!r} to train on", listing.pictures[first], reasons[first]
        )
    return Pictures(Listing(there, listing.classes, skipped), pixels)


def _unusable(path: str, what: str, picture: Picture, reason: str) -> UserError:
    """Return the error for data without a picture that can be used, which shows one of them."""
    remedy = "repair the files"
    if not picture.file.exists():
        remedy = "correct the paths, which are relative to the folder of the table, or put the files there"
    return UserError(f"dataset.path={path}: no {what} can be used ({picture.name}: {reason}); {remedy}")


def _skipped(path: str, skipped: list[tuple[str, str]]) -> str:
    """Return a line that names the files that are left out."""
    named = ", ".join(f"{name if name.isprintable() else repr(name)} ({reason})" for name, reason in skipped[:SHOWN])
    more = f" and {len(skipped) - SHOWN:,} more" if len(skipped) > SHOWN else ""
    count = "1 file is" if len(skipped) == 1 else f"{len(skipped):,} files are"
    return f"{path}: {count} left out: {named}{more}"


def _decode_all(
    path: str, listing: Listing, settings: Settings, say: Callable[[str], None]
) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Return the pixels of all good pictures, and position and reason of the broken ones."""
    total, size = len(listing.pictures), settings.size
    needed, free = total * size * size * 3, memory.available()
    if free is not None and needed > free:
        raise UserError(
            f"dataset.path={path}: {total:,} pictures of {size}x{size} take {memory.size(needed)} of memory, but only "
            f"{memory.size(free)} are free; use a smaller dataset.size"
        )

    def decoded(picture: Picture) -> np.ndarray | str:
        try:
            return decode(picture.file, size, settings.fit)
        except Broken as broken:
            return str(broken)

    if total >= MANY:
        say(f"{path}: decoding {total:,} pictures on {os.cpu_count()} cores; runs keep them for the next time")
    results: list[np.ndarray | str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow lets other threads run while it decodes and scales
        for result in pool.map(decoded, listing.pictures):
            results.append(result)
            if total >= MANY and len(results) % -(-total // PARTS_TOLD) == 0 and len(results) < total:
                say(f"{path}: {len(results):,} of {total:,}")
    broken = [(k, result) for k, result in enumerate(results) if isinstance(result, str)]
    good = [result for result in results if not isinstance(result, str)]
    if not good:
        raise _unusable(path, "picture", listing.pictures[0], str(results[0]))
    grey = all(pixels.ndim == 2 for pixels in good)
    images = np.empty((len(good), size, size, 1 if grey else 3), np.uint8)
    for k, pixels in enumerate(good):
        images[k] = pixels[..., None] if pixels.ndim == 2 else pixels
    return images, broken


def _cached(listing: Listing, settings: Settings) -> tuple[np.ndarray, list[tuple[int, str]]] | None:
    """Return what an earlier call has decoded; None if there is nothing, or it is damaged."""
    file = _cache_file(listing, settings)
    if file is None or not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as archive:
            images, told = archive["images"], str(archive["told"])
        found = json.loads(told)
        if found["sha256"] != hashlib.sha256(images.data).hexdigest():
            return None
        return images, [(int(k), str(reason)) for k, reason in found["broken"]]
    except (*DAMAGE, KeyError, MemoryError, SyntaxError, TypeError):
        return None


def _keep(listing: Listing, settings: Settings, images: np.ndarray, broken: list[tuple[int, str]]) -> None:
    """Write the cache. If that fails, the next call decodes again."""
    file = _cache_file(listing, settings)
    if file is None:
        return
    told = json.dumps({"sha256": hashlib.sha256(images.data).hexdigest(), "broken": broken})
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, lambda out: np.savez(out, images=images, told=np.array(told)))


def _cache_file(listing: Listing, settings: Settings) -> Path | None:
    """Return the file that holds these pictures: its name changes with the files, their sizes and their times."""
    if settings.cache is None:
        return None
    digest = hashlib.sha256(f"{VERSION} {settings.size} {settings.fit}".encode())
    for picture in listing.pictures:
        try:
            found = picture.file.stat()
            digest.update(f"\0{picture.name}\0{found.st_size}\0{found.st_mtime_ns}".encode("utf-8", "surrogateescape"))
        except OSError:
            digest.update(f"\0{picture.name}\0gone".encode("utf-8", "surrogateescape"))
    return settings.cache / f"{digest.hexdigest()[:32]}.npz"
