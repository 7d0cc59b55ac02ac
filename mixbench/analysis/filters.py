"""What a selection's words say of stored runs: which folders may belong, what is there, class names. No torch."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from mixbench.config.identity import Job
from mixbench.core.errors import UserError
from mixbench.runs.store.store import RUN_ID

IN_NAME = ("dataset", "n", "method", "seed")  # keys that the name of a run's folder tells: config.identity.run_id
CLASSES = "dataset.classes"  # decides nothing, so it can be given when runs are read
MOST_STORED = 12  # values that a message names


def of_jobs(jobs: Sequence[Job]) -> Callable[[str], bool]:
    """Whether a folder may hold one of these runs or a further seed of it, by its name."""
    names = {re.escape(job.id.rpartition("-s")[0]) for job in jobs}
    return _named(rf"(?:{'|'.join(sorted(names))})-s\d+-[0-9a-f]{{10}}")


def of_values(wanted: Mapping[str, Sequence[Any]]) -> Callable[[str], bool]:
    """Whether a folder may hold a run whose keys have these values, by its name."""
    parts = {key: "|".join(re.escape(str(value)) for value in wanted[key]) for key in IN_NAME if key in wanted}
    some = {"n": r"\d+", "seed": r"\d+"}
    dataset, n, method, seed = (f"(?:{parts.get(key) or some.get(key, '.+')})" for key in IN_NAME)
    return _named(rf"{dataset}-n{n}-{method}-s{seed}-[0-9a-f]{{10}}")


def _named(pattern: str) -> Callable[[str], bool]:
    """Whether a folder's name fits; one that is not the name of a run may be anything's."""
    return lambda name: not re.fullmatch(RUN_ID, name) or re.fullmatch(pattern, name) is not None


def what_there_is(frame: pd.DataFrame, wanted: Mapping[str, Sequence[Any]]) -> str:
    """What is stored of the first key whose wanted values no run has."""
    for key, its_values in wanted.items():
        if len(frame) and not bool(frame[key].isin(its_values).any()):
            there = sorted(frame[key].dropna().unique(), key=lambda value: (isinstance(value, str), value))
            more = f" and {len(there) - MOST_STORED} more" * (len(there) > MOST_STORED)
            named = "; runs are kept under dataset.name" * (key == "dataset")
            return f"{key} is {', '.join(map(str, there[:MOST_STORED])) or 'nothing'}{more} there{named}"
    return "each value is there, but no run has all of them" if len(frame) and len(wanted) > 1 else ""


def class_names(parsed: Sequence[Any], found: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """The names that the command gives the classes. Raises UserError where runs have another number of classes."""
    given = [override.value() for override in parsed if override.key_or_group == CLASSES]
    if not given or given[-1] is None:
        return None
    names = given[-1]
    if not isinstance(names, list) or len(set(map(str, names))) < len(names):
        raise UserError(f"{CLASSES}={names}: must be a list of names that all differ, as in {CLASSES}=[a,b]")
    for m in found:
        count = len(m.get("per_class_accuracy") or names)
        if count != len(names):
            raise UserError(f"{CLASSES}: {len(names)} names, but {m['id']} has {count} classes")
    return [str(name) for name in names]
