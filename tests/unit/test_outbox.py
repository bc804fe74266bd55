"""What is on its way to a Kafka that takes less than comes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, cast

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata
from prometheus_client import REGISTRY

from app.domain.coverage import LOST, InForce, Interval, Outage, SourceStatus, entry
from app.domain.reasons import Reason, reasons
from app.domain.watchdog import State
from app.settings import Settings
from app.topics import COVERAGE
from app.tracking import outbox
from app.tracking import spool as spooling
from app.tracking.history import History
from app.tracking.lease import Lease
from app.tracking.outbox import Outbox
from app.tracking.parcel import Parcel
from app.tracking.spool import Spool, SpoolFull
from tests.support.spooled import Held, drained, ledger_view

SIZE = 10_000
MOST = 40 * SIZE


def _taken(topic: str) -> asyncio.Future[Any]:
    """What a send gives that Kafka has acknowledged."""
    taken = asyncio.get_running_loop().create_future()
    taken.set_result(RecordMetadata(topic, 0, TopicPartition(topic, 0), 0, 0, 0, 0))
    return taken


def _send_by(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the outbox send by this client."""

    @asynccontextmanager
    async def producer(_: Settings) -> AsyncIterator[Any]:
        yield client

    monkeypatch.setattr(outbox, "producer", producer)


def parcel(number: int) -> Parcel:
    return Parcel("raw_tweets", b"%d:" % number + b"x" * SIZE, [], None, "x", 1000 + number, 1, number)


class Slow:
    """A producer that takes so many records, and acknowledges none."""

    def __init__(self, takes: int) -> None:
        self.left = takes

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
        if not self.left:
            await asyncio.Event().wait()
        self.left -= 1
        return asyncio.get_running_loop().create_future()


@pytest.fixture(params=[0, 5, 10**6], ids=["nothing", "a little", "all"])
def slow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def producer(_: Settings) -> AsyncIterator[Slow]:
        yield Slow(request.param)

    monkeypatch.setattr(outbox, "producer", producer)
    monkeypatch.setattr(outbox, "WAITING_BYTES", MOST)
    monkeypatch.setattr(outbox, "_SLOW_SECONDS", 0.05)
    monkeypatch.setattr(outbox, "FLYING_BYTES", 10 * SIZE)
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(outbox, "_STOP_SECONDS", 0.1)


def test_how_much_has_room_on_the_disk_is_a_figure(tmp_path: Path) -> None:
    Outbox(Settings(), cast(Lease, Held()), Spool(tmp_path, 12_345), History(Settings(), {}), ledger_view(Settings()))
    assert REGISTRY.get_sample_value("starling_spool_limit_bytes") == 12_345


@pytest.mark.usefixtures("slow")
async def test_what_a_slow_kafka_does_not_take_goes_to_the_disk_in_order(tmp_path: Path) -> None:
    spool, sent = Spool(tmp_path, 10**8), [parcel(number) for number in range(200)]
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    kept: list[Parcel] = []
    box.on_kept = kept.append
    async with box, asyncio.timeout(30):
        for one in sent:
            box.put(one)
            await box.room()
    assert drained(Spool(tmp_path, 10**8)) == sent
    assert kept == sent


async def test_a_source_that_is_faster_than_kafka_waits_and_nothing_goes_by_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    takes = asyncio.Event()

    class Busy:
        async def send(self, topic: str, value: bytes, *_: Any, **__: Any) -> asyncio.Future[Any]:
            await takes.wait()
            sent.append(value)
            return _taken(topic)

    _send_by(Busy(), monkeypatch)
    monkeypatch.setattr(outbox, "WAITING_BYTES", MOST)
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "_SLOW_SECONDS", 3600.0)
    box = Outbox(
        Settings(), cast(Lease, Held()), Spool(tmp_path, 10**8), History(Settings(), {}), ledger_view(Settings())
    )
    parcels = [parcel(number) for number in range(60)]
    async with box, asyncio.timeout(30):
        for one in parcels:
            box.put(one)
        room = asyncio.ensure_future(box.room())
        for _ in range(100):  # looks
            await asyncio.sleep(0)
        assert not room.done()
        takes.set()
        await room
        while box.oldest_ms is not None:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
    assert sent == [one.value for one in parcels]
    assert box.end == 1, "no file was ever begun"


