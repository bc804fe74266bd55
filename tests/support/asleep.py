"""A machine that was asleep, as a laptop with its lid closed: no process ran, and `monotonic` stood still."""

from __future__ import annotations

import time

import pytest


def sleep(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """It wakes up now, and has slept for so long."""
    real = time.clock_gettime

    def woken(clock: int) -> float:
        return real(clock) + (seconds if clock == time.CLOCK_BOOTTIME else 0.0)

    monkeypatch.setattr(time, "clock_gettime", woken)
