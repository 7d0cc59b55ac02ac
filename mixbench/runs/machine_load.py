"""How busy other processes kept the machine: a step's time means something only where nothing else was running.

No torch.
"""

import os
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")  # Linux alone; elsewhere the load is not known
IDLE_FIELDS = (3, 4)  # of the line "cpu": idle and waiting for a disk, in clock ticks
GUEST_FIELDS = 8  # from here on the fields count again what user and nice hold already (man 5 proc)
IDLE_BELOW = 0.05  # of all cores: a desktop's background work stays below, one busy process of 16 does not


@dataclass(frozen=True)
class Reading:
    """CPU seconds since some fixed time: of all cores together, of them idle, and of this process."""

    cores: float
    idle: float
    own: float


def read(stat: Path = STAT) -> Reading | None:
    """The counters now; None where the system does not tell them."""
    try:
        words = stat.read_text(encoding="ascii").splitlines()[0].split()
        ticks = [int(word) for word in words[1:]][:GUEST_FIELDS]
        hertz = os.sysconf("SC_CLK_TCK")
        idle = sum(ticks[field] for field in IDLE_FIELDS)
    except (OSError, ValueError, IndexError):
        return None
    times = os.times()  # with those of processes that it has started and waited for
    own = times.user + times.system + times.children_user + times.children_system
    return Reading(sum(ticks) / hertz, idle / hertz, own)


def of_others(before: Reading | None, after: Reading | None) -> float | None:
    """The share of all cores' time between two readings that other processes took, 0 to 1; None where not known.

    Time that a virtual machine's host took away ("steal") counts too: it is as lost as any other.
    """
    if before is None or after is None or after.cores <= before.cores:
        return None
    passed = after.cores - before.cores
    busy = passed - (after.idle - before.idle)
    return min(1.0, max(0.0, (busy - (after.own - before.own)) / passed))
