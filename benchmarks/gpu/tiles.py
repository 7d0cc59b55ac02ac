"""Sheets of 1,000 images each (40 x 25 tiles of 32x32 pixels, lossless WebP), and the archive made from them.

python -m benchmarks.gpu.tiles FOLDER OUT.npz decodes the sheets in the folder's tiles.json and checks their SHA-256.
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
CIFAR10 = {"name": "cifar10-20k", "train": [*range(20)], "test": [*range(40, 50)]}  # numbers of training sheets
# SHA-256 of CIFAR-10's training images 0-19,999 and 40,000-49,999, uint8 [N, 32, 32, 3].
CIFAR10_SHA256 = {
    "train_images": "74493c77aca7915c5811a5d387566a9b045abbdd45f6636b12a6590eb540193c",
    "test_images": "d05b7d66d216d6df882cc760cdc0ff2f1f0437abf699ed16005c021ef0add9cb",
}


class Damaged(Exception):
    """The tiles are damaged."""


def sheet_name(number: int) -> str:
    """Return the file name of a sheet."""
    return f"train-{number:02d}.webp"


def split_sheet(path: Path) -> np.ndarray:
    """Return the images of a sheet: uint8 [1000, 32, 32, 3]. Raises Damaged if it has another size."""
    with Image.open(path) as opened:
        sheet = np.asarray(opened.convert("RGB"))
    if sheet.shape != (DOWN * SIDE, ACROSS * SIDE, 3):
        raise Damaged(
            f"{path}: has shape {sheet.shape}, but a sheet has {DOWN} x {ACROSS} tiles of {SIDE}x{SIDE} pixels"
        )
    return sheet.reshape(DOWN, SIDE, ACROSS, SIDE, 3).swapaxes(1, 2).reshape(SHEET, SIDE, SIDE, 3)


def decode(folder: Path, train: Sequence[int], test: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz archive for mixbench.

    folder: folder of the sheets.
    train, test: numbers of the sheets.
    """
    labels = np.load(folder / LABELS)["train_labels"]
    arrays = {}
    for part, numbers in (("train", train), ("test", test)):
        arrays[f"{part}_images"] = np.concatenate([split_sheet(folder / sheet_name(k)) for k in numbers])
        arrays[f"{part}_labels"] = np.concatenate([labels[k * SHEET : (k + 1) * SHEET] for k in numbers])
    return arrays


def checksums(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """Return the SHA-256 of each array's bytes."""
    return {key: hashlib.sha256(np.ascontiguousarray(array)).hexdigest() for key, array in arrays.items()}


def describe(folder: Path, which: dict) -> dict:
    """Return the content of tiles.json for sheets.

    folder: folder of the sheets.
    which: name and numbers of the sheets. For CIFAR10 their pixels are checked.
    Raises Damaged if the sheets of CIFAR-10 have other pixels.
    """
    found = checksums(decode(folder, which["train"], which["test"]))
    if which == CIFAR10:
        for key, expected in CIFAR10_SHA256.items():
            if found[key] != expected:
                raise Damaged(f"{folder}: the {key} are not those of CIFAR-10 (SHA-256 {found[key]})")
    return {**which, "sha256": found}


def unpack(folder: Path, out: Path) -> dict:
    """Write the archive that tiles.json describes, completely or not at all.

    folder: folder of the sheets.
    out: path of the archive.
    Returns the content of tiles.json. Raises Damaged if the pixels differ from it.
    """
    manifest = json.loads((folder / MANIFEST).read_text())
    arrays = decode(folder, manifest["train"], manifest["test"])
    found = checksums(arrays)
    wrong = [key for key, expected in manifest["sha256"].items() if found[key] != expected]
    if wrong:
        raise Damaged(f"{folder}: is damaged, or is decoded differently here: {', '.join(wrong)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    half = out.with_name(f".{out.name}")
    with open(half, "wb") as file:
        np.savez(file, **arrays)
    half.replace(out)
    return manifest


def stand_in(folder: Path) -> dict:
    """Write two sheets of synthetic images for a rehearsal: each class has its own colour, with noise.

    folder: folder of the sheets.
    Returns the content of tiles.json.
    """
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
    manifest = describe(folder, {"name": "stand-in", "train": [0], "test": [1]})
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    try:
        made = unpack(source, target)
    except (Damaged, OSError, ValueError, KeyError) as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    counts = f"{SHEET * len(made['train']):,} training and {SHEET * len(made['test']):,} test images"
    print(f"{target}: {made['name']}, {counts}; the checksums are correct")
