"""Which code made a run's numbers: a declared version for each component that decides them.

Two runs are "made by the same code" where all versions are equal. File paths, names, comments and speed do not matter.

Raise a component's version when a change in it gives other numbers for the same configuration and seed: another random
decision, another rounding that is more than the noise between processors, another order of operations, a bug fix.
Do not raise it for a new method, model or option, since no stored run has that. A change to one mixing method alone
raises `version` in its YAML file instead: its runs get other ids, and the runs of other methods stay valid.

tests/core/test_golden.py compares today's numbers with stored ones and names the version that must be raised.
After that: python tests/fixtures/make_golden.py.

    draws      core/random_words, core/draws
    data       decoding, split, subset, label noise, normalisation
    augment    augment/
    mixing     what methods share; a single method has a version of its own
    models     networks and their initial weights
    losses     losses and smoothed targets
    training   the loop: order of a step, optimizer, learning rate, precision, evaluation
    metrics    what is measured from logits and histories
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

VERSIONS = {
    "draws": 1,
    "data": 1,
    "augment": 1,
    "mixing": 1,
    "models": 1,
    "losses": 1,
    "training": 1,
    "metrics": 1,
}
FIRST = 1  # the version of a component that a record does not name, as of one that is added later
# Records made before there were versions hold the first digits of a checksum of source files. Code with one of these
# gives the numbers of version 1.
CHECKSUMS_OF_FIRST = ("597a910118ed",)


def declared(record: Mapping[str, Any]) -> dict[str, int] | None:
    """The versions of the code that made a record; None where it was made before there were versions.

    record: what metrics.json or provenance.json holds.
    """
    versions = record.get("numerics")
    if is_usable(versions):
        return dict.fromkeys(VERSIONS, FIRST) | dict(versions)
    return dict.fromkeys(VERSIONS, FIRST) if record.get("code_sha256") in CHECKSUMS_OF_FIRST else None


def is_usable(versions: Any) -> TypeGuard[Mapping[str, int]]:
    """Whether this is a component -> version."""
    return isinstance(versions, Mapping) and all(
        isinstance(name, str) and isinstance(version, int) and not isinstance(version, bool)
        for name, version in versions.items()
    )


def name(record: Mapping[str, Any]) -> str:
    """The code that made a record, in words; records of the same code have the same name."""
    versions = declared(record)
    if versions is None:
        return f"an earlier code, {record.get('code_sha256') or 'not known'}"
    others = ", ".join(f"{component} {version}" for component, version in sorted(versions.items()) if version != FIRST)
    return f"version {FIRST}" + (f" but {others}" if others else "")


def difference(record: Mapping[str, Any]) -> str | None:
    """How the code that made a record differs from this one, in words; None where both give the same numbers."""
    made, here = declared(record), VERSIONS
    if made is None:
        return name(record)
    differ = [key for key in {**here, **made} if made.get(key, FIRST) != here.get(key, FIRST)]
    return ", ".join(f"{key} {made.get(key, FIRST)}, now {here.get(key, FIRST)}" for key in differ) or None
