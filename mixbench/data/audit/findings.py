"""The findings of an audit, and their form in a JSON file."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

PROBLEM, NOTICE, FACT = "problem", "notice", "fact"
SEVERITIES = (PROBLEM, NOTICE, FACT)
NAMED = 5  # pictures that a finding names
MOST_PAIRS, LARGEST_THUMBNAIL = 12, 20_000  # pairs with thumbnails; bytes of one


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    kind: what was looked for, such as `duplicates`.
    severity: `problem` changes what a result means; `notice` may do so; `fact` does not.
    found: what was found, in one line with its numbers.
    meaning: what it means for a result, and what can be done; empty if that is plain.
    names: at most NAMED names of pictures, or of files with a reason.
    """

    kind: str
    severity: str
    found: str
    meaning: str = ""
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Pair:
    """Two pictures that are equal or nearly so.

    names: of the two pictures.
    places: for each its part and class, such as `test, dog`.
    exact: whether all their pixels are equal.
    thumbnails: for each a JPEG file.
    """

    names: tuple[str, str]
    places: tuple[str, str]
    exact: bool
    thumbnails: tuple[bytes, bytes]


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    findings: problems first, then notices, then facts.
    pairs: at most MOST_PAIRS duplicates to look at, the worst first.
    """

    findings: Sequence[Finding]
    pairs: Sequence[Pair] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        """The findings that change what a result means."""
        return [finding for finding in self.findings if finding.severity == PROBLEM]

    def to_json(self) -> dict[str, Any]:
        """Return what a JSON file can hold."""
        pairs = [
            asdict(pair) | {"thumbnails": [base64.b64encode(jpeg).decode() for jpeg in pair.thumbnails]}
            for pair in self.pairs
        ]
        return {"findings": [asdict(finding) for finding in self.findings], "pairs": pairs}


def from_json(value: Mapping[str, Any]) -> Audit:
    """Return the audit that `Audit.to_json` wrote.

    value: the content of a file, in which anything can be.
    Raises ValueError if it is not an audit.
    """
    try:
        findings = [
            Finding(
                str(one["kind"]),
                SEVERITIES[SEVERITIES.index(one["severity"])],
                str(one["found"]),
                str(one["meaning"]),
                [str(name) for name in one["names"][:NAMED]],
            )
            for one in value["findings"]
        ]
        pairs = [
            Pair(_two(one["names"]), _two(one["places"]), bool(one["exact"]), _pictures(one["thumbnails"]))
            for one in value["pairs"][:MOST_PAIRS]
        ]
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ValueError("it is not an audit") from error
    return Audit(findings, pairs)


def _two(texts: Sequence[Any]) -> tuple[str, str]:
    first, second = texts
    return str(first), str(second)


def _pictures(texts: Sequence[str]) -> tuple[bytes, bytes]:
    first, second = (base64.b64decode(text, validate=True) for text in texts)
    if max(len(first), len(second)) > LARGEST_THUMBNAIL:
        raise ValueError("a thumbnail is too large")
    return first, second
