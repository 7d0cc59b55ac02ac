"""A lower bound of the memory for a training step, to refuse a run before anything is allocated."""

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
DRAWING = ("normal_", "uniform_")  # methods with which torch.nn.init fills a tensor


def check_memory(cfg: DictConfig, height: int, width: int, channels: int, classes: int, device: torch.device) -> None:
    """Raise UserError if the network or the batch cannot fit into the total memory of the device.

    The check does not depend on the memory that is free at the moment, so a sweep that passed is not refused half-way.

    cfg: the run's configuration.
    height, width, channels: of the images.
    classes: number of classes.
    device: the device.
    """
    there = _total(device)
    try:
        network, an_image = _bytes(OmegaConf.to_yaml(cfg.model), height, width, channels, classes)
    except (RuntimeError, OverflowError):  # more weights than torch can count
        network, an_image = None, 0
    if network is None or network > there:
        settings = " ".join(f"model.{key}={value}" for key, value in cfg.model.items() if key != "name")
        needed = "more bytes than can be counted" if network is None else f"at least {memory.size(network)}"
        raise UserError(
            f"{settings}: weights, gradients and momentum of the network need {needed}, but {device.type} has only "
            f"{memory.size(there)}; choose a smaller model"
        )
    size = cfg.train.batch_size
    if size * an_image > there:
        raise UserError(
            f"train.batch_size={size}: a step needs at least {memory.size(size * an_image)}, but {device.type} has "
            f"only {memory.size(there)}; choose at most {there // an_image:,}, which may still be too many"
        )


def _total(device: torch.device) -> int:
    """Return the bytes of memory of the GPU, or of the machine or its container."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return memory.total()


class _WithoutInit(TorchFunctionMode):
    """Skip the initialisation of weights, which takes time and imports a compiler on the meta device."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init" or getattr(func, "__name__", "") in DRAWING:
            return (kwargs or {}).get("tensor", args[0] if args else None)
        return func(*args, **(kwargs or {}))


@lru_cache
def _bytes(model: str, height: int, width: int, channels: int, classes: int) -> tuple[int, int]:
    """Return lower bounds of the bytes that training needs for the network, and for each image of a batch.

    The weights are counted on the meta device, which allocates nothing. The layers' inputs are counted in a forward
    pass of one blank image of at most SIDE pixels a side on the CPU, because on the meta device that pass would import
    a compiler.
    """
    cfg = cast(DictConfig, OmegaConf.create(model))  # OmegaConf.create can return a list, but this text is a mapping
    if is_own(cfg):
        return _bytes_of_own(cfg, height, width, channels, classes)
    # A network whose weights depend on the size of the images works on no other size.
    rows, columns = (height, width) if models.is_sized(cfg) else (min(height, SIDE), min(width, SIDE))
    with _WithoutInit():
        with torch.device("meta"):
            network = models.build_network(cfg, channels, classes, (rows, columns))
        # float32 weights, their gradients and the optimizer's momentum.
        of_network = 12 * sum(parameter.numel() for parameter in network.parameters())
        if of_network > memory.total() // 4:  # too large to allocate only for this check
            return of_network, 0
        network = models.build_network(cfg, channels, classes, (rows, columns)).eval()
    seen: dict[
        int, torch.Tensor
    ] = {}  # by id, because two layers can share an input; kept alive, so that ids stay unique
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.zero_()
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_pre_hook(lambda _, inputs: seen.update({id(inputs[0]): inputs[0]}))
        logits = network(torch.zeros(1, channels, rows, columns))
    # SIDE can be halved three times without remainder, so larger images have at least as many features per pixel.
    images = sum(tensor.numel() for tensor in seen.values() if tensor.ndim == 4)
    inputs = images * height * width // (rows * columns) + sum(t.numel() for t in seen.values() if t.ndim != 4)
    pixels, labels = channels * height * width, logits.shape[1]
    # uint8 and float32 images, label weights, and the layers' inputs for the gradient of their weights (in bf16).
    return of_network, pixels + 4 * pixels + 4 * labels + 2 * inputs


def _bytes_of_own(cfg: DictConfig, height: int, width: int, channels: int, classes: int) -> tuple[int, int]:
    """Return the same as `_bytes` for a user's own network, which is built and called with one blank image.

    Features are not counted, because their sizes are not known. Raises UserError if the network fails.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = models.build_network(cfg, channels, classes).eval()
        weights = sum(parameter.numel() for parameter in network.parameters())
        try:
            if weights == 0:
                raise ValueError("has no weights to train")
            own_checks.check_logits(network(torch.zeros(1, channels, height, width)), 1, classes)
        except Exception as error:
            label = reference_for_messages(cfg.function)
            raise UserError(f"{label}: fails on an image of {channels}x{height}x{width} ({reason(error)})") from error
    return 12 * weights, 5 * channels * height * width + 4 * classes
