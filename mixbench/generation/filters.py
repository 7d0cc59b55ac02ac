"""Classical image filters of OpenCV with fixed parameters: the backend `filters`, which needs no network.

OpenCV's filters for photographs expect BGR images with 8 bits. Small images are enlarged before and made smaller after
the filter, and sizes in pixels are shares of the shorter side: so a filter does the same to small and large images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mixbench.core.errors import UserError, unknown

# Spatial σ of the filters for photographs, as a share of the side. OpenCV's default, 60 pixels, is made for about 500.
SIGMA = 0.12
SIDE = 64  # pixels; images with a smaller side are enlarged by a whole factor until their side has as many
CELLS = 6  # cells of the mosaic along a side, at most half as many as pixels


class Filters:
    """The backend `filters`: one variant for each named filter.

    names: names from FILTERS.
    Raises UserError for an unknown name or a repeated one, and if OpenCV is not installed.
    """

    name = "filters"
    per_file = 512  # images in one file of the bank

    def __init__(self, names: Sequence[str]):
        for one in names:
            if one not in FILTERS:
                raise unknown("filter", one, FILTERS)
        if not names or len(set(names)) < len(names):
            raise UserError(f"filters={list(names)}: must name at least one filter, and each only once")
        self.variants = tuple(names)
        self.cv2 = opencv()

    def recipe(self) -> dict[str, Any]:
        """Return what the variants depend on beside the images."""
        return {"opencv": self.cv2.__version__}

    def make(self, images: np.ndarray, indices: np.ndarray, seed: int) -> np.ndarray:
        """uint8 [B, V, H, W, C]: the variants of images. Nothing in them is random.

        images: uint8 [B, H, W, C].
        indices, seed: not used; for backends with random variants.
        """
        return np.stack([np.stack([self._filtered(name, image) for name in self.variants]) for image in images])

    def _filtered(self, name: str, image: np.ndarray) -> np.ndarray:
        cv2 = self.cv2
        grey = image.shape[2] == 1
        bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR if grey else cv2.COLOR_RGB2BGR)
        height, width = image.shape[:2]
        factor = max(1, -(-SIDE // min(height, width)))
        large = cv2.resize(bgr, (factor * width, factor * height), interpolation=cv2.INTER_CUBIC)
        made = FILTERS[name](cv2, large, factor * min(height, width))
        small = cv2.resize(made, (width, height), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_BGR2GRAY if grey else cv2.COLOR_BGR2RGB).reshape(image.shape)


def opencv() -> Any:
    """Return the module cv2. Raises UserError if it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            "backend=filters needs OpenCV, which is not installed; install it with pip install 'mixbench[generate]'"
        ) from error
    return cv2


def _smooth(cv2: Any, bgr: np.ndarray, side: int) -> np.ndarray:
    return cv2.edgePreservingFilter(bgr, flags=1, sigma_s=_sigma(side), sigma_r=0.4)


def _detail(cv2: Any, bgr: np.ndarray, side: int) -> np.ndarray:
    return cv2.detailEnhance(bgr, sigma_s=_sigma(side) / 6, sigma_r=0.15)


def _watercolour(cv2: Any, bgr: np.ndarray, side: int) -> np.ndarray:
    return cv2.stylization(bgr, sigma_s=_sigma(side), sigma_r=0.45)


def _pencil(cv2: Any, bgr: np.ndarray, side: int) -> np.ndarray:
    _, coloured = cv2.pencilSketch(bgr, sigma_s=_sigma(side), sigma_r=0.07, shade_factor=0.05)
    return coloured


def _mosaic(cv2: Any, bgr: np.ndarray, side: int) -> np.ndarray:
    height, width = bgr.shape[:2]
    cell = max(2, side // CELLS)
    cells = (max(1, round(width / cell)), max(1, round(height / cell)))
    small = cv2.resize(bgr, cells, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def _autumn(cv2: Any, bgr: np.ndarray, side: int) -> np.ndarray:
    mapped = cv2.applyColorMap(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLORMAP_AUTUMN)
    return cv2.addWeighted(bgr, 0.5, mapped, 0.5, 0)


def _sigma(side: int) -> float:
    return max(1.0, SIGMA * side)


# name -> function (cv2, image uint8 [H, W, 3] in BGR, shorter side) -> filtered image
FILTERS: dict[str, Callable[[Any, np.ndarray, int], np.ndarray]] = {
    "smooth": _smooth,
    "detail": _detail,
    "watercolour": _watercolour,
    "pencil": _pencil,
    "mosaic": _mosaic,
    "autumn": _autumn,
}
