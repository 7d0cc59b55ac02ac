"""A study whose own function's file is gone: the checksum of its code is taken from stored runs."""

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
    """The study with each missing checksum taken from the newest stored run of the same settings.

    sources: folders or archives of stored runs. Returns the study as it is where every file is there.
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
    """Prefixes of the keys of own functions whose checksum is not known, such as `method.`."""
    return [key.removesuffix("code") for key, value in identity.items() if key.endswith(".code") and value is None]


def _completed(job: Job, found: Sequence[Mapping[str, Any]]) -> Job:
    places = _unknown(job.identity)
    for m in found if places else ():
        if _known(m["identity"], job.identity, places) == _known(job.identity, job.identity, places):
            identity = {**m["identity"], **{key: job.identity[key] for key in SEEDS}}
            return replace(job, identity=identity, id=run_id(identity))
    return job


def _known(identity: Mapping[str, Any], wanted: Mapping[str, Any], places: Sequence[str]) -> str:
    """A hash of the keys that can be compared: without seeds, checksum and options that the YAML file leaves out."""

    def compared(key: str) -> bool:
        place = next((place for place in places if key.startswith(place)), None)
        return place is None or (key in wanted and key != f"{place}code")

    return cell_hash({key: value for key, value in identity.items() if compared(key)})
