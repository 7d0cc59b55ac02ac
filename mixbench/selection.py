"""Which stored runs a table or plot shows: those of a study, or those whose keys have given values. No torch."""

import zlib
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
from mixbench.study import Study

OPTIONS = {"rows": None, "columns": None, "rule": None, "results_dir": "results", "out": None}
METRICS = (
    "final_accuracy",
    "median10_accuracy",
    "best_accuracy",
    "clean_train_accuracy",
    "true_train_accuracy",
    "nll",
    "ece",
    "temperature",
    "unscaled_nll",
    "unscaled_ece",
    "scaled_nll",
    "scaled_ece",
    "steps",
    "images_seen",
    "seconds",
    "steps_per_second",
    "peak_memory_bytes",
    "other_load",
    "device",
    "mixbench",
    "code_sha256",
)
OWN, KEPT = "own", "kept"  # runs of whoever uses this checkout; records that came with it
NOT_KEYS = ("cell", "folder", "per_class_accuracy")
# What a run is of, beside the keys with a dot in their name and the seeds.
GROUP_KEYS = ("dataset", "n", "subset", "eval", "method", "augment", "model", "loss", "protect", "precision", "variant")
SEEDS = ("seed", "subset_seed")


@dataclass
class Selection:
    """Stored runs and how to show them.

    frame: a row for each run: the identity's keys, the metrics, `id`, `cell` (equal for repetitions of one experiment)
    and `folder`; of a study whose grids have names also `variant`.
    study: with the runs that it should have. kept: where its records are.
    out: where tables and plots go. problems: a line for each folder that was left out.
    """

    frame: pd.DataFrame
    rows: str
    columns: str
    rule: str
    out: Path
    title: str
    source: Path
    study: Study | None = None
    kept: Path | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def jobs(self) -> list[Job]:
        return self.study.jobs if self.study else []

    def wanted(self) -> pd.DataFrame:
        """A row for each run that the study should have: the identity's keys and `cell`, as in `frame`."""
        return _frame([{"identity": job.identity} for job in self.jobs], self.study.variants if self.study else {})


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
    chosen = study.plan(composer, name, overrides)
    settings = chosen.settings
    cells = {cell_hash(job.identity) for job in chosen.jobs}
    parsed = parse(overrides)
    ids = {job.id for job in chosen.jobs} if any(override.key_or_group in SEEDS for override in parsed) else None
    results = Store(options["results_dir"])
    # What is not the whole study has a folder of its own: it must not take the place of the study's tables.
    name_of_runs = _folder_name(name, chosen.changes)
    said = {*INERT, study.SCALE} if chosen.scale == settings.scale else INERT
    name_of_part = _folder_name(name, [o.input_line for o in parsed if o.key_or_group not in said])
    places = {OWN: results.runs, KEPT: results.root / name_of_runs / "runs"}
    problems: list[str] = []
    for source in (places[which] for which in sources):
        found, left_out = store.scan(source)
        problems += left_out
        found = [m for m in found if (m["id"] in ids if ids is not None else cell_hash(m["identity"]) in cells)]
        if found:
            break
    else:
        source = places[sources[0]]
    return Selection(
        _frame(found, chosen.variants),
        options["rows"] or settings.rows,
        options["columns"] or settings.columns,
        options["rule"] or settings.rule,
        Path(options["out"] or results.root / name_of_part),
        f"{settings.title} ({name_of_runs})",
        source,
        chosen,
        places[KEPT],
        problems,
    )


def _folder_name(name: str, overrides: Sequence[str]) -> str:
    whole = ",".join([name, *(override.replace("/", "_") for override in overrides)])
    # File systems end at 255 bytes.
    return whole if len(whole.encode()) <= 200 else f"{whole[:60]}…{zlib.crc32(whole.encode()):08x}"


def _of_filters(composer: Composer, filters: Sequence[str], options: dict[str, Any]) -> Selection:
    results = Store(options["results_dir"])
    found, problems = store.scan(results.runs)
    frame = _frame(found)
    frame = _matching(composer, frame, filters)
    if len(frame):  # without the columns that only other runs have
        always = (*METRICS, *SEEDS, *NOT_KEYS)
        frame = frame.loc[:, [key in always or bool(frame[key].notna().any()) for key in frame.columns]]
    out = Path(options["out"] or results.root / _folder_name("selection", filters))
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


def having(composer: Composer, identities: Mapping[str, Mapping[str, Any]], filters: Sequence[str]) -> set[str]:
    """The names of those identities whose keys have the given values. Raises UserError for a key that none has."""
    frame = _frame([{"id": name, "identity": identity} for name, identity in identities.items()])
    return set(_matching(composer, frame, filters)["id"])


def _matching(composer: Composer, frame: pd.DataFrame, filters: Sequence[str]) -> pd.DataFrame:
    """The rows whose keys have the given values. Raises UserError for a key that no row has."""
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
    return frame


def _values(override: Any) -> list[Any]:
    return list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]


def identity_row(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity as a row of a frame has it: complete, and a list as its text."""
    return {key: _cell_value(value) for key, value in completed(identity).items()}


def telling_apart(experiments: pd.DataFrame, given: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Those of `keys` in which rows differ that agree in `given`; of several that move together the first alone."""
    kept: list[str] = []
    texts = experiments.astype(str)
    count = len(texts[[*given]].drop_duplicates())
    for key in keys:
        if key not in given:
            apart = len(texts[[*given, *kept, key]].drop_duplicates())
            if apart > count:
                kept.append(key)
                count = apart
    return kept


def identity_keys(frame: pd.DataFrame) -> list[str]:
    """The columns of a frame that say what was run, the seeds left out."""
    return [key for key in frame.columns if "." in key or key in GROUP_KEYS]


def _cell_value(value: Any) -> Any:
    return str(value) if isinstance(value, list) else value


def _frame(found: Sequence[dict[str, Any]], variants: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One tidy row for each run; a key that a run does not have is None."""
    records, rows = [], {}
    for m in found:
        cell = cell_hash(m["identity"])
        if cell not in rows:  # repetitions differ in the seeds alone
            rows[cell] = identity_row(m["identity"])
        record = {"id": m.get("id")} | rows[cell] | {key: m["identity"].get(key) for key in SEEDS}
        record |= {"variant": variants.get(cell)} if variants else {}
        record |= {key: m.get(key) for key in METRICS}
        record |= {"resolved_precision": m.get("precision"), "per_class_accuracy": m.get("per_class_accuracy")}
        record |= {"cell": cell, "folder": m.get("folder")}
        records.append(record)
    columns = list(dict.fromkeys(key for record in records for key in record)) or ["id", *NOT_KEYS]
    # As objects: pandas would make 0 and None 0.0 and NaN, and NaN is unequal to itself.
    made = {key: [record.get(key) for record in records] for key in columns}
    return pd.DataFrame({key: pd.Series(v, dtype=object if None in v else None) for key, v in made.items()})
