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
from mixbench.models.resnet import ResNet
from mixbench.models.wide_resnet import WideResNet

MODELS = {"preact_resnet18": PreActResNet, "resnet18": ResNet, "wrn": WideResNet}

__all__ = ["MODELS", "build_network", "check", "check_attention", "check_batch", "layers"]


def check(cfg: DictConfig) -> None:
    """Raises UserError where `cfg`, the group model, describes no network."""
    found = _options(cfg)
    layers(cfg)
    for name, value in found.items() if not is_own(cfg) else ():
        if isinstance(value, int) and value < 1:
            raise UserError(f"model.{name}={value}: must be at least 1")


def check_batch(cfg: DictConfig, batch_size: int, height: int, width: int) -> None:
    """Raises UserError where batch normalisation cannot train: one value for each channel has no spread.

    cfg: the group model. height, width: of the images, which every stage but the first halves, rounding up.
    A user's own network is not checked: what it does with an image is not known.
    """
    if is_own(cfg):
        return
    halvings = len(MODELS[cfg.name].LAYERS) - 1
    rows, columns = (-(-side // 2**halvings) for side in (height, width))
    if batch_size * rows * columns == 1:
        raise UserError(
            f"train.batch_size={batch_size}: batch normalisation needs more than one value for each channel, and "
            f"model={cfg.name} makes 1x1 features of {height}x{width} images; train.batch_size must be at least 2"
        )


def check_attention(cfg: DictConfig) -> None:
    """Raises UserError where the network `cfg`, the group model, names no layer for attention."""
    network = Own("model", cfg).function if is_own(cfg) else MODELS[cfg.name]
    if not hasattr(network, "ATTENTION"):
        raise UserError(f"model={cfg.name}: names no layer for attention, which the method needs")


def layers(cfg: DictConfig) -> tuple[str, ...]:
    """The names of the network's layers whose features a method can mix; `input` is the images, and all networks' own.

    Raises UserError where a user's own network has LAYERS that are no names.
    """
    if not is_own(cfg):
        return ("input", *MODELS[cfg.name].LAYERS)
    own = Own("model", cfg)
    named = getattr(own.function, "LAYERS", ())
    if not isinstance(named, tuple | list) or not all(isinstance(name, str) for name in named):
        raise UserError(f"{own.label}: LAYERS={named!r}: must be a tuple of names, as in ('stage1', 'stage2')")
    return ("input", *named)


def has_layers(cfg: DictConfig) -> bool:
    """Whether the network's forward takes `at`; a user's own network without layers takes nothing but images."""
    return not is_own(cfg) or len(layers(cfg)) > 1 or hasattr(Own("model", cfg).function, "ATTENTION")


def build_network(cfg: DictConfig, channels: int, classes: int) -> nn.Module:
    """The network for images of so many channels and so many classes.

    Raises UserError where a user's own network cannot be built.
    """
    if is_own(cfg):
        return _build_own(cfg, channels, classes)
    return MODELS[cfg.name](channels, classes, **_options(cfg))


def _build_own(cfg: Mapping[str, Any], channels: int, classes: int) -> nn.Module:
    own = Own("model", cfg)
    try:
        network = own.function(channels, classes, **own.options(cfg, "model"))
    except Exception as error:
        raise UserError(
            f"{own.label}: fails for {channels} channels and {classes} classes ({reason(error)})"
        ) from error
    if not isinstance(network, nn.Module):
        raise UserError(f"{own.label}: gives a {type(network).__name__}; must give a torch.nn.Module")
    return network


def _options(cfg: Mapping[str, Any]) -> dict[str, Any]:
    if is_own(cfg):
        return Own("model", cfg).options(cfg, "model")
    name = cfg.get("name")
    if name not in MODELS:
        raise unknown("model.name", name, MODELS)
    for option in options_of(MODELS[name]):
        if option not in cfg:  # also where it has a default: a run's identity holds what its network is made of
            raise UserError(f"model={name} needs model.{option}")
    return options("model", MODELS[name], cfg, "model")
