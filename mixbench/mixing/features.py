"""Methods that mix what a network's layers compute, not only its input."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mixbench.mixing.library import standalone
from mixbench.mixing.operations import blend, nowhere

LAYERS = ("input", "stage1", "stage2", "stage3", "stage4")


@standalone(spatial=False, alpha=2.0, beta=None, p=1.0, per_sample=False)
def manifold(
    images: Tensor,
    targets: Tensor,
    *,
    partner: Tensor,
    lam: Tensor,
    layer: Tensor,
    layers: tuple[str, ...] = ("input", "stage1", "stage2"),
) -> tuple[Tensor, Tensor, Callable[[str, Tensor], Tensor]]:
    """Manifold Mixup: mixup of the input or of the features behind a stage (Verma et al. 2019, section 2).

    The paper's code draws the layer from {0, 1, 2} for each batch, the input, behind the first and behind the second
    stage of PreActResNet18, with λ ~ Beta(2, 2) on CIFAR.
    images: float [B, …]. targets: float [B, K], label weights. partner: int64 [B], the permutation π. lam: float [B].
    layer: float [B] in (0, 1), the same for all: where the drawn layer stands in `layers`, names from LAYERS.
    Returns images, mixed where the drawn layer is the input, mixed targets, and at(name, features): the features
    [B, …] of the layer `name` mixed where it is the drawn one, otherwise as they are.
    Raises ValueError where `layers` is empty or names one twice or one that there is not.
    """
    if not layers or not set(layers) <= set(LAYERS) or len(set(layers)) < len(layers):
        raise ValueError(f"layers={list(layers)}: must be different names of {', '.join(LAYERS)}")
    drawn = (layer * len(layers)).long()

    def mixed(name: str, values: Tensor) -> Tensor:
        if name not in layers:
            return values
        here = drawn == layers.index(name)
        if nowhere(here):
            return values
        return _BlendWithPartner.apply(values, partner, torch.where(here, lam, 1))

    def at(name: str, features: Tensor) -> Tensor:
        if name not in LAYERS:
            raise ValueError(f"layer {name!r}: must be one of {', '.join(LAYERS)}")
        return features if name == "input" else mixed(name, features)

    return mixed("input", images), blend(targets, targets[partner], lam), at


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
