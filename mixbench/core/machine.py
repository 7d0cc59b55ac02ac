"""The name of the processor. No torch."""

import platform
from pathlib import Path


def cpu_name() -> str:
    """Return the model name of the processor, from /proc/cpuinfo on Linux, else from the platform module."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
