"""What picture files say of themselves before they are decoded: width, height, grey or colour, kind of file."""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mixbench.data.sources.pictures.decoding import GREY_MODES


@dataclass(frozen=True)
class Header:
    """The header of a picture file.

    width, height: in pixels.
    grey: whether it has no colours.
    kind: such as JPEG.
    """

    width: int
    height: int
    grey: bool
    kind: str


def read_headers(files: Sequence[Path]) -> list[Header | None]:
    """Read the headers of picture files, on all cores.

    files: the pictures.
    Returns one header for each file; None if it cannot be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures and of odd metadata
        return list(pool.map(_header, files))


def _header(file: Path) -> Header | None:
    try:
        with Image.open(file) as picture:
            return Header(*picture.size, picture.mode in GREY_MODES, picture.format or "unknown")
    except Exception:  # a file that was decoded a moment ago can be gone or damaged now
        return None
