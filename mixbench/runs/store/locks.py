"""Kernel locks on files, which end with the process that holds them. No torch.

flock itself where there is one: filelock takes a hundred times as long, and thousands of runs are looked at. Both take
the same lock.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)  # neither a FIFO nor what a link leads to
HELD = {errno.EACCES, errno.EAGAIN}
UNKNOWN = {errno.ENOSYS, errno.EOPNOTSUPP}  # a file system without such locks: filelock has another kind


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now; False also where the file may not be read."""
    if fcntl is None:
        return _is_held(path)
    try:
        number = os.open(path, os.O_RDONLY | FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look at once do not see each other
        return False
    except OSError as error:
        return _is_held(path) if error.errno in UNKNOWN else error.errno in HELD
    finally:
        os.close(number)


def _is_held(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


@contextmanager
def hold(path: Path, wait: float = 0) -> Iterator[None]:
    """Hold the lock. Raises filelock.Timeout where another process has it for `wait` more seconds (-1: no end)."""
    number = _try(path) if wait == 0 else None
    if number is None or fcntl is None:
        with FileLock(path, timeout=wait):
            yield
        return
    try:
        yield
    finally:
        fcntl.flock(number, fcntl.LOCK_UN)  # not by closing alone: a child process may have the file too
        os.close(number)


def _try(path: Path) -> int | None:
    """The number of the open and locked file; None where the machine or the file system has no such locks."""
    if fcntl is None:
        return None
    number = os.open(path, os.O_RDWR | os.O_CREAT | FLAGS, 0o666)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return number
    except OSError as error:
        os.close(number)
        if error.errno in UNKNOWN:
            return None
        raise Timeout(str(path)) if error.errno in HELD else error from None
