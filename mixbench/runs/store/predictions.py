"""What a run predicted for its evaluation images: their logits, or which of them it recognises. No torch.

Archives without logits hold correct.json: {"images": N, "bits": base64 of ⌈N/8⌉ bytes}, a bit for each evaluation image
in their order, the first image the highest bit of the first byte.
"""

import base64
import binascii
import json

import numpy as np

from mixbench.runs.store import reading
from mixbench.runs.store.reading import PREDICTIONS, UNREADABLE, Place

CORRECT = "correct.json"
LARGEST_PREDICTIONS = 2**30  # bytes unpacked: 500,000 images of 1,000 classes


def read_predictions(place: Place) -> tuple[np.ndarray, np.ndarray] | None:
    """Logits float16 [N, K] and labels [N] of the evaluation images; None where they were not kept or are damaged."""
    try:
        # Opened here, since NumPy leaves a file open that it cannot read.
        with (
            reading.read_whole(place, PREDICTIONS, LARGEST_PREDICTIONS) as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            if sum(member.file_size for member in stored.zip.infolist()) > LARGEST_PREDICTIONS:
                return None
            logits, labels = np.asarray(stored["logits"]), np.asarray(stored["labels"])
    except (*UNREADABLE, KeyError, TypeError, AttributeError, MemoryError):  # the last where a head claims too much
        return None
    return (logits, labels) if logits.ndim == 2 and labels.shape == logits.shape[:1] else None


def read_correct(place: Place) -> np.ndarray | None:
    """Whether each evaluation image is recognised, bool [N], from the logits or else from correct.json.

    None where a run has neither. Raises ValueError where what it has is damaged.
    """
    if reading.has(place, PREDICTIONS):
        found = read_predictions(place)
        if found is None:
            raise ValueError(f"{place}/{PREDICTIONS}: is damaged, or no file of predictions")
        logits, labels = found
        return logits.argmax(axis=1) == labels if logits.size else np.zeros(len(labels), bool)
    if not reading.has(place, CORRECT):
        return None
    try:
        return _decoded(reading.read_json(place, CORRECT))
    except (OSError, ValueError) as error:
        raise ValueError(f"{place}/{CORRECT}: is damaged ({error})") from error


def encoded(correct: np.ndarray) -> bytes:
    """The contents of correct.json for bool [N]."""
    bits = base64.b64encode(np.packbits(correct).tobytes()).decode()
    return (json.dumps({"images": len(correct), "bits": bits}) + "\n").encode()


def _decoded(stored: dict) -> np.ndarray:
    """Raises ValueError where it is not what `encoded` makes."""
    images, bits = stored.get("images"), stored.get("bits")
    if not isinstance(images, int) or isinstance(images, bool) or images < 0 or not isinstance(bits, str):
        raise ValueError("it has no usable images and bits")
    try:
        packed = np.frombuffer(base64.b64decode(bits, validate=True), np.uint8)
    except (binascii.Error, ValueError) as error:
        raise ValueError("its bits are no base64") from error
    if len(packed) != -(-images // 8):
        raise ValueError(f"it has {len(packed)} bytes of bits for {images} images")
    return np.unpackbits(packed, count=images).astype(bool)
