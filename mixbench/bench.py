"""The benchmark: training speed, the parts of a step, memory and start-up, measured side by side on this machine.

`scripts/bench [--quick] [--device cpu|cuda] [--widths 16,64]` prints the report and keeps it in results/bench/ as JSON
and Markdown (--quick only prints). `scripts/bench methods` does so for what each method and augmentation adds to a
step. Linux alone: memory is read from /proc.
"""

import argparse
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixbench import __version__, bench_loops, bench_methods, bench_report, data, identity, provenance, run, store
from mixbench.bench_loops import Effort
from mixbench.config import Composer
from mixbench.device import choose_device, choose_precision
from mixbench.errors import UserError
from mixbench.mixing.runner import METHOD_NAMES

OUT = Path("results/bench")
STORED = 1000  # runs in the store that `table` and `plot` read
SIZES = (100, 250, 500, 1000)  # n of the stored runs
TARGET_WIDTH = 16  # of the network whose memory is watched over many steps


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and keep; returns the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("speed", "methods"), default="speed", help="speed unless given")
    parser.add_argument("--quick", action="store_true", help="few steps, in a minute; prints and keeps nothing")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--widths", type=numbers, help="of the network, such as 16,64 (with --quick 16)")
    options = parser.parse_args(argv)
    try:
        device = choose_device(options.device)
    except UserError as error:
        parser.error(str(error))
    if options.what == "methods":
        measured = measure_methods(device, options.widths or [16 if options.quick else 64], options.quick)
        text, kept = bench_methods.markdown(measured), OUT / f"{device.type}-methods"
    else:
        measured = measure(device, options.widths or ([16] if options.quick else [16, 64]), options.quick)
        measured["targets"] = bench_report.targets(measured)
        text, kept = bench_report.markdown(measured), OUT / device.type
    print(text)
    if not options.quick:
        OUT.mkdir(parents=True, exist_ok=True)
        store.write_json(kept.with_suffix(".json"), measured)
        store.write_text(kept.with_suffix(".md"), text)
        print(f"{kept}.json\n{kept}.md")
    return 0


def measure_methods(device: torch.device, widths: Sequence[int], quick: bool) -> dict[str, Any]:
    """What bench_methods.markdown shows, as plain JSON values."""
    measured: dict[str, Any] = {"machine": machine(device), "methods": {}}
    started = time.perf_counter()
    for width in widths:
        _say(f"width {width}: every method and augmentation")
        work = effort(device, width, quick)
        if not quick:  # a few percent are looked for
            work = work._replace(rounds=2 * work.rounds)
        measured["methods"][str(width)] = bench_methods.measure(width, device, work)
    measured["minutes"] = (time.perf_counter() - started) / 60
    return measured


def measure(device: torch.device, widths: Sequence[int], quick: bool) -> dict[str, Any]:
    """All that the report shows, as plain JSON values; says on stderr what it is doing."""
    measured: dict[str, Any] = {"machine": machine(device)}
    started = time.perf_counter()
    _say("start-up")
    with tempfile.TemporaryDirectory() as folder:
        synthetic_store(Path(folder), STORED)
        measured["start_up"] = start_up(folder, repetitions=1 if quick else 5)
    for kind in ("plain", "parts", "memory"):
        measured[kind] = {}
    for width in widths:
        work, key = effort(device, width, quick), str(width)
        _say(f"width {width}: beside a plain loop, {work.rounds} rounds of {work.steps} steps")
        measured["plain"][key] = bench_loops.beside_plain(width, device, work)
        _say(f"width {width}: the parts of a step")
        measured["parts"][key] = [bench_loops.parts(width, device, work, precision) for precision in ("fp32", "auto")]
        _say(f"width {width}: memory")
        measured["memory"][key] = {
            kind: bench_loops.memory(kind, width, device, steps=5) for kind in ("plain", "fp32", "auto")
        }
    _say("memory over many steps")
    steps = 100 if quick else 350
    measured["growth"] = bench_loops.memory("auto", TARGET_WIDTH, device, steps) | {"width": TARGET_WIDTH}
    measured["minutes"] = (time.perf_counter() - started) / 60
    return measured


def effort(device: torch.device, width: int, quick: bool) -> Effort:
    """A wide network's steps take longer and vary less: fewer do."""
    if device.type == "cuda":
        return Effort(2, 10, 20) if quick else Effort(7, 20, 200)
    if quick:
        return Effort(2, 2, 4)
    return Effort(5, 3, 12) if width <= 32 else Effort(3, 1, 3)


def machine(device: torch.device) -> dict[str, Any]:
    """What was measured, where and when."""
    precision = choose_precision("auto", device)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else provenance.cpu_name(),
        "device_type": device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "default_precision": "bf16" if precision == torch.bfloat16 else "fp32",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "mixbench": __version__,
        "code_sha256": provenance.code_sha256(),
        "date": datetime.date.today().isoformat(),
    }


def synthetic_store(results_dir: Path, runs: int) -> None:
    """A store of `runs` finished runs of every method and several n: one real run, copied under other names.

    Their accuracies are drawn at random; folder, files and schema are those of any run.
    """
    results = store.Store(results_dir)
    results.open()
    small = ["dataset=digits", "n=20", "model.width=2", "train.steps=20", "train.eval_every=1", "progress=off"]
    with Composer() as composer:
        real = identity.job(composer.compose([*small, "device=cpu"]))
        grid = [["dataset=cifar10", f"method={method}", f"n={n}"] for method in METHOD_NAMES for n in SIZES]
        cells = [identity.job(composer.compose(overrides)).identity for overrides in grid]
    digits = data.load("digits", real.cfg.dataset.root, None, say=_say)
    template = run.execute(real, run.prepare(real, digits), results, run.StopRequest(), "").metrics
    accuracies = np.random.default_rng(0).normal(50, 5, size=runs).tolist()
    for i, accuracy in enumerate(accuracies):
        keys = cells[i % len(cells)] | {"seed": i // len(cells)}
        run_id = identity.run_id(keys)
        shutil.copytree(results.folder(real.id), results.folder(run_id))
        named = {"id": run_id, "identity": keys, "final_accuracy": accuracy}
        store.write_json(results.folder(run_id) / "metrics.json", template | named)
    shutil.rmtree(results.folder(real.id))


def start_up(results_dir: str, repetitions: int) -> list[dict[str, Any]]:
    """Wall seconds, the median of so many, from starting Python to the end of a command."""
    commands = {"--help": ["--help"]}
    for command in ("table", "plot"):
        commands[f"{command} over {STORED:,} runs"] = [command, "dataset=cifar10", f"results_dir={results_dir}"]
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, words in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "mixbench", *words], check=True, stdout=subprocess.DEVNULL)
            taken[name].append(time.perf_counter() - start)
    return [{"name": name, "seconds": statistics.median(seconds), "all": seconds} for name, seconds in taken.items()]


def numbers(text: str) -> list[int]:
    return [int(width) for width in text.split(",")]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
