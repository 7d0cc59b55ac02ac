"""The parts of a report, independent of its file format. No torch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of terms, each with its description."""

    points: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a setting in one line, with what a reader may ask next.

    setting: name of the setting, such as `n = 20`.
    kind: `use`, `avoid`, `nothing`, `undecided` or `unknown`; the page shows a badge for each.
    word: such as `Use mixup (label-mix)`.
    line: the number behind the word, such as `+14.0 points (+7.8 to +20.2), as good as 27 images`.
    notes: what else to know, such as what it would cost to know more.
    evidence: the verdict with all its evidence, for readers who check it.
    """

    setting: str
    kind: str
    word: str
    line: str
    notes: Sequence[str]
    evidence: str


@dataclass(frozen=True)
class Table:
    """A table of texts.

    headers: texts of the header row.
    lines: texts of the other rows.
    left: number of columns at the left that have words and are aligned left.
    shades: for each cell its shade from 0 to 1, or None.
    bold: cells in bold, as (line, column), counted from 0.
    """

    headers: Sequence[str]
    lines: Sequence[Sequence[str]]
    left: int = 1
    shades: Sequence[Sequence[float | None]] | None = None
    bold: Collection[tuple[int, int]] = ()


@dataclass(frozen=True)
class Picture:
    """A chart.

    name: name of its SVG and PNG files without suffix.
    alternative: description for readers who cannot see it.
    wide: whether it scrolls on a narrow screen instead of shrinking. Charts that are wide themselves always scroll.
    live: data of an interactive chart that the page's script draws in its place, from report.live; None: no such chart.
    """

    name: str
    alternative: str
    wide: bool = False
    live: dict[str, Any] | None = None


@dataclass(frozen=True)
class Thumbnails:
    """Pairs of small pictures of the user's own. Markdown names them without showing them.

    pairs: for each pair a line of text, and two JPEG files, each with a description.
    """

    pairs: Sequence[tuple[str, Sequence[tuple[bytes, str]]]]


@dataclass(frozen=True)
class Folded:
    """Parts that a page shows when the reader opens them. Markdown shows them below a heading.

    summary: a sentence that says what is inside.
    blocks: the parts.
    """

    summary: str
    blocks: Sequence[Text | Points | Table | Thumbnails]


Block: TypeAlias = Text | Points | Verdict | Table | Picture | Thumbnails | Folded


@dataclass(frozen=True)
class Section:
    """A heading and the parts below it."""

    title: str
    blocks: Sequence[Block] = field(default_factory=list)
