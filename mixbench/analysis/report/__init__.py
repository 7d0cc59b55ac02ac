"""The report of a study or selection: a recommendation with its evidence, as HTML and as Markdown. No torch."""

from collections.abc import Sequence
from pathlib import Path

from mixbench.analysis import notes, plot, table
from mixbench.analysis.recommend import recommend
from mixbench.analysis.report.content import sections
from mixbench.analysis.report.render import html, markdown
from mixbench.analysis.select import Selection
from mixbench.analysis.setting import Setting
from mixbench.analysis.test_sets import on_test_sets
from mixbench.core import files

__all__ = ["advice", "write"]


def advice(selection: Selection, settings: Sequence[Setting]) -> list[str]:
    """Return the lines for the terminal: one recommendation for each setting.

    If the runs were computed in different precisions, a warning comes first.

    selection: the runs.
    settings: the selection's settings, from analysis.compare.
    """
    lines = [f"{setting.name}: {recommend(setting)}" for setting in settings]
    return [*notes.precisions(selection.frame), *lines]


def write(selection: Selection, settings: Sequence[Setting], command: str = "") -> list[Path]:
    """Write report.html, report.md and the plots that they show into the selection's folder.

    selection: at least one run.
    settings: the selection's settings, from analysis.compare.
    command: the command that makes the report; empty if it was made from Python.
    Returns the paths of the files. Raises CannotWrite.
    """
    files.check_writable(selection.out, "out")
    built = table.build(selection)
    shifted = on_test_sets(settings, selection.frame)
    plots = plot.draw(selection, built, settings, shifted)
    pictures = {path.stem: content.decode() for path, content in plots.items() if path.suffix == ".svg"}
    found = sections(selection, built, settings, list(pictures), command, shifted)
    texts = {
        selection.out / "report.html": html(selection.title, found, pictures),
        selection.out / "report.md": markdown(selection.title, found),
    }
    return files.write_all(texts | plots, without=plot.outdated(selection, plots))
