"""Tests correctness on this machine in a minute: it compares two executions of the same training in float64.

With CUDA, the first execution is on the CPU and the second on the GPU. With --device cpu both are on the CPU but
differ, so that they do not agree trivially: one uses channels_last, the other contiguous tensors, which are summed in
another order.

Every method and every augmentation trains for 50 steps from the same weights with the same plan. Three things are
compared: the pixels after augmentation, the loss of every step, and the logits after the last step. Both executions
train on the pixels of the first, so that differences in augmentation do not change the losses.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, cuBLAS can sum in another order each time

import numpy as np
import torch
from tabulate import tabulate
from torch import Tensor

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.options import names
from mixbench.core.errors import UserError
from mixbench.mixing.runner import METHOD_NAMES
from mixbench.runs.banks import with_stand_ins
from mixbench.training import views
from mixbench.training.device import choose_device, use_precision
from mixbench.training.engine import Engine
from mixbench.training.schedule import learning_rate

STEPS = 50
BOUND = 1e-6  # largest |a - b| / max(1, |a|) for every loss and logit
# At this learning rate, 50 steps amplify rounding errors by 1e4 to 1e6. Those of float64 stay far below the bound.
# Those of float32, a wrong decision or another weight exceed it by far. At 0.1 the factor is 1,000 times as large (see
# docs/gpu.md).
LR = 0.02
# These only move pixels, so no pixel may differ. The others compute in float32 and truncate: if a value is almost a
# whole number, two devices can get neighbouring numbers.
MOVING = ("none", "flip", "vertical-flip", "standard")
PIXELS = 1e-3  # largest share of pixel values that may differ with the other augmentations
TOGETHER = 0.1  # largest mean difference between losses in fp32 or bf16 and in float64, in nats
SIDE, CLASSES, N, HELD_OUT = 32, 10, 64, 34  # of the photographs' 98 crops
SMALL = (
    f"n={N}",
    "model.depth=10",
    "model.width=4",
    "train.batch_size=8",
    f"train.steps={STEPS}",
    f"train.lr={LR}",
    "train.schedule=constant",
)


@dataclass(frozen=True)
class Side:
    """One of the two executions: its name, device and memory format."""

    name: str
    device: torch.device
    layout: torch.memory_format = torch.channels_last


def sides(device: torch.device) -> tuple[Side, Side]:
    """Return the reference and the execution that is compared with it."""
    cpu = torch.device("cpu")
    if device.type == "cuda":
        return Side("CPU", cpu), Side("CUDA", device)
    return Side("CPU, channels_last", cpu), Side("CPU, contiguous", cpu, torch.contiguous_format)


def photographs() -> data.Dataset:
    """Return 32x32 crops of scikit-learn's photographs with arbitrary labels of ten classes."""
    photos = data.load("photos", "", None, say=print)
    images = np.concatenate([photos.train_images, photos.test_images])
    first = (images.shape[1] - SIDE) // 2
    images = np.ascontiguousarray(images[:, first : first + SIDE, first : first + SIDE])
    labels = np.arange(len(images)) % CLASSES
    return data.Dataset(images[:N], labels[:N], images[N:], labels[N:])


class Given:
    """An augmentation that returns the same pixels whatever it gets, and asks for nothing.

    pixels: uint8 [B, C, H, W].
    """

    needs = ()

    def __init__(self, pixels: Tensor):
        self.pixels = pixels

    def __call__(self, images: Tensor, decided: Mapping[str, Tensor], needs: Mapping[str, int]) -> Tensor:
        return self.pixels


