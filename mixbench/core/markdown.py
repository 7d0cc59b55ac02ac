"""Users' text in Markdown, such as names of classes and titles of studies: shown as it is, never obeyed. No torch."""

import re
from collections.abc import Sequence

from tabulate import tabulate

from mixbench.core.errors import printable

# What would begin something (CommonMark 0.31, GitHub's tables, strikethrough and formulas), and only where it would:
# "[57.0, 67.0]", "p < 0.05" and "train_loss" stay as they are.
OBEYED = re.compile(
    r"""\\(?=[!-/:-@\[-`{-~]|$)  # a backslash before punctuation, which it would hide
      | [`*|$~]                # code, emphasis, the end of a table's cell, a formula, strikethrough
      | (?<![^\W_])_ | _(?![^\W_])  # emphasis begins or ends at the edge of a word
      | \](?=[(\[:])           # a link, or the definition of one
      | <(?=[A-Za-z/!?])       # HTML
      | &(?=\#?\w+;)           # the name of a letter
    """,
    re.VERBOSE,
)
# At the beginning of a paragraph: a heading, a quotation, a list, a rule.
FIRST = re.compile(r"^(?:[#>=+-]|\d+(?=[.)](?:\s|$)))")


def escaped(text: str) -> str:
    """A part of a line, such as a table's cell: with backslashes where Markdown or HTML would make something of it."""
    return OBEYED.sub(r"\\\g<0>", printable(" ".join(text.split())))


def paragraph(text: str) -> str:
    """A text that stands for itself, on one line."""
    return FIRST.sub(lambda found: _apart(found.group()), escaped(text))


def _apart(start: str) -> str:
    return f"{start}\\" if start.isdigit() else f"\\{start}"  # 1\. and \#


def heading(level: int, text: str) -> str:
    text = re.sub(r"#$", r"\\#", escaped(text))  # "# a #" would be the heading "a"
    return f"{'#' * level} {text}"


def table(headers: Sequence[str], lines: Sequence[Sequence[str]], align: Sequence[str] | None = None) -> str:
    """A table of GitHub's kind; align: left or right for each column, else all right."""
    align = align or ["right"] * len(headers)
    texts = [[escaped(text) for text in line] for line in (headers, *lines)]
    return tabulate(texts[1:], texts[0], tablefmt="github", disable_numparse=True, colalign=align)
