"""Measure how often mixbench's statistics are wrong, and how often they find what is there.

    python -m benchmarks.simulations [--studies 1000] [--out build/statistics.csv] [--only WORDS]

Each line of the output is one kind of study. Lines that the file already has are not computed again. --table prints the
Markdown table of docs/statistics.md from the file.
"""

import argparse
import itertools
import time
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

import mixbench as mb
from benchmarks.simulations import rules
from benchmarks.simulations.studies import SPREAD, Cell, accuracies, gains, predictions

SPREADS = ("equal", "unequal", "none x2", "none x3", "stored")
METHODS, SUBSETS, IMAGES = (2, 3, 5, 14), (2, 3, 5, 10), (40, 100, 500, 10_000)


def cells() -> list[Cell]:
    """Return all kinds of study: without and with methods that gain."""
    made = [Cell(m, s, spread) for m, s, spread in itertools.product(METHODS, SUBSETS, SPREADS)]
    made += [Cell(m, s, "equal", images) for m, s, images in itertools.product((2, 14), (3, 10), IMAGES)]
    better = [Cell(c.methods, c.subsets, c.spread, c.images, max(1, (c.methods - 1) // 4)) for c in made]
    return [cell for pair in zip(made, better, strict=True) for cell in pair]


def stored_spreads() -> np.ndarray:
    """Return the spreads of the methods of methods-demo at n = 20, the baseline's first, in percentage points.

    They are scaled to the median of the other cells. What all methods share on a seed is left out.
    """
    runs = mb.load_runs(study="methods-demo")
    table = runs[runs["n"] == 20].pivot_table(index="seed", columns="method", values="final_accuracy").astype(float)
    rest = table - table.mean()
    rest = rest.sub(rest.mean(axis=1), axis=0)
    sd = ((rest**2).sum() / (len(table) - 1)) ** 0.5
    names = ["none", *(name for name in table.columns if name != "none")]
    return np.array([sd[name] for name in names]) * SPREAD / float(np.median(sd.to_numpy()))


def measure(cell: Cell, studies: int, stored: np.ndarray) -> dict[str, float]:
    """Return, in percent, each rule's family-wise error, and the share of the true gains that it finds.

    cell: the kind of study.
    studies: number of simulated studies.
    stored: spreads of stored runs.
    """
    rng = np.random.default_rng(zlib.crc32(repr(cell).encode()))
    correct = None
    if cell.images is None:
        values = accuracies(cell, studies, stored, rng)
    else:
        correct = np.array([predictions(cell, stored, rng) for _ in range(studies)])
        values = 100 * correct.mean(axis=-1)
    found = {"paired t, Holm": rules.holm(values), "pooled, Dunnett": rules.pooled(values)}
    found["moderated contrasts"] = rules.moderated(values)
    found["mixbench"] = rules.mixbench(values)
    if correct is not None:
        found["mixbench, test images"] = rules.mixbench(values, correct)
    true = gains(cell) > 0
    row: dict[str, float] = {}
    for name, significant in found.items():
        row[f"{name}: error"] = 100 * float(significant[:, ~true].any(axis=1).mean()) if not true.all() else np.nan
        row[f"{name}: power"] = 100 * float(significant[:, true].mean()) if true.any() else np.nan
    return row


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations", description=__doc__)
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind")
    parser.add_argument("--out", type=Path, default=Path("build/statistics.csv"), help="file of the results")
    parser.add_argument("--only", default="", help="only kinds whose description has these words")
    parser.add_argument("--table", action="store_true", help="only print the table of the results")
    chosen = parser.parse_args()
    done = pd.read_csv(chosen.out).to_dict("records") if chosen.out.is_file() else []
    if not chosen.table:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        stored, known = stored_spreads(), {record["cell"] for record in done}
        for cell in cells():
            if chosen.only not in repr(cell) or repr(cell) in known:
                continue
            start = time.perf_counter()
            of_cell = {"cell": repr(cell), **vars(cell), "studies": chosen.studies}
            done.append(of_cell | measure(cell, chosen.studies, stored))
            pd.DataFrame(done).to_csv(chosen.out, index=False)
            print(f"{cell}: {time.perf_counter() - start:.0f} s", flush=True)
    print(table(pd.DataFrame(done)))


def table(found: pd.DataFrame) -> str:
    """Return the Markdown table: each rule's error without any gain, then its power."""
    keys = ["methods", "subsets", "spread", "images"]
    found = found.assign(images=found["images"].fillna(np.inf))
    null = found[found["better"] == 0].set_index(keys)
    real = found[found["better"] > 0].set_index(keys)
    names = [column.removesuffix(": error") for column in found.columns if column.endswith(": error")]
    lines = ["| methods | subsets | spread | test images | " + " | ".join(names) + " |"]
    lines.append("|---|---|---|---|" + "---|" * len(names))
    for key in null.index.to_list():
        row, power = null.loc[key], real.loc[key]
        cells_ = []
        for name in names:
            error, gain = row[f"{name}: error"], power[f"{name}: power"]
            cells_.append("–" if np.isnan(error) else f"{error:.1f} / {gain:.0f}")
        methods, subsets, spread, images = key
        shown = "any" if np.isinf(images) else f"{images:,.0f}"
        lines.append(f"| {methods} | {subsets} | {spread} | {shown} | " + " | ".join(cells_) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
