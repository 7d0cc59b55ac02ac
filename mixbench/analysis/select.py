"""Selects the stored runs that a table or plot shows: those of a study, or those with given values. No torch."""

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mixbench.analysis import method_names, stored_code
from mixbench.analysis.filters import CLASSES, class_names, of_jobs, of_values, what_there_is
from mixbench.analysis.frame import METRICS, NOT_KEYS, cell_value, run_frame
from mixbench.config.compose import Composer
from mixbench.config.identity import INERT, Job, cell_hash
from mixbench.config.limits import LIMIT
from mixbench.config.overrides import line_of, parse, values
from mixbench.config.schema import StudyConfig
from mixbench.config.validate import SEEDS
from mixbench.core.errors import unknown
from mixbench.runs import study
from mixbench.runs.store import records, store
from mixbench.runs.store.store import Store
from mixbench.runs.study import Study
from mixbench.training import rules

NO_RUNS = "mixbench run trains one, and mixbench report demo shows published records"
OWN, RECORDS = "own", "records"  # the user's own runs; published records


@dataclass(frozen=True)
class Options:
    """How to show the selected runs, and where files are.

    rows: key of the table's rows; None: the study's, or n.
    columns: key of the table's columns; None: the study's, or method.
    rule: name of the accuracy rule; None: the study's, or the default.
    results_dir: folder of the results, which has the runs.
    out: folder for tables and plots; None: a folder in results_dir.
    limit: largest number of runs of a study; None: no limit.
    """

    rows: str | None = None
    columns: str | None = None
    rule: str | None = None
    results_dir: str = "results"
    out: str | None = None
    limit: int | None = LIMIT


@dataclass
class Selection:
    """Stored runs and how to show them.

    frame: one row for each run: the keys of its identity, its metrics, `id`, `cell` (equal for repetitions of one
        experiment) and `folder`; if the study's grids have names, also `variant`.
    rows: key of the table's rows.
    columns: key of the table's columns.
    rule: name of the accuracy rule.
    out: folder for tables and plots.
    title: title of tables and plots.
    source: folder of runs or archive of records that the runs were read from.
    own_runs: folder of the user's own runs.
    study: the study with all its planned runs; None if runs were selected by their keys.
    name: name of the study with its changes, which is also the name of its records.
    problems: one line for each folder that was left out.
    class_names: names of the classes, if the command gives them.
    why: why no run was selected, if there is a reason.
    """

    frame: pd.DataFrame
    rows: str
    columns: str
    rule: str
    out: Path
    title: str
    source: Path
    own_runs: Path
    study: Study | None = None
    name: str = ""
    problems: list[str] = field(default_factory=list)
    class_names: list[str] | None = None
    why: str = ""

    @property
    def jobs(self) -> list[Job]:
        return self.study.jobs if self.study else []

    @property
    def on(self) -> str:
        """Name of the evaluation images: `test`, `val`, `held-out`, `validation` or, if runs differ, `evaluation`."""
        frame = self.frame if len(self.frame) else self.wanted()
        evals = frame.get("eval")
        return rules.images([] if evals is None else evals)

    def wanted(self) -> pd.DataFrame:
        """Return one row for each planned run of the study: the keys of its identity and `cell`, as in `frame`."""
        return _wanted(self.study) if self.study else run_frame([])


