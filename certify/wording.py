"""Counts and times as people say them."""


def counted(count: int, one: str, several: str) -> str:
    """Return a count with the word for one or for several."""
    return f"{count:,} {one if count == 1 else several}"


def duration(seconds: float) -> str:
    """Return a time in seconds, or in milliseconds where it is less than one."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{max(1, round(seconds * 1000))} ms"
