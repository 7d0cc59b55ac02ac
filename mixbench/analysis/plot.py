"""Plots of stored runs as PNG and SVG files. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl

from mixbench.analysis.charts.accuracy import accuracy, numbers
from mixbench.analysis.charts.gains import gains
from mixbench.analysis.charts.heatmap import heatmap
from mixbench.analysis.charts.losses import loss_curves
from mixbench.analysis.charts.style import STYLE, paths, rendered
from mixbench.analysis.compare import Setting, compare
from mixbench.analysis.select import Selection
from mixbench.analysis.table import Table, build
from mixbench.analysis.test_sets import Seen, on_test_sets
from mixbench.core import files

SMALL = 10_000  # the small-data report has a separate figure for n up to this number
FIGURES = ("accuracy", "accuracy-log", f"accuracy-to-{SMALL}", "gains", "test-sets", "heatmap", "loss")


def write(selection: Selection) -> list[Path]:
    """Draw all plots of a selection into its folder.

    selection: at least one run.
    Returns the paths of the files. Raises CannotWrite.
    """
    files.check_writable(selection.out, "out")
    settings = compare(selection.frame, selection.rule, equivalents=False)  # no chart shows them
    drawn = draw(selection, build(selection), settings, on_test_sets(settings, selection.frame))
    return files.write_all(drawn, without=outdated(selection, drawn))


def outdated(selection: Selection, drawn: Mapping[Path, bytes]) -> list[Path]:
    """Return the old plots in the selection's folder that were not drawn again. They belong to another selection.

    selection: the selection that was drawn.
    drawn: path -> content of the new plots.
    """
    return [path for name in FIGURES for path in paths(selection.out / name) if path not in drawn]


def draw(
    selection: Selection,
    table: Table,
    settings: Sequence[Setting],
    shifted: Sequence[tuple[Setting, Sequence[Seen]]] = (),
) -> dict[Path, bytes]:
    """Draw all plots that make sense for a selection. Nothing is written.

    selection: at least one run.
    table: the selection's table.
    settings: the selection's settings, from analysis.compare.
    shifted: what was found on further test sets, from analysis.test_sets.
    Returns path -> content of the file.
    """
    with mpl.rc_context(STYLE):
        figures = {"accuracy": accuracy(selection, table)}
        values = numbers(table)
        if values and min(values) > 0 and len(values) > 1:
            figures["accuracy-log"] = accuracy(selection, table, log=True)
        if values and selection.rows == "n" and len([n for n in values if n <= SMALL]) > 1 and max(values) > SMALL:
            figures[f"accuracy-to-{SMALL}"] = accuracy(selection, table, limit=SMALL)
        figures |= {
            "gains": gains(settings, selection.title),
            "test-sets": gains(
                [s for one, of_one in shifted for s in (_on(one, selection.on), *(seen.setting for seen in of_one))],
                f"{selection.title}: other test sets" if shifted else "",
            ),
            "heatmap": heatmap(selection, table, settings),
            "loss": loss_curves(selection, table),
        }
        made = [rendered(figure, selection.out / name) for name, figure in figures.items() if figure is not None]
    return {path: content for of_figure in made for path, content in of_figure.items()}


def _on(setting: Setting, images: str) -> Setting:
    """Return a setting whose name says on which images it is evaluated."""
    return replace(setting, name=f"{setting.name}, {images} images")
