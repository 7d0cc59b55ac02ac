"""The style of all charts (colours, markers, fonts), and rendering of figures as PNG and SVG files. No torch."""

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mixbench.analysis.charts import fonts

INK, FAINT = "#1B1E21", "#D5D9DD"  # colour of text and axes, and of grid lines

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
    # The rest are from Tol's "muted" scheme. Some colours are similar to others; their markers differ.
    "fmix": "#332288",
    "saliencymix": "#882255",
    "resizemix": "#117733",
    "gridmix": "#999933",
    "smoothmix": "#44AA99",
    "random-erasing": "#CC6677",
    "mixup-io": "#88CCEE",
    "regmixup": "#AA4499",
}
# Tol's "muted" scheme, for methods that have no colour yet and for other columns (Tol 2021, Colour Schemes, figure 4).
SPARE_COLOURS = ("#332288", "#44AA99", "#882255", "#999933", "#88CCEE", "#AA4499", "#117733", "#CC6677", "#DDCC77")
MARKERS = "osD^vPXhpd*8"  # without < and >, which mean "beyond"
DPI = 150  # pixels per inch
WIDEST, TALLEST = 3000, 12_000  # largest size in pixels; larger files take long to compress
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
    "axes.facecolor": "none",  # the page can be dark
    "legend.frameon": False,
    "svg.hashsalt": "mixbench",  # the same runs give the same file
    "svg.fonttype": "none",
    "text.parse_math": False,  # the name of a class or study can contain $
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],  # browsers use the second for letters that the first lacks
}


def colours(names: Sequence[Any]) -> dict[Any, str]:
    """Return a colour for each name.

    Known methods have fixed colours. Other texts have colours that follow from their names, and other values have
    colours in their order.

    names: names of methods, or other values of a key, each once.
    """
    chosen = {name: COLOURS[name] for name in names if name in COLOURS}
    for i, name in enumerate(name for name in names if name not in COLOURS):
        start = zlib.crc32(name.encode()) if isinstance(name, str) else i
        free = [SPARE_COLOURS[(start + k) % len(SPARE_COLOURS)] for k in range(len(SPARE_COLOURS))]
        chosen[name] = next((colour for colour in free if colour not in chosen.values()), free[0])
    return chosen


def marker(name: Any, place: int, variant: int = 0) -> str:
    """Return a series' marker. Known methods have the same marker in every chart.

    name: name of the series.
    place: number of the series, which chooses the marker of other names.
    variant: number of the variant, if a method has several series.
    """
    known = list(COLOURS)
    return MARKERS[((known.index(name) if name in known else place) + variant) % len(MARKERS)]


def paths(stem: Path) -> list[Path]:
    """Return the paths of a figure's PNG and SVG files.

    stem: path of the figure without the ending.
    """
    return [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "svg")]


def rendered(figure: Figure, stem: Path) -> dict[Path, bytes]:
    """Return the contents of a figure's PNG and SVG files, for files.write_all.

    figure: the figure.
    stem: path of the files without suffix.
    """
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
