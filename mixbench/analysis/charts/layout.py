"""Layout of charts in inches, so that labels, headings and legends do not overlap. No torch.

It does not use matplotlib's layout engines: they measure every label of every panel, which takes seconds, and they cut
off a legend that is wider than the figure.
"""

import textwrap
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP
from matplotlib.textpath import text_to_path

POINT = 1 / 72  # inch
LINE = 1.35  # distance between two lines of a text, as a multiple of the font size
TITLE, SMALL = 11, 9  # font sizes in points
EDGE = 0.12  # inches between the outermost text and the edge of the figure
HANDLE = 0.55  # inches for the line and marker of a legend's entry, and between its columns


@lru_cache(maxsize=10_000)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of one line of text in inches, plus 5 %, because renderers round the positions of letters.

    text: one line.
    size: font size in points.
    weight: weight of the font.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        points, *_ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size, weight=weight), False)
    return 1.05 * points * POINT


def wrapped(text: str, inches: float, size: float, lines: int = 3, weight: str = "normal") -> str:
    """Wrap a text, and shorten it if it needs too many lines.

    text: the text.
    inches: largest width of a line.
    size: font size in points.
    lines: most lines.
    weight: weight of the font.
    """
    text = " ".join(text.split()).replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")  # n = 100 stays in one line
    whole = text_width(text, size, weight)
    letters = len(text) if whole <= inches else max(1, round(1.2 * len(text) * inches / whole))
    while True:
        found = textwrap.wrap(text, max(letters, 5), max_lines=lines, placeholder=" …") or [""]
        if letters <= 5 or max(text_width(line, size, weight) for line in found) <= inches:
            return "\n".join(found).replace("\N{NO-BREAK SPACE}", " ")
        letters -= 1


def text_height(text: str, size: float) -> float:
    """Return the height of a text in inches.

    text: one or more lines.
    size: font size in points.
    """
    return (text.count("\n") + 1) * LINE * size * POINT


