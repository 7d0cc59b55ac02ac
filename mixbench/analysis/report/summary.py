"""The page of a study's published records: what to use, one or two pictures, and one table. No torch."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from mixbench.analysis import notes, plot, table
from mixbench.analysis.display import gain_texts
from mixbench.analysis.report.blocks import Picture, Section, Table, Text
from mixbench.analysis.report.content import accuracy_chart, gains_chart, recommendation
from mixbench.analysis.report.render import markdown
from mixbench.analysis.select import Selection
from mixbench.analysis.setting import Setting
from mixbench.core import files, memory
from mixbench.core.errors import UserError
from mixbench.runs.store import reading
from mixbench.runs.store.predictions import CORRECT
from mixbench.stats import Summary
from mixbench.training import rules

PAGE, NOTES = "README.md", "notes.md"


def write(selection: Selection, settings: Sequence[Setting]) -> list[Path]:
    """Write README.md and its pictures into the folder of a study's records.

    selection: the records of a study, at least one run. A notes.md in their folder becomes part of the page.
    settings: the selection's settings, from analysis.compare.
    Returns the paths of the files. Raises UserError if notes.md cannot be read, and CannotWrite.
    """
    folder = selection.source.parent
    drawn = plot.draw(selection, table.build(selection), settings)
    there = {path.stem: content for path, content in drawn.items() if path.suffix == ".png"}
    charts = [accuracy_chart(settings, list(there)), *gains_chart(list(there))]
    text = markdown(selection.title, _sections(selection, settings, charts))
    pictures = {folder / f"{chart.name}.png": there[chart.name] for chart in charts}
    old = [folder / f"{name}.png" for name in plot.FIGURES]
    page = {folder / PAGE: "\n\n".join([text.rstrip(), *_notes(folder), *_runs(selection)]) + "\n"}
    return files.write_all(page | pictures, without=[path for path in old if path not in pictures])


def _sections(selection: Selection, settings: Sequence[Setting], charts: Sequence[Picture]) -> list[Section]:
    first, *others = charts
    what_to_use = recommendation(selection, settings)
    counts = {experiment.summary.count for setting in settings for experiment in setting.experiments}
    alike = len(counts) == 1
    of_runs = f"over {min(counts)} runs each" if alike else "(number of runs)"
    meaning = (
        f"Accuracy in percent: mean ± standard deviation {of_runs}; "
        f"{rules.rule(selection.rule, selection.on).meaning}. The gain over no mixing is in percentage points, with "
        "its 95 % interval; the intervals of a setting hold together, and p is adjusted for its methods."
    )
    blocks = [Text(meaning), *others, _table(settings, with_counts=not alike)]
    blocks += [Text(text) for text in (*notes.circumstances(selection), *notes.caveats(selection))]
    return [Section(what_to_use.title, [first, *what_to_use.blocks]), Section("Accuracy and gain", blocks)]


def _table(settings: Sequence[Setting], with_counts: bool) -> Table:
    """Return a table with a line for each setting and method, narrow enough for a terminal."""
    by_n = all(setting.name == f"n = {setting.n:,}" for setting in settings)
    lines = [
        [
            f"{setting.n:,}" if by_n else setting.name,
            e.shown_name,
            _accuracy(e.summary, with_counts),
            *(gain_texts(e.gain) if e.gain else [""] * 3),
        ]
        for setting in settings
        for e in setting.experiments
    ]
    return Table(["n" if by_n else "setting", "method", "accuracy", "gain", "interval", "p"], lines, left=2)


def _accuracy(summary: Summary, with_counts: bool) -> str:
    spread = "" if summary.sd is None else f" ± {summary.sd:.2f}"
    return f"{summary.mean:.2f}{spread}{f' ({summary.count})' if with_counts else ''}"


def _notes(folder: Path) -> list[str]:
    """Return the text of notes.md under a heading, if there is any."""
    try:
        text = files.read_text(folder / NOTES)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{folder / NOTES}: cannot be read ({reason}); correct it, or move it away") from error
    return ["## Notes", text.strip()] if text.strip() else []


def _runs(selection: Selection) -> list[str]:
    """Return Markdown on the content of the archive and how to use it."""
    places = selection.frame["folder"].tolist()
    with_images = sum(reading.has(place, CORRECT) for place in places)
    recognised = {
        0: "The archive does not show which images a run classifies correctly, because the logits were not kept.",
        len(places): "`correct.json` of each run shows which evaluation images it classifies correctly.",
    }
    some = f"`correct.json` of {with_images:,} of these runs shows which evaluation images they classify correctly."
    chosen = selection.study
    words = shlex.join([chosen.settings.name, *chosen.changes] if chosen else [])
    size, source = memory.size(selection.source.stat().st_size), selection.source
    return [
        "## The runs",
        f"[{source.name}]({source.name}) ({size}) has {notes.count(selection.frame)} with settings, provenance, "
        f"history, metrics and checksums. They were made on {notes.made_on(selection.frame)}. "
        + recognised.get(with_images, some),
        "\n".join(
            [
                f"    mixbench report {words}    # all tables and plots; of your own runs if you have any",
                f"    mixbench study {words}     # train these runs yourself",
            ]
        ),
        f"`scripts/record {words}` wrote this page from the runs, `scripts/record --page {words}` writes it again from "
        f"{source.name}. Only `{NOTES}` is written by hand.",
    ]
