"""Markdown in which users' text, such as class names and study titles, appears literally. No torch."""

import re
from collections.abc import Collection, Sequence

from tabulate import tabulate

from mixbench.core.errors import printable

# Characters with a special meaning (CommonMark 0.31; tables, strikethrough and formulas on GitHub), only in positions
# where they have it: "[57.0, 67.0]", "p < 0.05" and "train_loss" need no escaping.
SPECIAL = re.compile(
    r"""\\(?=[!-/:-@\[-`{-~]|$)  # a backslash before punctuation, which would escape it
      | [`*|$~]                # code, emphasis, the end of a table cell, a formula, strikethrough
      | (?<![^\W_])_ | _(?![^\W_])  # emphasis begins or ends at the edge of a word
      | \](?=[(\[:])           # a link, or the definition of one
      | <(?=[A-Za-z/!?])       # HTML
      | &(?=\#?\w+;)           # an HTML entity
    """,
    re.VERBOSE,
)
# Special at the start of a paragraph: a heading, a quotation, a list, a horizontal rule.
SPECIAL_AT_START = re.compile(r"^(?:[#>=+-]|\d+(?=[.)](?:\s|$)))")


def escaped(text: str) -> str:
    """Escape a part of a line, such as a table cell, so that Markdown and HTML show it literally.

    text: any text. Line breaks become spaces.
    """
    return SPECIAL.sub(r"\\\g<0>", printable(" ".join(text.split())))


def paragraph(text: str) -> str:
    """Return a text as a paragraph on one line, shown literally.

    text: any text. Line breaks become spaces.
    """
    return SPECIAL_AT_START.sub(lambda found: _escaped_start(found.group()), escaped(text))


def _escaped_start(start: str) -> str:
    return f"{start}\\" if start.isdigit() else f"\\{start}"  # 1\. and \#


def heading(level: int, text: str) -> str:
    """Return a text as a heading, shown literally.

    level: 1 (the largest) to 6.
    text: any text. Line breaks become spaces.
    """
    text = re.sub(r"#$", r"\\#", escaped(text))  # "# a #" would be the heading "a"
    return f"{'#' * level} {text}"


def table(
    headers: Sequence[str],
    lines: Sequence[Sequence[str]],
    align: Sequence[str] | None = None,
    bold: Collection[tuple[int, int]] = (),
) -> str:
    """Return a GitHub table.

    headers: one text for each column.
    lines: the rows, one text for each column.
    align: `left` or `right` for each column; None: all right.
    bold: cells in bold, as (line, column), counted from 0.
    """
    align = align or ["right"] * len(headers)
    texts = [[escaped(text) for text in line] for line in (headers, *lines)]
    for line, column in bold:
        texts[line + 1][column] = f"**{texts[line + 1][column]}**"
    return tabulate(texts[1:], texts[0], tablefmt="github", disable_numparse=True, colalign=align)
