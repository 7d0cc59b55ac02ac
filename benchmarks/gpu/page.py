"""One page with all results: correctness, the benchmark, and the study beside the published numbers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

COLUMNS = (
    ("n", "n"),
    ("method", "method"),
    ("final", "final_accuracy"),
    ("median of last 10", "median10_accuracy"),
    ("best", "best_accuracy"),
    ("steps", "steps"),
    ("seconds", "seconds"),
)


def runs_of(results: Path, order: Sequence[int] = ()) -> list[dict[str, Any]]:
    """Return the metrics of the finished runs in a store.

    results: folder of the results.
    order: values of n in the wanted order.
    """
    found = []
    for path in sorted((results / "runs").glob("[!.]*/metrics.json")):
        try:
            found.append(json.loads(path.read_text()))
        except (OSError, ValueError):
            continue
    places = {n: place for place, n in enumerate(order)}
    return sorted(found, key=lambda run: (places.get(run["identity"]["n"], len(places)), run["id"]))


def row(run: Mapping[str, Any]) -> list[str]:
    """Return the cells of a run: COLUMNS, milliseconds per step, precision and device."""
    flat = {**run["identity"], **run}
    cells = []
    for _, key in COLUMNS:
        value = flat.get(key)
        cells.append(
            f"{value:,}" if key in ("n", "steps") else f"{value:.2f}" if isinstance(value, float) else f"{value}"
        )
    return [*cells, f"{1000 * run['seconds'] / run['steps']:.2f}", str(run.get("precision")), str(run.get("device"))]


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown(
    machine: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    runs: Sequence[Mapping[str, Any]],
    study_table: str,
    left: Sequence[str],
    pictures: Sequence[str],
    at_once: int,
) -> str:
    """Return the page as Markdown.

    machine: from benchmarks.gpu.machine.
    records: records of the steps, in order.
    runs: metrics of the study's finished runs.
    study_table: the table from `mixbench table`.
    left: names of the steps that are not done yet.
    pictures: names of the picture files.
    at_once: number of runs that shared the device.
    """
    about = "; ".join(f"{key} {value}" for key, value in machine.items() if value is not None)
    state = "All steps are done." if not left else f"Steps that are not done yet: {', '.join(left)}."
    parts = [f"# mixbench on {machine.get('device', 'an unknown device')}", about, state]
    steps = [[one["step"], one["status"], f"{one['seconds']:.0f}", f"{one['attempts']}"] for one in records]
    if steps:
        parts += ["## Steps", table(["step", "status", "seconds", "calls"], steps)]
    for one in records:
        if one["step"] == "study":
            continue
        text = one["text"].strip() if one["status"] == "finished" or one["step"] == "smoke" else ""
        parts += [f"## {one['step']}", _deeper(text) or f"This step {one['status']} with exit status {one['code']}."]
    parts.append("## Study")
    parts.append(_deeper(study_table.strip()) or "No run is finished yet.")
    if runs:
        shared = (
            f"Seconds include evaluations; {at_once} runs shared the device."
            if at_once > 1
            else "Seconds include evaluations; one run at a time used the device."
        )
        headers = [name for name, _ in COLUMNS]
        parts += [shared, table([*headers, "ms per step", "precision", "device"], map(row, runs))]
    parts += [f"![{name}]({name})" for name in pictures]
    return "\n\n".join(parts) + "\n"


def _deeper(text: str) -> str:
    """Return the text with its headings two levels lower."""
    return "\n".join(f"##{line}" if line.startswith("#") else line for line in text.splitlines())
