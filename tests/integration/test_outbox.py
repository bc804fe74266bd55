"""The outbox and a broker that refuses some posts for their size."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from app.clients.kafka import admin
from app.domain.coverage import Entry, Interval, Left, SourceStatus, Wish, entry
from app.local.stack import Stack
from app.settings import Settings
from app.sources.x import X
from app.topics import COVERAGE, DEAD_LETTERS, RAW, full_name
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.spool import Spool
from tests.support import topics
from tests.support.place import place
from tests.support.spooled import Held, asked, ledger_view, line, parcel
from tests.support.topics import Raw

LEAST = 40_000  # bytes of a record that the topic of these tests takes
NOTICE = b'{"limit":{"track":7}}'


async def limit(settings: Settings, most: int) -> None:
    """Have the topic of raw posts take less than it was made for."""
    async with admin(settings) as client:
        changed = ConfigResource(ConfigResourceType.TOPIC, full_name(RAW, settings), {"max.message.bytes": str(most)})
        await client.alter_configs([changed])
        for number in range(settings.partitions):
            # A broker that has taken the change may not go by it yet.
            while await takes(settings, number, 2 * most):
                await client.delete_records({TopicPartition(full_name(RAW, settings), number): RecordsToDelete(-1)})


async def takes(settings: Settings, partition: int, size: int) -> bool:
    """Whether a record of so many bytes is taken."""
    try:
        await topics.send_async(settings, [Raw(os.urandom(size), partition)])
    except MessageSizeTooLargeError:
        return False
    return True


async def sent(settings: Settings, spool: Spool, work: Callable[[Outbox], Coroutine[Any, Any, None]]) -> None:
    """Run an outbox until it has nothing left."""
    history = History(settings, {"x": X(settings)})
    outbox = Outbox(settings, cast(Lease, Held()), spool, history, coverage := ledger_view(settings))
    async with coverage, outbox:
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


@pytest.mark.parametrize(
    ("spooled", "room"), [(False, 10**8), (True, 10**8), (False, 10)], ids=["live", "spooled", "no room"]
)
@pytest.mark.parametrize(("least", "size"), [(LEAST, 100_000), (None, 5_000_000)], ids=["broker", "client"])
def test_what_kafka_will_never_take_is_buried_and_all_behind_it_goes_on(
    stack: Stack, tmp_path: Path, spooled: bool, room: int, least: int | None, size: int
) -> None:
    large = line(2, size)
    parcels = [parcel(line(0)), parcel(line(1), large, line(3)), parcel(line(4)), parcel(line(5), line(6))]
    ledger = Parcel(COVERAGE.name, b"{}", [], b"x|1|c0ffee")
    spool = Spool(tmp_path, room)
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


def test_of_a_file_that_kafka_took_in_part_the_rest_is_sent(stack: Stack, tmp_path: Path) -> None:
    """What has no id, or was asked for though it came by another way, too, as well as posts."""
    post, large = line(0), line(3, 100_000)
    spool = Spool(tmp_path, 10**8)
    spool.append([asked(post), asked(large), parcel(line(1), NOTICE)])

    async def work(_: Outbox) -> None:
        """Each of them goes to a partition of its own, and is refused or taken alone."""

    with place(stack, partitions=3) as settings:
        asyncio.run(limit(settings, LEAST))
        topics.send(settings, [Raw(post, headers=parcel(post).headers)])
        asyncio.run(sent(settings, spool, work))
        found = [record.value for record in topics.read(settings, RAW)]
        assert sorted(map(len, found)) == sorted([len(post), len(post), len(line(1)) + 1 + len(NOTICE)])
        assert found.count(post) == 2, "that which was heard, and that which was asked for"
        assert len(topics.dead_letters(settings)) == 1


def test_of_what_kafka_took_in_part_and_the_disk_had_no_room_for_the_rest_is_sent(stack: Stack, tmp_path: Path) -> None:
    parcels = [parcel(line(0), NOTICE), parcel(line(1, 100_000)), asked(line(2))]

    async def work(outbox: Outbox) -> None:
        """Each of them goes to a partition of its own, and is refused or taken alone."""
        for one in parcels:
            outbox.put(one)

    with place(stack, partitions=3) as settings:
        asyncio.run(limit(settings, LEAST))
        asyncio.run(sent(settings, Spool(tmp_path, 10), work))
        found = [record.value for record in topics.read(settings, RAW)]
        assert sorted(found) == sorted([parcels[0].value, parcels[2].value])
        assert len(topics.dead_letters(settings)) == 1


def test_a_file_that_was_sent_before_a_kill_is_not_sent_again(stack: Stack, tmp_path: Path) -> None:
    large = line(3, 100_000)
    parcels = [asked(line(0), line(1)), asked(line(2), large), parcel(line(4), NOTICE), asked(line(4))]

    async def work(_: Outbox) -> None:
        """The spool has all."""

    with place(stack, partitions=2) as settings:
        asyncio.run(limit(settings, LEAST))
        for process in ("killed", "next"):
            spool = Spool(tmp_path / process, 10**8)
            spool.append(parcels)
            asyncio.run(sent(settings, spool, work))
        wanted = [one for made in parcels for one in made.value.split(b"\n") if one != large]
        assert sorted(raw_lines(settings)) == sorted(wanted)


def wish(posts: int, state: Literal["running", "done"]) -> Interval:
    """What the ledger has of a wish, after so many posts."""
    told = Wish(code="flood", version=2, state=state)
    return Interval(source="x", connection="w", opened=1, since=1, until=2, origin="search", posts=posts, wish=told)


def entries(*told: tuple[str, Entry]) -> list[Parcel]:
    return [Parcel(COVERAGE.name, msgspec.json.encode(one), [], key.encode()) for key, one in told]


def test_an_entry_that_waited_on_disk_takes_no_newer_ones_place(stack: Stack, tmp_path: Path) -> None:
    """A tracker kept it while Kafka was away from it, and another has gone on with the wish, and with the source."""
    older, newer = wish(200, "running"), wish(300, "done")
    left = Left(source="x", since=5, holder="a")
    back = msgspec.structs.replace(left, until=9)
    listening = SourceStatus(source="x", state="listening", words="", since=9, at=10)
    gone = msgspec.structs.replace(listening, state="left", at=5)
    again = Left(source="x", since=11, holder="a")
    spool = Spool(tmp_path, 10**8)
    spool.append(entries((older.key, older), (left.key, left), ("x", gone), (again.key, again)))

    async def work(outbox: Outbox) -> None:
        """The spool has all."""

    with place(stack) as settings:
        standing = {newer.key: newer, left.key: back, "x": listening}
        told = [Raw(one.value, key=one.key, headers=()) for one in entries(*standing.items())]
        topics.send(settings, told, COVERAGE)
        asyncio.run(sent(settings, spool, work))
        found = topics.newest(settings, full_name(COVERAGE, settings))
        assert {key: entry(value) for key, value in found.items()} == {**standing, again.key: again}


def test_an_entry_that_waited_on_disk_is_told_where_nobody_went_on(stack: Stack, tmp_path: Path) -> None:
    older, newer = wish(200, "running"), wish(300, "done")
    spool = Spool(tmp_path, 10**8)
    spool.append(entries((newer.key, newer)))

    async def work(outbox: Outbox) -> None:
        """The spool has all."""

    with place(stack) as settings:
        told = [Raw(one.value, key=one.key, headers=()) for one in entries((older.key, older))]
        topics.send(settings, told, COVERAGE)
        asyncio.run(sent(settings, spool, work))
        found = topics.newest(settings, full_name(COVERAGE, settings))
        assert entry(found[newer.key]) == newer
