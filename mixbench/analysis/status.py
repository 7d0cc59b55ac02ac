"""How the runs of a store stand: finished, running, interrupted, failed or missing, and how far they are. No torch."""

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

# What the name of a run tells (config.identity.run_id), for those whose settings are not stored yet.
NAME = re.compile(r"(?P<dataset>.+)-n(?P<n>\d{1,18})-(?P<method>.+)-s(?P<seed>\d{1,18})-[0-9a-f]{10}")


def status(name: str | None, filters: Sequence[str], options: Options, config_dir: str | None = None) -> list[str]:
    """Lines that say how runs stand.

    name: of a study, whose runs are meant; None: all stored runs.
    filters: KEY=VALUE, overrides of the study or keys that stored runs must have.
    options: where the runs are, and how many a study may have.
    config_dir: a user's own configuration folder.
    Raises UserError for a word that fits nothing.
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
            published = _of_records(records.find(results.root, select.folder_name(name, planned.changes)), jobs)
    counts = Counter(state.name for state in states.values())
    lines = [f"{head}: " + (", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "no runs")]
    lines += notes
    if todo:
        lines.append(estimate.time_left(todo, results))
    for run_id, state in states.items():
        if state.name not in ("finished", "missing"):
            details = [_how_far(run_id, steps, results), state.detail]
            told = "; ".join(detail for detail in details if detail)
            lines.append(printable(f"  {state.name:12} {run_id}{f'  ({told})' if told else ''}"))
    return lines + published


def _of_records(archive: Path, jobs: Sequence[Job]) -> list[str]:
    """A line on how many of the runs are published, and where; none where there are none. Raises UserError."""
    wanted = {job.id for job in jobs}
    count = sum(found["id"] in wanted for found in store.scan(archive, of_jobs(jobs))[0])
    what = "table, plot, report and export read them until you have finished runs of your own"
    return [f"  {count} of {len(wanted)} are among the records in {archive}: {what}"] if count else []


def _matching(
    composer: Composer, results: Store, states: Mapping[str, State], filters: Sequence[str]
) -> tuple[dict[str, State], list[str]]:
    """The states of the runs that the filters choose, and a line where it is not known of some whether they do."""
    known = {run_id: settings for run_id in states if (settings := _settings(results, run_id))}
    chosen = select.having(composer, known, filters)
    of_names = {*NAME.groupindex}
    asked = {override.key_or_group for override in parse(filters)}
    unsure = [] if asked <= of_names else [run_id for run_id, settings in known.items() if settings.keys() <= of_names]
    note = f"  {len(unsure)} that did not finish are left out: only what their names tell is known of them"
    return {run_id: state for run_id, state in states.items() if run_id in chosen}, [note] if unsure else []


def _settings(results: Store, run_id: str) -> dict[str, Any]:
    """A run's identity; of one that an older version began only what its name tells; empty where that is nothing."""
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


def _how_far(run_id: str, steps: dict[str, int], results: Store) -> str:
    """Such as `step 500 of 1,000`, by the last evaluation; of how many is known of a study's runs."""
    done = estimate.steps_done(run_id, results)
    of_all = f" of {steps[run_id]:,}" if run_id in steps else ""
    return f"step {done:,}{of_all}" if done else ""
