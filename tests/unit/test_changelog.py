"""A write to a table that is given up while Kafka has not answered."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any, cast

import faust
import pytest

from tables.changelog import put


class Unanswered:
    """A table whose changelog answers when the test says so."""

    def __init__(self) -> None:
        self.data: dict[str, bytes] = {}
        self.sent: list[asyncio.Future[None]] = []

    def send_changelog(self, *_: object) -> asyncio.Future[None]:
        self.sent.append(asyncio.get_running_loop().create_future())
        return self.sent[-1]


def taken(sent: asyncio.Future[None]) -> None:
    """Kafka has it."""
    sent.set_result(None)


def refused(sent: asyncio.Future[None]) -> None:
    """Kafka will not have it."""
    sent.set_exception(OSError())


@pytest.mark.parametrize("answer", [taken, refused])
async def test_what_is_on_its_way_when_a_batch_is_cancelled_still_gets_its_answer(
    answer: Callable[[asyncio.Future[None]], None], caplog: pytest.LogCaptureFixture
) -> None:
    gc.collect()
    caplog.clear()  # what tests before this one have left
    table = Unanswered()
    batch = asyncio.ensure_future(put(cast("faust.Table[str, bytes]", cast("Any", table)), [(0, "a", b"1")]))
    await asyncio.sleep(0)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    (sent,) = table.sent
    answer(sent)  # raises where it was cancelled
    del sent, table.sent[:]
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == [], "an error that nobody asks for is not complained of"
