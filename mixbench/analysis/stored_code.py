"""Finds the checksums of the user's own functions in stored runs, for studies whose function file no longer exists."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixbench.analysis.filters import of_jobs
from mixbench.config.identity import Job, cell_hash, run_id
from mixbench.config.validate import SEEDS
from mixbench.runs.store import reading, store
from mixbench.runs.study import Study


def completed(chosen: Study, sources: Sequence[Path]) -> Study:
    """Return the study with each missing checksum taken from the newest stored run with the same settings.

    chosen: the study.
    sources: folders or archives of stored runs.
    Returns the study unchanged if no checksum is missing.
    """
    unknown = [job for job in chosen.jobs if _unknown(job.identity)]
    if not unknown:
        return chosen
    found = [m for source in sources for m in store.scan(source, of_jobs(unknown))[0]]
    found.sort(key=lambda m: reading.modified(m["folder"]), reverse=True)
    jobs = [_completed(job, found) for job in chosen.jobs]
    variants = dict(chosen.variants)
    for before, after in zip(chosen.jobs, jobs, strict=True):
        name = variants.get(cell_hash(before.identity))
        if name is not None:
            variants[cell_hash(after.identity)] = name
    return replace(chosen, jobs=jobs, variants=variants)


def _unknown(identity: Mapping[str, Any]) -> list[str]:
    """Return the key prefixes of own functions whose checksum is unknown, such as `method.`."""
    return [key.removesuffix("code") for key, value in identity.items() if key.endswith(".code") and value is None]


def _completed(job: Job, found: Sequence[Mapping[str, Any]]) -> Job:
    prefixes = _unknown(job.identity)
    for m in found if prefixes else ():
        if _known(m["identity"], job.identity, prefixes) == _known(job.identity, job.identity, prefixes):
            identity = {**m["identity"], **{key: job.identity[key] for key in SEEDS}}
            return replace(job, identity=identity, id=run_id(identity))
    return job


def _known(identity: Mapping[str, Any], wanted: Mapping[str, Any], prefixes: Sequence[str]) -> str:
    """Return a hash of the keys that can be compared: without seeds, checksums, and options not in the YAML file."""

    def compared(key: str) -> bool:
        prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
        return prefix is None or (key in wanted and key != f"{prefix}code")

    return cell_hash({key: value for key, value in identity.items() if compared(key)})
