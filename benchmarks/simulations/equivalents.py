"""How often the interval of equivalent data holds the truth.

    python -m benchmarks.simulations.equivalents [--studies 1000]

Studies have a baseline at n = 100, 250, 500 and 1,000 and methods at n = 250 whose true accuracy lies on the baseline's
curve. Runs differ by 1.2 percentage points, and all runs on a subset share an effect of 2 points at each n.
"""

import argparse
import math

import numpy as np

from mixbench.stats import compare, paired_table
from mixbench.stats.equivalents import equivalent_data, equivalent_images

CURVE, OF_METHODS, AT = {100: 24.0, 250: 32.0, 500: 40.0, 1000: 45.0}, (36.0, 38.0, 34.0, 42.0), 250


def coverage(methods: int, subsets: int, studies: int, chains: int = 16, seed: int = 0) -> tuple[float, float]:
    """Return the share of studies whose intervals hold the truth for all methods, and the median length of one.

    methods: number of methods besides the baseline.
    subsets: number of subsets.
    studies: number of simulated studies.
    chains: number of Gibbs samplers of each comparison.
    seed: seed of the studies.
    The length is the upper end divided by the lower one, infinite if an end is outside the measured n.
    """
    rng, held, lengths = np.random.default_rng(seed), 0, []
    truth = [equivalent_images(CURVE, accuracy) for accuracy in OF_METHODS[:methods]]
    for _ in range(studies):
        common = {n: 2.0 * rng.standard_normal(subsets) for n in CURVE}
        baseline = {n: _runs(mean + common[n], rng) for n, mean in CURVE.items()}
        runs = [_runs(accuracy + common[AT], rng) for accuracy in OF_METHODS[:methods]]
        gains = {n: compare(paired_table(of_n, runs), chains=chains).gains for n, of_n in baseline.items()}
        means = {n: float(np.mean(list(of_n.values()))) for n, of_n in baseline.items()}
        holds = []
        for k, of_method in enumerate(runs):
            halves = {n: gain.error if (gain := of_n[k]) else None for n, of_n in gains.items()}
            found = equivalent_data(float(np.mean(list(of_method.values()))), means, halves)
            low, high = found.interval if found and found.interval else (math.nan, math.nan)
            holds.append(low <= truth[k] <= high)
            lengths.append(high / low if low else math.inf)
        held += all(holds)
    return held / studies, float(np.median(lengths))


def _runs(means: np.ndarray, rng: np.random.Generator) -> dict[tuple[int, int], float]:
    return {(subset, 0): float(mean) for subset, mean in enumerate(means + 1.2 * rng.standard_normal(len(means)))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations.equivalents", description=__doc__)
    parser.add_argument(
        "--studies", type=int, default=1000, help="simulated studies with one method; a fifth with four"
    )
    chosen = parser.parse_args()
    print("| methods | subsets | studies | holds the truth | upper end / lower end (median) |\n|---|---|---|---|---|")
    for methods, studies in ((1, chosen.studies), (4, chosen.studies // 5)):
        for subsets in (2, 3, 5, 10):
            share, length = coverage(methods, subsets, studies)
            shown = "–" if math.isinf(length) else f"{length:.1f}"
            print(f"| {methods} | {subsets} | {studies:,} | {100 * share:.0f} % | {shown} |", flush=True)


if __name__ == "__main__":
    main()
