"""How much memory is free, so that what needs more is refused before it takes any. No torch."""

import contextlib
import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
# Of a container, in cgroup version 2 and 1: its folder, the limit, what is used, and what of that is cache to be freed.
CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available() -> int | None:
    """Bytes that can be taken without swapping; None where the system does not tell.

    On Linux MemAvailable of /proc/meminfo, or what a container's limit leaves, whichever is less. Elsewhere all of the
    machine's memory.
    """
    left = [_left(*group) for group in CGROUPS]
    return min([number for number in [*left, *_of_machine()] if number is not None], default=None)


def total() -> int:
    """Bytes that the machine has, or its container may use, whichever is less; however much of it is in use."""
    known = [_physical()]
    for folder, limit, _, _ in CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # no such group, or "max": no limit
            known.append(int((folder / limit).read_text()))
    return min(known)


def size(count: int) -> str:
    """Bytes as readers know them, such as 1.2 GB."""
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
    except (OSError, ValueError):  # no such group, or "max": no limit
        return None
