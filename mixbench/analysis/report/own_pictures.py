"""The section on the user's own data: what an audit has found, with thumbnails of duplicates. No torch."""

from collections.abc import Sequence

from mixbench.analysis.report.blocks import Folded, Points, Section, Text, Thumbnails
from mixbench.analysis.select import Selection
from mixbench.data.audit import Audit, Finding, Pair
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


def _blocks(name: str, made: Audit, current: bool) -> Sequence[Text | Points | Folded]:
    if not current:
        return [Text(f"The stored audit of {name} is of other pictures than these runs; mixbench audit repeats it.")]
    problems = [(one.kind, _sentence(one.found)) for one in made.problems]
    blocks: list[Text | Points | Folded] = [Text("An audit of the data has found no problem.")]
    if problems:
        blocks = [Text("An audit of the data has found what changes the meaning of the results:"), Points(problems)]
    points = [(f"{one.severity}: {one.kind}", _text(one)) for one in made.findings]
    blocks.append(Folded("All that was found, and what it means", [Points(points)]))
    if made.pairs:
        pairs = [(_caption(pair), list(zip(pair.thumbnails, pair.names, strict=True))) for pair in made.pairs]
        blocks.append(Folded(f"Duplicates to look at ({len(pairs)})", [Thumbnails(pairs)]))
    return blocks


def _caption(pair: Pair) -> str:
    how = "Equal" if pair.exact else "Nearly equal"
    (one, other), (place, other_place) = pair.names, pair.places
    if place == other_place:
        return f"{how}: {one} = {other} ({place})"
    return f"{how}: {one} ({place}) = {other} ({other_place})"


def _sentence(found: str) -> str:
    return f"{found[:1].upper()}{found[1:]}."


def _text(one: Finding) -> str:
    names = f"Such as {', '.join(one.names)}." if one.names else ""
    return " ".join(filter(None, [_sentence(one.found), one.meaning, names]))


def _train_sha256(place: Place) -> str | None:
    try:
        return reading.read_json(place, "provenance.json").get("train_sha256")
    except (OSError, ValueError):
        return None
