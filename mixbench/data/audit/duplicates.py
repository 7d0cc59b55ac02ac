"""Pictures that occur twice: with equal pixels, or nearly so.

Two pictures are near duplicates if both of these hold:

- Their perceptual hashes differ in at most NEAR_BITS of 64 bits. The hash is pHash: which of the 64 lowest frequencies
  of the discrete cosine transform of the grey picture are above their median. For grey pictures of 32x32 pixels it is
  that of the library ImageHash (imagehash.phash).
- The correlation of their colours, averaged over 16x16 fields, is at least ALIKE. It sorts out different pictures that
  have a hash in common, such as the same sign in another colour.

A copy that was saved again as JPEG or scaled is found. One that was mirrored, turned, or cropped by more than a few
percent is not.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

NEAR_BITS = 8
ALIKE = 0.97
PLAIN = 4.0  # grey levels, the standard deviation below which nothing but noise is compared
FREQUENCIES, FIELDS = 8, 16  # on each side
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's conversion to grey
AT_ONCE = 500  # pictures that are converted to floating point together
COMPARED = 2**22  # pairs that are compared together; 40 MB
MOST_NEAR = 500_000  # near pairs after which the search ends


@dataclass(frozen=True)
class Duplicates:
    """Which pictures of a list are equal or nearly so.

    same: int64 [N], number of the picture's group of pictures with equal pixels.
    near: int64 [P, 2], pairs of such groups that are nearly equal, the smaller number first.
    plain: bool [N], pictures of hardly more than one colour. They are in no near pair.
    complete: whether all pairs were compared. Otherwise there are more near pairs.
    """

    same: np.ndarray
    near: np.ndarray
    plain: np.ndarray
    complete: bool = True


def find_duplicates(images: np.ndarray, near: bool = True) -> Duplicates:
    """Find the pictures that occur more than once.

    images: uint8 [N, H, W, C].
    near: whether near duplicates are looked for. Their search takes time with the square of N.
    """
    checksums = np.array([hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images], "S32")
    _, first, same = np.unique(checksums, return_index=True, return_inverse=True)
    same = same.reshape(-1).astype(np.int64)
    hashes, fields, contrast = features(images[first] if len(first) < len(images) else images)
    if len(first) == len(images):
        hashes, fields, contrast = hashes[first], fields[first], contrast[first]
    plain = contrast < PLAIN
    found, complete = np.empty((0, 2), np.int64), True
    if near:
        busy = np.flatnonzero(~plain)
        pairs, complete = near_pairs(hashes[busy])
        pairs = pairs[_alike(fields[busy], pairs)]
        found = np.sort(busy[pairs], axis=1).astype(np.int64)
    return Duplicates(same, found, plain[same], complete)


def features(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what pictures are compared by.

    images: uint8 [N, H, W, C].
    Returns the perceptual hashes, uint64 [N]; the averages of FIELDS x FIELDS fields, centred and of length 1, float32
    [N, FIELDS * FIELDS * C]; and the standard deviation of the grey levels, float32 [N].
    """
    count, height, width, channels = images.shape
    hashes = np.empty(count, np.uint64)
    fields = np.empty((count, min(FIELDS, height) * min(FIELDS, width) * channels), np.float32)
    contrast = np.empty(count, np.float32)
    down, across = _frequencies(height), _frequencies(width)
    rows, columns = _averages(height), _averages(width)
    for start in range(0, count, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        pixels = images[part].astype(np.float32)
        grey = pixels @ GREY if channels == 3 else pixels[..., 0]
        low = (down @ grey @ across.T).reshape(len(grey), -1)
        bits = low > np.median(low, axis=1, keepdims=True)
        hashes[part] = np.packbits(bits, axis=1).view(">u8")[:, 0]
        small = np.stack([rows @ pixels[..., c] @ columns.T for c in range(channels)], axis=-1).reshape(len(grey), -1)
        small -= small.mean(axis=1, keepdims=True)
        fields[part] = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)
        contrast[part] = grey.reshape(len(grey), -1).std(axis=1)
    return hashes, fields, contrast


def near_pairs(hashes: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the pairs of hashes that differ in at most NEAR_BITS bits.

    hashes: uint64 [N].
    Returns int64 [P, 2] with the smaller position first, and whether all pairs were compared: the search ends with the
    block in which MOST_NEAR is reached.
    """
    found, count = [np.empty((0, 2), np.int64)], 0
    rows = max(1, COMPARED // max(1, len(hashes)))
    for start in range(0, len(hashes), rows):
        block = hashes[start : start + rows, None] ^ hashes[None, start:]
        one, other = np.nonzero(np.bitwise_count(block) <= NEAR_BITS)
        later = other > one
        found.append(np.stack([one[later], other[later]], axis=1) + start)
        count += len(found[-1])
        if count >= MOST_NEAR:
            return np.concatenate(found), start + rows >= len(hashes)
    return np.concatenate(found), True


def _alike(fields: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """bool [P]: which pairs have a correlation of at least ALIKE."""
    alike = np.empty(len(pairs), bool)
    for start in range(0, len(pairs), AT_ONCE):
        one, other = pairs[start : start + AT_ONCE].T
        alike[start : start + AT_ONCE] = np.einsum("pf,pf->p", fields[one], fields[other]) >= ALIKE
    return alike


def _frequencies(side: int) -> np.ndarray:
    """float32 [FREQUENCIES, side]: the lowest frequencies of the discrete cosine transform, type 2."""
    return np.cos(np.pi / side * np.outer(np.arange(FREQUENCIES), np.arange(side) + 0.5)).astype(np.float32)


def _averages(side: int) -> np.ndarray:
    """float32 [fields, side]: the share of each pixel in the average of each field."""
    count = min(FIELDS, side)
    edges = np.linspace(0, side, count + 1)
    pixels = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(overlap, 0, None) * count / side).astype(np.float32)