def of_study(
    composer: Composer,
    name: str,
    overrides: Sequence[str],
    options: Options,
    sources: Sequence[str] = (OWN, RECORDS),
) -> Selection:
    """Select the runs of a study: the user's own or, if there are none, the published records.

    Runs with other seeds than the study's are included, unless the overrides name seeds.

    composer: composes the study.
    name: name of the study.
    overrides: KEY=VALUE texts.
    options: how to show the runs, and where files are.
    sources: where to look, OWN or RECORDS; the first that has any of the runs is used.
    Raises UserError for a mistake in the overrides or options.
    """
    chosen = study.plan(composer, name, overrides, options.limit)
    check_shown(chosen, options)
    settings = chosen.settings
    parsed = parse(overrides)
    given = {override.key_or_group for override in parsed}
    by_seed = not given.isdisjoint(SEEDS)
    results = Store(options.results_dir)
    # A part of a study, or a changed study, has its own folder, so that it does not replace the study's tables.
    name_of_runs = folder_name(name, chosen.changes)
    not_named = {*INERT, study.SCALE} if chosen.scale == settings.scale else INERT
    name_of_part = folder_name(name, [line_of(o) for o in parsed if o.key_or_group not in not_named])
    places = {OWN: results.runs, RECORDS: records.find(results.root, name_of_runs)}
    chosen = stored_code.completed(chosen, list(places.values()))
    problems: list[str] = []
    for source in (places[which] for which in sources):
        every, left_out = store.scan(source, of_jobs(chosen.jobs))
        problems += left_out
        found = list(filter(_belongs(chosen.jobs, by_seed), every))
        if found:
            break
    else:
        source = places[sources[0]]
    why = ""
    if not found and RECORDS in sources:
        why = f"no published records in {' or '.join(map(str, records.places(results.root, name_of_runs)))}"
    if found and "method" not in given:
        more = _with_other_methods(composer, name, overrides, chosen, every)
        others = [] if more is None else list(filter(_belongs(more.jobs, by_seed), every))
        if more is not None and others:
            further = sorted({m["identity"]["method"] for m in others} - {m["identity"]["method"] for m in found})
            chosen = replace(chosen, variants=more.variants | chosen.variants, further=further)
            ids = {m["id"] for m in found}
            found += [m for m in others if m["id"] not in ids]
    return Selection(
        run_frame(found, chosen.variants, method_names.of_jobs(chosen.jobs)),
        options.rows or settings.rows,
        options.columns or settings.columns,
        options.rule or settings.rule,
        Path(options.out or results.root / name_of_part),
        f"{settings.title} ({name_of_runs})",
        source,
        results.runs,
        chosen,
        name_of_runs,
        problems,
        class_names(parsed, found),
        why,
    )


def check_shown(chosen: Study, options: Options) -> None:
    """Check that the runs of a study have the keys of its table's rows and columns.

    chosen: the study with its planned runs.
    options: the rows and columns that the command names; where it names none, those of the study are checked.
    Raises UserError if no run has the key.
    """
    keys = set(_wanted(chosen).columns) - {*NOT_KEYS, "id"}
    for what in ("rows", "columns"):
        key = getattr(options, what) or getattr(chosen.settings, what)
        if key not in keys:
            raise unknown(f"key in {what}={key} of study {chosen.settings.name}", key, keys)


def _belongs(jobs: Sequence[Job], by_seed: bool) -> Callable[[Mapping[str, Any]], bool]:
    """Return a function: whether a stored run is one of these jobs or, unless by_seed, has other seeds than one."""
    wanted = {job.id if by_seed else cell_hash(job.identity) for job in jobs}
    return lambda found: (found["id"] if by_seed else cell_hash(found["identity"])) in wanted


def _with_other_methods(
    composer: Composer, name: str, overrides: Sequence[str], chosen: Study, stored: Sequence[Mapping[str, Any]]
) -> Study | None:
    """Return the study with the other methods that have stored runs at its settings; None if there are none."""

    def rest(identity: Mapping[str, Any]) -> str:
        return cell_hash({key: value for key, value in identity.items() if key.split(".")[0] != "method"})

    own, settings = {job.identity["method"] for job in chosen.jobs}, {rest(job.identity) for job in chosen.jobs}
    others = {m["identity"]["method"] for m in stored} - own
    others = {
        m["identity"]["method"] for m in stored if m["identity"]["method"] in others and rest(m["identity"]) in settings
    }
    options = [option for option in composer.options("method") if others and composer.method_name(option) in others]
    if not options:
        return None
    made = study.plan(composer, name, [*overrides, f"method={','.join(options)}"], None)
    return made if made.further else None


def folder_name(name: str, overrides: Sequence[str]) -> str:
    """Return the folder name of a study, or of another selection, with these overrides.

    name: name of the study, or the word that stands for another selection.
    overrides: KEY=VALUE texts.
    Returns the name; one of more than 200 bytes is cut and ends in a checksum.
    """
    whole = ",".join([name, *(override.replace("/", "_") for override in overrides)])
    # Most file systems allow at most 255 bytes.
    return whole if len(whole.encode()) <= 200 else f"{whole[:60]}…{zlib.crc32(whole.encode()):08x}"


