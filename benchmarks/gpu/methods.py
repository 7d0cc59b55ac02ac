"""Measures how long each method and augmentation takes per step, with as many rounds as fit into one command."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed import main as bench
from benchmarks.speed import methods
from benchmarks.speed.loops import Effort
from mixbench.training.device import choose_device


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.methods", description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--effort", type=int, nargs=3, default=(4, 10, 50), metavar=("ROUNDS", "WARM", "STEPS"))
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    options = parser.parse_args(argv)
    device, started = choose_device(options.device), time.perf_counter()
    measured = {"machine": bench.machine(device)}
    measured["methods"] = {str(options.width): methods.measure(options.width, device, Effort(*options.effort))}
    measured["minutes"] = (time.perf_counter() - started) / 60
    print(methods.markdown(measured))
    if options.out:
        options.out.write_text(json.dumps(measured, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
