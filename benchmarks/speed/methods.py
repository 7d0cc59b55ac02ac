"""The benchmark of methods and augmentations: how much time each adds to a training step."""

import statistics
from typing import Any

import torch

from benchmarks.speed.loops import Effort, MixbenchLoop, interleaved, now, relative, validated
from benchmarks.speed.report import table, where
from mixbench.config.options import names
from mixbench.mixing.runner import METHOD_NAMES

BATCHES = 30  # batches whose gathering, augmenting and mixing are timed separately
BASELINES = {"method": "method=none", "augment": "augment=none"}
# Largest additional time of a step as a fraction of the baseline, on 2 cores at TARGET_WIDTH; the default is 5 %.
# One more forward pass takes about a third of a step, one more forward and backward pass a whole one. regmixup trains
# twice as many rows.
TARGETS = {
    "saliencymix": 0.10,
    "attentivemix": 0.5,
    "snapmix": 0.5,
    "puzzlemix": 1.6,
    "guidedmix gradient": 1.2,
    "regmixup": 1.10,
}
USUAL_TARGET, TARGET_WIDTH = 0.05, 64


def variants() -> dict[str, dict[str, list[str]]]:
    """Return group -> name in the table -> KEY=VALUE texts. The baseline comes first.

    There is every method and augmentation, and other settings of methods that change the computation, such as
    per_sample.
    """
    methods = {f"method={name}": [f"method={name}"] for name in METHOD_NAMES}
    for name in METHOD_NAMES:
        cfg = validated(TARGET_WIDTH, [f"method={name}"]).method
        if cfg.get("per_sample") is False:
            methods[f"method={name} per_sample"] = [f"method={name}", "method.per_sample=true"]
    methods["method=saliencymix per-image"] = ["method=saliencymix", "method.saliency=per-image"]
    methods["method=guidedmix gradient"] = ["method=guidedmix", "method.saliency=gradient"]
    augments = {f"augment={name}": ["method=none", f"augment={name}"] for name in names("augment")}
    groups = {"method": methods, "augment": augments}
    return {group: {BASELINES[group]: of_group[BASELINES[group]]} | of_group for group, of_group in groups.items()}


def measure(width: int, device: torch.device, work: Effort) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of loops.relative for each group, with `batch_ms` added.

    width: width of the network.
    device: device to train on.
    work: length of the measurement.
    """
    rows = {}
    for group, of_group in variants().items():
        loops = {name: MixbenchLoop(width, device, "auto", overrides) for name, overrides in of_group.items()}
        rows[group] = relative(interleaved(loops, work, device), BASELINES[group])
        for row in rows[group]:
            row["batch_ms"] = batch_ms(loops[row["name"]], device)
    return rows


def batch_ms(loop: MixbenchLoop, device: torch.device) -> float:
    """Return the milliseconds to make a batch (gather, augment, normalise, mix), as a median of BATCHES batches."""
    taken = []
    for decided, _ in loop.decided(BATCHES):
        start = now(device)
        loop.engine.batch(decided)
        taken.append(now(device) - start)
    return 1000 * statistics.median(taken)


def markdown(measured: dict[str, Any]) -> str:
    """Return the report as Markdown. measured: {"machine", "minutes", "methods": {width: measure(…)}}."""
    what = (
        "Milliseconds of a training step of pre-act ResNet-18 with batches of 128 synthetic colour images of 32x32, in "
        f"the default precision ({measured['machine']['default_precision']}), and how much longer it takes than with "
        "method=none (for methods, with augment=standard) or augment=none (for augmentations, with method=none). In "
        "each round, all are measured one after another; `above` is the median of the rounds' ratios. Two medians of "
        "the same thing differ by 1 to 3 %. `batch` is the time to make the batch (gather, augment, normalise, mix), "
        "measured separately."
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
    """Return how much longer a step takes than the baseline's, as a fraction."""
    return 1 / row["relative_speed"] - 1


def _verdict(row: dict[str, Any], width: str, measured: dict[str, Any]) -> str:
    if int(width) != TARGET_WIDTH or measured["machine"]["device_type"] != "cpu" or row["name"] in BASELINES.values():
        return ""
    name = row["name"].removeprefix("method=")
    target = TARGETS.get(name, TARGETS.get(name.split()[0], USUAL_TARGET))
    return f"{'reached' if above(row) <= target else 'missed'} ({100 * target:.0f} %)"
