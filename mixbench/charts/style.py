"""What all charts share: colours, marks, fonts, and a figure as files. No torch."""

import io
import textwrap
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

INK, FAINT = "#1B1E21", "#D5D9DD"  # of text and axes, and of grids

# Okabe and Ito's palette, safe for colour-blind readers (Wong 2011); a method keeps its colour everywhere.
COLOURS = {
    "none": INK,
    "label-mix": "#0072B2",
    "data-mix": "#D55E00",
    "cutmix": "#009E73",
    "cutout": "#E69F00",
    "label-only": "#CC79A7",
    "manifold": "#56B4E9",
    "mixture": "#661100",
    # From here Tol's "muted": of so many colours some come close to others, and the markers tell them apart.
    "fmix": "#332288",
    "saliencymix": "#882255",
    "resizemix": "#117733",
    "gridmix": "#999933",
    "smoothmix": "#44AA99",
    "random-erasing": "#CC6677",
}
# Tol's "muted" scheme, for methods that have no colour yet and for other columns (Tol 2021, Colour Schemes, figure 4).
SPARE_COLOURS = ("#332288", "#44AA99", "#882255", "#999933", "#88CCEE", "#AA4499", "#117733", "#CC6677", "#DDCC77")
MARKERS = "osD^vPXhpd*8"  # without < and >, which mean "beyond"
DPI, WIDEST = 150, 3000  # pixels an inch, and in all: more is not seen and takes long to compress
LINES = ("-", "--", "-.", ":")


STYLE = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.dpi": 100,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "mixbench",  # the same runs give the same file
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "Noto Sans CJK JP", "sans-serif"],
}


def colours(names: Sequence[Any]) -> dict[Any, str]:
    """A colour for each name: a known method's own, another method's by its name; for what is no name in order."""
    chosen = {name: COLOURS[name] for name in names if name in COLOURS}
    for i, name in enumerate(name for name in names if name not in COLOURS):
        start = zlib.crc32(name.encode()) if isinstance(name, str) else i
        free = [SPARE_COLOURS[(start + k) % len(SPARE_COLOURS)] for k in range(len(SPARE_COLOURS))]
        chosen[name] = next((colour for colour in free if colour not in chosen.values()), free[0])
    return chosen


def marker(name: Any, place: int) -> str:
    """A known method's own mark, the same in every chart; another series' by its place."""
    known = list(COLOURS)
    return MARKERS[(known.index(name) if name in known else place) % len(MARKERS)]


def paths(stem: Path) -> list[Path]:
    return [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]


def rendered(figure: Figure, stem: Path) -> dict[Path, bytes]:
    """The contents of stem.png and stem.svg: files.write_all writes them, whole or not at all."""
    made = {}
    dpi = min(DPI, WIDEST / figure.get_figwidth())
    for path in paths(stem):
        file = io.BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(file, format=path.suffix[1:], dpi=dpi, metadata=metadata)
        figure.set_layout_engine("none")  # it has found the places of all; again it would cost as much as drawing
        made[path] = file.getvalue()
    return made


def fitted(name: str) -> str:
    """In at most three lines; the table has the whole of it."""
    return textwrap.fill(name, 36, max_lines=3, placeholder=" …", break_long_words=False)
