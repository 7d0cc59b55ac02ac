"""The parts of a report, independent of its file format. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of terms, each with its description."""

    points: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    headers: texts of the header row.
    lines: texts of the other rows.
    left: number of columns at the left that have words and are aligned left.
    shades: for each cell its shade from 0 to 1, or None.
    """

    headers: Sequence[str]
    lines: Sequence[Sequence[str]]
    left: int = 1
    shades: Sequence[Sequence[float | None]] | None = None


@dataclass(frozen=True)
class Picture:
    """A chart.

    name: name of its SVG and PNG files without suffix.
    alternative: description for readers who cannot see it.
    wide: whether it scrolls on a narrow screen instead of shrinking. Charts that are wide themselves always scroll.
    """

    name: str
    alternative: str
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and the parts below it."""

    title: str
    blocks: Sequence[Text | Points | Table | Picture] = field(default_factory=list)
