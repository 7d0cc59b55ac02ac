"""The content of a report: first the recommendation, then the evidence, then the origin of the runs. No torch."""

from collections.abc import Sequence
from dataclasses import replace

from mixbench.analysis import notes, table
from mixbench.analysis.display import gain_texts
from mixbench.analysis.recommend import recommend
from mixbench.analysis.report.across import across
from mixbench.analysis.report.blocks import Picture, Points, Section, Table, Text
from mixbench.analysis.report.evaluation import calibration, classes, cost
from mixbench.analysis.report.live import LOG_FROM, live_chart
from mixbench.analysis.report.origin import provenance
from mixbench.analysis.report.own_pictures import own_pictures
from mixbench.analysis.report.shift import other_test_sets
from mixbench.analysis.report.verdicts import meaning, verdicts
from mixbench.analysis.select import Selection
from mixbench.analysis.setting import Setting
from mixbench.analysis.test_sets import Seen
from mixbench.stats import Gain

WIDE = ("loss", "heatmap")
OF_RACES = (
    "Settings that mixbench decide raced have no p: their intervals hold after every round. Methods that left a race "
    "have fewer subsets than the others, so compare gains rather than mean accuracies. Their expected gain is the "
    "measured one, which is rather too large: a race stops when a gain looks large."
)


def sections(
    selection: Selection,
    built: table.Table,
    settings: Sequence[Setting],
    plots: Sequence[str],
    command: str = "",
    shifted: Sequence[tuple[Setting, Sequence[Seen]]] = (),
) -> list[Section]:
    """Return the sections of the report.

    selection: at least one run.
    built: the selection's table.
    settings: the selection's settings, from analysis.compare.
    plots: names of the charts that were drawn.
    command: the command that makes the report; empty if it was made from Python.
    shifted: what was found on further test sets, from analysis.test_sets.
    """
    return [
        verdicts(selection, settings, command),
        _accuracy(selection, built, settings, plots),
        _gains(settings, plots),
        *other_test_sets(selection, shifted, plots),
        _equivalents(settings),
        *across(settings),
        *_losses(selection, plots),
        *classes(selection, settings),
        *calibration(selection, settings),
        cost(selection, settings),
        *own_pictures(selection),
        provenance(selection),
    ]


def recommendation(selection: Selection, settings: Sequence[Setting]) -> Section:
    """Return the recommendation for each setting with its evidence, and what a gain means.

    selection: at least one run.
    settings: the selection's settings, from analysis.compare.
    """
    first = [Text(text) for text in notes.precisions(selection.frame)]
    return Section("What to use", [*first, Points([(s.name, recommend(s)) for s in settings]), Text(meaning(settings))])


def _accuracy(selection: Selection, built: table.Table, settings: Sequence[Setting], plots: Sequence[str]) -> Section:
    headers, lines = table.grid(built)
    blocks: list = [replace(accuracy_chart(settings, plots), live=live_chart(selection, built))]
    if "heatmap" in plots:
        blocks.append(
            Picture(
                "heatmap",
                "Heat map: accuracies, coloured by the gain over no mixing; the numbers are in the table below.",
                wide=True,
            )
        )
    blocks += [Text(text) for text in notes.above(selection, built)]
    bold = _bold(headers, built)
    blocks.append(Table(headers, lines, left=len(built.row_keys), bold=bold))
    if bold:
        blocks.append(
            Text("Bold: the highest mean of a setting. The gains below say whether the difference is significant.")
        )
    blocks += [Text(text) for text in notes.below(selection, built)]
    return Section("Accuracy", blocks)


def _bold(headers: Sequence[str], built: table.Table) -> list[tuple[int, int]]:
    """Return the best cells of each setting as positions in the table of texts."""
    best, width = table.best_cells(built), len(built.row_keys)
    columns = [width + k for k, header in enumerate(headers[width:]) if header != "published"]
    return [
        (line, at)
        for line, row in enumerate(built.rows)
        for at, column in zip(columns, built.columns, strict=True)
        if (row, column) in best
    ]


