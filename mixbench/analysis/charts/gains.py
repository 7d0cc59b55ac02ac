"""A forest plot: the gain of every method over the baseline with its interval, in each setting. No torch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mixbench.analysis.charts.intervals import arrow_note
from mixbench.analysis.charts.layout import (
    EDGE,
    LINE,
    POINT,
    SMALL,
    Legend,
    arrows,
    draw_title,
    heading,
    panels,
    text_height,
    text_width,
    title_of,
    wrapped,
)
from mixbench.analysis.charts.style import INK, colours, marker
from mixbench.analysis.display import display_gain
from mixbench.analysis.setting import Experiment, Setting
from mixbench.stats import Gain

THIN = "*PXp"  # markers that are drawn larger, because at normal size hollow ones would look filled
LINES = 150  # most lines of a chart
REACH = 1.0  # how far an interval may exceed the range of the gains, as a share of it; longer ones end in an arrow
WIDTH, LONGEST = 3.9, 2.4  # width of the axes, and of a name before it is wrapped, in inches


def gains(settings: Sequence[Setting], title: str = "") -> Figure | None:
    """Draw axes for each setting with a line for each method. Significant differences have filled marks.

    settings: settings from analysis.compare.
    title: title of the figure.
    Returns the figure; None if no method has a gain.
    """
    every = [(s, m, gain) for s in settings for m, gain in s.gains]
    lines = every[:LINES]
    if not lines:
        return None
    groups: dict[int, tuple[Setting, list[tuple[Experiment, Gain]]]] = {}
    for setting, method, gain in lines:
        groups.setdefault(id(setting), (setting, []))[1].append((method, gain))
    names = {id(method): wrapped(method.shown_name, LONGEST, SMALL) for _, method, _ in lines}
    widest = max(text_width(part, SMALL) for name in names.values() for part in name.split("\n"))
    left = widest + 0.15 + EDGE
    wide = left + WIDTH + 0.2
    title, top = title_of(title, wide)
    heads = [wrapped(setting.name, wide - 2 * EDGE, SMALL, weight="bold") for setting, _ in groups.values()]
    heights = [
        [LINE * SMALL * POINT * (names[id(method)].count("\n") + 1) + 0.08 for method, _ in methods]
        for _, methods in groups.values()
    ]
    spaces = [text_height(head, SMALL) + (0.1 if k == 0 else 0.22) for k, head in enumerate(heads)]
    found = [gain for _, _, gain in lines]
    low, high = _limits(found)
    words = []
    if any(i and (i[0] < low or i[1] > high) for i in map(display_gain, found)):
        words.append(arrow_note(True).removeprefix("; "))
    if len(lines) < len(every):
        words.append(f"only {len(lines)} of {len(every)} gains are shown; the report's table has all")
    kinds = [Line2D([], [], ls="None", marker="o", color=INK, mfc=face) for face in (INK, "none")]
    labels = ["significant (p < 0.05, all methods together)", "not significant"]
    legend = Legend(kinds, labels, wide, "; ".join(words) or None)
    figure, grid = panels(
        [(space, sum(of_group)) for space, of_group in zip(spaces, heights, strict=True)],
        1,
        WIDTH,
        left=left,
        top=top,
        bottom=0.55 + legend.height,
        share_y=False,
    )
    palette = colours(list(dict.fromkeys(method.method for _, method, _ in lines)))
    marks = {name: marker(name, i) for i, name in enumerate(palette)}
    for (axes,), (_, methods), of_group, head in zip(grid, groups.values(), heights, heads, strict=True):
        axes.set_xlim(low, high)
        axes.set_ylim(sum(of_group), 0)
        middles = [sum(of_group[:k]) + height / 2 for k, height in enumerate(of_group)]
        for (method, gain), middle in zip(methods, middles, strict=True):
            _draw(axes, gain, method.significant, middle, palette[method.method], marks[method.method])
        axes.axvline(0, color=INK, lw=0.8, zorder=1)
        axes.set_yticks(middles, [names[id(method)] for method, _ in methods], fontsize=SMALL)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        heading(axes, head, left=left - EDGE)
        if axes is not grid[-1][0]:
            axes.spines["bottom"].set_visible(False)
            axes.tick_params(axis="x", length=0, labelbottom=False)
    grid[-1][0].set_xlabel("gain over no mixing (percentage points), 95 % interval")
    draw_title(figure, title)
    legend.draw(figure)
    return figure


def _draw(axes: Axes, gain: Gain, significant: bool, place: float, colour: str, mark: str) -> None:
    interval = display_gain(gain)
    if interval:
        axes.hlines(place, *interval, color=colour, lw=1.4, zorder=2)
        arrows(axes, place, interval, colour, vertical=False)
    face = colour if significant else "none"
    axes.plot(gain.mean, place, marker=mark, ms=9 if mark in THIN else 6, color=colour, mfc=face, ls="None", zorder=3)


def _limits(found: Sequence[Gain]) -> tuple[float, float]:
    """Return the limits of the axis: they include 0, all gains, and intervals up to REACH beyond the gains."""
    means = [0.0, *(gain.mean for gain in found)]
    ends = [end for gain in found if (interval := display_gain(gain)) for end in interval]
    reach = max(REACH * (max(means) - min(means)), 1.0)
    low = max(min(means) - reach, min([*means, *ends]))
    high = min(max(means) + reach, max([*means, *ends]))
    margin = 0.05 * (high - low) or 1.0  # all gains can be 0
    return float(np.floor(low - margin)), float(np.ceil(high + margin))
