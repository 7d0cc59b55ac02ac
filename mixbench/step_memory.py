"""How much memory a step of training surely needs, and how much there is: refused before anything is allocated."""

from functools import lru_cache

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from mixbench import memory, models
from mixbench.errors import UserError


def check(cfg: DictConfig, height: int, width: int, channels: int, classes: int, device: torch.device) -> None:
    """Raises UserError where network or batch cannot fit into the device's whole memory, however little else is there.

    The bound does not depend on what is free at the moment: a sweep that was checked is not refused half way.
    """
    there = _total(device)
    try:
        network, an_image = _bytes(OmegaConf.to_yaml(cfg.model), height, width, channels, classes)
    except (RuntimeError, OverflowError):  # torch cannot even count that many weights
        network, an_image = None, 0
    if network is None or network > there:
        settings = " ".join(f"model.{key}={value}" for key, value in cfg.model.items() if key != "name")
        needed = "more bytes than can be counted" if network is None else f"at least {memory.size(network)}"
        raise UserError(
            f"{settings}: weights, gradients and momentum of the network need {needed}, and {device.type} has "
            f"{memory.size(there)}; give a smaller model"
        )
    size = cfg.train.batch_size
    if size * an_image > there:
        raise UserError(
            f"train.batch_size={size}: a step needs at least {memory.size(size * an_image)}, and {device.type} has "
            f"{memory.size(there)}; give at most {there // an_image:,}, which may still be too many"
        )


def _total(device: torch.device) -> int:
    """Bytes of memory that a process can have on the device: of the GPU, or of the machine or its container."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return memory.total()


@lru_cache
def _bytes(model: str, height: int, width: int, channels: int, classes: int) -> tuple[int, int]:
    """Bytes that training holds for the network, and for each image of a batch, at the least: see the sums at the end.

    The network is run on the meta device, which knows shapes and holds no numbers.
    """
    seen: dict[int, torch.Tensor] = {}  # by identity, since two layers may share an input; held, so that ids stay apart
    with torch.device("meta"):
        network = models.build(OmegaConf.create(model), channels, classes)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_pre_hook(lambda _, inputs: seen.update({id(inputs[0]): inputs[0]}))
        logits = network(torch.zeros(2, channels, height, width))
    inputs = sum(tensor.numel() for tensor in seen.values()) // 2
    pixels, labels = channels * height * width, logits.shape[1]
    # uint8 and float32 images, label weights, and the layers' inputs for the gradient of their weights (in bf16).
    an_image = pixels + 4 * pixels + 4 * labels + 2 * inputs
    # float32 weights, their gradients and the optimizer's momentum.
    return 12 * sum(parameter.numel() for parameter in network.parameters()), an_image
