"""Ctrl-C and SIGTERM: the first ends the demo, further ones do not disturb its tidying up.

What a signal's handler raises is lost where it comes within the callback of a weak reference or a `__del__`: Python
writes "Exception ignored" and goes on. So a lost one comes once more.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from time import sleep
from typing import Any, TypeVar

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_SECONDS = 0.01


@contextmanager
def handled() -> Iterator[None]:
    """Take SIGTERM for a Ctrl-C, and pass over all but the first of both; as before at the end."""
    if not _in_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    _on_signal(_first)
    hook = sys.unraisablehook
    sys.unraisablehook = partial(_lost, hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; a Ctrl-C cancels it, so that it tidies up, and is raised as KeyboardInterrupt then.

    Raised inside the loop, as Python does by itself, it would tear a task apart wherever that is.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGINT) is not _first:
        return asyncio.run(main)
    interrupted = False

    async def guarded() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 -- a coroutine runs in a task

        def interrupt() -> None:
            nonlocal interrupted
            if not interrupted:
                interrupted = True
                task.cancel()

        for number in _SIGNALS:
            loop.add_signal_handler(number, interrupt)
        try:
            return await main
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            _on_signal(signal.SIG_IGN if interrupted else _first)

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def deaf() -> None:
    """From now on nothing is interrupted."""
    if _in_main_thread():
        _on_signal(signal.SIG_IGN)


def _first(_number: int, _frame: object) -> None:
    deaf()
    raise KeyboardInterrupt


def _lost(hook: Callable[[Any], Any], what: Any) -> None:
    """Something was raised where nobody can take it."""
    if what.exc_type is KeyboardInterrupt and _in_main_thread():
        _on_signal(_first)
        start_new_thread(_again, ())  # `threading` takes a lock, and this may come while that is held
    else:
        hook(what)


def _again() -> None:
    main = threading.main_thread().ident
    assert main is not None  # noqa: S101 -- it has begun
    sleep(_AGAIN_SECONDS)
    signal.pthread_kill(main, signal.SIGINT)


def _on_signal(handler: Callable[[int, Any], Any] | signal.Handlers) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
