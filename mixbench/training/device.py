"""Where and at which precision a run computes."""

import resource
import sys
from pathlib import Path

import torch

from mixbench.core.errors import UserError
from mixbench.core.machine import cpu_name

PRECISION_NAMES = {torch.bfloat16: "bf16", torch.float32: "fp32"}


def choose_device(requested: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:1` means here. Raises UserError where it is not there."""
    # A driver too old for this torch still counts its devices.
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested == "auto":
        return torch.device("cuda", 0) if count else torch.device("cpu")
    device = torch.device(requested)
    if device.type == "cuda" and (device.index or 0) >= count:
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(count))])
        raise UserError(f"device={requested}: not there; choices: {there}")
    return device


def choose_precision(requested: str, device: torch.device) -> torch.dtype:
    """bfloat16 or float32. `auto`: bfloat16 on CUDA devices that have it and on CPUs with AMX, float32 elsewhere.

    The hardware decides, never a timing, which would come out differently from one worker to the next. AVX512-BF16
    without AMX is no reason for bfloat16: on such a CPU a step in bfloat16 had 0.73 to 0.75 times the speed of float32.
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
    """Whether the CPU multiplies bfloat16 matrices in tiles (AMX)."""
    able = getattr(torch.cpu, "get_capabilities", dict)()
    if "amx_bf16" in able:
        return bool(able["amx_bf16"])
    try:  # a torch that does not tell; Linux does
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags.split()


def use_precision(dtype: torch.dtype) -> None:
    """Make float32 mean float32 on CUDA too, where convolutions would by default round to TF32's 10-bit mantissa."""
    torch.backends.cudnn.allow_tf32 = dtype != torch.float32


def device_name(device: torch.device) -> str:
    """The device's own name, such as NVIDIA H100 80GB HBM3."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def peak_memory(device: torch.device) -> int:
    """Bytes. On a CPU of the whole process, so in a sweep the largest run so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
