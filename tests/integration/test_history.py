"""What stands in `raw_tweets` is asked before spooled posts are sent, however much is spooled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata

from app.local.stack import Stack
from app.settings import Settings
from app.sources.source import Fact
from app.sources.x import X
from app.topics import RAW, full_name
from app.tracking import known as knowing
from app.tracking import spool as spooling
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.spool import Spool
from tests.support import topics
from tests.support.place import place
from tests.support.spooled import Held, ledger_view, line, parcel
from tests.support.topics import Raw


class Counting(X):
    """Counts the lines that are looked at; the time for reading is over at some of them."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.looked = 0
        self.late_at = 0

    def fact(self, line: bytes) -> Fact:
        self.looked += 1
        if self.looked == self.late_at:
            raise TimeoutError
        return super().fact(line)


def as_raw(parcel: Parcel) -> Raw:
    return Raw(parcel.value, headers=parcel.headers)


async def drained(settings: Settings, history: History, spool: Spool) -> None:
    outbox = Outbox(settings, cast(Lease, Held()), spool, history, ledger_view(settings))
    async with outbox, asyncio.timeout(60):
        while outbox.spooled:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.1)


def test_what_the_spool_sends_itself_is_not_read_again(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "FILE_BYTES", 1)
    monkeypatch.setattr(knowing, "MOST_POSTS", 10)
    spool, lines = Spool(tmp_path, 10**8), [line(number) for number in range(60)]
    for at in range(0, 60, 3):
        spool.append([parcel(*lines[at : at + 3])])
    with place(stack, partitions=2) as settings:
        source = Counting(settings)
        asyncio.run(drained(settings, History(settings, {"x": source}), spool))
        assert sorted(one for record in topics.read(settings, RAW) for one in record.value.split(b"\n")) == sorted(
            lines
        )
        assert source.looked == len(lines), "each once, before it is sent"


def test_what_others_send_meanwhile_is_left_out(stack: Stack) -> None:
    first, second, third, fourth = (parcel(line(number)) for number in range(4))

    async def asked(settings: Settings) -> None:
        history = History(settings, {"x": X(settings)})
        await topics.send_async(settings, [as_raw(second)])
        assert await history.unsent([first, second]) == [first]
        (made, _) = await topics.send_async(settings, [as_raw(first), as_raw(third)])
        topic = full_name(RAW, settings)
        whole = TopicPartition(topic, made.partition)
        history.sent([RecordMetadata(topic, made.partition, whole, made.offset, made.timestamp, 0, 0)])
        assert await history.unsent([third, fourth]) == [fourth]
        assert await history.unsent([second]) == []

    with place(stack, partitions=1) as settings:
        asyncio.run(asked(settings))


def test_who_takes_over_knows_what_the_spool_has_sent(stack: Stack, tmp_path: Path) -> None:
    one = parcel(line(0), line(1))
    spool = Spool(tmp_path, 10**8)
    spool.append([one])

    async def asked(settings: Settings) -> None:
        source = X(settings)
        history = History(settings, {"x": source})
        await drained(settings, history, spool)
        keys = {source.fact(line).key for line in one.value.split(b"\n")}
        assert set(await history.marks("x", one.heard_ms)) == {hash(key) for key in keys}

    with place(stack, partitions=1) as settings:
        asyncio.run(asked(settings))


def test_a_read_that_took_too_long_goes_on_where_it_was(stack: Stack) -> None:
    parcels = [parcel(line(number)) for number in range(20)]

    async def asked(settings: Settings) -> None:
        await topics.send_async(settings, [as_raw(one) for one in parcels])
        source = Counting(settings)
        history = History(settings, {"x": source})
        since = parcels[0].heard_ms
        source.late_at = 16
        with pytest.raises(TimeoutError):
            await history.marks("x", since)
        found = set(await history.marks("x", since))
        assert len(found) == len(parcels)
        assert source.looked == len(parcels) + 1, "one twice"

    with place(stack, partitions=1) as settings:
        asyncio.run(asked(settings))
