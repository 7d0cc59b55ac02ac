"""What a report is made of, whatever it is written as. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list of points, each a term and what is said of it."""

    points: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Headers and lines of texts; `left`: how many columns are words, to be set flush left.

    shades: a number from 0 to 1 for each cell that is to be shaded, None for another; as many lines as there are.
    """

    headers: Sequence[str]
    lines: Sequence[Sequence[str]]
    left: int = 1
    shades: Sequence[Sequence[float | None]] | None = None


@dataclass(frozen=True)
class Picture:
    """A chart: the name of its SVG and PNG files without suffix, and what it shows, for those who cannot see it.

    wide: does not shrink to a narrow screen but scrolls, as every chart does that is wide itself.
    """

    name: str
    alternative: str
    wide: bool = False


@dataclass(frozen=True)
class Section:
    title: str
    blocks: Sequence[Text | Points | Table | Picture] = field(default_factory=list)
