"""The report of a study or selection: from stored runs to a decision, as one HTML file and as Markdown. No torch."""

from pathlib import Path

from mixbench.analysis import plot, table
from mixbench.analysis.compare import compare
from mixbench.analysis.recommend import recommend
from mixbench.analysis.report.content import sections
from mixbench.analysis.report.render import html, markdown
from mixbench.analysis.select import Selection
from mixbench.core import files

__all__ = ["advice", "write"]


def advice(selection: Selection) -> list[str]:
    """The recommendation for each setting, a line each, for the terminal; first where precisions differ."""
    settings = [f"{setting.name}: {recommend(setting)}" for setting in compare(selection)]
    return [*table.precisions(selection.frame), *settings]


def write(selection: Selection) -> list[Path]:
    """Write report.html, report.md and the plots that they show into the selection's folder; returns their paths.

    It must hold at least one run.
    """
    files.check_writable(selection.out, "out")
    plots = plot.draw(selection)
    pictures = {path.stem: content.decode() for path, content in plots.items() if path.suffix == ".svg"}
    found = sections(selection, list(pictures))
    texts = {
        selection.out / "report.html": html(selection.title, found, pictures),
        selection.out / "report.md": markdown(selection.title, found),
    }
    return files.write_all(texts | plots, without=plot.outdated(selection, plots))
