"""Which stored runs a table or plot shows: those of a study, or those whose keys have given values. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mixbench import store, study
from mixbench.config import Composer, StudyConfig, parse
from mixbench.errors import UserError, unknown
from mixbench.identity import INERT, Job, cell_hash, completed
from mixbench.stats import RULES
from mixbench.store import Store

OPTIONS = {"rows": None, "columns": None, "rule": None, "results_dir": "results", "out": None}
METRICS = (
    "final_accuracy",
    "median10_accuracy",
    "best_accuracy",
    "clean_train_accuracy",
    "true_train_accuracy",
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
    and `folder`. jobs: the runs that a study should have.
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
    jobs: list[Job] = field(default_factory=list)
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
    cells = {cell_hash(job.identity) for job in jobs}
    seeds_named = any(override.key_or_group in SEEDS for override in parse(overrides))
    ids = {job.id for job in jobs}
    results = Store(options["results_dir"])
    changes = study.changes(settings, overrides)
    # What is not the whole study has a folder of its own: it must not take the place of the study's tables.
    variant = _folder_name(name, changes)
    chosen = _folder_name(name, [o.input_line for o in parse(overrides) if o.key_or_group not in INERT])
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
        options["rows"] or settings.rows,
        options["columns"] or settings.columns,
        options["rule"] or settings.rule,
        Path(options["out"] or results.root / chosen),
        f"{settings.title} ({variant})",
        source,
        settings,
        jobs,
        changes,
        places[KEPT],
        problems,
    )


def _folder_name(name: str, overrides: Sequence[str]) -> str:
    return ",".join([name, *(override.replace("/", "_") for override in overrides)])


def _of_filters(composer: Composer, filters: Sequence[str], options: dict[str, Any]) -> Selection:
    results = Store(options["results_dir"])
    found, problems = store.scan(results.runs)
    frame = _frame(found)
    parsed = parse(filters)
    for override in parsed:
        if len(frame) and (override.key_or_group not in frame.columns or override.key_or_group in NOT_KEYS):
            raise unknown("key", override.key_or_group, set(frame.columns) - set(NOT_KEYS))
    for override in parsed:
        key, values = override.key_or_group, _values(override)
        if key == "method":
            values = [composer.method_name(value) for value in values]
        if len(frame):
            frame = frame[frame[key].isin([_cell_value(value) for value in values])]
    out = Path(options["out"] or results.root / "selection")
    title = f"Stored runs with {' '.join(filters)}" if filters else "All stored runs"
    return Selection(
        frame,
        options["rows"] or StudyConfig.rows,
        options["columns"] or StudyConfig.columns,
        options["rule"] or StudyConfig.rule,
        out,
        title,
        results.runs,
        problems=problems,
    )


def _values(override: Any) -> list[Any]:
    return list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]


def identity_row(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity as a row of a frame has it: complete, and a list as its text."""
    return {key: _cell_value(value) for key, value in completed(identity).items()}


def _cell_value(value: Any) -> Any:
    return str(value) if isinstance(value, list) else value


def _frame(found: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One tidy row for each run."""
    records = [
        {"id": m["id"]}
        | identity_row(m["identity"])
        | {key: m.get(key) for key in METRICS}
        | {"resolved_precision": m.get("precision"), "cell": cell_hash(m["identity"]), "folder": m["folder"]}
        for m in found
    ]
    return pd.DataFrame.from_records(records) if records else pd.DataFrame(columns=["id", "cell", "folder"])
