"""Label-preserving augmentation of a batch on the device: uint8 [B, C, H, W] in, the same out."""

import torch
from torch import Tensor
from torch.nn import functional as F


def none(images: Tensor) -> Tensor:
    """The images as they are."""
    return images


def flip(images: Tensor, *, mirror: Tensor) -> Tensor:
    """Mirror the images where `mirror`, bool [B], is true."""
    return torch.where(mirror[:, None, None, None], images.flip(3), images)


def standard(images: Tensor, *, shift: Tensor, mirror: Tensor, pad: int, flip: bool) -> Tensor:
    """Zero-pad, crop back to size, mirror (He et al. 2016, Deep Residual Learning, section 4.2).

    images: uint8 [B, C, H, W]; the padding is black, as in the usual pipelines, which pad before they normalise.
    shift: int64 [B, 2], top and left edge of the crop in the padded image. mirror: bool [B], used where flip is true.
    pad: pixels added on each side.
    """
    if pad < 0:
        raise ValueError(f"pad={pad}: must be 0 or more")
    height, width = images.shape[2:]
    rows, columns = (torch.arange(size, device=images.device) for size in (height, width))
    if flip:
        columns = torch.where(mirror[:, None], columns.flip(0), columns)
    # One gather crops and mirrors: pixel (r, c) of the result is pixel (r + top, c' + left) of the padded image, with
    # c' = c, or counted from the right. Channels stay innermost, which is the layout of the network's input.
    rows = (rows + shift[:, :1])[:, :, None]
    columns = (columns + shift[:, 1:])[:, None, :]
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, pad, pad, pad, pad))
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return padded[batch, rows, columns].permute(0, 3, 1, 2)


AUGMENTS = {"none": none, "flip": flip, "standard": standard}
