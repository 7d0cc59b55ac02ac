"""A run's predictions for the evaluation images: logits, or which images it classifies correctly. No torch.

Archives without logits have correct.json: {"images": N, "bits": base64 of ⌈N/8⌉ bytes}. There is one bit for each
evaluation image, in their order; the first image is the highest bit of the first byte.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from mixbench.runs.store import reading
from mixbench.runs.store.reading import PREDICTIONS, UNREADABLE, Place

CORRECT = "correct.json"
LARGEST_PREDICTIONS = 2**30  # most bytes after unpacking; enough for 500,000 images of 1,000 classes


def read_predictions(place: Place) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the predictions of a run.

    place: the run.
    Returns logits float16 [N, K] and labels int [N] of the evaluation images; None if not kept or damaged.
    """
    try:
        # The file is opened here, because NumPy does not close a file that it cannot read.
        with (
            reading.read_whole(place, PREDICTIONS, LARGEST_PREDICTIONS) as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            if sum(member.file_size for member in stored.zip.infolist()) > LARGEST_PREDICTIONS:
                return None
            logits, labels = np.asarray(stored["logits"]), np.asarray(stored["labels"])
    except (*UNREADABLE, KeyError, TypeError, AttributeError, MemoryError):  # MemoryError: a wrong size in a header
        return None
    return (logits, labels) if logits.ndim == 2 and labels.shape == logits.shape[:1] else None


def read_correct(place: Place) -> np.ndarray | None:
    """Return whether a run classifies each evaluation image correctly, from the logits or otherwise from correct.json.

    place: the run.
    Returns bool [N]; None if the run has neither.
    Raises ValueError if its file is damaged.
    """
    if reading.has(place, PREDICTIONS):
        found = read_predictions(place)
        if found is None:
            raise ValueError(f"{place}/{PREDICTIONS}: is damaged, or is not a file of predictions")
        logits, labels = found
        return logits.argmax(axis=1) == labels if logits.size else np.zeros(len(labels), bool)
    if not reading.has(place, CORRECT):
        return None
    try:
        return from_bits(reading.read_json(place, CORRECT))
    except (OSError, ValueError) as error:
        raise ValueError(f"{place}/{CORRECT}: is damaged ({error})") from error


def encoded(correct: np.ndarray) -> bytes:
    """Return the content of correct.json.

    correct: bool [N], whether each evaluation image is classified correctly.
    """
    return (json.dumps(as_bits(correct)) + "\n").encode()


def as_bits(correct: np.ndarray) -> dict[str, Any]:
    """Return which images are classified correctly as values for JSON.

    correct: bool [N], whether each image is.
    """
    return {"images": len(correct), "bits": base64.b64encode(np.packbits(correct).tobytes()).decode()}


def from_bits(stored: Mapping[str, Any]) -> np.ndarray:
    """Return which images are classified correctly.

    stored: the values that `as_bits` returned; others beside them do not matter.
    Returns bool [N]. Raises ValueError if `as_bits` did not return them.
    """
    images, bits = stored.get("images"), stored.get("bits")
    if not isinstance(images, int) or isinstance(images, bool) or images < 0 or not isinstance(bits, str):
        raise ValueError("it has no usable images and bits")
    try:
        packed = np.frombuffer(base64.b64decode(bits, validate=True), np.uint8)
    except (binascii.Error, ValueError) as error:
        raise ValueError("its bits are not base64") from error
    if len(packed) != -(-images // 8):
        raise ValueError(f"it has {len(packed):,} bytes of bits for {images:,} images")
    return np.unpackbits(packed, count=images).astype(bool)
