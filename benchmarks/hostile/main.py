"""The command line of the campaigns."""

import argparse
import datetime
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hostile.calls import load
from hostile.findings import Finding, Report, table
from hostile.lanes import BROKEN, Settings

CAMPAIGNS = ("kills", "events", "fuzz", "archives", "pipes")
BEGIN, END = "<!-- figures: benchmarks/hostile.py all --write -->", "<!-- end of figures -->"


def main(argv: Sequence[str]) -> int:
    """Run campaigns. Returns 1 if anything was lost, differed, crashed, hung or ended in a traceback, otherwise 0."""
    options = _options(argv)
    chosen = CAMPAIGNS if "all" in options.campaigns else tuple(dict.fromkeys(options.campaigns))
    began = time.monotonic()
    load()
    print(f"mixbench imported in {time.monotonic() - began:.0f} s", file=sys.stderr)
    found = 0
    for name in chosen:
        report, seconds = _run(name, options)
        report.add(Finding("campaign", "campaign", f"{name}: {one.case}", one.traceback) for one in BROKEN)
        BROKEN.clear()
        path = report.write(Path(options.out), _about(options, seconds))
        print(report.line(), flush=True)
        print("\n".join(report.details()), file=sys.stderr, flush=True)
        print(f"  {path}", file=sys.stderr, flush=True)
        found += len(report.findings)
    if options.write:
        write(Path(options.write), Path(options.out))
    return 1 if found else 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hostile.py", description="Test mixbench under hostile use.")
    parser.add_argument("campaigns", nargs="*", default=["all"], choices=[*CAMPAIGNS, "all"], metavar="CAMPAIGN")
    parser.add_argument("--count", type=int, help="number of kills, events, command lines or cases per campaign")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="most minutes of each campaign")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases at the same time (default: cores)")
    parser.add_argument("--out", default="results/hostile", help="folder of the JSON files")
    parser.add_argument("--write", metavar="FILE", help="write the figures into this page, between its two marks")
    return parser.parse_args(argv)


def _run(name: str, options: argparse.Namespace) -> tuple[Report, float]:
    scratch = Path(tempfile.mkdtemp(prefix=f"hostile-{name}-")).resolve()
    began = time.monotonic()
    deadline = began + 60 * options.minutes if options.minutes else None
    settings = Settings(scratch, options.seed, options.count, deadline, options.jobs)
    try:
        report = importlib.import_module(f"hostile.{name}").campaign(settings)
    finally:
        _make_removable(scratch)
        shutil.rmtree(scratch, ignore_errors=True)
    return report, time.monotonic() - began


def _make_removable(scratch: Path) -> None:
    for folder, _, _ in os.walk(scratch):
        os.chmod(folder, 0o700)


def _about(options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    import torch

    import mixbench
    from mixbench.core.machine import cpu_name

    return {
        "seed": options.seed,
        "mixbench": mixbench.__version__,
        "torch": torch.__version__,
        "cpu": f"{cpu_name()}, {os.cpu_count()} cores",
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds),
    }


def write(page: Path, folder: Path) -> None:
    """Write the figures of campaigns into a page, between its marks.

    page: path of the page.
    folder: folder of the campaigns' JSON files.
    """
    files = [folder / f"{name}.json" for name in CAMPAIGNS]
    stored = [json.loads(file.read_text()) for file in files if file.exists()]
    before, mark, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"{page}: has no marks for the figures; add the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{table(stored)}\n\n{END}{after}")
