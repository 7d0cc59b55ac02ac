"""What the system tells about its processor. No torch."""

import platform
from pathlib import Path


def cpu_name() -> str:
    """The processor's own name where the system tells it, as /proc/cpuinfo on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
