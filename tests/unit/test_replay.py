"""The parts of a replay: lines of files, records of lines, the pace, positions, and records on their way."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Unavailable, UserError
from app.replay import flight, lines, packing
from app.replay.flight import Flight
from app.replay.lines import JsonLines, Place
from app.replay.pacing import AtOnce, OwnTimes, Rate
from app.replay.packing import Packer, Record
from app.replay.positions import Position, PositionFile
from tests.builders import line, status, v1_time, v2_list, v2_post

START_MS = 1_700_000_000_000
TARGET = "cluster\0raw_tweets"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path, place: Place = Place()) -> list[bytes | None]:  # noqa: B008 -- a value
    with JsonLines(path) as file:
        return [line.data for line in file.read(place)]


@pytest.mark.parametrize("name", ["posts.jsonl", "posts.jsonl.gz"])
@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", []),
        (b"\n \n\t\r\n", []),
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n\n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}\r', b'{"b":2}\r']),  # unchanged; the reader of records drops it
        (b'\xef\xbb\xbf{"a":1}\n', [b'{"a":1}']),
        (b"  {}  \n\xff\xfe\n", [b"  {}  ", b"\xff\xfe"]),
    ],
)
def test_each_line_that_is_not_blank_is_read_unchanged(
    tmp_path: Path, name: str, data: bytes, wanted: list[bytes]
) -> None:
    assert read(write(tmp_path / name, data)) == wanted


def test_a_gzip_file_needs_no_name_of_one(tmp_path: Path) -> None:
    path = tmp_path / "posts"
    path.write_bytes(gzip.compress(b'{"a":1}\n') + gzip.compress(b'{"b":2}\n'))
    assert read(path) == [b'{"a":1}', b'{"b":2}']


def test_a_line_too_long_for_a_record_is_told_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_LIMIT", 10)
    monkeypatch.setattr(lines, "_CHUNK", 16)
    path = write(tmp_path / "posts.jsonl", b"0123456789\n" + b"x" * 11 + b"\n" + b"y" * 100 + b"\n1\n" + b"z" * 50)
    with JsonLines(path) as file:
        found = list(file.read(Place()))
    assert [one.data for one in found] == [b"0123456789", None, None, b"1", None]
    assert [one.size for one in found] == [11, 12, 101, 2, 50]
    assert [one.end for one in found] == [(1, 11), (2, 23), (3, 124), (4, 126), (5, 176)]


@given(
    st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"")), max_size=30),
    st.booleans(),
    st.data(),
)
def test_reading_on_from_a_place_reads_the_rest(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], packed: bool, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("lines") / ("x.gz" if packed else "x"), b"1\n" + b"\n".join(rows))
    with JsonLines(path) as file:
        found = list(file.read(Place()))
        at = data.draw(st.integers(0, len(found) - 1))
        assert file.starts_a_line(found[at].end)
        assert list(file.read(found[at].end)) == found[at + 1 :]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("none.jsonl", None, "none.jsonl: no such file"),
        ("posts.gz", b'{"a":1}\n', "posts.gz: not gzip, in spite of its name"),
        ("a.csv", b"id,text\n1,hello\n", "a.csv: is not JSONL at line 1"),
        ("b.csv", b"\n\nid,text\n" + b"1,hello\n" * 100 + b"{}\n", "b.csv: is not JSONL at line 3"),
        ("pretty.json", json.dumps([{"a": 1}] * 9, indent=1).encode(), "pretty.json: is not JSONL at line 1"),
        ("cut.gz", gzip.compress(b'{"a":1}\n' * 9, mtime=0)[:-12], "cut.gz: bad file at line"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: bytes | None, error: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as raised, JsonLines(path) as file:
        file.check()
        list(file.read(Place()))
    assert error in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"PK\x03\x04", "is a zip archive; unpack it first"),
        (b"BZh91AY", "is packed by bzip2; unpack it first"),
        (b"PAR1", "is Parquet, not JSONL"),
        ('{"id": 1}'.encode("utf-16"), "is UTF-16; UTF-8 is read"),
    ],
)
def test_what_archives_often_come_as_is_told_by_its_name(tmp_path: Path, start: bytes, said: str) -> None:
    """Lines that could be read may follow: a zip need not be packed."""
    path = tmp_path / "archive"
    path.write_bytes(start + b'\n{"id": 2}\n')
    with pytest.raises(UserError, match=f"archive: {said}"):
        JsonLines(path)


def test_a_pipe_is_no_file_and_nobody_waits_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "posts.jsonl")
    with pytest.raises(UserError, match="not a regular file"):
        JsonLines(tmp_path / "posts.jsonl")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory"):
        JsonLines(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"bad\n" * 19 + b"{}\n", b"[]", b"\xef\xbb\xbf{}\n", b"{}\nbad"])
def test_a_file_with_some_json_at_its_start_is_replayed(tmp_path: Path, content: bytes) -> None:
    with JsonLines(write(tmp_path / "posts.jsonl", content)) as file:
        file.check()


def test_what_stands_before_a_fault_of_a_gzip_file_is_read(tmp_path: Path) -> None:
    rows = [f'{{"number": {number}}}'.encode() for number in range(5000)]
    path = tmp_path / "cut.gz"
    packed = gzip.compress(b"\n".join(rows))
    path.write_bytes(packed[: len(packed) // 2])
    found: list[bytes | None] = []
    with JsonLines(path) as file, pytest.raises(UserError) as raised:
        found.extend(one.data for one in file.read(Place()))
    assert len(found) > 1000
    assert found == rows[: len(found)]
    assert str(raised.value) == f"{path}: bad file at line {len(found) + 1}: the gzip data ends too early"


def test_records_are_full_by_lines_bytes_or_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "RECORD_BYTES", 20)
    packer = Packer(3, linger=0.1)
    assert packer.due is None
    assert packer.take() == []
    assert packer.add(b"a", Place(1, 2), 5.0) == []
    assert packer.due == pytest.approx(5.1)
    assert packer.take(5.05) == []
    assert packer.take(5.2) == [Record(b"a", 1, Place(1, 2), 5.0)]
    packer.add(b"b", Place(2, 4), 6.0)
    packer.add(b"c", Place(3, 6), 7.0)
    assert packer.add(b"d", Place(4, 8), 8.0) == [Record(b"b\nc\nd", 3, Place(4, 8), 6.0)]
    packer.add(b"e" * 12, Place(5, 21), 9.0)
    assert packer.add(b"f" * 12, Place(6, 34), 9.5) == [Record(b"e" * 12, 1, Place(5, 21), 9.0)]
    assert packer.take() == [Record(b"f" * 12, 1, Place(6, 34), 9.5)]
    assert packer.due is None


@given(st.lists(st.binary(min_size=1, max_size=9).filter(lambda row: b"\n" not in row)), st.integers(1, 5))
def test_no_line_is_lost_or_moved_by_packing(rows: list[bytes], most: int) -> None:
    packer = Packer(most, 0.1)
    records = [
        record for at, row in enumerate(rows) for record in packer.add(row, Place(at + 1, 0), 0.0)
    ] + packer.take()
    assert [row for record in records for row in record.value.split(b"\n")] == rows
    assert all(record.lines <= most for record in records)
    assert [record.end.line for record in records] == [
        sum(record.lines for record in records[: at + 1]) for at in range(len(records))
    ]


def go(pace: Any, rows: list[bytes], stalls: dict[int, float] | None = None) -> list[float]:
    """When each line goes, by a clock that moves only while a line waits, or stalls."""
    now, gone = 100.0, []
    for at, row in enumerate(rows):
        now += (stalls or {}).get(at, 0.0)
        now += pace.wait(row, now)
        gone.append(round(now - 100, 6))
    return gone


def test_a_rate_is_even() -> None:
    assert go(Rate(4), [b""] * 6) == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


def test_a_short_stall_is_made_up_for_and_a_long_one_is_not() -> None:
    assert go(Rate(4), [b""] * 6, {2: 0.9}) == [0, 0.25, 1.15, 1.15, 1.15, 1.25]
    assert go(Rate(4), [b""] * 5, {2: 30.0}) == [0, 0.25, 30.25, 30.5, 30.75]


def test_at_once_waits_for_nothing() -> None:
    assert go(AtOnce(), [b""] * 3) == [0, 0, 0]


def at(seconds: float) -> bytes:
    return line(status(id=1, created_at=v1_time(START_MS + int(seconds * 1000))))


def test_posts_go_by_their_own_times_x_times_as_fast() -> None:
    assert go(OwnTimes(2), [at(0), at(1), at(1), at(4), at(3), at(10)]) == [0, 0.5, 0.5, 2, 2, 5]
    v2 = line(v2_list(v2_post(created_at="2023-11-14T22:13:24Z")))
    assert go(OwnTimes(1), [at(0), v2]) == [0, 4]


def test_lines_without_a_time_go_at_once() -> None:
    assert go(OwnTimes(1), [b"{}", at(0), b"no json", b'{"limit": {"track": 1}}', b"[]", at(2)]) == [0, 0, 0, 0, 0, 2]


def test_one_wrong_clock_holds_nothing_up() -> None:
    years = 86_400.0 * 1000
    assert go(OwnTimes(1), [at(0), at(1), at(years), at(2), at(3), at(-years), at(4), at(5)]) == [
        0,
        1,
        1,
        1,
        2,
        2,
        2,
        3,
    ]


def test_no_burst_follows_a_long_stall_of_timed_posts() -> None:
    assert go(OwnTimes(1), [at(0), at(1), at(2), at(3)], {2: 20.0}) == [0, 1, 21, 22]


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    return write(tmp_path / "posts.jsonl", b'{"a":1}\n{"b":2}\n{"c":3}\n')


def keep(tmp_path: Path, path: Path, place: Place, done: bool = False) -> None:
    with JsonLines(path) as file, PositionFile(tmp_path / "replay", TARGET, file) as kept:
        kept.write(file, place, done=done)


def kept_place(tmp_path: Path, path: Path, target: str = TARGET) -> Position | None:
    with JsonLines(path) as file, PositionFile(tmp_path / "replay", target, file) as kept:
        return kept.read()


def test_a_position_is_of_a_topic_and_a_file(tmp_path: Path, posts: Path) -> None:
    keep(tmp_path, posts, Place(1, 8))
    position = kept_place(tmp_path, posts)
    assert position is not None
    assert (position.place, position.done) == (Place(1, 8), False)
    assert kept_place(tmp_path, posts, "cluster\0another") is None
    assert kept_place(tmp_path, write(tmp_path / "other.jsonl", posts.read_bytes())) is None


def test_a_file_that_grew_goes_on_and_one_that_changed_does_not(tmp_path: Path, posts: Path) -> None:
    keep(tmp_path, posts, Place(1, 8))
    position = kept_place(tmp_path, posts)
    assert position is not None

    def fits() -> bool:
        with JsonLines(posts) as file:
            return position.fits(file) and file.starts_a_line(position.place)

    assert fits()
    posts.write_bytes(posts.read_bytes() + b'{"d":4}\n')
    assert fits()
    posts.write_bytes(b'{"A":1}\n{"b":2}\n{"c":3}\n{"d":4}\n')
    assert not fits()
    posts.write_bytes(b'{"a":1}\n')
    assert not fits()


def test_a_last_line_that_was_not_whole_is_no_place_to_go_on(tmp_path: Path) -> None:
    posts = write(tmp_path / "posts.jsonl", b'{"a":1}\n{"b"')
    with JsonLines(posts) as file:
        (_, last) = file.read(Place())
        assert file.starts_a_line(last.end)
    posts.write_bytes(b'{"a":1}\n{"b":2}\n')
    with JsonLines(posts) as file:
        assert not file.starts_a_line(last.end)
        assert not file.starts_a_line(Place(9, 1000))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"line": 3}'])
def test_a_position_that_cannot_be_read_is_none(tmp_path: Path, posts: Path, content: bytes) -> None:
    keep(tmp_path, posts, Place(1, 8))
    (file,) = (tmp_path / "replay").glob("*.json")
    file.write_bytes(content)
    assert kept_place(tmp_path, posts) is None


def test_two_replays_of_a_file_at_once_are_refused(tmp_path: Path, posts: Path) -> None:
    with (
        JsonLines(posts) as file,
        PositionFile(tmp_path / "replay", TARGET, file),
        pytest.raises(UserError, match="another process sends this file"),
    ):
        PositionFile(tmp_path / "replay", TARGET, file)


class Producer:
    """Takes records; the test confirms them."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, int, asyncio.Future[None]]] = []
        self.failures: list[Exception] = []

    async def send(self, _: str, value: bytes, *, partition: int, headers: Any) -> asyncio.Future[None]:
        if self.failures:
            raise self.failures.pop(0)
        assert dict(headers).keys() == {"received_at"}
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.taken.append((value, partition, future))
        return future

    def confirm(self, *numbers: int) -> None:
        for number in numbers:
            self.taken[number][2].set_result(None)


