"""Letters that the charts' own font lacks, such as Chinese ones, from another font where one is installed. No torch."""

import warnings
from collections.abc import Callable
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.text import Text

OWN = "DejaVu Sans"  # comes with matplotlib


def drawn(figure: Figure, draw: Callable[[], None]) -> None:
    """Call `draw`, and where letters were missing once more, with fonts that have them.

    A box stands for a letter that no font has; the SVG holds the letter itself, and browsers have fonts. matplotlib
    would warn of it at every drawing, in many lines. Looking for such letters before would take as long as drawing.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draw()
    missing = [str(warning.message).startswith("Glyph ") for warning in caught]
    for warning, of_letter in zip(caught, missing, strict=True):
        if not of_letter:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if any(missing) and _complete(figure):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph ")
            draw()


def _complete(figure: Figure) -> bool:
    """Give the figure's texts the fonts that have their letters; whether there are any."""
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    letters = {letter for text in texts for letter in text.get_text() if letter.isprintable()}
    families = _families_with(frozenset(letters - _own_letters()))
    for text in texts if families else []:
        text.set_fontfamily([OWN, *families])
    return bool(families)


@lru_cache(maxsize=1)
def _own_letters() -> frozenset[str]:
    return frozenset(_letters(fontManager.findfont(FontProperties(family=OWN))))


@lru_cache(maxsize=10)  # the charts of one report ask for nearly the same letters
def _families_with(letters: frozenset[str]) -> tuple[str, ...]:
    """Installed font families that have as many of the letters as can be, upright ones of normal weight first."""
    families, missing = [], set(letters)
    for font in sorted(fontManager.ttflist, key=lambda f: (f.style != "normal", str(f.weight) != "400", f.name)):
        if not missing:
            break
        if found := missing & _letters(font.fname):
            families.append(font.name)
            missing -= found
    return tuple(dict.fromkeys(families))


def _letters(path: str) -> set[str]:
    try:
        return set(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):  # a font file that is damaged, or of a kind that matplotlib does not read
        return set()
