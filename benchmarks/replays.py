"""Race stored runs again in random orders: python -m benchmarks.replays RESULTS_DIR [--replays 200] [--margin 2].

A setting whose methods all have runs on the same subsets and seeds can be raced again with its rounds in any order. The
verdict of all rounds is taken for the truth: how often does a race that stops early reach it, and with how many runs?
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from mixbench.config.validate import SEEDS
from mixbench.core.baseline import BASELINE
from mixbench.runs.races import setting_of
from mixbench.runs.store import store
from mixbench.runs.store.predictions import read_correct
from mixbench.stats.race import half_width, race, variance_of_mean
from mixbench.stats.rounds import Rounds
from mixbench.stats.sequential import MARGIN, Pairs
from mixbench.stats.units import LEVEL

LEAST = 10  # rounds of a setting that is worth replaying


def main() -> None:
    parser = argparse.ArgumentParser(description="Race stored runs again in random orders.")
    parser.add_argument("results_dir")
    parser.add_argument("--replays", type=int, default=200)
    parser.add_argument("--margin", type=float, default=MARGIN)
    options = parser.parse_args()
    print(
        "| setting | methods | rounds | verdict of all | the same | within the margin | undecided | wrong | rounds "
        "of a replay | runs | runs of all |"
    )
    print("|---" * 11 + "|")
    for name, methods, accuracies, correct in stored_rounds(Path(options.results_dir) / "runs"):
        print(line(name, methods, accuracies, correct, options.replays, options.margin), flush=True)


def stored_rounds(runs: Path):
    """Yield each setting with its complete rounds: name, methods, accuracies [R, M], and correct [R, M, N]."""
    found, _ = store.scan(runs)
    settings: dict[str, dict] = defaultdict(lambda: defaultdict(dict))
    for m in found:
        seeds = tuple(m["identity"].get(key) for key in SEEDS)
        settings[setting_of(m["identity"])][m["identity"]["method"]][seeds] = m
    for of_one in settings.values():
        methods = sorted(of_one, key=lambda name: (name != BASELINE, name))
        common = sorted(set.intersection(*(set(of_one[name]) for name in methods)))
        if methods[0] != BASELINE or len(methods) < 2 or len(common) < LEAST:
            continue
        table = [[of_one[name][seeds] for name in methods] for seeds in common]
        accuracies = np.array([[m["final_accuracy"] for m in row] for row in table])
        correct = np.array([[read_correct(m["folder"]) for m in row] for row in table])
        identity = table[0][0]["identity"]
        yield f"{identity['dataset']}, n = {identity['n']}", methods, accuracies, correct


def line(name, methods, accuracies, correct, replays: int, margin: float) -> str:
    """Replay a setting and return its line of the table."""
    rounds, count = accuracies.shape
    truth, shortfall = verdict_of_all(accuracies, correct, margin)
    rng = np.random.default_rng(0)
    ends, took, runs = Counter(), [], []
    for _ in range(replays):
        order = rng.permutation(rounds)
        choice, used, trained = replay(accuracies[order], correct[order], margin)
        took.append(used)
        runs.append(trained)
        if choice is None:
            ends["undecided"] += 1
        else:
            ends["same"] += choice == truth
            ends["within"] += shortfall[choice] <= margin
            ends["wrong"] += shortfall[choice] > margin
    shares = " | ".join(f"{100 * ends[key] / replays:.0f} %" for key in ("same", "within", "undecided", "wrong"))
    verdict = "undecided" if truth is None else f"use {methods[truth]}" if truth else "do not bother"
    return (
        f"| {name} | {count} | {rounds} | {verdict} | {shares} | {np.mean(took):.1f} | {np.mean(runs):.1f} "
        f"| {accuracies.size} |"
    )


def replay(accuracies: np.ndarray, correct: np.ndarray, margin: float) -> tuple[int | None, int, int]:
    """Race rounds in their order. Returns the choice, and the numbers of rounds and runs."""
    rounds = Rounds(accuracies.shape[1], margin, len(accuracies))
    while missing := rounds.missing:
        for method, r in missing:
            rounds.add(method, r, accuracies[r, method], correct[r, method])
        rounds.judge()
    standing = rounds.standing
    return (standing.choice if standing else None), rounds.round, rounds.runs


def verdict_of_all(accuracies: np.ndarray, correct: np.ndarray, margin: float) -> tuple[int | None, np.ndarray]:
    """The verdict of one look at all rounds, and how far each method's mean is below the best one."""
    pairs = Pairs(accuracies.shape[1], correct.shape[2])
    for r in range(len(accuracies)):
        pairs.add(accuracies[r], correct[r])
    variance, df = variance_of_mean(*pairs.variances(), pairs.rounds, *pairs.image_parts())
    upper = pairs.mean + half_width(variance, df, (1 - LEVEL) / (accuracies.shape[1] - 1))
    choice = int(race(upper, margin, 0).choice)
    means = accuracies.mean(0)
    return (choice if choice >= 0 else None), means.max() - means


if __name__ == "__main__":
    main()
