"""How much of a resilience test runs: a short form in `make check`, the full counts in `make soak`."""

import os


def rounds(short: int, full: int) -> int:
    """Return how often to do it: `full` in the soak run, which sets SOAK=1, else `short`."""
    return full if os.environ.get("SOAK") else short
