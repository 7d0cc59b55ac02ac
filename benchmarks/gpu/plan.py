"""What there is to do on the machine, in order, and with which words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.steps import Step

CONFIGS = Path(__file__).parent / "configs"  # --config-dir of study=small-data-tiles
# The cells that few steps fill first; the long ones, 40,000 and 117,000 steps a run, last.
ORDER = (1_000, 5_000, 10_000, 20_000, 100, 250, 500)
METHODS = ("none", "data-mix", "label-mix")
QUICK_ORDER, QUICK_METHODS = (100, 200, 50), ("none", "label-mix")
QUICK_NETWORK = ("model.depth=10", "model.width=4", "train.batch_size=16", "train.steps=12", "train.eval_every=6")


@dataclass(frozen=True)
class Study:
    """The study's runs: `name` in mixbench, `words` that choose data and cells, and those that say where and how."""

    name: str
    words: tuple[str, ...]
    results: Path
    device: str
    copies: int = 1

    @property
    def config_dir(self) -> tuple[str, ...]:
        return ("--config-dir", str(CONFIGS))

    def train(self) -> list[str]:
        """The words of Python that train what is missing; n first, so that its order is the order of the runs."""
        how = (f"device={self.device}", "progress=off", f"results_dir={self.results}")
        return ["-m", "mixbench", "sweep", f"study={self.name}", *self.words, *how, *self.config_dir]

    def show(self, command: str, out: Path) -> list[str]:
        """The words that write its table, or its plots."""
        paths = (f"results_dir={self.results}", f"out={out}")
        return ["-m", "mixbench", command, self.name, *self.words, *paths, *self.config_dir]


def study(data: Sequence[str], name: str, results: Path, device: str, quick: bool, copies: int = 1) -> Study:
    """data: words that say where the images are. quick: a few small runs that take seconds."""
    order, methods = (QUICK_ORDER, QUICK_METHODS) if quick else (ORDER, METHODS)
    cells = (f"n={','.join(map(str, order))}", f"method={','.join(methods)}")
    return Study(name, (*cells, *data, *(QUICK_NETWORK if quick else ())), results, device, copies)


def steps(device: str, quick: bool, runs: Study) -> list[Step]:
    """Correctness, the benchmark in parts that each fit one command, and the study."""
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
