"""The vertical axis of loss charts: its limits and ticks. No torch."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

# Limits of the logarithmic axis: the loss of a memorised subset approaches 0, that of a diverged run grows forever.
LOSS_FLOOR, LOSS_CEILING = 1e-4, 1e6
MOST_TICKS = 6  # of whole decades
# Losses above this multiple of their 90 % quantile are cut off, because they would flatten all others. Low losses are
# not: the training loss of a memorised subset is low in many panels.
OUTLIER = 100.0


def limits(shown: Sequence[pd.DataFrame]) -> tuple[float, float]:
    """Return the lowest and the highest loss of the axis that all panels share. Rare extreme losses are above it.

    shown: for each line of the chart, its mean, lowest and highest losses at each step.
    """
    lows, highs = _ends(shown, "min"), _ends(shown, "max")
    high = min(highs.max(), OUTLIER * np.quantile(highs, 0.9), LOSS_CEILING)
    return float(max(lows.min(), LOSS_FLOOR)), float(max(high, 10 * LOSS_FLOOR))


def _ends(shown: Sequence[pd.DataFrame], end: str) -> np.ndarray:
    """Return the `min` or `max` of all lines at all steps."""
    of_end = [[of == end for _, of in losses.columns] for losses in shown]
    return np.concatenate([losses.to_numpy()[:, chosen].ravel() for losses, chosen in zip(shown, of_end, strict=True)])


def cut_off(shown: Sequence[pd.DataFrame]) -> list[str]:
    """Return a note if losses are above the axis; none otherwise.

    shown: as in `limits`.
    """
    high = limits(shown)[1]
    return [f"losses above {high:,.0f} are cut off"] if _ends(shown, "max").max() > max(high, 10 * LOSS_FLOOR) else []


def scale(axes: Axes, shown: Sequence[pd.DataFrame]) -> None:
    """Set limits and ticks of the vertical axis, which all panels share; once, because automatic scaling is slow.

    axes: the first panel.
    shown: as in `limits`.
    """
    low, high = limits(shown)
    axes.set_yscale("log")
    axes.set_ylim(low / 1.15, high * 1.15)
    axes.yaxis.set_major_locator(FixedLocator(log_ticks(low / 1.15, high * 1.15)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def log_ticks(low: float, high: float) -> list[float]:
    """Return three to eight round numbers between two positive limits; fewer only if there are no more.

    Numbers of several decades are whole powers of ten, all by the same factor apart.

    low, high: the limits of the axis, above 0.
    """
    decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    whole = [10.0**d for d in decades if low <= 10.0**d <= high]
    if len(whole) >= 3:
        return whole[:: -(-len(whole) // MOST_TICKS)]
    for of_decade in ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [10.0**d * k for d in decades for k in of_decade]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks
    return [float(tick) for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]
