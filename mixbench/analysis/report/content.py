"""The content of a report: first the recommendation, then the evidence, then the origin of the runs. No torch."""

from collections.abc import Sequence

from mixbench.analysis import notes, table
from mixbench.analysis.compare import Experiment, Setting
from mixbench.analysis.display import display_gain
from mixbench.analysis.recommend import p_text, recommend, signed
from mixbench.analysis.report.blocks import Picture, Points, Section, Table, Text
from mixbench.analysis.report.evaluation import calibration, classes, cost
from mixbench.analysis.report.origin import provenance
from mixbench.analysis.select import Selection
from mixbench.stats import Difference

WIDE = ("loss", "heatmap")
LOG_FROM = 8  # the axis of n is logarithmic if the largest n is at least this many times the smallest


def sections(
    selection: Selection, built: table.Table, settings: Sequence[Setting], plots: Sequence[str]
) -> list[Section]:
    """Return the sections of the report.

    selection: at least one run.
    built: the selection's table.
    settings: the selection's settings, from analysis.compare.
    plots: names of the charts that were drawn.
    """
    return [
        recommendation(selection, settings),
        _accuracy(selection, built, settings, plots),
        _gains(settings, plots),
        _equivalents(settings),
        *_losses(selection, plots),
        *classes(selection, settings),
        *calibration(selection, settings),
        cost(selection, settings),
        provenance(selection),
    ]


def recommendation(selection: Selection, settings: Sequence[Setting]) -> Section:
    """Return the recommendation for each setting, and what a gain means.

    selection: at least one run.
    settings: the selection's settings, from analysis.compare.
    """
    meaning = (
        "A gain is the mean difference in accuracy, in percentage points, between a method and no mixing on the same "
        "images and with the same seed. It is statistically significant if p < 0.05 in a paired t test, after Holm's "
        "correction for the methods of the setting. If there are several subsets, the test compares subsets. If there "
        "is only one subset, the result holds for these images and says nothing about others. The largest of several "
        "gains is likely to be somewhat smaller when it is measured again."
    )
    first = [Text(text) for text in notes.precisions(selection.frame)]
    return Section("What to use", [*first, Points([(s.name, recommend(s)) for s in settings]), Text(meaning)])


def _accuracy(selection: Selection, built: table.Table, settings: Sequence[Setting], plots: Sequence[str]) -> Section:
    headers, lines = table.grid(built)
    blocks: list = [Text(text) for text in notes.above(selection, built)]
    blocks.append(accuracy_chart(settings, plots))
    if "heatmap" in plots:
        blocks.append(
            Picture(
                "heatmap",
                "Heat map: accuracies, coloured by the gain over no mixing; the numbers are in the table below.",
                wide=True,
            )
        )
    blocks.append(Table(headers, lines, left=len(built.row_keys)))
    blocks += [Text(text) for text in notes.below(selection, built)]
    return Section("Accuracy", blocks)


def _gains(settings: Sequence[Setting], plots: Sequence[str]) -> Section:
    lines = [[s.name, m.shown_name, *_gain(m, gain)] for s in settings for m, gain in s.gains]
    title = "Gains over no mixing"
    if not lines:
        return Section(title, [Text("No method has a run on the same subset and with the same seed as a run of none.")])
    headers = ["setting", "method", "gain", "95 % interval", "pairs", "p (Holm)", "significant"]
    note = (
        "Gains are in percentage points. Each interval is for one method alone, but p is corrected for the number of "
        "methods. So an interval can exclude 0 although the gain is not significant."
    )
    return Section(title, [*gains_chart(plots), Table(headers, lines, left=2), Text(note)])


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


def _gain(method: Experiment, gain: Difference) -> list[str]:
    ends = display_gain(gain)
    interval = " to ".join(map(signed, ends)) if ends else "–"
    p = "–" if method.p_holm is None else p_text(method.p_holm)
    verdict = ("better" if gain.mean > 0 else "worse") if method.significant else "no"
    return [f"{gain.mean:+.2f}", interval, f"{gain.pairs}", p, verdict]


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
        "interpolation. Nothing is extrapolated: > and < mark numbers outside the measured n. The 95 % intervals "
        "come from a bootstrap, which draws again and again from the subsets that were trained both with the method "
        "and without mixing. With two to four subsets these intervals are too short. Methods are left out if the "
        "accuracy without mixing falls as n grows and the result would contradict the gain. If the number of "
        "training steps differs between n, part of the curve's rise comes from longer training, not from more "
        "images."
    )
    headers = ["setting", "method", "accuracy", "images without mixing", "times n", "bootstrap interval"]
    return Section(title, [Text(meaning), Table(headers, lines, left=2)])


def _losses(selection: Selection, plots: Sequence[str]) -> list[Section]:
    if "loss" not in plots:
        return []
    caption = f"Training loss and {selection.on} loss against the training step."
    return [Section("Loss curves", [Picture("loss", caption, wide=True)])]
