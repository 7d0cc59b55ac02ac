"""The section on the user's own data: what an audit has found, with thumbnails of duplicates. No torch."""

from collections.abc import Sequence

from mixbench.analysis.report.blocks import Folded, Points, Section, Text, Thumbnails
from mixbench.analysis.select import Selection
from mixbench.data.audit.findings import Audit
from mixbench.runs import audits
from mixbench.runs.store import reading
from mixbench.runs.store.reading import Place


def own_pictures(selection: Selection) -> list[Section]:
    """Return a section for each data set whose audit is stored beside the user's own runs.

    Published records have none, because a page of them may be shown to everybody.

    selection: at least one run.
    """
    if selection.source.is_file():
        return []
    found: dict[tuple[str, str], tuple[Audit, bool]] = {}
    first = selection.frame.drop_duplicates(["dataset", "eval"])
    for name, kind, place in zip(first["dataset"], first["eval"], first["folder"], strict=True):
        stored = audits.read(selection.own_runs.parent, name).get(kind)
        if stored is not None:
            found[name, kind] = stored.audit, _train_sha256(place) == stored.train_sha256
    several = len(found) > 1
    return [
        Section(f"Your pictures: {name}, eval={kind}" if several else "Your pictures", _blocks(name, made, current))
        for (name, kind), (made, current) in found.items()
    ]


def _blocks(name: str, made: Audit, current: bool) -> Sequence[Text | Folded]:
    if not current:
        return [
            Text(f"The audit of {name} that is stored is of other pictures than these runs; mixbench audit repeats it.")
        ]
    count = len(made.problems)
    summary = (
        "No problem was found" if not count else f"{count} problem{'s change' if count > 1 else ' changes'} results"
    )
    first = Text(f"{summary}." if not count else f"{summary}: {'; '.join(one.found for one in made.problems)}.")
    points = [(f"{one.severity}: {one.kind}", _text(one.found, one.meaning, one.names)) for one in made.findings]
    blocks: list[Text | Folded] = [first, Folded("What was found in your data, and what it means", [Points(points)])]
    if made.pairs:
        pairs = [
            (
                f"{'Equal' if pair.exact else 'Nearly equal'}: "
                + " = ".join(f"{one} ({place})" for one, place in zip(pair.names, pair.places, strict=True)),
                list(zip(pair.thumbnails, pair.names, strict=True)),
            )
            for pair in made.pairs
        ]
        blocks.append(Folded(f"Duplicates to look at ({len(pairs)})", [Thumbnails(pairs)]))
    return blocks


def _text(found: str, meaning: str, names: Sequence[str]) -> str:
    sentence = f"{found[:1].upper()}{found[1:]}."
    return " ".join(filter(None, [sentence, meaning, f"Such as {', '.join(names)}." if names else ""]))


def _train_sha256(place: Place) -> str | None:
    try:
        return reading.read_json(place, "provenance.json").get("train_sha256")
    except (OSError, ValueError):
        return None
