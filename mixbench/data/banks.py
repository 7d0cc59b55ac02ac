"""Read the variants of a run's images, and fractals, from a bank that `mixbench generate` made."""

import hashlib
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mixbench.core import banks, files, memory
from mixbench.core.errors import UserError

LARGEST_FILE = 2**34  # bytes; larger files of a bank are not read


@dataclass(frozen=True)
class BankPart:
    """The images of a bank that a run uses.

    variants: uint8 [n, V, H, W, C], V variants of each training image of the run.
    fractals: uint8 [F, H, W, C].
    source: the bank's description, for the run's provenance.
    """

    variants: np.ndarray
    fractals: np.ndarray
    source: Mapping[str, Any] = field(default_factory=dict)


def read_bank(
    folder: str, indices: np.ndarray, train_sha256: str, backends: Sequence[str] = (), key: str = "method.bank"
) -> BankPart:
    """Read what a run uses of a bank. Only files that have variants of its images are read, and each is checked.

    folder: the bank's folder.
    indices: int64 [n], positions of the run's images in the training list.
    train_sha256: checksum of the training list (Split.checksums).
    backends: the backends whose banks the method takes; none: those of every backend.
    key: the key of the folder, for messages.
    Raises UserError if the bank is of another data set or backend, lacks an image, is damaged or does not fit into
        memory.
    """
    manifest, place = banks.read_manifest(folder, key), Path(folder)
    recipe = manifest["recipe"]
    if recipe["train_sha256"] != train_sha256:
        raise UserError(
            f"{key}={folder}: the bank is of the data set {recipe['dataset']}, or its images have changed; make a bank "
            "of this data set with mixbench generate"
        )
    if backends and recipe["backend"] not in backends:
        raise UserError(
            f"{key}={folder}: the bank was made with backend={recipe['backend']}, and this method takes banks of "
            f"backend={' or '.join(backends)}"
        )
    there = _read(place, banks.INDICES, manifest, key)
    order = np.argsort(there, kind="stable")
    found = np.minimum(np.searchsorted(there, indices, sorter=order), len(there) - 1)
    rows = order[found]
    missing = int((there[rows] != indices).sum())
    if missing:
        raise UserError(
            f"{key}={folder}: the bank lacks {missing:,} of {len(indices):,} training images; make a bank of all "
            "training images (mixbench generate without n), or with the n, subset and subset_seed of this run"
        )
    fractals = _read(place, banks.FRACTALS, manifest, key)
    shape = (len(indices), len(recipe["variants"]), *fractals.shape[1:])
    needed, free = int(np.prod(shape)), memory.available()
    if free is not None and needed > free:
        raise UserError(
            f"{key}={folder}: the variants take {memory.size(needed)} of memory, but only {memory.size(free)} are "
            "free; use fewer images or fewer variants"
        )
    return BankPart(_variants(place, manifest, rows, shape, key), fractals, _described(manifest))


def _variants(
    place: Path, manifest: Mapping[str, Any], rows: np.ndarray, shape: tuple[int, ...], key: str
) -> np.ndarray:
    """uint8 [n, V, H, W, C]: the variants of the rows, int64 [n], of a bank's images."""
    found = np.empty(shape, dtype=np.uint8)
    ends = list(itertools.accumulate(manifest["recipe"]["parts"], initial=0))
    for number, (first, end) in enumerate(itertools.pairwise(ends)):
        here = np.flatnonzero((rows >= first) & (rows < end))
        if len(here):
            found[here] = _read(place, banks.part_name(number), manifest, key)[rows[here] - first]
    return found


def _read(place: Path, name: str, manifest: Mapping[str, Any], key: str) -> np.ndarray:
    """Read an array of a bank. Raises UserError if its file is missing or is not the one that was written."""
    try:
        content = files.read_bytes(place / name, LARGEST_FILE)
    except (OSError, ValueError) as error:
        raise UserError(f"{key}={place}: {name} cannot be read ({error}); make the bank again") from error
    if hashlib.sha256(content).hexdigest() != manifest["files"].get(name):
        raise UserError(f"{key}={place}: {name} is damaged: its checksum differs; delete it and make the bank again")
    return np.load(io.BytesIO(content), allow_pickle=False)


def _described(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {"sha256": manifest["sha256"], "mixbench": manifest.get("mixbench"), **manifest["recipe"]}
