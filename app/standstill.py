"""Where a process stands that comes to no end: what each of its tasks waits for."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import traceback
from collections.abc import Iterable
from typing import Any

_THREAD_FRAMES = 3
_KINDS = (("cr", "await"), ("gi", "yieldfrom"), ("ag", "await"))


def whereabouts(loops: Iterable[asyncio.AbstractEventLoop]) -> list[str]:
    """One entry for each task of some event loops, from its coroutine inwards, and one for the main thread.

    Those that stop something come last: what they wait for is what holds up the end. May be called from any thread.
    """
    tasks = [_chain(task.get_coro()) for loop in loops for task in asyncio.all_tasks(loop)]
    return [_main_thread(), *sorted((" > ".join(chain) for chain in tasks), key=lambda told: (".stop:" in told, told))]


def _chain(waiting: Any) -> list[str]:
    """Coroutines and generators, each with the line where it awaits the next."""
    found = []
    while waiting is not None:
        if type(waiting).__name__ == "async_generator_asend":  # tells its generator to nobody else
            (waiting, *_) = gc.get_referents(waiting)
        for kind, inner in _KINDS:
            if (frame := getattr(waiting, f"{kind}_frame", None)) is not None:  # None as soon as it has ended
                found.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
                waiting = getattr(waiting, f"{kind}_{inner}")
                break
        else:
            break
    return found


def _main_thread() -> str:
    frames = traceback.extract_stack(sys._current_frames()[threading.main_thread().ident or 0])
    return "the main thread in " + " > ".join(f"{one.name}:{one.lineno}" for one in frames[-_THREAD_FRAMES:])
