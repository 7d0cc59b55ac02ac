"""Filters on stored runs: which folders can match, which values are stored, and names of classes. No torch."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from mixbench.config.identity import Job
from mixbench.config.method_aliases import aliases
from mixbench.core.errors import UserError, did_you_mean
from mixbench.runs.store.store import RUN_ID

IN_NAME = ("dataset", "n", "method", "seed")  # keys in the name of a run's folder (config.identity.run_id)
CLASSES = "dataset.classes"  # does not change a run, so it can be given when stored runs are read
MOST_STORED = 12  # most values that a message lists


def of_jobs(jobs: Sequence[Job]) -> Callable[[str], bool]:
    """Return a function: whether a folder's name can be that of one of these runs, with any seed.

    jobs: the wanted runs.
    """
    names = {re.escape(job.id.rpartition("-s")[0]) for job in jobs}
    return _named(rf"(?:{'|'.join(sorted(names))})-s\d+-[0-9a-f]{{10}}")


def of_values(wanted: Mapping[str, Sequence[Any]]) -> Callable[[str], bool]:
    """Return a function: whether a folder's name can be that of a run whose keys have the wanted values.

    wanted: key -> wanted values. Keys that are not part of a folder's name are ignored.
    """
    parts = {key: "|".join(re.escape(str(value)) for value in wanted[key]) for key in IN_NAME if key in wanted}
    some = {"n": r"\d+", "seed": r"\d+"}
    dataset, n, method, seed = (f"(?:{parts.get(key) or some.get(key, '.+')})" for key in IN_NAME)
    return _named(rf"{dataset}-n{n}-{method}-s{seed}-[0-9a-f]{{10}}")


def _named(pattern: str) -> Callable[[str], bool]:
    """Return a function: whether a folder's name matches. A name that is not a run's always matches."""
    return lambda name: not re.fullmatch(RUN_ID, name) or re.fullmatch(pattern, name) is not None


def what_there_is(frame: pd.DataFrame, wanted: Mapping[str, Sequence[Any]]) -> str:
    """Return why no run matches: the stored values of the first key whose wanted values no run has.

    frame: all stored runs, one row each.
    wanted: key -> wanted values. Every key is a column of the frame.
    Returns the reason; empty if there are no runs, or no condition to explain.
    """
    for key, its_values in wanted.items():
        if len(frame) and not bool(frame[key].isin(its_values).any()):
            there = sorted(frame[key].dropna().unique(), key=lambda value: (isinstance(value, str), value))
            more = f" and {len(there) - MOST_STORED} more" * (len(there) > MOST_STORED)
            named = "; runs are stored under dataset.name" * (key == "dataset")
            texts = [str(value) for value in there]
            texts += [alias for alias, method in aliases().items() if key == "method" and method in texts]
            near = [hint for value in its_values if (hint := did_you_mean(value, texts)) and isinstance(value, str)]
            named = "".join(near[:1]) + named
            return f"stored values of {key}: {', '.join(map(str, there[:MOST_STORED])) or 'none'}{more}{named}"
    return "each value is stored, but no run has all of them" if len(frame) and len(wanted) > 1 else ""


def class_names(parsed: Sequence[Any], found: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Return the names of the classes from the command; None if it gives none.

    parsed: overrides.
    found: metrics of the selected runs.
    Raises UserError if a run has another number of classes.
    """
    given = [override.value() for override in parsed if override.key_or_group == CLASSES]
    if not given or given[-1] is None:
        return None
    names = given[-1]
    if not isinstance(names, list) or len(set(map(str, names))) < len(names):
        raise UserError(f"{CLASSES}={names}: must be a list of names that all differ, as in {CLASSES}=[a,b]")
    for m in found:
        count = len(m.get("per_class_accuracy") or names)
        if count != len(names):
            raise UserError(f"{CLASSES}: has {len(names)} names, but {m['id']} has {count} classes; give {count} names")
    return [str(name) for name in names]
