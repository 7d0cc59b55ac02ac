"""What a report says: the recommendation first, then the evidence, then where it comes from. No torch."""

from collections.abc import Sequence

from mixbench.analysis import table
from mixbench.analysis.compare import Experiment, Setting
from mixbench.analysis.display import display_gain
from mixbench.analysis.recommend import p_text, points, recommend
from mixbench.analysis.report.blocks import Picture, Points, Section, Table, Text
from mixbench.analysis.report.evaluation import calibration, classes, cost
from mixbench.analysis.report.origin import provenance
from mixbench.analysis.select import Selection
from mixbench.stats import Difference

WIDE = ("loss", "heatmap")
LOG_FROM = 8  # a range of n this many times its smallest reads better on a logarithmic axis


def sections(
    selection: Selection, built: table.Table, settings: Sequence[Setting], plots: Sequence[str]
) -> list[Section]:
    """The report of a selection with at least one run.

    built: its table.
    settings: its runs compared, from analysis.compare.
    plots: the names of the charts that were drawn of it.
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
    """What to use in each setting, and what a gain means."""
    meaning = (
        "A gain is the mean of the differences to the run without mixing on the same images and seed, in points of "
        "percent. It counts as shown where p < 0.05 in a paired t test, after Holm's correction over the methods of "
        "its setting. Where runs are of several subsets, the subsets are the units; with one subset nothing is said "
        "about other images than these. The largest of several gains is likely to be somewhat smaller when measured "
        "anew."
    )
    first = [Text(text) for text in table.precisions(selection.frame)]
    return Section("What to use", [*first, Points([(s.name, recommend(s)) for s in settings]), Text(meaning)])


def _accuracy(selection: Selection, built: table.Table, settings: Sequence[Setting], plots: Sequence[str]) -> Section:
    headers, lines = table.grid(built)
    blocks: list = [Text(text) for text in table.preamble(selection, built)]
    blocks.append(accuracy_chart(settings, plots))
    if "heatmap" in plots:
        blocks.append(
            Picture(
                "heatmap",
                "Heat map: accuracies, shaded by the gain over none; the numbers are in the table below.",
                wide=True,
            )
        )
    blocks.append(Table(headers, lines, left=len(built.row_keys)))
    blocks += [Text(text) for text in table.notes(selection, built)]
    return Section("Accuracy", blocks)


def _gains(settings: Sequence[Setting], plots: Sequence[str]) -> Section:
    lines = [[s.name, m.name, *_gain(m, gain)] for s in settings for m, gain in s.gains]
    if not lines:
        return Section("Gains over none", [Text("No method has a run on the same subset and seed as a run of none.")])
    headers = ["setting", "method", "gain", "95 % interval", "pairs", "p (Holm)", "shown"]
    note = "Intervals are of each method by itself; p is corrected for the number of methods, so the two may differ."
    return Section("Gains over none", [*gains_chart(plots), Table(headers, lines, left=2), Text(note)])


def accuracy_chart(settings: Sequence[Setting], plots: Sequence[str]) -> Picture:
    """The chart of accuracies that fits the range of n. plots: the names of those that were drawn."""
    ns = sorted({setting.n for setting in settings})
    chart = "accuracy-log" if "accuracy-log" in plots and ns[-1] >= LOG_FROM * ns[0] else "accuracy"
    return Picture(chart, "Accuracy with 95 % intervals; the numbers are in the table below.")


def gains_chart(plots: Sequence[str]) -> list[Picture]:
    """The chart of gains, where it was drawn."""
    text = "Every method's gain over none with its interval; the numbers are in the table below."
    return [Picture("gains", text)] if "gains" in plots else []


def _gain(method: Experiment, gain: Difference) -> list[str]:
    ends = display_gain(gain)
    interval = " to ".join(map(points, ends)) if ends else "–"
    p = "–" if method.p_holm is None else p_text(method.p_holm)
    verdict = ("better" if gain.mean > 0 else "worse") if method.significant else "no"
    return [f"{gain.mean:+.2f}", interval, f"{gain.pairs}", p, verdict]


def _equivalents(settings: Sequence[Setting]) -> Section:
    title = "Equivalent data"
    found = [(s, m, m.equivalent) for s in settings for m in s.methods if m.equivalent]
    if not found:
        return Section(title, [Text("This needs runs of none at two n at least.")])
    lines = []
    for setting, method, worth in found:
        interval = " to ".join(worth.text(end) for end in worth.interval) if worth.interval else "–"
        accuracy, images = f"{method.summary.mean:.2f}", worth.text(worth.images)
        times = f"{worth.images / setting.n:.1f}" if worth.smallest <= worth.images <= worth.largest else "–"
        lines.append([setting.name, method.name, accuracy, images, times, interval])
    meaning = (
        "How many images training without mixing would need for the accuracy that a method has: read off the "
        "baseline's own accuracies against log n (monotone piecewise cubic interpolation). Nothing is extrapolated: > "
        "and < say that it lies beyond the n that were measured. Intervals are by the bootstrap over the subsets that "
        "both have, which for two to four subsets makes them too short. A dash stands where the baseline's accuracy "
        "falls with n, so that its curve says nothing. Where the protocol gives each n its own number of steps, so "
        "does the curve."
    )
    headers = ["setting", "method", "accuracy", "images of none", "times n", "bootstrap interval"]
    return Section(title, [Text(meaning), Table(headers, lines, left=2)])


def _losses(selection: Selection, plots: Sequence[str]) -> list[Section]:
    if "loss" not in plots:
        return []
    caption = f"Training loss and {selection.on} loss against the step."
    return [Section("Loss curves", [Picture("loss", caption, wide=True)])]
