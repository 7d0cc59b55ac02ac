"""Networks for small images."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig
from torch import nn

from mixbench.core.errors import UserError, unknown
from mixbench.core.own_functions import is_own, reason
from mixbench.core.own_signatures import Own
from mixbench.core.registry import options, options_of
from mixbench.models.preact_resnet import PreActResNet
from mixbench.models.residual import ResidualNetwork
from mixbench.models.resnet import ResNet
from mixbench.models.vit import VisionTransformer
from mixbench.models.wide_resnet import WideResNet

# Maps of an image that a network can offer: methods of its class that take the features of its layer ATTENTION.
MAPS = ("attention", "class_activation", "activation")
MODELS = {"preact_resnet18": PreActResNet, "resnet18": ResNet, "vit": VisionTransformer, "wrn": WideResNet}

__all__ = ["MAPS", "MODELS", "build_network", "check_batch", "check_maps", "check_model", "check_size", "layer_names"]


def check_model(cfg: DictConfig) -> None:
    """Check that the config group `model` describes a network.

    cfg: the config group.
    Raises UserError if it does not.
    """
    found = _options(cfg)
    layer_names(cfg)
    for name, value in found.items() if not is_own(cfg) else ():
        if options_of(MODELS[cfg.name])[name].annotation is int and value < 1:
            raise UserError(f"model.{name}={value}: must be at least 1")
    _check_options(cfg, found)


def check_size(cfg: DictConfig, height: int, width: int) -> None:
    """Check that a network fits the size of the images.

    cfg: the config group `model`.
    height, width: size of the images, in pixels.
    Raises UserError if it does not.
    """
    _check_options(cfg, _options(cfg), (height, width))


def _check_options(cfg: DictConfig, found: Mapping[str, Any], size: tuple[int, int] | None = None) -> None:
    if not is_sized(cfg):
        return
    network: Any = MODELS[cfg.name]
    try:
        network.check(size, **found)
    except ValueError as error:
        raise UserError(f"model.{error}") from error


def check_batch(cfg: DictConfig, batch_size: int, height: int, width: int) -> None:
    """Raise UserError if batch normalisation would get one value per channel, which has no variance.

    Only residual networks have batch normalisation whose features are known; other networks are not checked.

    cfg: the config group `model`.
    batch_size: images in a batch.
    height, width: size of the images in pixels. Every stage but the first halves it, rounding up.
    """
    network = None if is_own(cfg) else MODELS[cfg.name]
    if network is None or not issubclass(network, ResidualNetwork):
        return
    halvings = len(network.LAYERS) - 1
    rows, columns = (-(-side // 2**halvings) for side in (height, width))
    if batch_size * rows * columns == 1:
        raise UserError(
            f"train.batch_size={batch_size}: must be at least 2, because model={cfg.name} makes 1x1 features of "
            f"{height}x{width} images and batch normalisation needs more than one value per channel"
        )


def check_maps(cfg: DictConfig, kind: str) -> None:
    """Check that a network has maps of a kind.

    cfg: the config group `model`.
    kind: a name from MAPS.
    Raises UserError if it does not.
    """
    network = Own("model", cfg).function if is_own(cfg) else MODELS[cfg.name]
    for name in ("ATTENTION", kind):
        if not hasattr(network, name):
            others = ", ".join(option for option, one in MODELS.items() if hasattr(one, name))
            raise UserError(
                f"model={cfg.name}: the method needs {kind}, but the network has no {name}; choose a model that has "
                f"it: {others}"
            )


def layer_names(cfg: DictConfig) -> tuple[str, ...]:
    """Return the names of the layers whose features a method can mix. `input` stands for the images.

    cfg: the config group `model`.
    Raises UserError if LAYERS of a user's own network is not a tuple of names.
    """
    if not is_own(cfg):
        return ("input", *MODELS[cfg.name].LAYERS)
    own = Own("model", cfg)
    named = getattr(own.function, "LAYERS", ())
    if not isinstance(named, tuple | list) or not all(isinstance(name, str) for name in named):
        raise UserError(f"{own.label}: LAYERS={named!r}: must be a tuple of names, as in ('stage1', 'stage2')")
    return ("input", *named)


def has_layers(cfg: DictConfig) -> bool:
    """Whether the network's forward takes `at`. A user's own network without layers takes only images.

    cfg: the config group `model`.
    """
    return not is_own(cfg) or len(layer_names(cfg)) > 1 or hasattr(Own("model", cfg).function, "ATTENTION")


def is_sized(cfg: DictConfig) -> bool:
    """Whether the network's weights depend on the size of the images.

    cfg: the config group `model`.
    """
    return not is_own(cfg) and getattr(MODELS[cfg.name], "SIZED", False)


def build_network(cfg: DictConfig, channels: int, classes: int, size: tuple[int, int] | None = None) -> nn.Module:
    """Return a new network.

    cfg: the config group `model`.
    channels: channels of the images.
    classes: number of classes.
    size: height and width of the images, in pixels. None: not known, which only networks without SIZED allow.
    Raises UserError if a user's own network cannot be built, and ValueError if a network needs the size.
    """
    if is_own(cfg):
        return _build_own(cfg, channels, classes)
    network: Any = MODELS[cfg.name]  # each takes its own options
    if not is_sized(cfg):
        return network(channels, classes, **_options(cfg))
    if size is None:
        raise ValueError(f"model={cfg.name}: build_network needs the size of the images")
    check_size(cfg, *size)
    return network(channels, classes, size, **_options(cfg))


def _build_own(cfg: Mapping[str, Any], channels: int, classes: int) -> nn.Module:
    own = Own("model", cfg)
    try:
        network = own.function(channels, classes, **own.options(cfg, "model"))
    except Exception as error:
        raise UserError(
            f"{own.label}: fails for {channels} channels and {classes} classes ({reason(error)})"
        ) from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{own.label}: returns a {type(network).__name__}, must return a torch.nn.Module")
    return network


def _options(cfg: Mapping[str, Any]) -> dict[str, Any]:
    if is_own(cfg):
        return Own("model", cfg).options(cfg, "model")
    name = cfg.get("name")
    if name not in MODELS:
        raise unknown("model.name", name, MODELS)
    for option in options_of(MODELS[name]):
        if option not in cfg:  # needed even if it has a default, because a run's identity holds all options
            raise UserError(f"model={name} needs model.{option}")
    return options("model", MODELS[name], cfg, "model")
