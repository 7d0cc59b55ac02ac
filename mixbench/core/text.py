"""Format numbers for readers."""


def duration(seconds: float) -> str:
    """Format a time, such as 45 s, 12 min, 3.4 h or 2.1 days.

    seconds: the time, 0 or more.
    """
    for unit, size in (("days", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
