"""Sheets of 1,000 images each (40 x 25 tiles of 32x32, lossless WebP) that travel, and the archive made of them.

python -m benchmarks.gpu.tiles FOLDER OUT.npz decodes what the folder's tiles.json names and checks the pixels' SHA-256.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

MANIFEST, LABELS = "tiles.json", "labels.npz"
SIDE, ACROSS, DOWN = 32, 40, 25
SHEET = ACROSS * DOWN
CIFAR10 = {"name": "cifar10-20k", "train": [*range(20)], "test": [*range(40, 50)]}  # by number of the training sheet
# Of the bytes of CIFAR-10's own training images 0-19,999 and 40,000-49,999, uint8 [N, 32, 32, 3].
CIFAR10_SHA256 = {
    "train_images": "74493c77aca7915c5811a5d387566a9b045abbdd45f6636b12a6590eb540193c",
    "test_images": "d05b7d66d216d6df882cc760cdc0ff2f1f0437abf699ed16005c021ef0add9cb",
}


class Damaged(Exception):
    """The tiles are not what they should be."""


def sheet_name(number: int) -> str:
    return f"train-{number:02d}.webp"


def split_sheet(path: Path) -> np.ndarray:
    """The images of one sheet, uint8 [1000, 32, 32, 3]."""
    with Image.open(path) as opened:
        sheet = np.asarray(opened.convert("RGB"))
    if sheet.shape != (DOWN * SIDE, ACROSS * SIDE, 3):
        raise Damaged(f"{path}: is of {sheet.shape}, a sheet has {DOWN} x {ACROSS} tiles of {SIDE} pixels a side")
    return sheet.reshape(DOWN, SIDE, ACROSS, SIDE, 3).swapaxes(1, 2).reshape(SHEET, SIDE, SIDE, 3)


def decode(folder: Path, train: Sequence[int], test: Sequence[int]) -> dict[str, np.ndarray]:
    """The arrays of an .npz archive as mixbench reads it; `train`, `test`: numbers of the sheets."""
    labels = np.load(folder / LABELS)["train_labels"]
    arrays = {}
    for part, numbers in (("train", train), ("test", test)):
        arrays[f"{part}_images"] = np.concatenate([split_sheet(folder / sheet_name(k)) for k in numbers])
        arrays[f"{part}_labels"] = np.concatenate([labels[k * SHEET : (k + 1) * SHEET] for k in numbers])
    return arrays


def checksums(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """SHA-256 of each array's bytes."""
    return {key: hashlib.sha256(np.ascontiguousarray(array)).hexdigest() for key, array in arrays.items()}


def describe(folder: Path, which: dict) -> dict:
    """What tiles.json says of these sheets. Raises Damaged where CIFAR-10's are not CIFAR-10's."""
    found = checksums(decode(folder, which["train"], which["test"]))
    if which == CIFAR10:
        for key, expected in CIFAR10_SHA256.items():
            if found[key] != expected:
                raise Damaged(f"{folder}: the {key} are not those of CIFAR-10 (SHA-256 {found[key]})")
    return {**which, "sha256": found}


def unpack(folder: Path, out: Path) -> dict:
    """Write the archive that tiles.json describes, whole or not at all; returns what tiles.json says."""
    told = json.loads((folder / MANIFEST).read_text())
    arrays = decode(folder, told["train"], told["test"])
    found = checksums(arrays)
    wrong = [key for key, expected in told["sha256"].items() if found[key] != expected]
    if wrong:
        raise Damaged(f"{folder}: damaged, or decoded otherwise here: {', '.join(wrong)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    half = out.with_name(f".{out.name}")
    with open(half, "wb") as file:
        np.savez(file, **arrays)
    half.replace(out)
    return told


def stand_in(folder: Path) -> dict:
    """Two sheets of synthetic images, for a rehearsal without CIFAR-10: each class has a colour, under noise."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    colours = draw.integers(60, 196, (10, 1, 1, 3))
    labels = draw.integers(0, 10, 2 * SHEET).astype(np.uint8)
    images = (colours[labels] + draw.integers(-60, 60, (2 * SHEET, SIDE, SIDE, 3))).astype(np.uint8)
    for k in range(2):
        tiles = images[k * SHEET : (k + 1) * SHEET].reshape(DOWN, ACROSS, SIDE, SIDE, 3).swapaxes(1, 2)
        Image.fromarray(tiles.reshape(DOWN * SIDE, ACROSS * SIDE, 3)).save(
            folder / sheet_name(k), lossless=True, quality=0, method=0
        )
    np.savez(folder / LABELS, train_labels=labels)
    told = describe(folder, {"name": "stand-in", "train": [0], "test": [1]})
    (folder / MANIFEST).write_text(json.dumps(told, indent=1) + "\n")
    return told


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    try:
        made = unpack(source, target)
    except (Damaged, OSError, ValueError, KeyError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    print(f"{target}: {made['name']}, {SHEET * len(made['train'])} + {SHEET * len(made['test'])} images, as packed")
