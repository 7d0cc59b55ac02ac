"""Methods that mix what a network's layers compute, not only its input."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mixbench.mixing.contract import Mixed, method, whole
from mixbench.mixing.operations import blend, nowhere

INPUT = "input"  # the images themselves; every other name is of a layer of the network


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
    """Manifold Mixup: mixup of the input, or of the features behind a stage of the network.

    The paper's code draws the layer from {0, 1, 2} for each batch: the input, behind the first and behind the second
    stage of PreActResNet18, with λ ~ Beta(2, 2) on CIFAR.

    images: float [B, …].
    targets: float [B, K], label weights.
    partner: int64 [B], the permutation π.
    lam: float [B], each image's own share λ.
    layer: float [B] in (0, 1), the same for all: the place of the drawn layer in `layers`.
    layers: names of layers that may be drawn: "input", or names of the network's layers.
    Returns images that are mixed where the input was drawn, mixed targets, and `at_layer`, which mixes the features
        [B, …] of the drawn layer.
    Raises ValueError where `layers` is empty or names one twice.
    Source: Verma et al. 2019, section 2.
    """
    if not layers or len(set(layers)) < len(layers):
        raise ValueError(f"layers={list(layers)}: must be one or more different names, as in [input,stage1]")
    drawn = (layer * len(layers)).long()

    def share(name: str) -> Tensor | None:
        """float [B]: λ where the layer of that name was drawn, else 1; None where it is known not to be."""
        if name not in layers:
            return None
        here = drawn == layers.index(name)
        return None if nowhere(here) else torch.where(here, lam, 1)

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
    """blend(h, h[π], λ) whose gradient is gathered by π's inverse; autograd scatters it, half as slow again."""

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
