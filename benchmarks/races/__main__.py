"""Compare rules that stop a race of methods early: python -m benchmarks.races [--studies 1000] [--write FILE].

Cells that are in the results file are not simulated again, so an interrupted run goes on where it stopped.
"""

import argparse
import itertools
import json
import os
import sys
import time
from operator import gt
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before NumPy is imported

import numpy as np  # noqa: E402

from benchmarks.races import rules  # noqa: E402
from benchmarks.races.studies import EFFECTS, SPREADS, Cell, Studies, simulate, summarised  # noqa: E402
from benchmarks.source import code_sha256  # noqa: E402

CHUNK = 100  # studies in memory
MANY = 14  # methods whose cells get half of the studies: they take six times as long
POWER = 0.9  # share of studies that a fixed design has to decide
BEGIN, END = "<!-- figures: python -m benchmarks.races --write -->", "<!-- end of figures -->"

CELLS = [
    *(
        Cell(methods, effect, spread, images, 2.0)
        for methods, images, spread, effect in itertools.product((2, 4, 14), (100, 500, 10_000), SPREADS, EFFECTS)
    ),
    *(Cell(methods, "stairs up to 3.9", spread, 10_000, 2.0) for methods in (4, 14) for spread in SPREADS),
    *(
        Cell(methods, effect, spread, 10_000, 4.0)
        for methods, spread in itertools.product((2, 4, 14), SPREADS)
        for effect in ("equal", "one better by 4", "half better by 4")
    ),
    *(
        Cell(methods, effect, spread, 10_000, 1.0)
        for methods, spread in itertools.product((2, 4, 14), ("equal", "none × 3"))
        for effect in ("equal", "one better by 1", "one better by 4")
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare rules that stop a race of methods early.")
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies of each cell")
    parser.add_argument("--out", default="results/sequential.jsonl", help="the results file, a line a cell")
    parser.add_argument("--minutes", type=float, help="stop before a cell would begin later than this")
    parser.add_argument("--write", metavar="FILE", help="write the tables into this page, between its two marks")
    options = parser.parse_args()
    path = Path(options.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {
        Cell(*each["cell"]): each
        for each in map(json.loads, lines)
        if each["studies"] >= _studies(each["cell"][0], options.studies)
    }
    began = time.monotonic()
    for cell in CELLS:
        if cell in done:
            continue
        if options.minutes and time.monotonic() - began > 60 * options.minutes:
            break
        done[cell] = measured(cell, _studies(cell.methods, options.studies))
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(done[cell]) + "\n")
        print(f"{len(done)}/{len(CELLS)} {cell} {done[cell]['seconds']:.0f} s", file=sys.stderr, flush=True)
    text = tables([done[cell] for cell in CELLS if cell in done])
    print(text)
    if options.write:
        page = Path(options.write)
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def _studies(methods: int, studies: int) -> int:
    return studies // 2 if methods >= MANY else studies


def measured(cell: Cell, studies: int) -> dict:
    """Simulate a cell and let every rule race in the same studies."""
    began = time.monotonic()
    rng = np.random.Generator(np.random.Philox(CELLS.index(cell)))  # the same studies for every rule
    ended: dict[str, list[dict]] = {name: [] for name in rules.RULES}
    shares = []
    for start in range(0, studies, CHUNK):
        data: Studies = summarised(*simulate(cell, min(CHUNK, studies - start), rng))
        for name, rule in rules.RULES.items():
            ended[name].append(rules.run(rule, cell, data))
        shares.append(rules.decided_by_fixed(cell, data))
    decided = np.mean(shares, 0)
    enough = np.flatnonzero(decided >= POWER)
    of_rules = {}
    for name, parts in ended.items():
        of = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        shortfall = cell.truth().max() - cell.truth()[of["choice"]]
        of_rules[name] = {
            # A shortfall of exactly the margin counts as an error: it is the hardest case.
            "error": float(((of["choice"] >= 0) & (shortfall >= cell.margin)).mean()),
            "missed": float(of["missed"].mean()),
            "decided": float((of["choice"] >= 0).mean()),
            "none": float((of["choice"] == 0).mean()),
            "forbidden": float(of["forbidden"].mean()),
            "runs": float(of["runs"].mean()),
            "rounds": float(of["rounds"].mean()),
            "qualified": float(of["qualified"].mean()),
        }
    return {
        "cell": list(cell),
        "studies": studies,
        "rules": of_rules,
        "fixed_rounds": int(enough[0]) + 2 if len(enough) else None,
        "code": code_sha256(),
        "seconds": time.monotonic() - began,
    }


def tables(cells: list[dict]) -> str:
    """The comparison of rules, and what the shipped one costs, in Markdown."""
    usual = [each for each in cells if each["cell"][3] == 10_000 and each["cell"][4] == 2]
    others = [each for each in cells if each not in usual and each["cell"][1] != "one better by 2"]
    head = "| margin | images | methods | effect | decided | `none` | rounds | runs | fixed, known | fixed, unknown |"
    rows = [*_rules(cells, usual), "", head, "|---" * 10 + "|"]
    for each in [*usual, *others]:
        methods, effect, spread, images, margin = each["cell"]
        if spread != "equal":
            continue
        mine = each["rules"]["shipped"]
        alike = [one for one in cells if one["cell"][::2] == each["cell"][::2] and one["cell"][3] == images]
        known, unknown = each["fixed_rounds"], [one["fixed_rounds"] for one in alike]
        rows.append(
            f"| {margin:g} | {images:,} | {methods} | {effect} | {100 * mine['decided']:.0f} % "
            f"| {100 * mine['none']:.0f} % | {mine['rounds']:.1f} | {mine['runs']:.1f} "
            f"| {_share(mine['runs'], methods, known)} "
            f"| {_share(mine['runs'], methods, None if None in unknown else max(unknown))} |"
        )
    return "\n".join(rows) + "\n"


def _share(runs: float, methods: int, rounds: int | None) -> str:
    """The runs of a fixed design, and the share of them that the race takes."""
    return f"{methods * rounds} ({100 * runs / rounds / methods:.0f} %)" if rounds else "–"


def _rules(cells: list[dict], usual: list[dict]) -> list[str]:
    limits = [0.05 + 2 * (0.05 * 0.95 / each["studies"]) ** 0.5 for each in cells]  # what still counts as 5 %
    rows = [
        "| rule | worst error | cells above | worst interval | cells above | decided | runs: 2 | 4 | 14 methods |",
        "|---" * 9 + "|",
    ]
    for name in rules.RULES:
        errors, missed = ([each["rules"][name][key] for each in cells] for key in ("error", "missed"))
        runs = [
            np.mean([each["rules"][name]["runs"] for each in usual if each["cell"][0] == methods] or [np.nan])
            for methods in (2, 4, 14)
        ]
        decided = np.mean([each["rules"][name]["decided"] for each in usual])
        rows.append(
            f"| {name} | {100 * max(errors):.1f} % | {sum(map(gt, errors, limits))} | {100 * max(missed):.1f} % "
            f"| {sum(map(gt, missed, limits))} | {100 * decided:.0f} % | {' | '.join(f'{each:.1f}' for each in runs)} |"
        )
    return rows


if __name__ == "__main__":
    main()
