"""How much memory a step of training surely needs, and how much there is: refused before anything is allocated."""

from functools import lru_cache
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.overrides import TorchFunctionMode

from mixbench import models
from mixbench.core import memory
from mixbench.core.errors import UserError
from mixbench.core.own_functions import is_own, reason, reference_for_messages
from mixbench.training import own_checks

SIDE = 64  # pixels
DRAWING = ("normal_", "uniform_")  # methods by which torch.nn.init fills a tensor


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


class _WithoutInit(TorchFunctionMode):
    """Layers keep the memory that they got: drawing weights takes time, and on the meta device imports a compiler."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init" or getattr(func, "__name__", "") in DRAWING:
            return (kwargs or {}).get("tensor", args[0] if args else None)
        return func(*args, **(kwargs or {}))


@lru_cache
def _bytes(model: str, height: int, width: int, channels: int, classes: int) -> tuple[int, int]:
    """Bytes that training holds for the network, and for each image of a batch, at the least: see the sums at the end.

    The weights are counted on the meta device, which holds no numbers, and the layers' inputs in a forward pass of one
    blank image of at most SIDE pixels a side: on the meta device that pass would import a compiler too.
    """
    cfg = cast(DictConfig, OmegaConf.create(model))  # a text may hold a list, but this is a group's
    if is_own(cfg):
        return _bytes_of_own(cfg, height, width, channels, classes)
    with _WithoutInit():
        with torch.device("meta"):
            network = models.build_network(cfg, channels, classes)
        # float32 weights, their gradients and the optimizer's momentum.
        of_network = 12 * sum(parameter.numel() for parameter in network.parameters())
        if of_network > memory.total() // 4:  # too large to be made just for this
            return of_network, 0
        network = models.build_network(cfg, channels, classes).eval()
    seen: dict[int, torch.Tensor] = {}  # by identity, since two layers may share an input; held, so that ids stay apart
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.zero_()
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_pre_hook(lambda _, inputs: seen.update({id(inputs[0]): inputs[0]}))
        rows, columns = min(height, SIDE), min(width, SIDE)
        logits = network(torch.zeros(1, channels, rows, columns))
    # SIDE can be halved three times without rest, so that larger images have at least as many features a pixel.
    images = sum(tensor.numel() for tensor in seen.values() if tensor.ndim == 4)
    inputs = images * height * width // (rows * columns) + sum(t.numel() for t in seen.values() if t.ndim != 4)
    pixels, labels = channels * height * width, logits.shape[1]
    # uint8 and float32 images, label weights, and the layers' inputs for the gradient of their weights (in bf16).
    return of_network, pixels + 4 * pixels + 4 * labels + 2 * inputs


def _bytes_of_own(cfg: DictConfig, height: int, width: int, channels: int, classes: int) -> tuple[int, int]:
    """As _bytes, of a user's own network, which is built as it is and shown one blank image as large as the data's.

    Nothing is counted for the features, whose sizes are the network's to know. Raises UserError where it fails.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = models.build_network(cfg, channels, classes).eval()
        weights = sum(parameter.numel() for parameter in network.parameters())
        try:
            if weights == 0:
                raise ValueError("has no weights to train")
            own_checks.logits(network(torch.zeros(1, channels, height, width)), 1, classes)
        except Exception as error:
            label = reference_for_messages(cfg.function)
            raise UserError(f"{label}: fails on an image of {channels}x{height}x{width} ({reason(error)})") from error
    return 12 * weights, 5 * channels * height * width + 4 * classes
