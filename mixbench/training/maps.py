"""Maps of images that a network offers, such as its attention, and forward passes that leave it unchanged."""

import contextlib
from collections.abc import Iterator, Mapping

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mixbench.core.errors import UserError
from mixbench.mixing.contract import AtLayer


def maps_of(model: nn.Module, kind: str, seen: Mapping[str, Tensor], targets: Tensor) -> Tensor:
    """float [N, 1, h, w]: the model's maps of a kind.

    model: the network.
    kind: a name from models.MAPS; the method of the network that computes them.
    seen: features by the name of their layer.
    targets: float [N, K].
    Raises UserError if the network has no layer ATTENTION, or no maps of this kind.
    """
    layer, compute = getattr(model, "ATTENTION", None), getattr(model, kind, None)
    if layer is None:
        raise UserError(f"the network {type(model).__name__} has no ATTENTION, which names its layer for {kind}")
    if compute is None:
        raise UserError(f"the network {type(model).__name__} has no {kind}, which the method needs")
    return compute(seen[layer].detach(), targets)


def watched(model: nn.Module, at_layer: AtLayer | None, seen: dict[str, Tensor]) -> AtLayer:
    """Return a function like `at_layer` that also keeps the features of the model's attention layer.

    model: the network.
    at_layer: replaces the features of layers; None: they are not replaced.
    seen: gets the features by the name of their layer.
    """
    attended = getattr(model, "ATTENTION", None)

    def at(name: str, features: Tensor) -> Tensor:
        if name == attended:
            seen[name] = features
        return features if at_layer is None else at_layer(name, features)

    return at


@contextlib.contextmanager
def untracked(model: nn.Module) -> Iterator[None]:
    """In the body, batch normalisation uses the statistics of the batch without changing its running averages.

    model: the network.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
