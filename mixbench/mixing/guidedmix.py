"""GuidedMixup: each pixel by the saliency of both images, and partners whose saliency lies elsewhere."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.mixing.contract import Gradient, Mixed, method, unmixed
from mixbench.mixing.operations import blend, known_all_false

BLUR, SIGMA = 7, 3.0  # side and standard deviation, in pixels, of both Gaussian filters, as in the published code
LUMA = (0.2989, 0.587, 0.114)  # weights of red, green and blue in a grey image, as in torchvision
SMALLEST = 1e-10  # added to squared amplitudes of the spectrum, as in the published code


@method(draws=("partner", "applied"), needs=("input_gradient",))
def guidedmix(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    applied: Tensor,
    input_gradient: Gradient,
    saliency: Literal["spectral", "gradient"] = "spectral",
    pairing: Literal["greedy", "random"] = "greedy",
) -> Mixed:
    """GuidedMixup: pixels weighted by the saliency s of both images, x·s/(s + s') + x'·s'/(s + s').

    The label of the image gets the mean of its pixels' weights. Saliency maps are blurred and sum to 1 over an image.

    images: float [B, C, H, W], RGB where C is 3.
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π, used by pairing="random".
    applied: bool [B], whether the image is mixed. Images that are not mixed are nobody's partner.
    input_gradient: used by saliency="gradient"; else it is not computed.
    saliency: "spectral": the spectral residual of the image, for which no network is needed; Guided-SR in the paper.
        "gradient": the root mean square of the gradient over the channels; Guided-AP in the paper.
    pairing: "greedy": a cycle through the batch. It begins with the two images whose maps are farthest apart; each
        further image is the one farthest from the last. "random": the drawn partner.
    Returns mixed images and targets.
    Source: Kang and Kim 2023, section 3; github.com/3neutronstar/GuidedMixup, mixup.py and spectral_residual.py.
    """
    if known_all_false(applied):
        return unmixed(images, targets)
    found = spectral_residual(images) if saliency == "spectral" else input_gradient.magnitudes[:, 0].float()
    blurred = _blur(found)
    total = blurred.sum(dim=(1, 2), keepdim=True)
    size = blurred.shape[1] * blurred.shape[2]
    maps = torch.where(total > 0, blurred / torch.where(total > 0, total, 1), 1 / size)
    chosen = farthest_cycle(maps, applied) if pairing == "greedy" else partner
    both = maps + maps[chosen]
    own = torch.where(both > 0, maps / torch.where(both > 0, both, 1), 0.5)
    own = torch.where(applied.view(-1, 1, 1), own, 1)[:, None]
    share = own.double().mean(dim=(1, 2, 3))
    own = own.to(images.dtype)
    return Mixed(
        torch.lerp(images[chosen], images, own),
        torch.where(applied[:, None], blend(targets, targets[chosen], share), targets),
        own=own,
    )


def spectral_residual(images: Tensor) -> Tensor:
    """Return saliency maps float32 [B, H, W], 0 or more: what is unusual in the spectrum of the grey image.

    The logarithm of the amplitudes minus its mean over 3x3 frequencies is transformed back with the phases. The result
    is the magnitude, blurred. Images of more than 128 pixels a side are not made smaller, as they are in the published
    code.

    images: float [B, C, H, W]; three channels are red, green and blue, any other number is averaged.
    Source: Hou and Zhang 2007; GuidedMixup's spectral_residual.py.
    """
    images = images.detach().float()
    grey = images.mean(dim=1) if images.shape[1] != 3 else sum(images[:, i] * LUMA[i] for i in range(3))
    assert isinstance(grey, Tensor)  # not the number 0, the sum of nothing
    spectrum = torch.fft.fft2(grey)
    amplitude = (spectrum.real**2 + spectrum.imag**2 + SMALLEST).sqrt()
    logarithm = amplitude.log()
    usual = F.avg_pool2d(F.pad(logarithm[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    return _blur(torch.fft.ifft2(spectrum / amplitude * (logarithm - usual).exp()).abs())


def farthest_cycle(maps: Tensor, available: Tensor) -> Tensor:
    """Return partners int64 [B] that form one cycle through the available images; all others are their own partners.

    The first pair has the largest Euclidean distance. Each further image is the farthest from the last one among those
    that are left; of equally far ones, the first.

    maps: float [B, H, W].
    available: bool [B].
    """
    flat = maps.flatten(1)
    squares = flat.square().sum(dim=1)
    # In double precision, because the maps' distances are small differences of these sums.
    flat, squares = flat.double(), squares.double()
    distance = (squares[:, None] + squares - 2 * flat @ flat.T).clamp(min=0)
    count = len(maps)
    nobody = torch.full_like(distance, -1)
    possible = torch.where(available & available[:, None], distance, nobody)
    possible = torch.where(torch.eye(count, dtype=torch.bool, device=maps.device), nobody, possible)
    first = last = (possible.flatten().argmax() // count).view(1)
    partners = torch.arange(count, device=maps.device)
    left = available.clone().scatter_(0, first, False)
    for _ in range(count - 1):
        ahead = torch.where(left, possible.index_select(0, last)[0], -1)
        following = ahead.argmax().view(1)
        ends = ahead.index_select(0, following) < 0
        following = torch.where(ends, last, following)
        partners.scatter_(0, last, torch.where(ends, partners.index_select(0, last), following))
        left.scatter_(0, following, False)
        last = following
    partners.scatter_(0, last, first)
    return torch.where(available, partners, torch.arange(count, device=maps.device))


def _blur(maps: Tensor) -> Tensor:
    """Blur maps float [B, H, W] by a Gaussian filter; they are mirrored at their borders, or repeated if too small."""
    place = torch.arange(BLUR, device=maps.device, dtype=maps.dtype) - BLUR // 2
    weights = torch.exp(-((place / SIGMA) ** 2) / 2)
    weights = weights / weights.sum()
    half = BLUR // 2
    mode = "reflect" if min(maps.shape[1:]) > half else "replicate"
    padded = F.pad(maps[:, None], (half, half, half, half), mode=mode)
    rows = F.conv2d(padded, weights.view(1, 1, -1, 1))
    return F.conv2d(rows, weights.view(1, 1, 1, -1))[:, 0]
