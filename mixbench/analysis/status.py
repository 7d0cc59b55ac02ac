"""The states of stored runs (finished, running, interrupted, failed or missing), and their progress. No torch."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mixbench.analysis import select, stored_code
from mixbench.analysis.filters import of_jobs
from mixbench.analysis.select import Options
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.config.overrides import parse
from mixbench.core.errors import printable
from mixbench.core.files import read_json
from mixbench.runs import estimate, study
from mixbench.runs.store import metrics_schema, records, store
from mixbench.runs.store.store import State, Store

# The settings in the name of a run (config.identity.run_id), for runs whose settings are not stored yet.
NAME = re.compile(r"(?P<dataset>.+)-n(?P<n>\d{1,18})-(?P<method>.+)-s(?P<seed>\d{1,18})-[0-9a-f]{10}")


def status(name: str | None, filters: Sequence[str], options: Options, config_dir: str | None = None) -> list[str]:
    """Return lines on the states of runs.

    name: name of a study; None: all stored runs.
    filters: KEY=VALUE texts: overrides of the study, or values that the keys of stored runs must have.
    options: results_dir and limit are used.
    config_dir: the user's own configuration folder.
    Raises UserError for an unknown study, key or value.
    """
    results = Store(options.results_dir)
    steps: dict[str, int] = {}
    todo: list[Job] = []
    notes: list[str] = []
    published: list[str] = []
    if name is None:
        states = {run_id: results.state(run_id) for run_id in results.ids()}
        head = f"{results.runs}/"
        if filters:
            with Composer(config_dir, stored=True) as composer:
                states, notes = _matching(composer, results, states, filters)
            head += f" with {' '.join(filters)}"
    else:
        with Composer(config_dir, stored=True) as composer:
            planned = study.plan(composer, name, filters, options.limit)
        jobs = stored_code.completed(planned, [results.runs]).jobs
        states = {job.id: results.state(job.id) for job in jobs}
        steps = {job.id: job.cfg.train.steps for job in jobs}
        todo = [job for job in jobs if states[job.id].name != "finished"]
        head = f"study {name} in {results.runs}/"
        if not any(state.name == "finished" for state in states.values()):
            published = _published(records.find(results.root, select.folder_name(name, planned.changes)), jobs)
    counts = Counter(state.name for state in states.values())
    lines = [f"{head}: " + (", ".join(f"{count:,} {what}" for what, count in sorted(counts.items())) or "no runs")]
    lines += notes
    if todo:
        lines.append(estimate.time_left(todo, results))
    for run_id, state in states.items():
        if state.name not in ("finished", "missing"):
            details = [_progress(run_id, steps, results), state.detail]
            detail = "; ".join(filter(None, details))
            lines.append(printable(f"  {state.name:12} {run_id}{f'  ({detail})' if detail else ''}"))
    return lines + published


def _published(archive: Path, jobs: Sequence[Job]) -> list[str]:
    """Return a line on the published runs of a study if there are any. Raises UserError for a damaged archive."""
    wanted = {job.id for job in jobs}
    count = sum(found["id"] in wanted for found in store.scan(archive, of_jobs(jobs))[0])
    until = "table, plot, report and export use these until you have a finished run of your own"
    return [f"  {count:,} of {len(wanted):,} are published in {archive}; {until}"] if count else []


def _matching(
    composer: Composer, results: Store, states: Mapping[str, State], filters: Sequence[str]
) -> tuple[dict[str, State], list[str]]:
    """Return the states of the runs that match the filters, and a note if the settings of some runs are unknown."""
    known = {run_id: settings for run_id in states if (settings := _settings(results, run_id))}
    chosen = select.matching_runs(composer, known, filters)
    in_names = {*NAME.groupindex}
    asked = {override.key_or_group for override in parse(filters)}
    unknown = [] if asked <= in_names else [run_id for run_id, settings in known.items() if settings.keys() <= in_names]
    note = f"  {len(unknown)} unfinished runs are left out, because only the settings in their names are known"
    return {run_id: state for run_id, state in states.items() if run_id in chosen}, [note] if unknown else []


def _settings(results: Store, run_id: str) -> dict[str, Any]:
    """Return a run's identity, or only the settings in its name if its files have none. It is empty if unknown."""
    for file in ("metrics.json", "provenance.json"):
        try:
            identity = read_json(results.folder(run_id) / file)["identity"]
            metrics_schema.check_identity(identity)
            return identity
        except (OSError, ValueError, KeyError):
            continue
    return _from_name(run_id)


def _from_name(run_id: str) -> dict[str, Any]:
    named = NAME.fullmatch(run_id)
    if named is None:
        return {}
    return {key: int(value) if key in ("n", "seed") else value for key, value in named.groupdict().items()}


def _progress(run_id: str, steps: dict[str, int], results: Store) -> str:
    """Return such as `step 500 of 1,000`, from the last evaluation. The total is known for runs of a study."""
    done = estimate.steps_done(run_id, results)
    total = f" of {steps[run_id]:,}" if run_id in steps else ""
    return f"step {done:,}{total}" if done else ""
