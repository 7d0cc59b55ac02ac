"""How much arithmetic a training step is, and how much the machine does at most: its rate of matrix products."""

import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.loops import MixbenchLoop, now
from mixbench.training.device import PRECISION_NAMES, use_precision

SIDE = {"cpu": 2048, "cuda": 8192}  # of the square matrices
FEWEST, SECONDS = 3, 2.0  # products, and how long they go on at least
HOPELESS = 0.25  # of the default precision's rate


def matrix_rates(device: torch.device) -> dict[str, float]:
    """GFLOP/s of products of square matrices in fp32 and in bf16, the best of several: the limit of any step.

    A product of side N counts 2N³ operations. Where a precision is so slow that products of full size would take long,
    they are smaller.
    """
    return {name: _rate(dtype, device) for dtype, name in PRECISION_NAMES.items()}


def worth_timing(rates: dict[str, float], default: str) -> list[str]:
    """The precisions to train in: fp32, the default, and the other one unless it is hopeless.

    With AVX2 alone its products reached less than a tenth of fp32's rate: training in it would take most of the
    benchmark's time to show what is known from that.
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
    """Of one product, after another one as a warm-up."""
    left, right = (torch.ones(side, side, dtype=dtype, device=device) for _ in range(2))
    left @ right
    start = now(device)
    left @ right
    return now(device) - start


def step_gflop(width: int, device: torch.device) -> float:
    """10⁹ operations of the convolutions and the classifier in a step's forward and backward pass (FlopCounterMode)."""
    loop = MixbenchLoop(width, device, "fp32")
    decided, lr = next(loop.decided(1))
    with FlopCounterMode(display=False) as counter:
        loop.engine.step(decided, lr)
    return counter.get_total_flops() / 1e9
