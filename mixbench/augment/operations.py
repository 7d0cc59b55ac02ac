"""The operations of RandAugment, TrivialAugment and AutoAugment, as rows of numbers.

A policy is a table of rows on the device and a choice of a row for each image. Every image goes through one warp, one
look-up table and one blend with the numbers of its row. Only the chosen operation changes the image; the others leave
it exactly the same.
"""

import math
from dataclasses import astuple, dataclass, fields

import torch
from torch import Tensor

from mixbench.augment.colour import blend_, degenerate, pointwise, smoothing
from mixbench.augment.warp import warp

SIGNED = (
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Brightness",
    "Color",
    "Contrast",
    "Sharpness",
)


@dataclass(frozen=True)
class Row:
    """The numbers of one operation. The defaults are the identity."""

    a: float = 1.0  # a … f: the matrix of `warp`
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0
    factor: float = 1.0  # factor and weight of `blend_`
    weight: float = 0.0
    flat: float = 0.0  # 1: the other image of the blend is the mean of the grey image
    sharpen: float = 0.0  # 1: the other image is the change made by `smoothing`
    step: float = 1.0  # this and the following are arguments of `pointwise`
    threshold: float = 256.0
    autocontrast: float = 0.0
    equalize: float = 0.0


NAMES = tuple(field.name for field in fields(Row))
UNSIZED = {  # operations without a magnitude
    "Identity": Row(),
    "AutoContrast": Row(autocontrast=1),
    "Equalize": Row(equalize=1),
    "Invert": Row(threshold=0),
}


def row(operation: str, magnitude: float | None, height: int, width: int, channels: int) -> Row:
    """Return the numbers of one operation.

    operation: torchvision's name.
    magnitude: torchvision's magnitude, with a sign for operations in SIGNED; None for operations without one.
    height, width, channels: of the images.
    Raises ValueError if the magnitude is missing, and KeyError for an unknown operation.
    """
    if operation in UNSIZED:
        return UNSIZED[operation]
    if magnitude is None:
        raise ValueError(f"{operation}: needs a magnitude")
    m = magnitude
    match operation:
        case "ShearX":  # about the upper left corner
            return Row(b=m, c=m * height / 2)
        case "ShearY":
            return Row(d=m, f=m * width / 2)
        case "TranslateX":
            return Row(c=-int(m))
        case "TranslateY":
            return Row(f=-int(m))
        case "Rotate":
            cos, sin = math.cos(math.radians(m)), math.sin(math.radians(m))
            return Row(a=cos, b=-sin, d=sin, e=cos)
        case "Brightness":
            return Row(factor=1 + m)
        case "Color":
            return Row(factor=1 + m, weight=1 - (1 + m)) if channels == 3 else Row()
        case "Contrast":
            return Row(factor=1 + m, weight=1 - (1 + m), flat=1)
        case "Sharpness":
            return Row(weight=1 - (1 + m), sharpen=1)
        case "Posterize":  # m: bits that are kept
            return Row(step=2 ** (8 - m))
        case "Solarize":
            return Row(threshold=255 * m)
    raise KeyError(operation)


def signed_rows(operation: str, magnitude: float | None, height: int, width: int, channels: int) -> list[Row]:
    """Return the operation with its magnitude and with the negative magnitude; twice the same if it has no sign.

    operation: torchvision's name.
    magnitude: torchvision's magnitude without a sign; None for operations without one.
    height, width, channels: of the images.
    Returns two rows. Raises the errors of `row`.
    """
    other = -magnitude if magnitude is not None and operation in SIGNED else magnitude
    return [row(operation, m, height, width, channels) for m in (magnitude, other)]


def magnitudes(operation: str, tops: dict[str, float], bins: int) -> list[float] | list[None]:
    """Return an operation's magnitudes from weakest to strongest; all are None for an operation without one.

    operation: torchvision's name.
    tops: strongest magnitude of each operation in SIGNED, and for Posterize the largest number of dropped bits.
    bins: number of magnitudes.
    """
    if operation == "Posterize":
        return [round(8 - i / ((bins - 1) / tops[operation])) for i in range(bins)]
    if operation == "Solarize":
        return torch.linspace(1.0, 0.0, bins).tolist()
    if operation in SIGNED:
        return torch.linspace(0.0, tops[operation], bins).tolist()
    return [None] * bins


def table(rows: list[Row], device: torch.device) -> Tensor:
    """Return the rows as a tensor float32 [len(rows), 14] on the device.

    rows: the numbers of the operations, such as from `row`.
    device: the device of the tensor.
    """
    return torch.tensor([astuple(one) for one in rows], dtype=torch.float32, device=device)


def apply(images: Tensor, rows: Tensor) -> Tensor:
    """Apply an operation to each image.

    images: float32 [B, C, H, W], whole numbers from 0 to 255.
    rows: float32 [B, 14], rows of `table`.
    Returns float32 [B, C, H, W], whole numbers from 0 to 255.
    """
    part = dict(zip(NAMES, rows.unbind(dim=1), strict=True))
    images = warp(images, rows[:, :6])
    images = pointwise(images, part["step"], part["threshold"], part["autocontrast"], part["equalize"])
    other = degenerate(images, part["flat"]).lerp(smoothing(images), part["sharpen"][:, None, None, None])
    return blend_(images, other, part["factor"], part["weight"])
