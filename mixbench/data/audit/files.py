"""Findings on the files of pictures: left out, small, cut, and kinds that differ between classes."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mixbench.core.pictures import CROP
from mixbench.data.audit.findings import FACT, NAMED, NOTICE, PROBLEM, Finding
from mixbench.data.audit.headers import Header, read_headers
from mixbench.data.sources.load import Dataset
from mixbench.data.sources.parts import TRAIN
from mixbench.data.sources.pictures.decoding import SUFFIXES
from mixbench.data.sources.pictures.listing import Picture

MANY_BROKEN = 0.05  # share of the picture files
LONG = 1.5  # longer side / shorter side; a third of the picture is cut off
MANY = 0.1  # share of pictures from which on something is worth a notice
EACH, MOSTLY, HARDLY = 10, 0.9, 0.1  # pictures of a class; shares of a class that tell it from another


def of_files(dataset: Dataset, part: str, fit: str | None) -> list[Finding]:
    """Return findings on the files of a data set. There are none if it is not of picture files.

    dataset: the data set.
    part: the part that is looked at besides the training pictures: a value of the key `eval`, such as test.
    fit: how pictures were made square, `crop` or `squash`.
    """
    if dataset.listing is None:
        return []
    pictures = [picture for picture in dataset.listing.pictures if picture.part in (TRAIN, part)]
    headers = read_headers([picture.file for picture in pictures])
    known = [(picture, header) for picture, header in zip(pictures, headers, strict=True) if header is not None]
    findings = _left_out(dataset)
    if known:
        side = dataset.train_images.shape[1]
        findings += _sizes(known, side, fit)
        findings += _telling(known, dataset.listing.classes, side)
    return findings


def _left_out(dataset: Dataset) -> list[Finding]:
    listing = dataset.listing
    if listing is None or not listing.skipped:
        return []
    broken, others = [], []
    for one in listing.skipped:
        (broken if Path(one[0]).suffix.lower() in SUFFIXES else others).append(one)
    total = len(broken) + len(listing.pictures)
    found = [f"{len(broken):,} of {total:,} picture files"] * bool(broken)
    found += [f"{len(others):,} other file{'s' if len(others) > 1 else ''}"] * bool(others)
    return [
        Finding(
            "files left out",
            PROBLEM if len(broken) > MANY_BROKEN * total else NOTICE,
            f"{' and '.join(found)} {'is' if len(listing.skipped) == 1 else 'are'} left out",
            "Runs use the others. Repair or remove these. If most are of one class, that class has fewer pictures "
            "than you think.",
            [f"{name} ({reason})" for name, reason in [*broken, *others][:NAMED]],
        )
    ]


def _sizes(known: Sequence[tuple[Picture, Header]], side: int, fit: str | None) -> list[Finding]:
    shorter = np.array([min(header.width, header.height) for _, header in known])
    longer = np.array([max(header.width, header.height) for _, header in known])
    kinds = Counter(header.kind for _, header in known)
    grey = sum(header.grey for _, header in known)
    listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    findings = [
        Finding(
            "sizes",
            FACT,
            f"shorter sides of {shorter.min():,} to {shorter.max():,} pixels (median {np.median(shorter):,.0f}), "
            f"scaled to {side}; {listed}; {grey:,} grey",
        )
    ]
    if (small := np.flatnonzero(shorter < side)).size > MANY * len(known):
        findings.append(
            Finding(
                "small pictures",
                NOTICE,
                f"{small.size:,} of {len(known):,} pictures are smaller than {side} pixels and are enlarged",
                "They are blurred and cost time without showing more. If they are mostly of one class, networks can "
                f"learn the blur. dataset.size={max(8, int(np.quantile(shorter, MANY)))} would enlarge one in ten.",
                [known[k][0].name for k in small[:NAMED]],
            )
        )
    if fit == CROP and (cut := np.flatnonzero(longer > LONG * shorter)).size > MANY * len(known):
        findings.append(
            Finding(
                "cut pictures",
                NOTICE,
                f"{cut.size:,} of {len(known):,} pictures lose more than a third of their length, because "
                "dataset.fit=crop makes them square",
                "What is to be recognised may be cut off. dataset.fit=squash keeps all of it.",
                [known[k][0].name for k in cut[:NAMED]],
            )
        )
    return findings


def _telling(known: Sequence[tuple[Picture, Header]], classes: Sequence[str], side: int) -> list[Finding]:
    """Return a finding for each property of files that tells one class from another."""
    labels = np.array([picture.label for picture, _ in known])
    counts = np.bincount(labels, minlength=len(classes))
    kinds = sorted({header.kind for _, header in known})
    properties: list[tuple[str, Callable[[Header], bool]]] = [
        ("grey", lambda header: header.grey),
        (f"smaller than {side} pixels", lambda header: min(header.width, header.height) < side),
        *((f"{kind} files", lambda header, kind=kind: header.kind == kind) for kind in kinds),
    ]
    findings = []
    for what, has in properties:
        shares = np.bincount(labels, [has(header) for _, header in known], len(classes)) / np.maximum(counts, 1)
        large = np.flatnonzero(counts >= EACH)
        if not large.size:
            break
        most, least = large[shares[large].argmax()], large[shares[large].argmin()]
        if shares[most] >= MOSTLY and shares[least] <= HARDLY:
            findings.append(
                Finding(
                    "telling files",
                    PROBLEM,
                    f"{100 * shares[most]:.0f} % of {classes[most]}, but {100 * shares[least]:.0f} % of "
                    f"{classes[least]} are {what}",
                    "Networks can tell these classes by how the files were made instead of by what they show, and "
                    "accuracies would not hold for other pictures.",
                )
            )
    return findings