def of_filters(composer: Composer, filters: Sequence[str], options: Options) -> Selection:
    """Select the stored runs whose keys have given values.

    composer: resolves names of methods.
    filters: KEY=VALUE texts, with one or several values.
    options: how to show the runs, and where files are.
    Raises UserError for a key that no stored run has.
    """
    results = Store(options.results_dir)
    wanted = _wanted_values(composer, parsed := parse(filters))
    found, problems = store.scan(results.runs, of_values(wanted))
    frame = run_frame(found)
    if "method" in wanted:
        named = [values(o) for o in parsed if o.key_or_group == "method"][-1]
        wanted["method"] = method_names.matching_names(composer, frame, named)
    _check_known(frame, wanted)
    why = what_there_is(frame, wanted)
    frame = _matching(frame, wanted)
    filters = [line_of(o) for o in parsed if o.key_or_group != CLASSES]
    ids = set(frame["id"])
    return replace(
        _shown("selection", filters, frame, options),
        title=f"Stored runs with {' '.join(filters)}" if filters else "All stored runs",
        problems=problems,
        class_names=class_names(parsed, [m for m in found if m["id"] in ids]),
        why="" if len(frame) else why or NO_RUNS,
    )


def of_runs(name: str, words: Sequence[str], title: str, ids: Collection[str], options: Options) -> Selection:
    """Select stored runs by their ids.

    name, words: what chose them; the folder of tables and plots is named after them.
    title: title of tables and reports.
    ids: the ids.
    options: how to show the runs, and where files are.
    """
    wanted = set(ids)
    found, problems = store.scan(Store(options.results_dir).runs, wanted.__contains__)
    found = [metrics for metrics in found if metrics["id"] in wanted]
    return replace(_shown(name, words, run_frame(found), options), title=title, problems=problems)


def _shown(name: str, words: Sequence[str], frame: pd.DataFrame, options: Options) -> Selection:
    """Return a selection without a study."""
    results = Store(options.results_dir)
    if len(frame):  # drop the columns that only other runs have
        always = (*METRICS, *SEEDS, *NOT_KEYS)
        frame = frame.loc[:, [key in always or bool(frame[key].notna().any()) for key in frame.columns]]
    return Selection(
        frame,
        options.rows or StudyConfig.rows,
        options.columns or StudyConfig.columns,
        options.rule or StudyConfig.rule,
        Path(options.out or results.root / folder_name(name, words)),
        name,
        results.runs,
        results.runs,
    )


def matching_runs(composer: Composer, identities: Mapping[str, Mapping[str, Any]], filters: Sequence[str]) -> set[str]:
    """Return the names of the identities whose keys have given values.

    composer: resolves names of methods.
    identities: name -> identity.
    filters: KEY=VALUE texts.
    Raises UserError for a key that no identity has.
    """
    frame = run_frame([{"id": name, "identity": identity} for name, identity in identities.items()])
    wanted = _wanted_values(composer, parse(filters))
    _check_known(frame, wanted)
    return set(_matching(frame, wanted)["id"])


def _wanted_values(composer: Composer, parsed: Sequence[Any]) -> dict[str, list[Any]]:
    """Return key -> the values that it may have. Aliases of methods are replaced by the methods."""
    wanted = {o.key_or_group: [cell_value(value) for value in values(o)] for o in parsed if o.key_or_group != CLASSES}
    if "method" in wanted:
        wanted["method"] = [composer.method_name(name) if isinstance(name, str) else name for name in wanted["method"]]
    return wanted


def _check_known(frame: pd.DataFrame, wanted: Mapping[str, Sequence[Any]]) -> None:
    """Raise UserError for a key that no row has."""
    for key in wanted:
        if len(frame) and (key not in frame.columns or key in NOT_KEYS):
            raise unknown("key", key, set(frame.columns) - set(NOT_KEYS))


def _matching(frame: pd.DataFrame, wanted: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return the rows whose keys have the wanted values."""
    for key, its_values in wanted.items():
        if len(frame):
            frame = frame.loc[frame[key].isin(its_values)]
    return frame


def _wanted(chosen: Study) -> pd.DataFrame:
    jobs = chosen.jobs
    return run_frame([{"identity": job.identity} for job in jobs], chosen.variants, method_names.of_jobs(jobs))
