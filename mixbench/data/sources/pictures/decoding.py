"""Decode one picture file of any kind to uint8 pixels of one size."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mixbench.core.pictures import CROP

SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".avif",
    )
)
LARGEST_PICTURE = 200_000_000  # pixels; a file of a few kB can claim more, and would take all memory
GREY_MODES = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I")


class Broken(Exception):
    """A file that is not a picture which can be used. The message is the reason."""


def decode(file: Path, size: int, fit: str) -> np.ndarray:
    """Return the pixels of a picture, turned as its camera says and scaled to one size.

    Transparent pixels become white. 16-bit grey levels become 8-bit ones. Of an animation, the first picture counts.

    file: the picture.
    size: pixels of a side of the result, which is square.
    fit: `crop` scales the shorter side and cuts off both ends of the longer one; `squash` scales both sides.
    Returns uint8 [size, size] for a grey picture, otherwise [size, size, 3].
    Raises Broken if the file cannot be read as a picture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures and of odd metadata
            with Image.open(file) as picture:
                if picture.width * picture.height > LARGEST_PICTURE:
                    raise Broken(f"has {picture.width:,} x {picture.height:,} pixels")
                _scale_while_decoding(picture, size)
                return _pixels(ImageOps.exif_transpose(picture), size, fit)
    except Image.DecompressionBombError:
        raise Broken(f"has more than {LARGEST_PICTURE:,} pixels") from None
    except MemoryError:
        raise Broken("does not fit into the memory") from None
    except Broken:
        raise
    except FileNotFoundError:
        raise Broken(f"not found in {file.parent}/") from None
    except Image.UnidentifiedImageError:
        raise Broken("is not a picture that Pillow can read") from None
    except Exception as error:  # a damaged file can make Pillow's decoders fail in any way
        raise Broken(_first_line(error)) from error


def _scale_while_decoding(picture: Image.Image, size: int) -> None:
    """Let JPEG's decoder return a picture that is smaller, but still at least twice as large as is needed."""
    shorter = min(picture.size)
    if shorter > 4 * size:
        scale = 2 * size / shorter
        picture.draft(None, (round(picture.width * scale), round(picture.height * scale)))  # type: ignore[arg-type]


def _pixels(picture: Image.Image, size: int, fit: str) -> np.ndarray:
    grey = picture.mode in GREY_MODES
    if picture.mode.startswith("I"):
        picture = _of_16_bits(picture)
    elif picture.mode == "F":
        raise Broken("has pixels of floating point, whose range is not known")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    picture = picture.convert("L" if grey else "RGB")
    scale = ImageOps.fit if fit == CROP else Image.Image.resize
    return np.asarray(scale(picture, (size, size), Image.Resampling.BICUBIC))


def _of_16_bits(picture: Image.Image) -> Image.Image:
    levels = np.asarray(picture).astype(np.int64)
    if levels.min() < 0 or levels.max() > 65_535:
        raise Broken("has grey levels of more than 16 bits")
    return Image.fromarray(np.rint(levels / 257).astype(np.uint8))


def _first_line(error: Exception) -> str:
    """Return why a decoder failed, in one line."""
    lines = str(error).splitlines()
    return f"cannot be decoded ({lines[0][:100] if lines else type(error).__name__})"
