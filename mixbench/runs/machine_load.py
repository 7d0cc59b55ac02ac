"""The load of a machine by other processes. The time of a step is meaningful only if nothing else was running.

No torch.
"""

import os
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")  # only on Linux; on other systems the load is not known
IDLE_FIELDS = (3, 4)  # fields of the line "cpu": idle and waiting for a disk, in clock ticks
GUEST_FIELDS = 8  # fields from here on repeat time that user and nice already contain (man 5 proc)
IDLE_BELOW = 0.05  # share of all cores; a desktop's background work is below it, one busy core of 16 is above


@dataclass(frozen=True)
class Reading:
    """CPU seconds since a fixed time.

    cores: of all cores together.
    idle: of which idle.
    own: used by this process.
    """

    cores: float
    idle: float
    own: float


def read_counters(stat: Path = STAT) -> Reading | None:
    """Return the current counters; None if the system does not have them.

    stat: the file in which Linux has the counters.
    """
    try:
        words = stat.read_text(encoding="ascii").splitlines()[0].split()
        ticks = [int(word) for word in words[1:]][:GUEST_FIELDS]
        hertz = os.sysconf("SC_CLK_TCK")
        idle = sum(ticks[field] for field in IDLE_FIELDS)
    except (OSError, ValueError, IndexError):
        return None
    times = os.times()  # includes child processes that have ended
    own = times.user + times.system + times.children_user + times.children_system
    return Reading(sum(ticks) / hertz, idle / hertz, own)


def load_by_others(before: Reading | None, after: Reading | None) -> float | None:
    """Return the share of all cores' time that other processes used between two readings.

    Time taken by the host of a virtual machine ("steal") is included, because it is lost in the same way.

    before: the first reading; None: the system does not have counters.
    after: the second reading.
    Returns 0 to 1; None if the share is not known.
    """
    if before is None or after is None or after.cores <= before.cores:
        return None
    passed = after.cores - before.cores
    busy = passed - (after.idle - before.idle)
    return min(1.0, max(0.0, (busy - (after.own - before.own)) / passed))
