"""The outbox and a broker that refuses some posts for their size."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.clients.kafka import admin
from app.domain.records import raw_headers
from app.local.stack import Stack
from app.settings import Settings
from app.sources.x import X
from app.topics import COVERAGE, DEAD_LETTERS, RAW, full_name
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.ledger import now_ms
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.spool import Spool
from tests.support import topics, tracking
from tests.support.place import place

LEAST = 40_000  # bytes of a record that the topic of these tests takes


class Held:
    """A lease that nobody else wants."""

    sure = in_touch = True


def line(number: int, size: int = 100) -> bytes:
    """A post whose text no compression makes much smaller than its size."""
    return orjson.dumps(tracking.post(number, os.urandom(size).hex()))


def parcel(*lines: bytes) -> Parcel:
    headers = raw_headers("x", "v2", now_ms(), "live", "c0ffee")
    return Parcel(RAW.name, b"\n".join(lines), headers, None, "x", now_ms(), len(lines), None, len(lines), "c0ffee")


async def limit(settings: Settings, most: int) -> None:
    """Have the topic of raw posts take less than it was made for."""
    async with admin(settings) as client:
        changed = ConfigResource(ConfigResourceType.TOPIC, full_name(RAW, settings), {"max.message.bytes": str(most)})
        await client.alter_configs([changed])


async def sent(settings: Settings, spool: Spool, work: Callable[[Outbox], Coroutine[Any, Any, None]]) -> None:
    """Run an outbox until it has nothing left."""
    history = History(settings, {"x": X(settings)})
    outbox = Outbox(settings, cast(Lease, Held()), spool, history.unsent)
    async with outbox:
        await work(outbox)
        async with asyncio.timeout(60):
            while outbox.oldest_ms is not None or outbox.spooled:  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0.1)


def raw_lines(settings: Settings) -> list[bytes]:
    return [one for record in topics.read(settings, RAW) for one in record.value.split(b"\n")]


def check_buried(settings: Settings, large: bytes, of: Parcel) -> None:
    """The line has one letter: its beginning, its size, and the headers that it would have had."""
    ((letter_id, letter),) = topics.dead_letters(settings).items()
    assert letter_id.startswith(f"tracker/{RAW.name}:0:{of.heard_ms}:")
    assert f"{len(large):,} bytes" in letter.reason
    assert 0 < len(letter.value) < 10_000
    assert large.startswith(letter.value)
    (record,) = topics.read(settings, DEAD_LETTERS)
    assert {*of.headers, ("size", str(len(large)).encode())} <= set(record.headers)


@pytest.mark.parametrize("spooled", [False, True], ids=["live", "spooled"])
@pytest.mark.parametrize(("least", "size"), [(LEAST, 100_000), (None, 5_000_000)], ids=["broker", "client"])
def test_what_kafka_will_never_take_is_buried_and_all_behind_it_goes_on(
    stack: Stack, tmp_path: Path, spooled: bool, least: int | None, size: int
) -> None:
    large = line(2, size)
    parcels = [parcel(line(0)), parcel(line(1), large, line(3)), parcel(line(4)), parcel(line(5), line(6))]
    ledger = Parcel(COVERAGE.name, b"{}", [], b"x|1|c0ffee")
    spool = Spool(tmp_path, 10**8)
    if spooled:
        spool.append([*parcels, ledger])

    async def work(outbox: Outbox) -> None:
        for one in () if spooled else (*parcels, ledger):
            outbox.put(one)

    with place(stack, partitions=1) as settings:
        if least is not None:
            asyncio.run(limit(settings, least))
        asyncio.run(sent(settings, spool, work))
        wanted = [one for made in parcels for one in made.value.split(b"\n") if one != large]
        assert raw_lines(settings) == wanted, "in their order, none twice"
        check_buried(settings, large, parcels[1])
        assert {record.key for record in topics.read(settings, COVERAGE)} == {ledger.key}


def test_posts_that_are_too_large_only_together_are_all_kept(stack: Stack, tmp_path: Path) -> None:
    """A broker judges what a client sends at once; and of a record it may take each line, though not all of them."""
    lines = [line(number, LEAST // 3) for number in range(30)]

    async def work(outbox: Outbox) -> None:
        for number in range(0, 30, 3):
            outbox.put(parcel(*lines[number : number + 3]))
        while outbox.oldest_ms is not None or outbox.spooled:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.1)
        outbox.put(parcel(line(31)))

    with place(stack, partitions=1) as settings:
        asyncio.run(limit(settings, LEAST))
        asyncio.run(sent(settings, Spool(tmp_path, 10**8), work))
        assert raw_lines(settings)[:30] == lines
        assert len(raw_lines(settings)) == 31, "what comes later is sent as ever"
        assert topics.dead_letters(settings) == {}