async def test_while_the_disk_is_being_sent_what_comes_goes_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little it is: what waits in memory is lost with its process."""

    @asynccontextmanager
    async def producer(_: Settings) -> AsyncIterator[Slow]:
        yield Slow(10**6)

    monkeypatch.setattr(outbox, "producer", producer)
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "SPOOL_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "_STOP_SECONDS", 0.0)
    monkeypatch.setattr(spooling, "FILE_BYTES", 1)
    spool, parcels = Spool(tmp_path, 10**8), [parcel(number) for number in range(5)]
    for one in parcels[:2]:
        spool.append([one])
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    kept: list[Parcel] = []
    box.on_kept = kept.append
    async with box, asyncio.timeout(30):
        for one in parcels[2:]:
            box.put(one)
            while box.oldest_ms is not None:  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0)
        assert kept == parcels[2:]
    assert drained(Spool(tmp_path, 10**8)) == parcels


async def test_however_much_comes_while_the_disk_is_being_sent_that_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each file of three that is sent one comes anew; in the end they are sent as they come, in their order."""
    waited = [parcel(number) for number in range(30)]
    sent: list[bytes] = []

    class Read(Spool):
        new = False

        def first(self) -> list[Parcel]:
            self.new = True
            return super().first()

    class Willing:
        async def send(self, topic: str, value: bytes, *_: Any, **__: Any) -> asyncio.Future[Any]:
            sent.append(value)
            if spool.new:
                spool.new = False
                waited.append(parcel(len(waited)))
                box.put(waited[-1])
            for _number in range(10):
                await asyncio.sleep(0)  # all else has its turn
            return _taken(topic)

    _send_by(Willing(), monkeypatch)
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "SPOOL_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(spooling, "FILE_BYTES", 3 * SIZE)
    spool = Read(tmp_path, 10**8)
    for one in list(waited):
        spool.append([one])
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    async with box, asyncio.timeout(30):
        while box.spooled or box.oldest_ms is not None:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
    assert sent == [one.value for one in waited]


async def test_what_has_waited_for_the_last_file_is_sent_as_it_comes_however_long_that_takes_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    waited, gone = parcel(1), threading.Event()

    class Slow(Spool):
        def drop_first(self) -> None:
            super().drop_first()
            assert gone.wait(30)

    class Willing:
        async def send(self, topic: str, value: bytes, *_: Any, **__: Any) -> asyncio.Future[Any]:
            if not sent:
                box.put(waited)
                box._in_time = monotonic() - 3600  # so long ago it began
                box._waiting[0] = box._in_time, waited
            sent.append(value)
            return _taken(topic)

    _send_by(Willing(), monkeypatch)
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "_LAST_FILE_SECONDS", 10_000.0)
    monkeypatch.setattr(outbox, "_SLOW_SECONDS", 60.0)
    spool = Slow(tmp_path, 10**8)
    spool.append([parcel(0)])
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    async with box, asyncio.timeout(30):
        while not spool.empty:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
        for _ in range(100):  # looks
            await asyncio.sleep(0)
        gone.set()
        while box.oldest_ms is not None:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0)
    assert sent == [parcel(0).value, waited.value]
    assert box.end == 2, "no second file was begun"


async def test_what_is_kept_behind_something_that_is_not_is_told_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who goes on from the cursor of the last one that is kept passes over all before it."""
    parcels = [parcel(number) for number in range(4)]
    taken: list[asyncio.Future[Any]] = []

    class Willing:
        async def send(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
            taken.append(asyncio.get_running_loop().create_future())
            return taken[-1]

    _send_by(Willing(), monkeypatch)
    monkeypatch.setattr(outbox, "_STOP_SECONDS", 0.0)
    spool, lease = Spool(tmp_path, 10), Held()
    box = Outbox(Settings(), cast(Lease, lease), spool, History(Settings(), {}), ledger_view(Settings()))
    kept: list[Parcel] = []
    box.on_kept = kept.append
    async with box, asyncio.timeout(30):
        for one in parcels:
            box.put(one)
        while len(taken) < len(parcels):  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.01)
        for number in (0, 2):
            taken[number].set_result(None)
        taken[1].set_exception(KafkaError())
        while box.full is None:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.01)
        assert kept == parcels[:1]
        spool.most = 10**8
    assert kept == parcels
    assert drained(spool) == parcels[1:]


async def test_what_a_client_that_was_cut_off_has_not_answered_is_sent_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers never come: who waits for them sends nothing any more."""
    parcels, sent, lease = [parcel(number) for number in range(3)], list[bytes](), Held()

    class Willing:
        async def send(self, topic: str, value: bytes, *_: Any, **__: Any) -> asyncio.Future[Any]:
            sent.append(value)
            return _taken(topic)

    silent = Slow(len(parcels))

    @asynccontextmanager
    async def producer(_: Settings) -> AsyncIterator[Slow | Willing]:
        yield silent if silent.left else Willing()
        lease.sure = True  # Kafka is back by then

    monkeypatch.setattr(outbox, "producer", producer)
    spool = Spool(tmp_path, 10**8)
    box = Outbox(Settings(), cast(Lease, lease), spool, History(Settings(), {}), ledger_view(Settings()))
    kept: list[Parcel] = []
    box.on_kept = kept.append
    async with box, asyncio.timeout(30):
        for one in parcels:
            box.put(one)
        while silent.left:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
        lease.sure = False
        while not kept or box.spooled:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.01)
        assert kept == parcels
        assert sent == [one.value for one in parcels]


