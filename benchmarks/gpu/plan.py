"""The steps on the machine with the GPU, in order, with their commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.steps import Step

CONFIGS = Path(__file__).parent / "configs"  # --config-dir of study=small-data-tiles
# Cells with few steps come first; those with 40,000 and 117,000 steps per run come last.
ORDER = (1_000, 5_000, 10_000, 20_000, 100, 250, 500)
METHODS = ("none", "data-mix", "label-mix")
QUICK_ORDER, QUICK_METHODS = (100, 200, 50), ("none", "label-mix")
QUICK_NETWORK = ("model.depth=10", "model.width=4", "train.batch_size=16", "train.steps=12", "train.eval_every=6")


@dataclass(frozen=True)
class Study:
    """The runs of the study.

    name: name of the study in mixbench.
    words: KEY=VALUE texts that select data and cells.
    results: folder of the results.
    device: device of the runs.
    copies: number of processes that train at the same time.
    """

    name: str
    words: tuple[str, ...]
    results: Path
    device: str
    copies: int = 1

    @property
    def config_dir(self) -> tuple[str, ...]:
        """The flag --config-dir and its folder."""
        return ("--config-dir", str(CONFIGS))

    def train(self) -> list[str]:
        """Return Python's arguments that train the missing runs. n comes first, so that it decides their order."""
        how = (f"device={self.device}", "progress=off", f"results_dir={self.results}")
        return ["-m", "mixbench", "sweep", f"study={self.name}", *self.words, *how, *self.config_dir]

    def show(self, command: str, out: Path) -> list[str]:
        """Return Python's arguments that write tables or plots. command: table or plot; out: folder to write to."""
        paths = (f"results_dir={self.results}", f"out={out}")
        return ["-m", "mixbench", command, self.name, *self.words, *paths, *self.config_dir]


def study(data: Sequence[str], name: str, results: Path, device: str, quick: bool, copies: int = 1) -> Study:
    """Return the study.

    data: KEY=VALUE texts that select the images.
    name: name of the study in mixbench.
    results: folder of the results.
    device: device of the runs.
    quick: whether to train only a few small runs, which take seconds.
    copies: number of processes that train at the same time.
    """
    order, methods = (QUICK_ORDER, QUICK_METHODS) if quick else (ORDER, METHODS)
    cells = (f"n={','.join(map(str, order))}", f"method={','.join(methods)}")
    return Study(name, (*cells, *data, *(QUICK_NETWORK if quick else ())), results, device, copies)


def steps(device: str, quick: bool, runs: Study) -> list[Step]:
    """Return the steps: correctness, the benchmark in parts that each fit into one command, and the study.

    device: device to use.
    quick: whether to make a rehearsal.
    runs: the study.
    """
    smoke = ["-m", "benchmarks.gpu.smoke", "--device", device, "--out", "figures.json"]
    methods = ["-m", "benchmarks.gpu.methods", "--device", device, "--out", "figures.json"]
    bench = ["-m", "benchmarks.speed", "--device", device]
    kept = f"results/bench/{device.partition(':')[0]}.json"
    training = Step("study", runs.train(), 0.5, resumes=True, copies=runs.copies)
    if quick:
        return [
            Step("smoke", [*smoke, "--steps", "4"], 1, figures="figures.json"),
            Step("bench-4", [*bench, "--quick", "--widths", "4"], 1),
            Step("bench-methods", [*methods, "--width", "4", "--effort", "1", "1", "1"], 1, figures="figures.json"),
            training,
        ]
    return [
        Step("smoke", smoke, 2, figures="figures.json"),
        Step("bench-16", [*bench, "--widths", "16"], 4, figures=kept),
        Step("bench-64", [*bench, "--widths", "64"], 5, figures=kept),
        Step("bench-methods", [*methods, "--width", "64"], 5, figures="figures.json"),
        training,
    ]
