"""The report of a study or selection: from stored runs to a decision, as one HTML file and as Markdown. No torch."""

from pathlib import Path

from mixbench import plot, store, table
from mixbench.advice import recommend
from mixbench.comparison import compare
from mixbench.report.content import sections
from mixbench.report.render import html, markdown
from mixbench.selection import Selection

__all__ = ["advice", "write"]


def advice(selection: Selection) -> list[str]:
    """The recommendation for each setting, a line each, for the terminal; first where precisions differ."""
    settings = [f"{setting.name}: {recommend(setting)}" for setting in compare(selection)]
    return [*table.precisions(selection.frame), *settings]


def write(selection: Selection) -> list[Path]:
    """Write report.html, report.md and the plots that they show into the selection's folder; returns their paths.

    It must hold at least one run.
    """
    plots = plot.write(selection)
    found = sections(selection, [path.stem for path in plots if path.suffix == ".svg"])
    texts = {
        "report.html": html(selection.title, found, selection.out),
        "report.md": markdown(selection.title, found),
    }
    for name, text in texts.items():
        store.write_text(selection.out / name, text)
    return [*(selection.out / name for name in texts), *plots]