async def test_a_disk_that_hangs_is_told_in_time_and_each_time_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another reason would be another outage in the ledger with each try."""
    monkeypatch.setattr(outbox, "WAITING_BYTES", 0)
    monkeypatch.setattr(outbox, "_ROOM_SECONDS", 0.0)
    box = Outbox(
        Settings(), cast(Lease, Held()), Spool(tmp_path, 10**8), History(Settings(), {}), ledger_view(Settings())
    )
    for number in range(2):
        box.put(parcel(number))
        with pytest.raises(SpoolFull, match=r"^Kafka and the disk take less than comes: more than 0 bytes wait$"):
            await asyncio.wait_for(box.room(), 30)


async def test_while_a_client_is_being_made_what_comes_goes_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def producer(_: Settings) -> AsyncIterator[None]:
        await asyncio.Event().wait()  # no host of Kafka answers, nor says that it does not
        yield

    monkeypatch.setattr(outbox, "producer", producer)
    monkeypatch.setattr(outbox, "WAITING_BYTES", MOST)
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(outbox, "_STOP_SECONDS", 0.1)
    spool = Spool(tmp_path, 10**8)
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    async with asyncio.timeout(30):
        await box.start()
        for number in range(200):
            box.put(parcel(number))
            await box.room()
        assert not spool.empty
        await box.stop()


@pytest.mark.usefixtures("told")
async def test_a_disk_that_had_no_room_is_forgotten_once_nothing_needs_it(tmp_path: Path) -> None:
    box = Outbox(
        Settings(), cast(Lease, Held()), Spool(tmp_path, 10**8), History(Settings(), {}), ledger_view(Settings())
    )
    box.full = "no space left on device"
    async with box, asyncio.timeout(30):
        box.put(parcel(0))
        while box.full:  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.01)


def status(state: State) -> bytes:
    return msgspec.json.encode(SourceStatus(source="x", state=state, words="", since=1, at=1))


def files(directory: Path, kind: str = "spool") -> list[Path]:
    return sorted(directory.glob(f"*.{kind}"))


def unreadable(file: Path) -> None:
    """What is no file cannot be read as one, by root neither."""
    file.unlink()
    file.mkdir()


def damage(file: Path, at: float) -> None:
    """Change its last byte, and have it written last at this second."""
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    os.utime(file, (at, at))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What of the ledger has come to a Kafka that takes everything."""
    told: list[bytes] = []

    class Willing:
        async def send(self, topic: str, value: bytes, *_: Any, **__: Any) -> asyncio.Future[Any]:
            if topic == COVERAGE.name:
                told.append(value)
            return _taken(topic)

    _send_by(Willing(), monkeypatch)
    monkeypatch.setattr(spooling, "FILE_BYTES", 1)
    return told


async def test_what_is_lost_on_disk_is_not_claimed_to_be_heard(tmp_path: Path, told: list[bytes]) -> None:
    """The entry of the ledger that stands in a later file says that all came to the disk, and so it did."""
    spool = Spool(tmp_path, 10**8)
    claims = Interval(
        source="x", connection="c", opened=500, since=500, until=9000, ended="cut", events=[InForce("flood", 1, 500)]
    )
    ledger = Parcel(COVERAGE.name, msgspec.json.encode(claims), [], claims.key.encode())
    for number in range(3):
        spool.append([parcel(number)])
    spool.append([ledger])
    damage(files(tmp_path)[1], at=4)
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    async with box, asyncio.timeout(30):
        while box.spooled:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.01)
        box.put(ledger)  # of a connection that lasts
        while len(told) < 2:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.01)
    for value in told:
        found = entry(value)
        assert isinstance(found, Interval)
        assert found.events == [InForce("flood", 1, 500, 1001), InForce("flood", 1, 4001)]
        assert reasons("flood", 1001, 4001, [found], [], 10_000) == (Reason(1001, 4001, LOST),)


