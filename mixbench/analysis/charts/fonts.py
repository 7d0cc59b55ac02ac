"""Draws letters that the charts' font does not have, such as Chinese ones, with another installed font. No torch."""

import warnings
from collections.abc import Callable
from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.text import Text

OWN = "DejaVu Sans"  # comes with matplotlib


def drawn(figure: Figure, draw: Callable[[], None]) -> None:
    """Draw a figure. If letters are missing in the font, draw it again with fonts that have them.

    Looking for missing letters before drawing would take as long as drawing. Letters that no font has are drawn as
    boxes in the PNG file; the SVG file has the letters themselves. matplotlib's warnings about them are not shown.

    figure: the figure.
    draw: draws the figure.
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
    """Set fonts that have the missing letters of the figure's texts. Returns whether there are such fonts."""
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    letters = {letter for text in texts for letter in text.get_text() if letter.isprintable()}
    families = _families_with(frozenset(letters - _own_letters()))
    for text in texts if families else []:
        text.set_fontfamily([OWN, *families])
    return bool(families)


@lru_cache(maxsize=1)
def _own_letters() -> frozenset[str]:
    return frozenset(_letters(fontManager.findfont(FontProperties(family=OWN))))


@lru_cache(maxsize=10)  # the charts of one report need nearly the same letters
def _families_with(letters: frozenset[str]) -> tuple[str, ...]:
    """Return installed font families that have the letters, as far as possible; upright and normal weight first."""
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
    except (OSError, RuntimeError):  # a damaged font file, or a format that matplotlib does not read
        return set()
