"""A forest plot: every method's gain over the baseline with its interval, setting by setting. No torch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mixbench.charts.style import INK, colours, fitted, marker
from mixbench.comparison import Experiment, Setting

LINES = 150  # more would be a scroll
REACH = 1.0  # of the gains' range that an interval may stick out of it; an arrow ends a longer one


def gains(settings: Sequence[Setting]) -> Figure | None:
    """One line for each method in each setting; a filled mark where a difference is shown. None without a gain."""
    lines = [(s, m) for s in settings for m in s.methods if m.gain][:LINES]
    if not lines:
        return None
    heads = len({id(setting) for setting, _ in lines})
    figure = Figure(figsize=(5.4, 1.0 + 0.24 * (len(lines) + 1.4 * heads)), layout="constrained")
    axes = figure.add_subplot()
    palette = colours(list(dict.fromkeys(method.method for _, method in lines)))
    marks = {name: marker(name, i) for i, name in enumerate(palette)}
    low, high = _limits([method for _, method in lines])
    places, names, place, before = [], [], 0.0, None
    for setting, method in lines:
        if setting is not before:
            place += 1.4 if before is not None else 0.4
            axes.text(low, place - 0.8, f" {fitted(setting.name)}", fontweight="bold", fontsize=9, va="center")
            before = setting
        _draw(axes, method, place, palette[method.method], marks[method.method], low, high)
        places.append(place)
        names.append(method.name)
        place += 1
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(places, names, fontsize=9)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(place - 0.4, -0.9)
    axes.set_xlim(low, high)
    axes.set_xlabel("gain over none (points), 95 % interval")
    kinds = [
        Line2D([], [], ls="None", marker="o", color=INK),
        Line2D([], [], ls="None", marker="o", color=INK, mfc="none"),
    ]
    labels = ["shown (p < 0.05 after Holm's correction)", "not shown"]
    figure.legend(kinds, labels, loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _draw(axes, method: Experiment, place: float, colour: str, mark: str, low: float, high: float) -> None:
    gain = method.gain
    if gain.interval:
        start, end = gain.interval
        axes.hlines(place, max(start, low), min(end, high), color=colour, lw=1.4)
        for beyond, at, arrow in ((start < low, low, "<"), (end > high, high, ">")):
            if beyond:
                axes.plot(at, place, marker=arrow, color=colour, ms=6, clip_on=False)
    axes.plot(gain.mean, place, marker=mark, ms=6, color=colour, mfc=colour if method.shown else "none", ls="None")


def _limits(methods: Sequence[Experiment]) -> tuple[float, float]:
    """The range of the gains and 0, and of the intervals as far as they stay near it."""
    means = [0.0, *(method.gain.mean for method in methods)]
    ends = [end for method in methods if method.gain.interval for end in method.gain.interval]
    reach = max(REACH * (max(means) - min(means)), 1.0)
    low = max(min(means) - reach, min([*means, *ends]))
    high = min(max(means) + reach, max([*means, *ends]))
    margin = 0.05 * (high - low)
    return float(np.floor(low - margin)), float(np.ceil(high + margin))