async def test_while_the_disk_is_full_the_ledgers_entries_do_not_become_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[bytes]
) -> None:
    """A tracker tells of an outage every few seconds, for as long as it lasts; the newest word of it says all."""
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "SPOOL_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "_STOP_SECONDS", 0.0)
    lease = Held()
    lease.sure = lease.in_touch = False
    box = Outbox(Settings(), cast(Lease, lease), Spool(tmp_path, 10), History(Settings(), {}), ledger_view(Settings()))
    entries = [msgspec.json.encode(Outage(source="x", since=1, until=until, why="full")) for until in range(2, 50)]
    async with box, asyncio.timeout(30):
        box.put(parcel(0))
        for value in entries:
            box.put(Parcel(COVERAGE.name, value, [], b"x|1|outage"))
        box.put(parcel(1))
        while len(box._waiting) > 3:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
        assert box._waiting_bytes == sum(one.size for _, one in box._waiting)
        lease.sure = lease.in_touch = True
        while box.oldest_ms is not None:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0)
    assert told == entries[-1:]


async def test_a_file_that_cannot_be_read_is_told_and_put_aside_and_all_behind_it_goes_on(
    tmp_path: Path, told: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(outbox, "_READ_AGAIN_SECONDS", (0.0, 0.0, 10_000.0))
    how = status("waiting")
    spool = Spool(tmp_path, 10**8)
    spool.append([parcel(7)])
    behind = msgspec.json.encode(Outage(source="x", since=1, until=2, why="away"))
    spool.append([Parcel(COVERAGE.name, behind, [], b"x|1|outage")])
    unreadable(files(tmp_path)[0])
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    async with box, asyncio.timeout(30):
        while box.unread is None:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
        assert box.unread == (
            "a file of what was kept on disk cannot be read (is a directory); if that lasts it is put aside"
        )
        box.put(Parcel(COVERAGE.name, how, [], b"x", passing=True))
        while not told:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0)
        assert told == [how], "though nothing of the disk is sent"
        monkeypatch.setattr(outbox, "_READ_AGAIN_SECONDS", (0.0, 0.0, 0.0))
        box._read_again = 0.0
        while box.spooled:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0)
        assert box.unread is None
    assert told == [how, behind]
    assert [since for since, _ in spool.lost] == [parcel(7).heard_ms]
    assert [path.is_dir() for path in files(tmp_path, "damaged")] == [True], "nothing is deleted"


async def test_how_a_source_is_goes_to_no_disk_and_the_newest_word_is_told(
    tmp_path: Path, told: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_LOOK_SECONDS", 0.0)
    spool, lease = Spool(tmp_path, 10**8), Held()
    lease.sure = lease.in_touch = False
    box = Outbox(Settings(), cast(Lease, lease), spool, History(Settings(), {}), ledger_view(Settings()))
    for state in (status("quiet"), status("listening")):
        box.put(Parcel(COVERAGE.name, state, [], b"x", passing=True))
    async with box, asyncio.timeout(30):
        box.put(parcel(0))
        await box._put_away()
        lease.sure = lease.in_touch = True
        while not told:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
    assert told == [status("listening")]


async def test_how_a_source_is_is_told_while_more_waits_than_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    how = status("listening")

    class Outrun:
        async def send(self, topic: str, value: bytes, *_: Any, **__: Any) -> asyncio.Future[Any]:
            sent.append(value)
            if len(sent) == 1:
                box.put(Parcel(COVERAGE.name, how, [], b"x", passing=True))
            if len(sent) < 50:
                box.put(parcel(len(sent)))
            return _taken(topic)

    _send_by(Outrun(), monkeypatch)
    spool = Spool(tmp_path, 10**8)
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    async with box, asyncio.timeout(30):
        box.put(parcel(0))
        while box.oldest_ms is not None:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0)
    assert sent.index(how) == 1
    assert len(sent) >= 50


async def test_an_entry_of_another_version_is_in_nobodys_way_where_something_was_lost(
    tmp_path: Path, told: list[bytes]
) -> None:
    spool = Spool(tmp_path, 10**8)
    spool.lost.append((1, 2))
    strange = b'{"type":"of tomorrow"}'
    spool.append([Parcel(COVERAGE.name, strange, [], b"x|1|c")])
    box = Outbox(Settings(), cast(Lease, Held()), spool, History(Settings(), {}), ledger_view(Settings()))
    async with box, asyncio.timeout(30):
        while box.spooled:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.01)
    assert told == [strange]
