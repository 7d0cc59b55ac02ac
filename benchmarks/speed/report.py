"""The report of the benchmark: Markdown tables, and the targets that were reached."""

import statistics
from typing import Any

from tabulate import tabulate

from benchmarks.speed.loops import METHOD, WINDOW, N
from mixbench.training.device import PRECISION_NAMES

NOISE = 0.03  # two medians of the same loop differ by 1 to 3 %
GROWTH_AT_MOST = 10  # MB, the noise of the measurement; keeping the images of 300 steps would need 450 MB


def markdown(measured: dict[str, Any]) -> str:
    """Return the report as Markdown. measured: from benchmarks.speed.main.measure."""
    what = (
        f"Pre-act ResNet-18, batches of 128, {METHOD}, crop and flip, n = {N:,} synthetic colour images of 32x32; the "
        "time of a step does not depend on their content. In each round, all loops run some steps one after another. "
        "A speed is the median of the rounds, a ratio of speeds the median of the rounds' ratios."
    )
    sections = [
        f"# Benchmark on {measured['machine']['device']}\n\n{where(measured)}\n\n{what}",
        f"## Targets\n\n{_targets(measured)}",
        f"## Compared with a plain loop\n\n{_beside_plain(measured)}",
        f"## Compared with the machine's limit\n\n{_limit(measured)}",
        f"## The parts of a step\n\n{_parts(measured)}",
        f"## Memory\n\n{_memory(measured)}",
    ]
    return "\n\n".join(sections) + "\n"


def where(measured: dict[str, Any]) -> str:
    """Return a sentence on the machine, the versions and the date."""
    machine = measured["machine"]
    return (
        f"{machine['threads']} threads on {machine['cores']} cores, torch {machine['torch']}, "
        f"Python {machine['python']}, mixbench {machine['mixbench']} (code {machine['code_sha256']}), "
        f"{machine['date']}; measured in {measured['minutes']:.1f} minutes."
    )


