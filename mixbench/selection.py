"""Which stored runs a table or plot shows: those of a study, or those whose keys have given values. No torch."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mixbench import store, study
from mixbench.config import Composer, StudyConfig, parse
from mixbench.errors import UserError, unknown
from mixbench.identity import cell_hash
from mixbench.stats import RULES
from mixbench.store import Store

OPTIONS = {"rows": "n", "columns": "method", "rule": None, "results_dir": "results", "out": None}
METRICS = (
    "final_accuracy",
    "median10_accuracy",
    "best_accuracy",
    "clean_train_accuracy",
    "nll",
    "ece",
    "steps",
    "images_seen",
    "seconds",
    "steps_per_second",
    "peak_memory_bytes",
    "device",
    "mixbench",
    "code_sha256",
)
OWN, KEPT = "own", "kept"  # runs of whoever uses this checkout; records that came with it
NOT_KEYS = ("cell", "folder")
SEEDS = ("seed", "subset_seed")


@dataclass
class Selection:
    """Stored runs and how to show them.

    frame: a row for each run: the identity's keys, the metrics, `id`, `cell` (equal for repetitions of one experiment)
    and `folder`. expected: for a study, how many runs each cell should have and the keys of each cell.
    changes: overrides under which the runs are not the study's own. kept: where the study's records are.
    out: where tables and plots go. problems: a line for each folder that was left out.
    """

    frame: pd.DataFrame
    rows: str
    columns: str
    rule: str
    out: Path
    title: str
    source: Path
    study: StudyConfig | None = None
    expected: Counter = field(default_factory=Counter)
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    kept: Path | None = None
    problems: list[str] = field(default_factory=list)


def read_words(words: Sequence[str]) -> tuple[str | None, list[str], dict[str, Any]]:
    """Tell a command's words apart: a study's name, key=value filters or overrides, and the options of this module.

    Raises UserError for a second name and for an unknown rule.
    """
    names = [word for word in words if "=" not in word]
    if len(names) > 1:
        raise UserError(f"{' '.join(names)}: one study at a time")
    options, filters = dict(OPTIONS), []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in OPTIONS:
            options[key] = value
        elif equals:
            filters.append(word)
    if options["rule"] is not None and options["rule"] not in RULES:
        raise unknown("rule", options["rule"], RULES)
    return (names[0] if names else None), filters, options


def select(composer: Composer, words: Sequence[str]) -> Selection:
    """The runs that a command's words ask for. Raises UserError for a word that fits nothing."""
    name, filters, options = read_words(words)
    return of_study(composer, name, filters, options) if name else _of_filters(composer, filters, options)


def of_study(
    composer: Composer,
    name: str,
    overrides: Sequence[str],
    options: dict[str, Any],
    sources: Sequence[str] = (OWN, KEPT),
) -> Selection:
    """The runs of a study: those of the user, or where there are none, the records kept in <results_dir>/<study>/runs.

    A cell also gets the runs of further seeds, unless `overrides` names the seeds. options: as from `read_words`.
    sources: where to look, the first that holds any of the runs.
    """
    settings = study.load(composer, name)
    jobs = study.jobs(composer, name, overrides)
    expected = Counter(cell_hash(job.identity) for job in jobs)
    cells = {cell_hash(job.identity): job.identity for job in jobs}
    seeds_named = any(override.key_or_group in SEEDS for override in parse(overrides))
    ids = {job.id for job in jobs}
    results = Store(options["results_dir"])
    changes = study.changes(settings, overrides)
    variant = ",".join([name, *(change.replace("/", "_") for change in changes)])
    places = {OWN: results.runs, KEPT: results.root / variant / "runs"}
    problems: list[str] = []
    for source in (places[which] for which in sources):
        found, left_out = store.scan(source)
        problems += left_out
        frame = _frame(found)
        frame = frame[frame["id"].isin(ids) if seeds_named else frame["cell"].isin(cells)]
        if len(frame):
            break
    else:
        source = places[sources[0]]
    return Selection(
        frame,
        options["rows"],
        options["columns"],
        options["rule"] or settings.rule,
        Path(options["out"] or results.root / variant),
        f"{settings.title} ({variant})",
        source,
        settings,
        expected,
        cells,
        changes,
        places[KEPT],
        problems,
    )


def _of_filters(composer: Composer, filters: Sequence[str], options: dict[str, Any]) -> Selection:
    results = Store(options["results_dir"])
    found, problems = store.scan(results.runs)
    frame = _frame(found)
    for override in parse(filters):
        key, values = override.key_or_group, _values(override)
        if len(frame) and (key not in frame.columns or key in NOT_KEYS):
            raise unknown("key", key, set(frame.columns) - set(NOT_KEYS))
        if key == "method":
            values = [
                composer.compose([f"method={v}"]).method.name if v in composer.options("method") else v for v in values
            ]
        if len(frame):
            frame = frame[frame[key].isin(values)]
    out = Path(options["out"] or results.root / "selection")
    title = f"Stored runs with {' '.join(filters)}" if filters else "All stored runs"
    return Selection(
        frame,
        options["rows"],
        options["columns"],
        options["rule"] or "final",
        out,
        title,
        results.runs,
        problems=problems,
    )


def _values(override: Any) -> list[Any]:
    return list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]


def _frame(found: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One tidy row for each run."""
    records = [
        {"id": m["id"]}
        | {key: str(value) if isinstance(value, list) else value for key, value in m["identity"].items()}
        | {key: m.get(key) for key in METRICS}
        | {"resolved_precision": m.get("precision"), "cell": cell_hash(m["identity"]), "folder": m["folder"]}
        for m in found
    ]
    return pd.DataFrame.from_records(records) if records else pd.DataFrame(columns=["id", "cell", "folder"])