class Execution:
    """An engine whose batches can use pixels that the other execution augmented.

    words: KEY=VALUE texts of the run.
    images: the images.
    side: the execution.
    dtype: precision.
    """

    def __init__(self, words: Sequence[str], images: data.Dataset, side: Side, dtype: torch.dtype):
        with Composer() as composer:
            cfg = job(composer.compose(["dataset=photos", "dataset.classes=null", *SMALL, *words])).cfg
        split = with_stand_ins(data.split(images, cfg), cfg.method)
        self.side, self.engine = side, Engine(cfg, split, side.device, dtype)
        self.engine.model.to(memory_format=side.layout)
        self.augment = self.engine.augment
        self.chunk = self.engine.plans(0, STEPS)

    def decided(self, k: int) -> dict[str, Tensor]:
        """Return the random draws of step k."""
        return {name: values[k] for name, values in self.chunk.items()}

    def pixels(self, k: int) -> Tensor:
        """Return the augmented batch of step k: uint8 [B, C, H, W] on the CPU."""
        decided = self.decided(k)
        images = self.engine.images[decided["index"]].permute(0, 3, 1, 2)
        return self.augment(images, decided=decided, needs=views.requested(self.augment, self.engine.loss)).cpu()

    def step(self, k: int, pixels: Tensor | None = None) -> float:
        """Train step k and return its loss. pixels: batch to use instead of the augmented one."""
        if pixels is not None:
            given = pixels.to(self.side.device, memory_format=self.side.layout)
            self.engine.augment = Given(given)
        return self.engine.step(self.decided(k), learning_rate(self.engine.cfg.train, k)).item()

    def logits(self) -> Tensor:
        """Return the logits of the evaluation images."""
        return self.engine.logits(self.engine.eval_images)


def compare(words: Sequence[str], images: data.Dataset, both: tuple[Side, Side], steps: int = STEPS) -> dict[str, Any]:
    """Compare two executions of a training in float64.

    words: KEY=VALUE texts of the run.
    images: the images.
    both: the two executions.
    steps: number of steps.
    Returns `loss` and `logits`, the largest differences; `pixels`, the share of different pixel values; `pixels_by`,
        the largest difference of a pixel value (0 to 255); `reference_loss`, the reference's loss of the last step.
    """
    first, second = (Execution(words, images, side, torch.float64) for side in both)
    differ, largest, losses = 0, 0, []
    for k in range(steps):
        pixels = first.pixels(k)
        apart = (pixels.short() - second.pixels(k).short()).abs()
        differ, largest = differ + int((apart > 0).sum()), max(largest, int(apart.max()))
        losses.append((first.step(k, pixels), second.step(k, pixels)))
    loss, logits = torch.tensor(losses, dtype=torch.float64).T, torch.stack([first.logits(), second.logits()])
    return {
        "loss": apart_by(*loss),
        "logits": apart_by(*logits),
        "pixels": differ / (steps * pixels.numel()),
        "pixels_by": largest,
        "reference_loss": losses[-1][0],
    }


def apart_by(reference: Tensor, other: Tensor) -> float:
    """Return the largest |a - b| / max(1, |a|): absolute below 1, relative above. NaN counts as infinite."""
    apart = ((reference - other).abs() / reference.abs().clamp(min=1)).max().item()
    return apart if np.isfinite(apart) else float("inf")


def variants() -> dict[str, list[str]]:
    """Return name -> KEY=VALUE texts: every method with standard augmentation, every augmentation without mixing."""
    methods = {f"method={name}": [f"method={name}"] for name in METHOD_NAMES}
    return methods | {f"augment={name}": ["method=none", f"augment={name}"] for name in names("augment")}