class Started:
    def __init__(self, patience: float = 5.0) -> None:
        self.producer = Producer()
        self.stopping = asyncio.Event()
        self.confirmed: list[int] = []
        self.flight = Flight(self.producer, "raw", 3, lambda at: [("received_at", b"%d" % at)], self.stopping, patience)
        self.flight.on_confirmed = lambda record: self.confirmed.append(record.end.line)


def record(number: int, size: int = 1) -> Record:
    return Record(b"x" * size, 1, Place(number, number), 0.0)


async def test_records_go_to_the_partitions_in_turn_and_count_in_order() -> None:
    started = Started()
    for number in range(4):
        await started.flight.send(record(number))
    first = started.producer.taken[0][1]
    assert [partition for _, partition, _ in started.producer.taken] == [(first + step) % 3 for step in range(4)]
    started.producer.confirm(1, 2)
    started.flight.settle()
    assert started.confirmed == [], "what came before is not confirmed"
    started.producer.confirm(0)
    started.flight.settle()
    assert started.confirmed == [0, 1, 2]


async def test_what_is_under_way_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight, "MOST_BYTES", 10)
    started = Started()
    await started.flight.send(record(0, 6))
    waiting = asyncio.ensure_future(started.flight.send(record(1, 6)))
    await asyncio.sleep(0.05)
    assert len(started.producer.taken) == 1
    started.producer.confirm(0)
    await asyncio.wait_for(waiting, 5)
    assert len(started.producer.taken) == 2
    assert started.confirmed == [0]


async def test_a_full_buffer_is_tried_again_and_a_refusal_is_not() -> None:
    started = Started()
    started.producer.failures = [KafkaTimeoutError(), KafkaTimeoutError()]
    await started.flight.send(record(0))
    assert len(started.producer.taken) == 1
    started.producer.taken[0][2].set_exception(MessageSizeTooLargeError())
    with pytest.raises(Unavailable, match=r"did not take the posts \(MessageSizeTooLargeError\)"):
        await started.flight.land()
    assert started.confirmed == []


async def test_patience_ends() -> None:
    started = Started(patience=0.05)
    await started.flight.send(record(0))
    with pytest.raises(Unavailable, match="confirmed nothing for"):
        await started.flight.land()


async def test_a_stop_waits_for_what_is_under_way_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight, "_STOP_SECONDS", 0.01)
    started = Started()
    for number in range(2):
        await started.flight.send(record(number))
    started.stopping.set()
    started.producer.confirm(0)
    await started.flight.land()
    assert started.confirmed == [0]
    await started.flight.send(record(2))
    assert len(started.producer.taken) == 2, "nothing is sent after a stop"
