"""Errors caused by the user, reported in one line: what is wrong, the value, the choices, the nearest spelling."""

import difflib
from collections.abc import Iterable

LONGEST_WORD, LONGEST_LINE = 200, 2000  # limits of a message in characters, since values can have any length


class UserError(Exception):
    """A mistake by the user. The command line prints it as one line and exits with status 2; nothing was written."""


class CannotWrite(OSError):
    """A file or folder could not be written or removed, for example because the disk is full. Exit status 1."""

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written ({self.strerror})"


def unknown(kind: str, value: object, choices: Iterable[str], more: str = "", meant: object | None = None) -> UserError:
    """Return the error for a name that is not one of the choices.

    kind: what the name stands for, such as `method`.
    value: the unknown name.
    choices: the valid names; the message lists them and suggests the nearest one.
    more: text after the choices, such as where others can be found.
    meant: a name to which the nearest choice is suggested; None: the unknown name.
    """
    choices = sorted(choices)
    hint = did_you_mean(value if meant is None else meant, choices)
    return UserError(f"unknown {kind} {str(value)!r}{hint}; choices: {', '.join(choices) or 'none'}{more}")


def did_you_mean(value: object, choices: Iterable[str]) -> str:
    """Return such as ` (did you mean mixup?)`, or nothing if no choice is near.

    value: the unknown name.
    choices: the valid names.
    """
    nearest = difflib.get_close_matches(str(value), list(choices), n=1, cutoff=0.5)
    return f" (did you mean {nearest[0]}?)" if nearest else ""


def one_line(text: str) -> str:
    """Return a message as one printable line.

    text: the message. Long words and long lines are shortened in the middle.
    """
    words = [_cut(word, LONGEST_WORD) for word in text.split()]
    return _cut(printable(" ".join(words)), LONGEST_LINE)


def printable(text: str) -> str:
    """Escape characters that a terminal cannot print.

    text: any text; folder names and values can contain any character.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str, longest: int) -> str:
    """Keep the beginning and the end of a long text: the key is at the beginning, the remedy at the end."""
    return text if len(text) <= longest else f"{text[: longest * 3 // 4]}…{text[-longest // 4 :]}"
