"""What all charts share: colours, marks, fonts, and a figure as files. No torch."""

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mixbench.analysis.charts import fonts

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
DPI = 150  # pixels an inch
WIDEST, TALLEST = 3000, 12_000  # pixels in all: more is not seen and takes long to compress
LINES = ("-", "--", "-.", ":")


STYLE: dict[Any, Any] = {
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
    "axes.facecolor": "none",  # the page's own, which may be dark
    "legend.frameon": False,
    "svg.hashsalt": "mixbench",  # the same runs give the same file
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class or a study may be called $x$
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],  # a browser takes what the first lacks from the second
}


def colours(names: Sequence[Any]) -> dict[Any, str]:
    """A colour for each name: a known method's own, another method's by its name; for what is no name in order."""
    chosen = {name: COLOURS[name] for name in names if name in COLOURS}
    for i, name in enumerate(name for name in names if name not in COLOURS):
        start = zlib.crc32(name.encode()) if isinstance(name, str) else i
        free = [SPARE_COLOURS[(start + k) % len(SPARE_COLOURS)] for k in range(len(SPARE_COLOURS))]
        chosen[name] = next((colour for colour in free if colour not in chosen.values()), free[0])
    return chosen


def marker(name: Any, place: int, variant: int = 0) -> str:
    """A known method's own mark, the same in every chart; another series' by its place. variant: of several of one."""
    known = list(COLOURS)
    return MARKERS[((known.index(name) if name in known else place) + variant) % len(MARKERS)]


def paths(stem: Path) -> list[Path]:
    return [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]


def rendered(figure: Figure, stem: Path) -> dict[Path, bytes]:
    """The contents of stem.png and stem.svg: files.write_all writes them, whole or not at all."""
    dpi = min(DPI, WIDEST / figure.get_figwidth(), TALLEST / figure.get_figheight())
    return {path: _rendered(figure, path.suffix.removeprefix("."), dpi) for path in paths(stem)}


def _rendered(figure: Figure, kind: str, dpi: float) -> bytes:
    contents = b""

    def draw() -> None:
        nonlocal contents
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=dpi, metadata={"Date": None} if kind == "svg" else None)
        contents = file.getvalue()

    fonts.drawn(figure, draw)
    return contents
