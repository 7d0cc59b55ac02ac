"""Correctness on this machine in a minute: two executions of the same training, side by side in float64.

With CUDA the first is the CPU's and the second the GPU's. With --device cpu they are two different executions on the
CPU, so that they do not agree trivially: tensors in channels_last, and contiguous ones, whose sums have another order.

Every method and every augmentation trains for 50 steps from the same weights under the same plan. Three things are
compared: the pixels that an augmentation makes, the loss of every step, and the logits after the last step. Both sides
train on the pixels of the first, so that a loss differs by what comes after them alone.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may sum in another order each time

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
from mixbench.training.device import choose_device, use_precision
from mixbench.training.engine import Engine
from mixbench.training.schedule import learning_rate

STEPS = 50
BOUND = 1e-6  # of |a - b| / max(1, |a|), for every loss and every logit
# At this rate 50 steps enlarge rounding 1e4 to 1e6 times: float64's stays far below the bound, and float32's, a wrong
# decision or another weight far above it. At 0.1 they would enlarge it another 1,000 times (docs/gpu.md).
LR = 0.02
# These only move pixels, so none may differ. The other augmentations compute in float32 and cut fractions off: where a
# value is a whole number but for its last bit, two devices may cut it to neighbouring numbers.
MOVING = ("none", "flip", "vertical-flip", "standard")
PIXELS = 1e-3  # the share of pixel values that may differ with these others
TOGETHER = 0.1  # nats that losses of fp32 and bf16 may be apart from float64's, on average over the steps
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
    """One of the two executions."""

    name: str
    device: torch.device
    layout: torch.memory_format = torch.channels_last


def sides(device: torch.device) -> tuple[Side, Side]:
    """The reference, and the execution that is compared with it."""
    cpu = torch.device("cpu")
    if device.type == "cuda":
        return Side("CPU", cpu), Side("CUDA", device)
    return Side("CPU, channels_last", cpu), Side("CPU, contiguous", cpu, torch.contiguous_format)


def photographs() -> data.Dataset:
    """32x32 crops of scikit-learn's photographs, with labels of ten classes that mean nothing: no accuracy is read."""
    photos = data.load("photos", "", None, say=print)
    images = np.concatenate([photos.train_images, photos.test_images])
    first = (images.shape[1] - SIDE) // 2
    images = np.ascontiguousarray(images[:, first : first + SIDE, first : first + SIDE])
    labels = np.arange(len(images)) % CLASSES
    return data.Dataset(images[:N], labels[:N], images[N:], labels[N:])


class Execution:
    """An engine on one side, whose batches can be made from pixels that the other side augmented."""

    def __init__(self, words: Sequence[str], images: data.Dataset, side: Side, dtype: torch.dtype):
        with Composer() as composer:
            cfg = job(composer.compose(["dataset=photos", "dataset.classes=null", *SMALL, *words])).cfg
        self.side, self.engine = side, Engine(cfg, data.split(images, cfg), side.device, dtype)
        self.engine.model.to(memory_format=side.layout)
        self.augment = self.engine.augment
        self.chunk = self.engine.plans(0, STEPS)

    def decided(self, k: int) -> dict[str, Tensor]:
        return {name: values[k] for name, values in self.chunk.items()}

    def pixels(self, k: int) -> Tensor:
        """What the augmentation makes of the batch of step k: uint8 [B, C, H, W] on the host."""
        decided = self.decided(k)
        images = self.engine.images[decided["index"]].permute(0, 3, 1, 2)
        return self.augment(images, decided=decided).cpu()

    def step(self, k: int, pixels: Tensor | None = None) -> float:
        """The loss of step k; pixels: what to train on in place of what the augmentation makes."""
        if pixels is not None:
            given = pixels.to(self.side.device, memory_format=self.side.layout)
            self.engine.augment = lambda images, decided: given
        return self.engine.step(self.decided(k), learning_rate(self.engine.cfg.train, k)).item()

    def logits(self) -> Tensor:
        return self.engine.logits(self.engine.eval_images)


def compare(words: Sequence[str], images: data.Dataset, both: tuple[Side, Side], steps: int = STEPS) -> dict[str, Any]:
    """The largest differences between two trainings in float64: of `loss`, of `logits`, and of pixels the share.

    `pixels_by`: the largest difference of a pixel value, of 255. `reference_loss`: of the last step.
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
    """The largest |a - b| / max(1, |a|): absolute below 1, relative above. Not a number counts as infinite."""
    apart = ((reference - other).abs() / reference.abs().clamp(min=1)).max().item()
    return apart if np.isfinite(apart) else float("inf")


def variants() -> dict[str, list[str]]:
    """What is compared, by name: every method with the standard augmentation, every augmentation without mixing."""
    methods = {f"method={name}": [f"method={name}"] for name in METHOD_NAMES}
    return methods | {f"augment={name}": ["method=none", f"augment={name}"] for name in names("augment")}


def judged(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row with its `name` and whether it is within the bounds: `ok`."""
    exact = not name.startswith("augment=") or name.removeprefix("augment=") in MOVING
    pixels = row["pixels"] <= (0 if exact else PIXELS)
    return {"name": name, **row, "ok": row["loss"] <= BOUND and row["logits"] <= BOUND and pixels}


def sanity(images: data.Dataset, device: torch.device, steps: int) -> list[dict[str, Any]]:
    """Label-mix at the precisions that runs use, beside float64 on the CPU: a row each with how far losses are apart.

    ok: all are finite, the first is that of float64 but for rounding, and they stay together on average.
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
    """All that `markdown` shows."""
    torch.set_num_threads(1)  # so small a network is no faster on more
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
    verdict = "ok" if row["ok"] else "OVER THE BOUND"
    return f"{row['name']:28} loss {row['loss']:.1e}  logits {row['logits']:.1e}  pixels {row['pixels']:.1e}  {verdict}"


def markdown(found: dict[str, Any]) -> str:
    """The tables of `measure`."""
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
            f"{first} against {second} in float64: the same weights and plan, {found['steps']} steps. Largest "
            "|a - b| / max(1, |a|) over the losses of all steps, and over the logits of 34 images after the last. "
            f"{found['seconds']:.0f} s.",
            tabulate(rows, headers, tablefmt="github", disable_numparse=True),
            "Label-mix on the device at the precisions of runs: how far its losses are from float64's on the CPU, "
            "in nats. Training enlarges rounding, so only the first can be close.",
            tabulate(
                checks,
                ["precision", "first step", "mean", "largest", "as it should be"],
                tablefmt="github",
                disable_numparse=True,
            ),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0, 1 where something is over its bound, 2 where there is no such device."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.smoke", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of each training, up to {STEPS}")
    parser.add_argument("--out", type=Path, help="a file for the figures, as JSON")
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
