"""A clock that runs on while the machine sleeps, for all that asks how long ago something was proved.

Python's `monotonic` stands still meanwhile on Linux: after an hour with the lid closed, what was true a second before
would still be a second old.
"""

from __future__ import annotations

import time

# Elsewhere (macOS) the monotonic clock of POSIX does not stop.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Seconds since the machine was started, those in which it slept too."""
    return time.clock_gettime(_CLOCK)
