"""The origin of every run in a report: settings, code, libraries, device and data. No torch."""

from typing import Any

from mixbench.analysis.display import label
from mixbench.analysis.frame import identity_keys
from mixbench.analysis.report.blocks import Folded, Points, Section, Table, Text
from mixbench.analysis.select import Selection
from mixbench.config.validate import SEEDS
from mixbench.core import numerics
from mixbench.runs.store import reading
from mixbench.runs.store.reading import Place
from mixbench.training.rules import RULES

# Key of provenance.json -> its name in the report.
NAMES = {
    "mixbench": "mixbench",
    "numerics": "code",
    "git_commit": "commit",
    "python": "Python",
    "platform": "platform",
    "device": "device",
    "precision": "precision used",
    "threads": "CPU threads",
    "data_sha256": "data (SHA-256)",
    "train_sha256": "training list (SHA-256)",
    "indices_sha256": "subset (SHA-256)",
    "class_counts": "images per class",
}
DIGITS = 12  # digits of a checksum that are shown: enough to compare by eye


def provenance(selection: Selection) -> Section:
    """Return the section with a list of what all runs share, and a table of what differs between them; both are folded.

    selection: at least one run.
    """
    frame = selection.frame
    settings = [*identity_keys(frame), *SEEDS]
    records, unread = [], 0
    for row in frame.loc[:, ["folder", *settings]].to_dict("records"):
        origin = _origin(row["folder"])
        unread += not origin
        records.append({key: _text(row[key], key) for key in settings} | origin)
    keys = list(dict.fromkeys(key for record in records for key in record))
    shared = {key: records[0].get(key, "–") for key in keys if len({record.get(key) for record in records}) == 1}
    differing = [key for key in keys if key not in shared]
    accuracies = frame[RULES[selection.rule].key]
    lines = [
        [run, f"{accuracy:.2f}", *(record.get(key, "–") for key in differing)]
        for run, accuracy, record in sorted(zip(frame["id"], accuracies, records, strict=True), key=lambda row: row[0])
    ]
    missing = f" For {unread:,} of them provenance.json cannot be read." if unread else ""
    return Section(
        "Provenance",
        [
            Text(f"All {len(frame):,} runs come from {selection.source}.{missing}"),
            Folded(
                "What all runs have in common", [Points([(key, text) for key, text in shared.items() if text != "–"])]
            ),
            Folded("Every run, with the values that differ", [Table(["run", "accuracy", *differing], lines)]),
        ],
    )


def _origin(place: Place) -> dict[str, str]:
    try:
        found = reading.read_json(place, "provenance.json")
    except (OSError, ValueError):
        return {}
    if "numerics" in found or "code_sha256" in found:  # an older record has only the second
        found["numerics"] = numerics.name(found)
    origin = {name: _text(_short(key, found.get(key))) for key, name in NAMES.items() if key in found}
    libraries = found.get("libraries")
    if isinstance(libraries, dict):
        origin["libraries"] = ", ".join(f"{name} {version}" for name, version in libraries.items())
    return origin


def _short(key: str, value: Any) -> Any:
    return value[:DIGITS] if key.endswith("sha256") and isinstance(value, str) else value


def _text(value: Any, key: str | None = None) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return label(value, key)
