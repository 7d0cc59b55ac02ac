"""The device and the precision of a run."""

import resource
import sys
from pathlib import Path

import torch

from mixbench.core.errors import UserError
from mixbench.core.machine import cpu_name

PRECISION_NAMES = {torch.bfloat16: "bf16", torch.float32: "fp32"}


def choose_device(requested: str) -> torch.device:
    """Return the device on which a run trains.

    requested: value of the key `device`: auto, cpu, cuda or such as cuda:1.
    Raises UserError if this machine does not have it.
    """
    # A driver that is too old for this version of torch still counts its devices.
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested == "auto":
        return torch.device("cuda", 0) if count else torch.device("cpu")
    device = torch.device(requested)
    if device.type == "cuda" and (device.index or 0) >= count:
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise UserError(f"device={requested}: this machine has no such device; choices: {there}")
    return device


def choose_precision(requested: str, device: torch.device) -> torch.dtype:
    """Return the precision of a run.

    `auto` is bfloat16 on CUDA devices that support it and on CPUs with AMX, else float32. The hardware decides, not a
    measured time, which could differ between workers. AVX512-BF16 without AMX is not enough: on such a CPU a step in
    bfloat16 ran at 0.73 to 0.75 times the speed of float32.

    requested: value of the key `precision`: auto, bf16 or fp32.
    device: the device of the run.
    Returns bfloat16 or float32.
    """
    if requested == "auto":
        if device.type == "cuda":
            with torch.cuda.device(device):
                fast = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            fast = has_amx()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if requested == "bf16" else torch.float32


def has_amx() -> bool:
    """Whether the CPU has AMX instructions for bfloat16 matrices."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    if "amx_bf16" in capabilities:
        return bool(capabilities["amx_bf16"])
    try:  # older versions of torch do not tell, but Linux does
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags.split()


def use_precision(dtype: torch.dtype) -> None:
    """Turn TF32 off for float32 runs: by default, CUDA convolutions round float32 to TF32's 10-bit mantissa.

    dtype: the precision of the run.
    """
    torch.backends.cudnn.allow_tf32 = dtype != torch.float32


def device_name(device: torch.device) -> str:
    """Return the model name of the device, such as NVIDIA H100 80GB HBM3.

    device: a CUDA device or the CPU.
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes. On a CPU it is that of the process, so in a sweep of the largest run so far.

    device: the device of the run.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
