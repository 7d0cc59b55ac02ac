"""The number of operations of a training step, and the machine's largest rate, measured with matrix products."""

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.loops import MixbenchLoop, now
from mixbench.training.device import PRECISION_NAMES, use_precision

SIDE = {"cpu": 2048, "cuda": 8192}  # rows and columns of the matrices
FEWEST, SECONDS = 3, 2.0  # fewest products, and shortest measurement in seconds
HOPELESS = 0.25  # a precision with a smaller share of the default precision's rate is not trained in


def matrix_rates(device: torch.device) -> dict[str, float]:
    """Return the best rate of products of square matrices in fp32 and bf16, in GFLOP/s. No step can be faster.

    A product of N x N matrices counts as 2N³ operations. If a precision is very slow, the matrices are smaller.
    """
    return {name: _rate(dtype, device) for dtype, name in PRECISION_NAMES.items()}


def worth_timing(rates: dict[str, float], default: str) -> list[str]:
    """Return the precisions to train in: fp32, the default, and the other one unless it is very slow.

    With only AVX2, bf16 reached less than a tenth of fp32's rate. Training in it would take most of the benchmark's
    time and show nothing new.
    """
    return [name for name in rates if name in ("fp32", default) or rates[name] >= HOPELESS * rates[default]]


def _rate(dtype: torch.dtype, device: torch.device) -> float:
    use_precision(dtype)
    side = SIDE[device.type]
    while side > 256 and _seconds(side // 8, dtype, device) * 8**3 > SECONDS:
        side //= 2
    best, end = _seconds(side, dtype, device), time.perf_counter() + SECONDS
    done = 0
    while done < FEWEST or time.perf_counter() < end:
        best = min(best, _seconds(side, dtype, device))
        done += 1
    return 2 * side**3 / best / 1e9


def _seconds(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the seconds of one product, after another one as warm-up."""
    left, right = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
    left @ right
    start = now(device)
    left @ right
    return now(device) - start


def step_gflop(width: int, device: torch.device) -> float:
    """Return the operations (10⁹) of convolutions and classifier in a forward and backward pass (FlopCounterMode)."""
    loop = MixbenchLoop(width, device, "fp32")
    decided, lr = next(loop.decided(1))
    with FlopCounterMode(display=False) as counter:
        loop.engine.step(decided, lr)
    return counter.get_total_flops() / 1e9
