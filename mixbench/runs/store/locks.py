"""Kernel locks on files, which end with the process that holds them. No torch.

If the system has flock, it is called directly: filelock takes a hundred times as long, and status checks thousands of
runs. Both take the same lock.
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

FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)  # do not wait for a FIFO or follow a link
HELD = {errno.EACCES, errno.EAGAIN}
UNKNOWN = {errno.ENOSYS, errno.EOPNOTSUPP}  # the file system has no such locks; filelock uses another kind there


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now.

    path: the lock's file.
    Returns False also if the file cannot be read.
    """
    if fcntl is None:
        return _is_held(path)
    try:
        number = os.open(path, os.O_RDONLY | FLAGS)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared, so that two checks do not disturb each other
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
    """Hold a lock within the body.

    path: the lock's file.
    wait: seconds to wait for another process; -1: without limit.
    Raises filelock.Timeout if another process still holds the lock then.
    """
    number = _try(path) if wait == 0 else None
    if number is None or fcntl is None:
        with FileLock(path, timeout=wait):
            yield
        return
    try:
        yield
    finally:
        fcntl.flock(number, fcntl.LOCK_UN)  # closing is not enough: a child process can have the file open too
        os.close(number)


def _try(path: Path) -> int | None:
    """Return the descriptor of the open and locked file; None if the system or the file system has no such locks."""
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