def _gains(settings: Sequence[Setting], plots: Sequence[str]) -> Section:
    lines = [[s.name, m.shown_name, *_gain(gain)] for s in settings for m, gain in s.gains]
    title = "Gains over no mixing"
    if not lines:
        return Section(title, [Text("No method has a run on the same subset and with the same seed as a run of none.")])
    headers = ["setting", "method", "gain", "95 % interval", "p", "expected", "may be best", "pairs"]
    note = (
        "Gains are in percentage points. The intervals of a setting hold together, and p is adjusted for all its "
        "methods. The expected gain is the one to count on when it is measured again: the gains drawn towards their "
        "mean, because the largest of several measured gains is too large."
    )
    races = [Text(OF_RACES)] if any(setting.race for setting in settings) else []
    return Section(title, [*gains_chart(plots), Table(headers, lines, left=2), Text(note), *races])


def accuracy_chart(settings: Sequence[Setting], plots: Sequence[str]) -> Picture:
    """Return the chart of accuracies that suits the range of n.

    settings: at least one setting, from analysis.compare.
    plots: names of the charts that were drawn.
    """
    ns = sorted({setting.n for setting in settings})
    chart = "accuracy-log" if "accuracy-log" in plots and ns[-1] >= LOG_FROM * ns[0] else "accuracy"
    return Picture(chart, "Accuracy with 95 % intervals; the numbers are in the table below.")


def gains_chart(plots: Sequence[str]) -> list[Picture]:
    """Return the chart of gains in a list, which is empty if the chart was not drawn.

    plots: names of the charts that were drawn.
    """
    text = "Gain of each method over no mixing with its 95 % interval; the numbers are in the table below."
    return [Picture("gains", text)] if "gains" in plots else []


def _gain(gain: Gain) -> list[str]:
    best = "–" if gain.may_be_best is None else "yes" if gain.may_be_best else "no"
    return [*gain_texts(gain), f"{gain.expected:+.2f}", best, f"{gain.pairs}"]


def _equivalents(settings: Sequence[Setting]) -> Section:
    title = "Equivalent data"
    found = [(s, m, m.equivalent) for s in settings for m in s.methods if m.equivalent]
    if not found:
        return Section(title, [Text("Equivalent data needs runs without mixing (method=none) for at least two n.")])
    lines = []
    for setting, method, equivalent in found:
        interval = " to ".join(equivalent.text(end) for end in equivalent.interval) if equivalent.interval else "–"
        accuracy, images = f"{method.summary.mean:.2f}", equivalent.text(equivalent.images)
        measured = equivalent.smallest <= equivalent.images <= equivalent.largest
        times = f"{equivalent.images / setting.n:.1f}" if measured else "–"
        lines.append([setting.name, method.shown_name, accuracy, images, times, interval])
    meaning = (
        "Equivalent data is the number of images with which training without mixing reaches the accuracy of a "
        "method. It is read from the accuracies without mixing against log n, by monotone piecewise cubic "
        "interpolation. Nothing is extrapolated: > and < mark numbers outside the measured n. An interval has all "
        "numbers of images at which the difference between the two accuracies is no larger than its error. Methods "
        "are left out if the "
        "accuracy without mixing falls as n grows and the result would contradict the gain. If the number of "
        "training steps differs between n, part of the curve's rise comes from longer training, not from more "
        "images."
    )
    headers = ["setting", "method", "accuracy", "images without mixing", "times n", "95 % interval"]
    return Section(title, [Text(meaning), Table(headers, lines, left=2)])


def _losses(selection: Selection, plots: Sequence[str]) -> list[Section]:
    if "loss" not in plots:
        return []
    caption = f"Training loss and {selection.on} loss against the training step."
    return [Section("Loss curves", [Picture("loss", caption, wide=True)])]
