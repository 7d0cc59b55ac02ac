"""A bank of generated images on disk: its files, and its description, which names the checksum of its content.

A bank is a folder that `mixbench generate` makes. `bank.json` is written last, so a folder without it is not complete.
No torch.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixbench.core import files
from mixbench.core.errors import UserError

BANK = "bank"  # key of a method's file: the folder of its bank
MANIFEST = "bank.json"  # the description of a complete bank
PLAN = "plan.json"  # the description of a bank that is not complete yet
INDICES, FRACTALS = "indices.npy", "fractals.npy"  # int64 [M], uint8 [F, H, W, C]
FORMAT = 1
DIGITS = 12  # hexadecimal digits of the checksum that a run's identity has


def part_name(number: int) -> str:
    """Return the name of a file of variants, uint8 [images, V, H, W, C].

    number: number of the file, from 0.
    """
    return f"variants-{number:05d}.npy"


def read_manifest(folder: str, key: str = f"method.{BANK}") -> dict[str, Any]:
    """Return the description of a complete bank.

    folder: the bank's folder, as the user gives it.
    key: the key of that value, for messages.
    Raises UserError if there is no complete bank.
    """
    path = Path(folder)
    try:
        manifest = files.read_json(path / MANIFEST)
    except FileNotFoundError:
        if (path / PLAN).exists():
            raise UserError(
                f"{key}={folder}: the bank is not complete; give its mixbench generate command again, which goes on"
            ) from None
        raise UserError(
            f"{key}={folder}: there is no bank; make one with mixbench generate dataset=NAME bank={folder}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{key}={folder}: {MANIFEST} cannot be read ({error}); make the bank again") from error
    if manifest.get("format") != FORMAT or manifest.get("sha256") != content_checksum(manifest):
        raise UserError(f"{key}={folder}: {MANIFEST} is damaged or of another version of mixbench; make the bank again")
    return manifest


def checksum_of_bank(folder: Any, key: str) -> str | None:
    """Return the first digits of a bank's checksum, which stand for it in a run's identity; None for no folder.

    folder: the bank's folder, or None.
    key: the key of that value, for messages.
    Raises UserError if the value is no text or there is no complete bank.
    """
    if folder is None:
        return None
    if not isinstance(folder, str):
        raise UserError(f"{key}={folder}: must be a folder made by mixbench generate")
    return read_manifest(folder, key)["sha256"][:DIGITS]


def content_checksum(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a run uses of a bank: the data set, the backend, the images and their order.

    The versions of libraries are not part of it: equal images give equal runs.
    manifest: content of bank.json, with or without the checksum itself.
    """
    recipe = manifest.get("recipe")
    used = {key: recipe.get(key) for key in ("train_sha256", "backend", "variants")} if isinstance(recipe, dict) else {}
    return hashlib.sha256(json.dumps([used, manifest.get("files")], sort_keys=True).encode()).hexdigest()
