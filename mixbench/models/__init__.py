"""Networks for small images."""

from omegaconf import DictConfig
from torch import nn

from mixbench.errors import unknown
from mixbench.models.preact_resnet import BLOCKS, STEMS, PreActResNet

MODELS = {"preact_resnet18": PreActResNet}

__all__ = ["build", "check"]


def check(cfg: DictConfig) -> None:
    """Raises UserError where `cfg`, the group model, describes no network."""
    if cfg.name not in MODELS:
        raise unknown("model.name", cfg.name, MODELS)
    if cfg.depth not in BLOCKS:
        raise unknown("model.depth", cfg.depth, map(str, BLOCKS))
    if cfg.stem not in STEMS:
        raise unknown("model.stem", cfg.stem, STEMS)


def build(cfg: DictConfig, channels: int, classes: int) -> nn.Module:
    """The network for images of so many channels and so many classes."""
    return MODELS[cfg.name](channels, classes, cfg.depth, cfg.width, cfg.stem)
