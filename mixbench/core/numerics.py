"""Versions of the code that determines a run's numbers: one declared version for each component.

Two runs are "made by the same code" if all versions are equal. File paths, names, comments and speed do not matter.

Raise a component's version when a change to it gives different numbers for the same configuration and seed: a different
random decision, a rounding difference larger than the noise between processors, a different order of operations, a bug
fix. Do not raise it for a new method, model or option, because no stored run uses it. If a change affects one mixing
method only, raise `version` in that method's YAML file instead: its runs get new ids, and the runs of all other methods
stay valid.

tests/core/test_golden.py compares today's numbers with stored ones and names the version that must be raised.
After that: python tests/fixtures/make_golden.py.

    draws      core/random_words, core/draws
    data       decoding, split, subset, label noise, normalisation
    augment    augment/
    mixing     code that methods share; each method also has its own version
    models     networks and their initial weights
    losses     losses and smoothed targets
    training   the loop: order of a step, optimizer, learning rate, precision, evaluation
    metrics    values measured from logits and histories
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
FIRST = 1  # assumed for a component that a record does not name, for example one that was added later
# Records made before versions existed hold the first digits of a checksum of source files. Code with one of these
# checksums gives the same numbers as version 1.
CHECKSUMS_OF_FIRST = ("597a910118ed",)


def declared(record: Mapping[str, Any]) -> dict[str, int] | None:
    """Return component -> version of the code that made a record; None if the record is older than versions.

    record: the content of metrics.json or provenance.json.
    """
    versions = record.get("numerics")
    if is_usable(versions):
        return dict.fromkeys(VERSIONS, FIRST) | dict(versions)
    return dict.fromkeys(VERSIONS, FIRST) if record.get("code_sha256") in CHECKSUMS_OF_FIRST else None


def is_usable(versions: Any) -> TypeGuard[Mapping[str, int]]:
    """Whether this is a mapping of component names to integer versions.

    versions: any value that was read from a file.
    """
    return isinstance(versions, Mapping) and all(
        isinstance(name, str) and isinstance(version, int) and not isinstance(version, bool)
        for name, version in versions.items()
    )


def name(record: Mapping[str, Any]) -> str:
    """Return a name for the code that made a record. Records made by the same code have the same name.

    record: the content of metrics.json or provenance.json.
    """
    versions = declared(record)
    if versions is None:
        return f"an earlier code, {record.get('code_sha256') or 'not known'}"
    others = ", ".join(f"{component} {version}" for component, version in sorted(versions.items()) if version != FIRST)
    return f"version {FIRST}" + (f" but {others}" if others else "")


def difference(record: Mapping[str, Any]) -> str | None:
    """Describe how the code that made a record differs from the current code; None if both give the same numbers.

    record: the content of metrics.json or provenance.json.
    """
    made, here = declared(record), VERSIONS
    if made is None:
        return name(record)
    differ = [key for key in {**here, **made} if made.get(key, FIRST) != here.get(key, FIRST)]
    return ", ".join(f"{key} {made.get(key, FIRST)}, now {here.get(key, FIRST)}" for key in differ) or None
