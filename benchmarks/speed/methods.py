"""The benchmark of methods and augmentations: what each adds to a training step, side by side in one run."""

import statistics
from typing import Any

import torch

from benchmarks.speed.loops import Effort, MixbenchLoop, interleaved, now, relative, validated
from benchmarks.speed.report import table, where
from mixbench.config.options import names
from mixbench.mixing.runner import METHOD_NAMES

BATCHES = 30  # of which gathering, augmenting and mixing are timed apart
BASELINES = {"method": "method=none", "augment": "augment=none"}
# Above its baseline a step may take so much more (fraction of it), on 2 cores at TARGET_WIDTH; 5 % unless it is here.
TARGETS = {"saliencymix": 0.10}
USUAL_TARGET, TARGET_WIDTH = 0.05, 64


def variants() -> dict[str, dict[str, list[str]]]:
    """group -> what the table calls it -> the overrides: every method and augmentation, the baseline first.

    Then each method's other scope (per_sample) and what else makes it another computation.
    """
    methods = {f"method={name}": [f"method={name}"] for name in METHOD_NAMES}
    for name in METHOD_NAMES:
        cfg = validated(TARGET_WIDTH, [f"method={name}"]).method
        if cfg.get("per_sample") is False:
            methods[f"method={name} per_sample"] = [f"method={name}", "method.per_sample=true"]
    methods["method=saliencymix per-image"] = ["method=saliencymix", "method.saliency=per-image"]
    augments = {f"augment={name}": ["method=none", f"augment={name}"] for name in names("augment")}
    groups = {"method": methods, "augment": augments}
    return {group: {BASELINES[group]: of_group[BASELINES[group]]} | of_group for group, of_group in groups.items()}


def measure(width: int, device: torch.device, work: Effort) -> dict[str, list[dict[str, Any]]]:
    """For each group a row for each variant: loops.relative beside the group's baseline, and `batch_ms`."""
    rows = {}
    for group, of_group in variants().items():
        loops = {name: MixbenchLoop(width, device, "auto", overrides) for name, overrides in of_group.items()}
        rows[group] = relative(interleaved(loops, work, device), BASELINES[group])
        for row in rows[group]:
            row["batch_ms"] = batch_ms(loops[row["name"]], device)
    return rows


def batch_ms(loop: MixbenchLoop, device: torch.device) -> float:
    """Milliseconds of making a batch: gather, augment, normalise, mix; the median over some, one after another."""
    taken = []
    for decided, _ in loop.decided(BATCHES):
        start = now(device)
        loop.engine.batch(decided)
        taken.append(now(device) - start)
    return 1000 * statistics.median(taken)


def markdown(measured: dict[str, Any]) -> str:
    """The report on {"machine", "minutes", "methods": {width: measure(…)}}."""
    what = (
        "Milliseconds of a training step of pre-act ResNet-18 with batches of 128 synthetic colour images of 32x32, at "
        f"default precision ({measured['machine']['default_precision']}), and how much longer it is than with "
        "method=none (augment=standard) or with augment=none (method=none). In a round each takes some steps in turn; "
        "`above` is the median of the rounds' ratios, and two medians of the same thing differ by 1 to 3 %. `batch`: "
        "making the batch alone (gather, augment, normalise, mix), timed apart."
    )
    sections = [f"# Methods and augmentations on {measured['machine']['device']}\n\n{where(measured)}\n\n{what}"]
    for width, groups in measured["methods"].items():
        for group, rows in groups.items():
            cells = [
                [
                    row["name"],
                    f"{1000 / row['steps_per_second']:.1f}",
                    f"{100 * above(row):+.1f} %",
                    f"{row['batch_ms']:.2f}",
                    _verdict(row, width, measured),
                ]
                for row in rows
            ]
            headers = [group, "step, ms", f"above {BASELINES[group]}", "batch, ms", "target"]
            sections.append(f"## Width {width}: {group}s\n\n{table(headers, cells, left=1)}")
    return "\n\n".join(sections) + "\n"


def above(row: dict[str, Any]) -> float:
    """By what fraction a step is longer than the baseline's."""
    return 1 / row["relative_speed"] - 1


def _verdict(row: dict[str, Any], width: str, measured: dict[str, Any]) -> str:
    if int(width) != TARGET_WIDTH or measured["machine"]["device_type"] != "cpu" or row["name"] in BASELINES.values():
        return ""
    target = TARGETS.get(row["name"].removeprefix("method=").split()[0], USUAL_TARGET)
    return f"{'reached' if above(row) <= target else 'missed'} ({100 * target:.0f} %)"
