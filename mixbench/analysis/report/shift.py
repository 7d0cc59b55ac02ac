"""The section on further test sets: how far accuracies fall there, and which gains hold. No torch."""

from collections.abc import Sequence

from mixbench.analysis.display import gain_texts
from mixbench.analysis.report.blocks import Picture, Points, Section, Table, Text
from mixbench.analysis.select import Selection
from mixbench.analysis.setting import Experiment, Setting
from mixbench.analysis.test_sets import Seen
from mixbench.analysis.wording import signed

TITLE = "Other test sets"
MEANING = (
    "The same networks, evaluated after their last step on test sets of their own, such as pictures of another camera "
    "or site. Nothing was chosen by these accuracies. A gain is the difference to no mixing on the same test set, in "
    "percentage points; the intervals of one test set hold together, but not those of several. The change is the "
    "accuracy there minus that on the {on} images."
)


def other_test_sets(
    selection: Selection, shifted: Sequence[tuple[Setting, Sequence[Seen]]], plots: Sequence[str]
) -> list[Section]:
    """Return the section in a list, which is empty if no run was evaluated on a further test set.

    selection: at least one run.
    shifted: from analysis.test_sets.
    plots: names of the charts that were drawn.
    """
    if not shifted:
        return []
    points = [(f"{setting.name}, {seen.name}", _summary(selection, seen)) for setting, of in shifted for seen in of]
    chart = Picture("test-sets", "Gain over no mixing on each test set with its 95 % interval; see the table below.")
    lines = []
    for setting, of_setting in shifted:
        lines += [[setting.name, f"{selection.on} images", *_line(one, None)] for one in setting.experiments]
        for seen in of_setting:
            changes = seen.changes
            lines += [[setting.name, seen.name, *_line(one, changes[one.name])] for one in seen.setting.experiments]
    headers = ["setting", "test set", "method", "accuracy", "change", "gain", "95 % interval", "p"]
    return [
        Section(
            TITLE,
            [
                Points(points),
                *[chart] * ("test-sets" in plots),
                Table(headers, lines, left=3),
                Text(MEANING.format(on=selection.on)),
                *_without(shifted),
            ],
        )
    ]


def _summary(selection: Selection, seen: Seen) -> str:
    """Return one sentence on a test set: how hard it is without mixing, and the largest gain there."""
    number = f"{seen.images:,} images. " if seen.images else ""
    baseline, best = seen.setting.baseline, seen.setting.best
    if baseline is None:
        return f"{number}No run without mixing was evaluated on it."
    change = seen.changes[baseline.name]
    where = "above" if change >= 0 else "below"
    accuracy, images = f"{baseline.summary.mean:.1f} %", f"the {selection.on} images"
    text = f"{number}Without mixing {accuracy}, {abs(change):.1f} points {where} {images}."
    if best is None or best.gain is None:
        return text
    if best.gain.mean <= 0:
        return f"{text} No method is better there in the mean."
    known = best.gain.interval is not None
    verdict = " (significant)" if best.significant else " (not significant)" if known else ""
    return f"{text} Largest gain: {best.shown_name}, {signed(best.gain.mean)} points{verdict}."


def _line(one: Experiment, change: float | None) -> list[str]:
    gain = ["–", "–", "–"] if one.gain is None else gain_texts(one.gain)
    return [one.shown_name, f"{one.summary.mean:.2f}", "–" if change is None else f"{change:+.2f}", *gain]


def _without(shifted: Sequence[tuple[Setting, Sequence[Seen]]]) -> list[Text]:
    """Return a line if some runs have not seen a test set."""
    lacking: dict[str, int] = {}
    for _, of_setting in shifted:
        for seen in of_setting:
            if seen.without:
                lacking[seen.name] = lacking.get(seen.name, 0) + seen.without
    named = ", ".join(f"{name} ({count:,} runs)" for name, count in lacking.items())
    note = "Some runs are left out, because a test set was added or changed after them"
    return [Text(f"{note}: {named}. The same command with force=true trains them again.")] if lacking else []
