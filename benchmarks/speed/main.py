"""The benchmark: training speed, the parts of a step and memory, measured on this machine.

`scripts/bench [--quick] [--device cpu|cuda] [--widths 16,64]` prints the report and stores it in results/bench/ as JSON
and Markdown; with --quick it only prints. `scripts/bench methods` measures how much time each method and augmentation
adds to a step, `scripts/bench store` measures commands on stored runs. `cp results/bench/*.md docs/performance/`
publishes the reports. It needs Linux, because memory is read from /proc.
"""

import argparse
import datetime
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.source import code_sha256
from benchmarks.speed import loops, methods, rates, report, stored
from benchmarks.speed.loops import Effort
from mixbench.core import files
from mixbench.core.errors import UserError
from mixbench.core.machine import cpu_name
from mixbench.core.version import __version__
from mixbench.training.device import PRECISION_NAMES, choose_device, choose_precision

OUT = Path("results/bench")
TARGET_WIDTH = 16  # width of the network whose memory is measured over many steps


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and store the report. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=("speed", "methods", "store"), default="speed", help="the default is speed"
    )
    parser.add_argument("--quick", action="store_true", help="few steps, in a minute; only prints")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--widths", type=numbers, help="widths of the network (default: 16,64; with --quick 16)")
    options = parser.parse_args(argv)
    try:
        device = choose_device(options.device)
    except UserError as error:
        parser.error(str(error))
    if options.what == "methods":
        measured = measure_methods(device, options.widths or [16 if options.quick else 64], options.quick)
        text, kept = methods.markdown(measured), OUT / f"{device.type}-methods"
    elif options.what == "store":
        measured = measure_store(options.quick)
        text, kept = stored.markdown(measured), OUT / "cpu-store"
    else:
        measured = measure(device, options.widths or ([16] if options.quick else [16, 64]), options.quick)
        measured["targets"] = report.targets(measured)
        text, kept = report.markdown(measured), OUT / device.type
    print(text)
    if not options.quick:
        OUT.mkdir(parents=True, exist_ok=True)
        files.write_json(kept.with_suffix(".json"), measured)
        files.write_text(kept.with_suffix(".md"), text)
        print(f"{kept}.json\n{kept}.md")
    return 0


def measure_methods(device: torch.device, widths: Sequence[int], quick: bool) -> dict[str, Any]:
    """Return the measurements that methods.markdown shows, as JSON values."""
    measured: dict[str, Any] = {"machine": machine(device), "methods": {}}
    started = time.perf_counter()
    for width in widths:
        _say(f"width {width}: every method and augmentation")
        work = effort(device, width, quick)
        if not quick:  # differences of a few percent must be visible
            work = work._replace(rounds=2 * work.rounds)
        measured["methods"][str(width)] = methods.measure(width, device, work)
    measured["minutes"] = (time.perf_counter() - started) / 60
    return measured


def measure_store(quick: bool) -> dict[str, Any]:
    """Return the measurements that stored.markdown shows."""
    started = time.perf_counter()
    measured = {"machine": machine(torch.device("cpu")), "commands": stored.measure(1 if quick else 5)}
    return measured | {"minutes": (time.perf_counter() - started) / 60}


def measure(device: torch.device, widths: Sequence[int], quick: bool) -> dict[str, Any]:
    """Return the measurements that report.markdown shows, as JSON values. Progress is printed to standard error."""
    measured: dict[str, Any] = {"machine": machine(device)}
    started = time.perf_counter()
    for kind in ("plain", "gflop", "parts", "memory"):
        measured[kind] = {}
    _say("products of matrices")
    measured["matrix_rates"] = rates.matrix_rates(device)
    precisions = rates.worth_timing(measured["matrix_rates"], measured["machine"]["default_precision"])
    for width in widths:
        work, key = effort(device, width, quick), str(width)
        _say(f"width {width}: beside a plain loop, {work.rounds} rounds of {work.steps} steps")
        measured["plain"][key] = loops.beside_plain(width, device, work, precisions=precisions)
        measured["gflop"][key] = rates.step_gflop(width, device)
        _say(f"width {width}: the parts of a step")
        measured["parts"][key] = [loops.parts(width, device, work, precision) for precision in precisions]
        _say(f"width {width}: memory")
        measured["memory"][key] = {kind: loops.memory(kind, width, device, steps=5) for kind in ("plain", *precisions)}
    _say("memory over many steps")
    steps = 100 if quick else 350
    measured["growth"] = loops.memory("auto", TARGET_WIDTH, device, steps) | {"width": TARGET_WIDTH}
    measured["minutes"] = (time.perf_counter() - started) / 60
    return measured


def effort(device: torch.device, width: int, quick: bool) -> Effort:
    """Return the length of a measurement. Steps of wide networks take longer and vary less, so fewer are measured."""
    if device.type == "cuda":
        return Effort(2, 10, 20) if quick else Effort(7, 20, 200)
    if quick:
        return Effort(2, 2, 4)
    return Effort(5, 3, 12) if width <= 32 else Effort(3, 1, 3)


def machine(device: torch.device) -> dict[str, Any]:
    """Return the machine, the versions and the date of a measurement."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "device_type": device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "default_precision": PRECISION_NAMES[choose_precision("auto", device)],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "mixbench": __version__,
        "code_sha256": code_sha256(),
        "date": datetime.date.today().isoformat(),
    }


def numbers(text: str) -> list[int]:
    """Return the whole numbers in a text such as 16,64."""
    return [int(width) for width in text.split(",")]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