def judged(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its `name`, and `ok`: whether it is within the bounds."""
    exact = not name.startswith("augment=") or name.removeprefix("augment=") in MOVING
    pixels = row["pixels"] <= (0 if exact else PIXELS)
    return {"name": name, **row, "ok": row["loss"] <= BOUND and row["logits"] <= BOUND and pixels}


def sanity(images: data.Dataset, device: torch.device, steps: int) -> list[dict[str, Any]]:
    """Compare the losses of label-mix in fp32 and bf16 with those in float64 on the CPU.

    images: the images.
    device: device of fp32 and bf16.
    steps: number of steps.
    Returns a row for each precision. `ok`: all losses are finite, the first differs only by rounding, and the mean
        difference is small.
    """
    words = ["method=label-mix", "model.width=16"]
    exact = _losses(words, images, Side("float64", torch.device("cpu")), torch.float64, steps)
    rows = []
    for name, dtype, first in (("fp32", torch.float32, 1e-5), ("bf16", torch.bfloat16, 0.02)):
        use_precision(dtype)
        apart = np.abs(_losses(words, images, Side(name, device), dtype, steps) - exact)
        ok = bool(np.isfinite(apart).all() and apart[0] <= first and apart.mean() <= TOGETHER)
        rows.append({"precision": name, "first": apart[0], "mean": apart.mean(), "largest": apart.max(), "ok": ok})
    return rows


def _losses(words: Sequence[str], images: data.Dataset, side: Side, dtype: torch.dtype, steps: int) -> np.ndarray:
    execution = Execution(words, images, side, dtype)
    return np.array([execution.step(k) for k in range(steps)])


def measure(device: torch.device, steps: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the results that `markdown` shows.

    device: device to test.
    steps: number of steps of each training.
    say: called with a line for each result.
    """
    torch.set_num_threads(1)  # more threads do not help with so small a network
    torch.use_deterministic_algorithms(True, warn_only=True)
    started = time.perf_counter()
    images, both, rows = photographs(), sides(device), []
    for name, words in variants().items():
        rows.append(judged(name, compare(words, images, both, steps)))
        say(line(rows[-1]))
    found = {"sides": [side.name for side in both], "steps": steps, "bound": BOUND, "rows": rows}
    found["sanity"] = sanity(images, device, steps)
    ok = all(row["ok"] for row in (*rows, *found["sanity"]))
    return found | {"ok": ok, "seconds": time.perf_counter() - started}


def line(row: dict[str, Any]) -> str:
    """Return a result as one line."""
    verdict = "ok" if row["ok"] else "OVER THE BOUND"
    return f"{row['name']:28} loss {row['loss']:.1e}  logits {row['logits']:.1e}  pixels {row['pixels']:.1e}  {verdict}"


def markdown(found: dict[str, Any]) -> str:
    """Return the results of `measure` as Markdown tables."""
    first, second = found["sides"]
    rows = [
        [
            row["name"],
            f"{row['loss']:.1e}",
            f"{row['logits']:.1e}",
            f"{100 * row['pixels']:.3f} % by {row['pixels_by']}" if row["pixels"] else "none",
            "yes" if row["ok"] else "**no**",
        ]
        for row in found["rows"]
    ]
    checks = [
        [
            row["precision"],
            *(f"{row[key]:.1e}" for key in ("first", "mean", "largest")),
            "yes" if row["ok"] else "**no**",
        ]
        for row in found["sanity"]
    ]
    headers = [
        "what",
        "losses differ by",
        "logits differ by",
        "pixel values that differ",
        f"within {found['bound']:.0e}",
    ]
    return "\n\n".join(
        [
            f"{first} compared with {second} in float64, with the same weights and plan, for {found['steps']} steps. "
            "Differences are the largest |a - b| / max(1, |a|) of the losses of all steps, and of the logits of 34 "
            f"images after the last step. It took {found['seconds']:.0f} s.",
            tabulate(rows, headers, tablefmt="github", disable_numparse=True),
            "Label-mix on the device in the precisions of runs: the differences of its losses to float64 on the CPU, "
            "in nats. Training amplifies rounding errors, so only the first step can be close.",
            tabulate(
                checks,
                ["precision", "first step", "mean", "largest", "within the bounds"],
                tablefmt="github",
                disable_numparse=True,
            ),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Test and print. Returns the exit status: 0, 1 if a bound is exceeded, 2 if there is no such device."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.smoke", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps of each training, up to {STEPS}")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    options = parser.parse_args(argv)
    try:
        device = choose_device(options.device)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    found = measure(device, min(options.steps, STEPS), say=lambda text: print(text, file=sys.stderr, flush=True))
    print(markdown(found))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
