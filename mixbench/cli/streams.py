"""The program's standard streams, made safe: output that cannot be written never ends the work that it tells of.

A reader may go away (head), the disk under a log may be full, a terminal may be closed or show ASCII alone. Whatever is
printed passes through here: print, warnings, tqdm's bar and Hydra's own messages.
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

# How the signs of our texts are written where the output cannot show them.
SPELT = {
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
REPLACING = "mixbench.replacing"  # the name of the codec error handler


class _Descriptor(io.RawIOBase):
    """A file descriptor that takes everything: what cannot be written is dropped, and the first reason is kept.

    The next write tries again: a log goes on where the disk has room again.
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

    def write(self, data: Any, /) -> int:  # a buffer: that has a type from Python 3.12 on
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
    """Make the standard streams of this process safe. For programs; a caller of functions keeps its own streams."""
    codecs.register_error(REPLACING, _replaced)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: `>&-`
            setattr(sys, name, _nowhere(number, "r" if number == 0 else "w"))
        elif number > 0:
            setattr(sys, name, _safe(stream))


def lost() -> OSError | None:
    """Why standard output, or a part of it, could not be written. None where it was, or where its reader went away."""
    sys.stdout.flush()
    failure = getattr(getattr(sys.stdout.buffer, "raw", sys.stdout.buffer), "failure", None)
    return None if failure is None or failure.errno == errno.EPIPE else failure


def tell_at_once(line: str) -> None:
    """Write a line to standard error from a signal handler, where print could meet a print that it interrupts."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), f"\n{line}\n".encode("ascii"))


def _safe(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """The same stream with its encoding and buffering, but safe."""
    with contextlib.suppress(OSError):
        stream.flush()
    raw = _Descriptor(stream.fileno(), stream.name)
    buffered = isinstance(stream.buffer, io.BufferedWriter)  # not so under python -u
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if buffered else raw,
        encoding=stream.encoding,
        errors=REPLACING,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _nowhere(number: int, mode: Literal["r", "w"]) -> io.TextIOWrapper:
    """A stream that leads nowhere, under the number that was closed: the next file would get it, and C's messages."""
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
    """A codec error handler: signs are spelt out, accents dropped, bytes of a file's name kept, all else is `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(character: str) -> bytes:
    if "\udc80" <= character <= "\udcff":  # os.fsdecode's stand-in for a byte that is no text
        return os.fsencode(character)
    spelt = SPELT.get(character) or unicodedata.normalize("NFKD", character)
    return spelt.encode("ascii", "ignore") or b"?"