@dataclass
class Legend:
    """A legend below the axes, with as many columns as fit.

    handles: matplotlib's artists of the entries.
    names: names of the entries.
    width: width of the figure in inches.
    title: note above the entries; None: no note.
    columns: number of columns.
    height: height in inches.
    """

    handles: Sequence[Artist]
    names: Sequence[str]
    width: float
    title: str | None = None
    columns: int = field(init=False)
    height: float = field(init=False)

    def __post_init__(self) -> None:
        self.names = [wrapped(name, self.width - HANDLE - 2 * EDGE, SMALL) for name in self.names]
        widest = max((text_width(line, SMALL) for name in self.names for line in name.split("\n")), default=0.0)
        fitting = int((self.width - 2 * EDGE) / (widest + HANDLE + 0.15))
        self.columns = max(1, min(4, fitting, len(self.names)))
        self.title = self.title and wrapped(self.title, self.width - 2 * EDGE, SMALL - 1)
        tallest = max((text_height(name, SMALL) for name in self.names), default=0.0)
        entries = -(-len(self.names) // self.columns) * (tallest + 0.06)
        self.height = entries + (text_height(self.title, SMALL - 1) + 0.05 if self.title else 0.0) + 0.12

    def draw(self, figure: Figure) -> None:
        """Draw the legend at the bottom of a figure. An empty legend without a title is not drawn.

        figure: the figure, whose height must be final.
        """
        if not self.names and not self.title:
            return
        place = (0.5, 0.04 / figure.get_figheight())
        look = {"fontsize": SMALL, "title_fontsize": SMALL - 1, "ncols": self.columns, "borderaxespad": 0.0}
        figure.legend(self.handles, self.names, loc="lower center", bbox_to_anchor=place, title=self.title, **look)


def panels(
    lines: Sequence[tuple[float, float]],
    abreast: int,
    width: float,
    *,
    left: float,
    bottom: float,
    top: float = EDGE,
    right: float = 0.2,
    across: float = 0.3,
    share_y: bool = True,
    count: int | None = None,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with rows of panels. All lengths are in inches.

    lines: for each row, from the top, the free space above it and its height.
    abreast: number of panels in a row.
    width: width of a panel.
    left, bottom, top, right: margins of the figure.
    across: distance between panels of one row.
    share_y: whether all panels share the vertical axis.
    count: number of all panels; None: all rows are full.
    Returns the figure and its rows of axes.
    """
    wide = left + abreast * width + (abreast - 1) * across + right
    high = top + sum(above + height for above, height in lines) + bottom
    figure = Figure(figsize=(wide, high))
    grid: list[list[Axes]] = []
    first, at, made = None, top, 0
    for above, height in lines:
        at += above
        row: list[Axes] = []
        for i in range(abreast if count is None else min(abreast, count - made)):
            place = ((left + i * (width + across)) / wide, 1 - (at + height) / high, width / wide, height / high)
            axes = figure.add_axes(place, sharey=first if share_y else None)
            first = first or axes
            if share_y and i:
                axes.tick_params(labelleft=False)
            row.append(axes)
        made += len(row)
        grid.append(row)
        at += height
    return figure, grid


def draw_title(figure: Figure, title: str) -> None:
    """Write a title at the top of a figure.

    figure: the figure.
    title: the title, wrapped by `title_of`.
    """
    if title:
        figure.text(0.5, 1 - EDGE / figure.get_figheight(), title, fontsize=TITLE, ha="center", va="top")


def title_of(title: str, width: float) -> tuple[str, float]:
    """Return a figure's wrapped title and the height that it needs in inches.

    title: the title.
    width: width of the figure in inches.
    """
    if not title.strip():
        return "", EDGE
    text = wrapped(title, width - 2 * EDGE, TITLE, lines=4)
    return text, EDGE + text_height(text, TITLE) + 0.06


def heading(axes: Axes, text: str, size: float = SMALL, left: float | None = None, weight: str = "bold") -> None:
    """Write a heading above axes.

    axes: the axes.
    text: the heading.
    size: font size in points.
    left: inches by which the heading begins left of the axes; None: 0.
    weight: weight of the font.
    """
    inches = axes.get_position().width * axes.figure.figure.get_figwidth()
    x = 0.0 if left is None else -left / inches
    offset = axes.transAxes
    axes.annotate(
        text,
        (x, 1),
        xycoords=offset,
        xytext=(0, 5),
        textcoords="offset points",
        fontsize=size,
        fontweight=weight,
        va="bottom",
        annotation_clip=False,
    )


def arrows(axes: Axes, place: float, interval: tuple[float, float], colour: str, vertical: bool) -> bool:
    """Draw arrows at the ends of an axis where an interval exceeds it.

    axes: the axes.
    place: position of the interval on the other axis.
    interval: ends of the interval.
    colour: colour of the arrows.
    vertical: whether the interval is vertical.
    Returns whether there are arrows.
    """
    limits = axes.get_ylim() if vertical else axes.get_xlim()
    low, high = min(limits), max(limits)
    kinds = (CARETDOWN, CARETUP) if vertical else (CARETLEFT, CARETRIGHT)
    ends = ((low, kinds[0], interval[0] < low), (high, kinds[1], interval[1] > high))
    beyond = [(at, mark) for at, mark, needed in ends if needed]
    for at, mark in beyond:
        x, y = (place, at) if vertical else (at, place)
        axes.plot(x, y, marker=mark, color=colour, ms=6, ls="None", clip_on=False, zorder=3)
    return bool(beyond)


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places as little as possible (least squares), so that neighbours have a distance.

    places: places in any order.
    gap: smallest distance; it is reduced if the range has too little room.
    low, high: range of the places.
    Returns the moved places in the same order.
    """
    order = np.argsort(places, kind="stable")
    moved = np.asarray(places, dtype=float)[order]
    gap = min(gap, (high - low) / max(len(moved) - 1, 1))
    steps = gap * np.arange(len(moved))
    # Isotonic regression (pool adjacent violators) of the places minus the required distances.
    pools: list[list[float]] = []
    for value in moved - steps:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            value, count = pools.pop()
            pools[-1] = [(pools[-1][0] * pools[-1][1] + value * count) / (pools[-1][1] + count), pools[-1][1] + count]
    pooled = np.concatenate([np.full(int(count), value) for value, count in pools]) if pools else moved
    placed = np.clip(pooled, low, high - steps[-1] if len(steps) else high) + steps
    result = np.empty(len(moved))
    result[order] = placed
    return result.tolist()


def fitting_ticks(numbers: Iterable[float], places: Iterable[float], width: float, size: float = 10) -> list[float]:
    """Return the numbers whose labels have room beside each other.

    numbers: numbers in ascending order.
    places: place of each number on the axis, from 0 to 1.
    width: length of the axis in inches.
    size: font size in points.
    """
    chosen: list[float] = []
    free = -np.inf
    for number, place in zip(numbers, places, strict=True):
        half = text_width(f"{number:,.10g}", size) / 2
        if place * width - half >= free:
            chosen.append(number)
            free = place * width + half + 0.08
    return chosen
