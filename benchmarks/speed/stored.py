"""The benchmark of commands that read stored runs: whole processes, with 1,000 and 10,000 stored runs."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.report import table, where
from mixbench import data
from mixbench.config import identity
from mixbench.config.compose import Composer
from mixbench.core import files
from mixbench.mixing.runner import METHOD_NAMES
from mixbench.runs import run
from mixbench.runs.store import store

STORES = (1_000, 10_000)  # numbers of runs
SIZES = (100, 250, 500, 1000)  # n of the stored runs
# Most seconds, including the start of Python: command -> (for the small store, for the large store).
TARGETS = {"table": (2.0, 5.0), "plot": (None, 5.0), "report": (None, 20.0)}
HELP, HELP_TARGET = "--help", 0.3


def measure(repetitions: int, stores: tuple[int, ...] = STORES) -> list[dict[str, Any]]:
    """Measure the commands.

    repetitions: calls of each command.
    stores: numbers of stored runs.
    Returns for each command its `name`, the median `seconds`, `all` times and its `target`.
    """
    commands = {HELP: ([HELP], HELP_TARGET)}
    with tempfile.TemporaryDirectory() as folder:
        for place, runs in enumerate(stores):
            results = Path(folder) / f"{runs}"
            synthetic_store(results, runs)
            for command, targets in TARGETS.items():
                words = [command, f"results_dir={results}", "dataset=cifar10"]
                commands[f"{command} over {runs:,} runs"] = (words, targets[place])
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repetitions):
            for name, (words, _) in commands.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, "-m", "mixbench", *words], check=True, stdout=subprocess.DEVNULL)
                taken[name].append(time.perf_counter() - start)
    return [
        {"name": name, "seconds": statistics.median(taken[name]), "all": taken[name], "target": target}
        for name, (_, target) in commands.items()
    ]


def synthetic_store(results_dir: Path, runs: int) -> None:
    """Make a store with finished runs of every method and several n, as copies of one real run with other names.

    Their accuracies are random; folders, files and schema are real.

    results_dir: folder of the results.
    runs: number of runs.
    """
    results = store.Store(results_dir)
    results.open()
    small = ["dataset=digits", "n=20", "model.width=2", "train.steps=20", "train.eval_every=1", "progress=off"]
    with Composer() as composer:
        real = identity.job(composer.compose([*small, "device=cpu"]))
        grid = [["dataset=cifar10", f"method={method}", f"n={n}"] for method in METHOD_NAMES for n in SIZES]
        cells = [identity.job(composer.compose(overrides)).identity for overrides in grid]
    digits = data.load("digits", real.cfg.dataset.root, None, say=lambda line: print(line, file=sys.stderr))
    template = run.execute(real, run.prepare(real, digits), results, run.StopRequest(), "").metrics
    accuracies = np.random.default_rng(0).normal(50, 5, size=runs).tolist()
    for i, accuracy in enumerate(accuracies):
        keys = cells[i % len(cells)] | {"seed": i // len(cells)}
        run_id = identity.run_id(keys)
        shutil.copytree(results.folder(real.id), results.folder(run_id))
        named = {"id": run_id, "identity": keys, "final_accuracy": accuracy}
        files.write_json(results.folder(run_id) / "metrics.json", template | named)
    shutil.rmtree(results.folder(real.id))


def markdown(measured: dict[str, Any]) -> str:
    """Return the report as Markdown. measured: {"machine", "minutes", "commands": measure(…)}."""
    rows = []
    for row in measured["commands"]:
        between = f"{min(row['all']):.2f} to {max(row['all']):.2f}"
        rows.append([f"mixbench {row['name']}", f"{row['seconds']:.2f}", between, _verdict(row)])
    what = (
        "Seconds of a command, including the start of Python: median, lowest and highest. The stored runs are copies "
        f"of one real run: {len(METHOD_NAMES)} methods at {len(SIZES)} n with many seeds, and 20 rows of history each."
    )
    head = f"# Commands on stored runs, on {measured['machine']['device']}\n\n{where(measured)}\n\n{what}"
    return f"{head}\n\n{table(['command', 'seconds', 'range', 'target'], rows, left=1)}\n"


def _verdict(row: dict[str, Any]) -> str:
    if row["target"] is None:
        return ""
    return f"{'reached' if row['seconds'] <= row['target'] else 'missed'} ({row['target']:g} s)"
