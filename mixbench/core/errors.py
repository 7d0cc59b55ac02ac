"""A mistake of the user's, told in one line: what is wrong, the value, the choices, the nearest spelling."""

import difflib
from collections.abc import Iterable

LONGEST_WORD, LONGEST_LINE = 200, 2000  # characters of a message: a value may be any number of them


class UserError(Exception):
    """A mistake of the user's. The command line prints it as one line and exits with 2; nothing was written."""


class CannotWrite(OSError):
    """A file or folder that could not be written or removed, and why: the disk is full, say. Exits with 1."""

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written ({self.strerror})"


def unknown(kind: str, value: object, choices: Iterable[str]) -> UserError:
    """The error for a name that is not among `choices`, with the nearest of them."""
    choices = sorted(choices)
    nearest = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return UserError(f"unknown {kind} {str(value)!r}{hint}; choices: {', '.join(choices) or 'none'}")


def one_line(text: str) -> str:
    """A message on one line, of characters that every terminal takes, long values cut in the middle of themselves."""
    words = [_cut(word, LONGEST_WORD) for word in text.split()]
    return _cut(printable(" ".join(words)), LONGEST_LINE)


def printable(text: str) -> str:
    """In characters that every terminal takes: names of folders and values may be anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str, longest: int) -> str:
    """The beginning and the end of a text: a key stands at the one, what to do about it at the other."""
    return text if len(text) <= longest else f"{text[: longest * 3 // 4]}…{text[-longest // 4 :]}"
