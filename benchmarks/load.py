"""A steady load of generated posts, of which it is known what must come of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType

from app.demo.ledger import Ledger
from app.demo.sending import Sender
from app.domain.events import Event
from app.generator import Generator
from app.settings import Settings

_SECONDS = 2  # of posts that are sent before it is looked whether there shall be more
_END = 120


class Load:
    """Sends posts about events into `raw_tweets` for the length of a block; `ledger` holds what was sent."""

    def __init__(self, settings: Settings, events: Mapping[str, Event], rate: float) -> None:
        self.ledger = Ledger(tuple(events))
        self._most = int(rate * _SECONDS)
        self._sender = Sender(settings, Generator(list(events.values())), self.ledger, rate)
        self._enough = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._send, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._enough.set()
        self._thread.join(_END)
        if self._failed is not None:
            raise self._failed
        if self._thread.is_alive():
            raise TimeoutError("the load does not end")

    def _send(self) -> None:
        try:
            while not self._enough.is_set():
                asyncio.run(self._sender.run(self._most))
        except BaseException as failed:  # told to whoever ends the block
            self._failed = failed
