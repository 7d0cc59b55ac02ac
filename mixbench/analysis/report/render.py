"""Renders a report as one self-contained HTML file, and as Markdown with pictures in separate files. No torch."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment

from mixbench.analysis.charts.style import COLOURS, FAINT, INK, SPARE_COLOURS
from mixbench.analysis.report.blocks import Block, Folded, Picture, Points, Section, Text, Thumbnails, Verdict
from mixbench.core import markdown as md

WIDE = 500  # points; wider pictures scroll on a narrow screen
LIGHTER = 0.55  # on a dark page, dark colours are moved by this share towards white


def html(title: str, sections: Sequence[Section], pictures: Mapping[str, str]) -> str:
    """Return the report as one HTML file that needs no other file.

    title: title of the page.
    sections: content of the page.
    pictures: name -> SVG of each picture.
    """
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {
        "kind": lambda block: type(block).__name__,
        "picture": lambda block: _inline(pictures[block.name], block),
        "wide": lambda block: _is_wide(pictures[block.name], block),
        "anchor": lambda words: re.sub(r"\W+", "-", words.lower()),
        "data": _as_json,
        "base64": lambda content: base64.b64encode(content).decode(),
    }
    template = environment.from_string(_text("report.html"))
    colours = sorted({colour.upper() for colour in (*COLOURS.values(), *SPARE_COLOURS)} - {INK})
    return template.render(
        title=title,
        sections=sections,
        colours=[(_variable(c), c, _lighter(c)) for c in colours],
        style=_text("report.css"),
        script=_text("report.js"),
    )


def _text(name: str) -> str:
    return files("mixbench.analysis.report").joinpath(name).read_text(encoding="utf-8")


def _as_json(live: Mapping[str, Any]) -> str:
    """Return the data of an interactive chart for use inside a page, with the colours of the page."""
    themed = [series | {"colour": _themed(series["colour"])} for series in live["series"]]
    text = json.dumps({**live, "series": themed}, separators=(",", ":"))
    return text.replace("<", "\\u003c")  # a name could hold the end of a script


def markdown(title: str, sections: Sequence[Section]) -> str:
    """Return the report as Markdown, which shows the PNG files of its pictures.

    title: the heading of the report.
    sections: the sections in order.
    """
    parts = [md.heading(1, title)]
    for section in sections:
        parts.append(md.heading(2, section.title))
        parts += [_as_markdown(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _as_markdown(block: Block) -> str:
    if isinstance(block, Text):
        return md.paragraph(block.text)
    if isinstance(block, Verdict):
        notes = "".join(f" {md.escaped(note)}" for note in block.notes)
        head = f"{md.escaped(block.setting)}: **{md.escaped(block.word)}**, {md.escaped(block.line)}."
        return f"- {head}{notes}\n  - {md.paragraph(block.evidence)}"
    if isinstance(block, Points):
        return "\n".join(f"- **{md.escaped(term)}**: {md.escaped(text)}" for term, text in block.points)
    if isinstance(block, Picture):
        return f"![{block.alternative}]({block.name}.png)"
    if isinstance(block, Thumbnails):
        return "\n".join(f"- {md.escaped(text)}" for text, _ in block.pairs)
    if isinstance(block, Folded):
        return "\n\n".join([md.heading(3, block.summary), *map(_as_markdown, block.blocks)])
    align = ["left" if i < block.left else "right" for i in range(len(block.headers))]
    return md.table(block.headers, block.lines, align, block.bold)


def _inline(svg: str, block: Picture) -> str:
    """Return an SVG from matplotlib for use inside a page: with unique ids, and with the colours of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{block.name}-', svg)  # ids must be unique in a page with several pictures
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{block.name}-", svg)
    width, height = _size(svg)
    size = f'width="{width:.0f}pt" height="{height:.0f}pt"' if _is_wide(svg, block) else ""
    svg = re.sub(r"fill: #ffffff", "fill: none", svg, count=1)  # background of the figure; axes have none
    head = f'<svg role="img" aria-label="{block.alternative}" {size} style="max-width: {width:.0f}pt"'
    svg = re.sub(r'<svg\b([^>]*?) width="[^"]*"', r"<svg\1", svg, count=1)
    svg = re.sub(r'<svg\b([^>]*?) height="[^"]*"', r"<svg\1", svg, count=1).replace("<svg", head, 1)
    return re.sub(r"#[0-9a-fA-F]{6}\b", lambda match: _themed(match.group()), svg)


def _size(svg: str) -> tuple[float, float]:
    """Return width and height of an SVG in points."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("an SVG without a viewBox has no size")
    width, height = box.groups()
    return float(width), float(height)


def _is_wide(svg: str, block: Picture) -> bool:
    """Whether a picture scrolls on a narrow screen, because its text would become too small to read."""
    return block.wide or _size(svg)[0] > WIDE


def _themed(colour: str) -> str:
    if colour.upper() == INK:
        return "var(--ink)"
    if colour.upper() == FAINT:
        return "var(--faint)"
    known = {c.upper() for c in (*COLOURS.values(), *SPARE_COLOURS)}
    return f"var(--{_variable(colour)})" if colour.upper() in known else colour


def _variable(colour: str) -> str:
    return f"c{colour.lstrip('#').lower()}"


def _lighter(colour: str) -> str:
    """Return a colour for a dark page: dark colours become lighter, light ones stay."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    red, green, blue = channels
    if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 130:
        return colour
    return "#" + "".join(f"{round(c + LIGHTER * (255 - c)):02X}" for c in channels)
