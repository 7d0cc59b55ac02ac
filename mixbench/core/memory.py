"""The amount of free memory, so that work that needs more can be refused before it starts. No torch."""

import contextlib
import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
# Control groups of a container, versions 2 and 1: folder, memory limit, memory used, and the part of it that is
# reclaimable cache.
CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available() -> int | None:
    """Return the bytes that can be used without swapping; None if the system does not tell.

    On Linux this is MemAvailable of /proc/meminfo or what the container's limit leaves, whichever is less. On other
    systems it is all memory of the machine.
    """
    left = [_left(*group) for group in CGROUPS]
    return min([number for number in [*left, *_of_machine()] if number is not None], default=None)


def total() -> int:
    """Return the bytes of memory of the machine or the limit of its container, whichever is less, free or in use."""
    known = [_physical()]
    for folder, limit, _, _ in CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # no such group, or "max", which means no limit
            known.append(int((folder / limit).read_text()))
    return min(known)


def size(count: int) -> str:
    """Format a number of bytes, such as 1.2 GB.

    count: number of bytes.
    """
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"


def _physical() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_machine() -> list[int]:
    try:
        lines = MEMINFO.read_text().splitlines()
        return [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass
    try:
        return [_physical()]
    except (AttributeError, ValueError, OSError):
        return []


def _left(folder: Path, limit: str, used: str, cache: str) -> int | None:
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        in_use = int((folder / used).read_text()) - int(stat.get(cache, 0))
        return max(0, int((folder / limit).read_text()) - in_use)
    except (OSError, ValueError):  # no such group, or "max", which means no limit
        return None
