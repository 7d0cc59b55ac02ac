"""A mistake of the user's, told in one line: what is wrong, the value, the choices, the nearest spelling."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user's. The command line prints it as one line and exits with 2; nothing was written."""


class CannotWrite(OSError):
    """A file or folder that could not be written or removed, and why: the disk is full, say. Exits with 1."""

    def __str__(self) -> str:
        return f"{self.filename}: cannot be written ({self.strerror})"


def unknown(kind: str, value: str, choices: Iterable[str]) -> UserError:
    """The error for a name that is not among `choices`, with the nearest of them."""
    choices = sorted(choices)
    nearest = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    hint = f" (did you mean {nearest[0]}?)" if nearest else ""
    return UserError(f"unknown {kind} {str(value)!r}{hint}; choices: {', '.join(choices) or 'none'}")
