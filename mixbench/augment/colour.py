"""Colour operations on a batch, with a separate strength for each image, and colour jitter, which combines them.

All take and return float32 [B, C, H, W] with whole numbers from 0 to 255. Images that do not have three channels have
no colour: their grey image is the mean of the channels, and saturation and hue do not change them, as in torchvision.
"""

import torch
from torch import Tensor

from mixbench.augment.layout import pixels, planes

CONTRAST, SATURATION, HUE = 1, 2, 3  # torchvision's numbers; brightness is 0


def color_jitter(
    images: Tensor,
    *,
    uniforms: Tensor,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.1,
) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image at random and in random order.

    It computes the same as torchvision's ColorJitter.

    images: uint8 [B, C, H, W].
    uniforms: float64 [B, 32] in (0, 1), see `jitter`.
    brightness: the factor is uniform in 1 ± brightness, but at least 0.
    contrast: the factor is uniform in 1 ± contrast, but at least 0.
    saturation: the factor is uniform in 1 ± saturation, but at least 0.
    hue: the hue is rotated by up to ± this share of the colour circle.
    Returns uint8 [B, C, H, W].
    Raises ValueError if one of them is negative, or hue is above 0.5.
    Source: Howard 2013, Some Improvements on Deep Convolutional Neural Network Based Image Classification, section 2.1.
    """
    for name, value in (("brightness", brightness), ("contrast", contrast), ("saturation", saturation)):
        if value < 0:
            raise ValueError(f"{name}={value}: must be 0 or more")
    if not 0 <= hue <= 0.5:
        raise ValueError(f"hue={hue}: must be from 0 to 0.5")
    return pixels(jitter(planes(images), uniforms, brightness, contrast, saturation, hue))


def jitter(
    images: Tensor, uniforms: Tensor, brightness: float, contrast: float, saturation: float, hue: float
) -> Tensor:
    """Apply colour jitter.

    images: float32 [B, C, H, W]; they may be overwritten.
    uniforms: float64 [B, 8 or more] in (0, 1). Numbers 0 … 3 stand for brightness, contrast, saturation and hue;
        sorting them gives the order. Numbers 4 … 7 give the position of each strength in its range.
    brightness, contrast, saturation, hue: as in `color_jitter`.
    Returns float32 [B, C, H, W].
    """
    turning = hue > 0 and images.shape[1] == 3
    order = uniforms[:, : 4 if turning else 3].argsort(dim=1)
    blends = _blends(uniforms, (brightness, contrast, saturation), images.shape[1] == 3)
    blends = blends.gather(1, order[:, :, None].expand(-1, -1, 3)).float()
    if not turning:
        for k in range(3):
            images = _blended(images, blends[:, k])
        return images
    # Rotating the hue is the slowest operation, so it runs once for all images: first the operations that come before
    # the hue for each image, then the hue, then the rest.
    turn = (order == HUE).int().argmax(dim=1)[:, None]
    idle = torch.zeros_like(blends)
    idle[:, :, 0] = 1
    for k in range(3):
        images = _blended(images, torch.where(turn > k, blends[:, k], idle[:, k]))
    images = turned_hue(images, hue * (2 * uniforms[:, 4 + HUE] - 1))
    for k in range(1, 4):
        images = _blended(images, torch.where(turn < k, blends[:, k], idle[:, k]))
    return images


def _blends(uniforms: Tensor, strengths: tuple[float, float, float], coloured: bool) -> Tensor:
    """float64 [B, 4, 3]: factor, weight and flatness of each operation's blend; the blend for hue changes nothing."""
    blends = uniforms.new_zeros(len(uniforms), 4, 3)
    for k, strength in enumerate(strengths):
        low, high = max(0.0, 1 - strength), 1 + strength
        blends[:, k, 0] = low + (high - low) * uniforms[:, 4 + k]
    blends[:, 1:, 1] = 1 - blends[:, 1:, 0]  # brightness blends with black
    blends[:, CONTRAST, 2] = 1
    for k in (HUE,) if coloured else (SATURATION, HUE):
        blends[:, k, 0], blends[:, k, 1] = 1, 0
    return blends


def _blended(images: Tensor, numbers: Tensor) -> Tensor:
    factor, weight, flat = numbers.unbind(dim=1)
    return blend_(images, degenerate(images, flat), factor, weight)


def blend_(images: Tensor, other: Tensor, factor: Tensor, weight: Tensor) -> Tensor:
    """Replace images in place by factor · images + weight · other, truncated to whole numbers in 0 … 255.

    With factor 1 and weight 0 the images stay exactly the same. The multiplication and the sum are fused, as in
    torchvision, because after truncation the last bit can matter.

    images: float32 [B, C, H, W].
    other: float32 [B, C or 1, H, W].
    factor, weight: float32 [B].
    """
    factor, weight = factor[:, None, None, None], weight[:, None, None, None]
    return images.mul_(factor).addcmul_(other, weight).clamp_(0, 255).floor_()


def degenerate(images: Tensor, flat: Tensor) -> Tensor:
    """float32 [B, 1, H, W]: the image that contrast and saturation blend with, which is grey or of one shade.

    images: float32 [B, C, H, W], whole numbers in 0 … 255.
    flat: float32 [B]; 0: the grey image, 1: the mean of the grey image.
    """
    shades = grey(images)
    return shades.lerp_(shades.mean(dim=(2, 3), keepdim=True), flat[:, None, None, None])