def targets(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each target, set for 2 CPU cores, its `target`, `measured` value and whether it is `reached`."""
    found = []

    def check(target: str, value: str, reached: bool) -> None:
        found.append({"target": target, "measured": value, "reached": reached})

    default = measured["machine"]["default_precision"]
    if "16" in measured["plain"]:
        speed = {row["name"]: row["relative_speed"] for row in measured["plain"]["16"]}
        rest = next(row["rest"] for row in measured["parts"]["16"] if row["precision"] == default)
        check(
            "width 16, default precision: at least 2 times the plain loop",
            f"{speed[default]:.2f}",
            speed[default] >= 2,
        )
        check("width 16, fp32: at least 1.25 times the plain loop", f"{speed['fp32']:.2f}", speed["fp32"] >= 1.25)
        check("width 16, default precision: rest of a step at most 5 %", f"{100 * rest:.1f} %", rest <= 0.05)
    for width, rows in measured["plain"].items():
        ratios = _default_beside_other(rows, default)
        if not ratios:
            continue
        middle = statistics.median(ratios)
        check(
            f"width {width}: default precision at least as fast as the other one, within {100 * NOISE:.0f} %",
            f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            middle >= 1 - NOISE,
        )
    steps, grown = measured["growth"]["steps"], growth(measured)
    check(f"memory grows by at most {GROWTH_AT_MOST} MB in {steps} steps", f"{grown:+.1f} MB", grown <= GROWTH_AT_MOST)
    return found


def _default_beside_other(rows: list[dict[str, Any]], default: str) -> list[float]:
    """Return the speed in default precision relative to the other one in each round; empty if that was not measured."""
    seconds = {row["name"]: row["seconds_per_step"] for row in rows}
    (other,) = set(PRECISION_NAMES.values()) - {default}
    return [b / a for a, b in zip(seconds[default], seconds[other], strict=True)] if other in seconds else []


def growth(measured: dict[str, Any]) -> float:
    """Return by how many MB the memory grew: of the process or of the device, whichever is more."""
    watched = measured["growth"]
    return max(
        watched[f"{where}late"] - watched[f"{where}early"] for where in ("", "device_") if f"{where}late" in watched
    )


def table(headers: list[str], rows: list[list[str]], left: int) -> str:
    """Return a Markdown table. left: number of columns at the left that are texts; the others are numbers."""
    align = ["left"] * left + ["right"] * (len(headers) - left)
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=align)


def _names(measured: dict[str, Any]) -> dict[str, str]:
    """Return the names of the loops in tables."""
    default = measured["machine"]["default_precision"]
    own = {name: f"mixbench, {name}{' (its default)' * (name == default)}" for name in PRECISION_NAMES.values()}
    return {"plain": "plain"} | own


def _targets(measured: dict[str, Any]) -> str:
    rows = [[one["target"], one["measured"], "reached" if one["reached"] else "missed"] for one in targets(measured)]
    return f"The targets are set for 2 CPU cores.\n\n{table(['target', 'measured', 'result'], rows, left=1)}"


def _beside_plain(measured: dict[str, Any]) -> str:
    note = (
        "The plain loop trains mixup as most repositories do, with the same network: a DataLoader of PIL images with "
        "torchvision's transforms, float32, the default memory format, λ from NumPy, two cross-entropies, and the loss "
        "read in each step. Speeds are relative to the plain loop with the better number of workers."
    )
    names = _names(measured)
    rows = [
        [width, names.get(row["name"], row["name"]), f"{row['steps_per_second']:.2f}", f"{row['relative_speed']:.2f}"]
        for width, rows in measured["plain"].items()
        for row in rows
    ]
    return f"{note}\n\n{table(['width', 'loop', 'steps/s', 'times the plain loop'], rows, left=2)}"


def _limit(measured: dict[str, Any]) -> str:
    limits = ", ".join(f"{name} {rate:.0f} GFLOP/s" for name, rate in measured["matrix_rates"].items())
    note = (
        "GFLOP: 10⁹ operations of convolutions and classifier, forward and backward, as torch counts them; other "
        "operations of a step are not counted. The limit is the best rate of products of large square matrices on this "
        f"machine in the same precision: {limits}. A precision whose limit is below a quarter of the default's is not "
        "measured."
    )
    rows = []
    for width, loops in measured["plain"].items():
        gflop = measured["gflop"][width]
        for row in loops:
            limit = measured["matrix_rates"].get(row["name"])
            if limit is not None:
                rate = gflop * row["steps_per_second"]
                name = _names(measured)[row["name"]]
                rows.append([width, name, f"{gflop:.1f}", f"{rate:.0f}", f"{limit:.0f}", f"{100 * rate / limit:.0f} %"])
    headers = ["width", "loop", "GFLOP per step", "GFLOP/s", "limit, GFLOP/s", "of the limit"]
    return f"{note}\n\n{table(headers, rows, left=2)}"


def _parts(measured: dict[str, Any]) -> str:
    note = (
        "Milliseconds of a mixbench step. Plan: drawing the random decisions and copying them to the device. Look-up: "
        "selecting those of one step, and the learning rate. Batch: gather, augment, normalise, mix. Update: forward, "
        "loss, backward, optimizer. Rest: the share of the step that is not update."
    )
    rows = [
        [width, row["precision"], *(f"{ms:.2f}" for ms in row["milliseconds"].values()), f"{100 * row['rest']:.1f} %"]
        for width, rows in measured["parts"].items()
        for row in rows
    ]
    return f"{note}\n\n{table(['width', 'precision', 'plan', 'look-up', 'batch', 'update', 'rest'], rows, left=2)}"


def _memory(measured: dict[str, Any]) -> str:
    note = (
        "MB (2²⁰ bytes) of a separate process for each loop: before the network is made, and the peak in 5 steps. The "
        "plain loop has no workers here; each worker would be another process."
    )
    names = _names(measured)
    on_device = measured["machine"]["device_type"] == "cuda"
    headers = ["width", "loop", "before", "peak", *["peak on the device"] * on_device]
    rows = [
        [width, names[kind], *(f"{row[key]:.0f}" for key in ("before", "peak", *["device_peak"] * on_device))]
        for width, kinds in measured["memory"].items()
        for kind, row in kinds.items()
    ]
    watched = measured["growth"]
    grown = (
        f"Resident memory of mixbench in default precision, width {watched['width']}, in {watched['steps']} steps: "
        f"{watched['early']:.1f} MB in the first {WINDOW}, {watched['late']:.1f} MB in the last {WINDOW} (medians)."
    )
    return f"{note}\n\n{table(headers, rows, left=2)}\n\n{grown}"
