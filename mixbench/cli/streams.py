"""Protects the standard streams: output that cannot be written does not stop the work.

A reader can end (head), the disk of a log can be full, a terminal can be closed or show only ASCII. All output uses
these streams: print, warnings, tqdm's bar and Hydra's messages.
"""

import codecs
import contextlib
import errno
import io
import os
import select
import sys
import unicodedata
from typing import Any, Literal

# Replacements for the signs of our texts if the output cannot show them.
REPLACEMENTS = {
    "…": "...",
    "–": "-",
    "−": "-",
    "→": "->",
    "±": "+-",
    "×": "x",
    "·": "*",
    "≤": "<=",
    "≥": ">=",
    "α": "alpha",
    "β": "beta",
    "λ": "lambda",
    "π": "pi",
    "σ": "sigma",
}
REPLACING = "mixbench.replacing"  # name of the codec error handler


class _Descriptor(io.RawIOBase):
    """A file descriptor whose writes never fail: output that cannot be written is lost, and the first error is kept.

    The next write tries again, so a log continues when the disk has room again.

    number: the file descriptor.
    name: name of the stream.
    """

    def __init__(self, number: int, name: str):
        self.number, self.name = number, name
        self.failure: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.number

    def isatty(self) -> bool:
        return os.isatty(self.number)

    def write(self, data: Any, /) -> int:  # data: a buffer; Python has a type for it only from 3.12
        whole = memoryview(data).cast("B")
        left = whole
        while left:
            try:
                left = left[os.write(self.number, left) :]
            except BlockingIOError:  # another process made the terminal or pipe that we share non-blocking
                select.select([], [self.number], [])
            except OSError as error:
                self.failure = self.failure or error
                break
        return len(whole)


def protect() -> None:
    """Protect the standard streams of this process. Only the program calls this, not the library."""
    codecs.register_error(REPLACING, _replaced)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: `>&-`
            setattr(sys, name, _nowhere(number, "r" if number == 0 else "w"))
        elif number > 0:
            setattr(sys, name, _safe(stream))


def lost() -> OSError | None:
    """Return the error if some standard output could not be written; None also if its reader ended."""
    sys.stdout.flush()
    failure = getattr(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), "failure", None)
    return None if failure is None or failure.errno == errno.EPIPE else failure


def write_from_signal(line: str) -> None:
    """Write a line to standard error from a signal handler, where print is not safe: it can interrupt another print.

    line: ASCII text without a line break.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), f"\n{line}\n".encode("ascii"))


def _safe(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a protected stream with the same encoding and buffering."""
    with contextlib.suppress(OSError):
        stream.flush()
    raw = _Descriptor(stream.fileno(), stream.name)
    buffered = isinstance(stream.buffer, io.BufferedWriter)  # false with python -u
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else raw,
        encoding=stream.encoding,
        errors=REPLACING,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _nowhere(number: int, mode: Literal["r", "w"]) -> io.TextIOWrapper:
    """Return a stream to /dev/null with the closed descriptor's number; otherwise the next opened file would get it."""
    try:
        os.fstat(number)
        return open(os.devnull, mode)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        os.set_inheritable(number, True)
        return open(number, mode, closefd=False)


def _replaced(error: UnicodeError) -> tuple[bytes, int]:
    """Handle a codec error: replace known signs, drop accents, keep bytes of file names, write `?` for the rest."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(character: str) -> bytes:
    if "\udc80" <= character <= "\udcff":  # os.fsdecode uses these for bytes that are not text
        return os.fsencode(character)
    replacement = REPLACEMENTS.get(character) or unicodedata.normalize("NFKD", character)
    return replacement.encode("ascii", "ignore") or b"?"