def grey(images: Tensor) -> Tensor:
    """float32 [B, 1, H, W]: luma (ITU-R BT.601), truncated to whole numbers; the mean if channels are not three.

    images: float32 [B, C, H, W], whole numbers in 0 … 255.
    """
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    red, green, blue = images.split(1, dim=1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).floor_()


def smoothing(images: Tensor) -> Tensor:
    """Return the change by Pillow's SMOOTH filter, (3x3 ones with 5 in the centre) / 13. It is 0 at the border.

    images: float32 [B, C, H, W], whole numbers in 0 … 255.
    Returns smoothed minus given images, of the same shape.
    """
    change = torch.zeros_like(images)
    if min(images.shape[2:]) < 3:
        return change
    whole = images.to(torch.int16)
    rows = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * whole[:, :, 1:-1, 1:-1]
    smoothed = total.float().mul_(1 / 13).round_()  # a multiple of 1/13 never lies half-way between whole numbers
    change[:, :, 1:-1, 1:-1] = smoothed.sub_(images[:, :, 1:-1, 1:-1])
    return change


def turned_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Rotate the hue (of HSV) of images.

    images: float32 [B, 3, H, W], whole numbers in 0 … 255.
    turns: float64 [B], the rotation as a share of the full circle.
    Returns images of the same shape, truncated to whole numbers.
    """
    red, green, blue = images.unbind(dim=1)
    highest, chroma = images.amax(dim=1), images.amax(dim=1) - images.amin(dim=1)
    divisor = chroma.clamp(min=1)  # a pixel without chroma has no hue; avoids division by zero
    sextant = 4 + (red - green) / divisor
    sextant = sextant.lerp(2 + (blue - red) / divisor, (highest == green).float())
    sextant = sextant.lerp((green - blue) / divisor, (highest == red).float())
    sextant += (6 * turns).float()[:, None, None]
    sextant -= 6 * (sextant / 6).floor()
    # A channel equals V - chroma · t, where t is a trapezium over the colour circle: 0 within one sextant of the
    # channel's own hue at 0 (red), 2 (green) or 4 (blue), and 1 beyond two sextants. 256 - 0.001 is torchvision's
    # factor from [0, 1] to whole numbers.
    turned = torch.empty_like(images)
    for channel, own in enumerate((0, 2, 4)):
        distance = 3 - ((sextant - own).abs_() - 3).abs_()
        turned[:, channel] = highest - chroma * distance.sub_(1).clamp_(0, 1)
    return turned.mul_((256 - 1e-3) / 255).floor_()


def pointwise(images: Tensor, step: Tensor, threshold: Tensor, autocontrast: Tensor, equalize: Tensor) -> Tensor:
    """Posterize, solarize, autocontrast and equalize with one look-up table of 256 entries for each channel.

    images: float32 [B, C, H, W].
    step: float32 [B], the size of a posterized level; 1 changes nothing.
    threshold: float32 [B]; values from here on are inverted; 256 changes nothing.
    autocontrast, equalize: float32 [B], 1 to apply the operation to the image, else 0.
    """
    count, channels = images.shape[:2]
    value = torch.arange(256, dtype=torch.float32, device=images.device)
    step, threshold, autocontrast, equalize = (
        part[:, None, None] for part in (step, threshold, autocontrast, equalize)
    )
    first = 256 * torch.arange(count * channels, dtype=torch.int32, device=images.device)
    index = images.int().add_(first.view(count, channels, 1, 1)).view(-1)
    counts = torch.zeros(count * channels * 256, dtype=torch.int32, device=images.device)
    counts.index_add_(0, index, torch.ones_like(index))
    lowest, highest = images.amin(dim=(2, 3))[..., None], images.amax(dim=(2, 3))[..., None]
    # lerp with weight 0 or 1 is exact and takes half the time of where.
    table = value - value.remainder(step)
    table = table.lerp(255 - table, (table >= threshold).float())
    table = table.lerp(_stretching(lowest, highest, value), autocontrast)
    table = table.lerp(_equalizing(counts.view(count, channels, 256), highest, value), equalize)
    return table.view(-1).index_select(0, index).view(images.shape)


def _stretching(lowest: Tensor, highest: Tensor, value: Tensor) -> Tensor:
    """float32 [B, C, 256]: maps a channel's lowest value to 0, its highest to 255; constant channels do not change."""
    single = highest == lowest
    scale = ((highest - lowest) * (1 / 255)).masked_fill(single, 1.0)
    return ((value - lowest.masked_fill(single, 0.0)) / scale).clamp_(0, 255).floor_()


def _equalizing(counts: Tensor, highest: Tensor, value: Tensor) -> Tensor:
    """float32 [B, C, 256]: histogram equalization as in Pillow's ImageOps.equalize. counts: int32 [B, C, 256]."""
    below = counts.cumsum(dim=2, dtype=torch.int32) - counts
    pixels = below[..., -1:] + counts[..., -1:]
    share = (pixels - counts.gather(2, highest.long())) // 255
    # Quotients of whole numbers below 2^24 are truncated correctly in float32, which is much faster than int32.
    level = ((below + share // 2) / share.clamp(min=1)).floor_().clamp_(max=255)
    return value.lerp(level, (share > 0).float())
