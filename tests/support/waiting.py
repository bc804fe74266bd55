"""Waiting for something to come true, with a generous deadline: never a statement about speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(truth: Callable[[], T], what: str | Callable[[], str], seconds: float = 120, pause: float = 0.1) -> T:
    """The first true value of `truth`. `what` may be made when it is needed: to say what is there instead."""
    deadline = time.monotonic() + seconds
    while not (value := truth()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(pause)
    return value
