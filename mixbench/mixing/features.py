"""Methods that mix the features of a network's layers, not only its input."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mixbench.mixing.contract import Mixed, method, whole
from mixbench.mixing.operations import blend, known_all_false

INPUT = "input"  # stands for the images; every other name is a layer of the network


@method(draws=("partner", "lam", "layer"), layers="layers")
def manifold(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    layer: Tensor,
    layers: tuple[str, ...] = (INPUT, "stage1", "stage2"),
) -> Mixed:
    """Manifold Mixup: mixup of the input, or of the features after a stage of the network.

    The paper's code draws the layer from {0, 1, 2} for each batch: the input, the output of the first stage or the
    output of the second stage of PreActResNet18, with λ ~ Beta(2, 2) on CIFAR.

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    layer: float [B] in (0, 1), the same value for all images: the position of the drawn layer along `layers`.
    layers: names of the layers that can be drawn: "input" or names of the network's layers.
    Returns images (mixed if the input was drawn), mixed targets, and `at_layer`, which mixes the features [B, …] of the
        drawn layer.
    Raises ValueError if `layers` is empty or has a name twice.
    Source: Verma et al. 2019, section 2.
    """
    if not layers or len(set(layers)) < len(layers):
        raise ValueError(f"layers={list(layers)}: must be one or more names, each once, as in [input,stage1]")
    drawn = (layer * len(layers)).long()

    def share(name: str) -> Tensor | None:
        """float [B]: λ for images whose drawn layer has this name, else 1. None: it is known that no image has it."""
        if name not in layers:
            return None
        here = drawn == layers.index(name)
        return None if known_all_false(here) else torch.where(here, lam, 1)

    def mixed(name: str, values: Tensor) -> Tensor:
        own = share(name)
        return values if own is None else _BlendWithPartner.apply(values, partner, own)

    def at_layer(name: str, features: Tensor) -> Tensor:
        return features if name == INPUT else mixed(name, features)

    own = share(INPUT)
    return Mixed(
        mixed(INPUT, images),
        blend(targets, targets[partner], lam),
        own=whole(images, 1.0 if own is None else own),
        at_layer=at_layer,
    )


class _BlendWithPartner(torch.autograd.Function):
    """blend(h, h[π], λ) whose gradient gathers by the inverse of π; autograd's scatter takes 1.5 times as long."""

    @staticmethod
    def forward(ctx, own: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
        ctx.save_for_backward(partner, lam)
        return blend(own, own[partner], lam)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        partner, lam = ctx.saved_tensors
        inverse = partner.argsort()
        weight = lam.to(grad.dtype).view(-1, *[1] * (grad.ndim - 1))
        return grad[inverse].mul_(1 - weight[inverse]).addcmul_(grad, weight), None, None
