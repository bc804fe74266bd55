"""`starling replay` into a real Kafka: every line arrives unchanged, once, through interruptions and kills."""

from __future__ import annotations

import gzip
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiokafka import ConsumerRecord

from app.local.server import free_ports
from app.local.stack import Stack
from app.replay.lines import LINE_LIMIT
from app.settings import Settings
from app.topics import RAW
from tests import builders
from tests.support import commands, topics
from tests.support.commands import Ran
from tests.support.place import place
from tests.support.waiting import until

LINES = 4000
RATE = 1000


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack) as own:
        yield own


class Topic(NamedTuple):
    """The raw topic; tests share it, so each sees what came since it began."""

    settings: Settings
    before: set[tuple[int, int]]

    def records(self) -> list[ConsumerRecord]:
        return [one for one in topics.read(self.settings, RAW) if (one.partition, one.offset) not in self.before]

    def wait(self, count: int) -> None:
        """Return once more than so many lines are there."""
        until(lambda: self.lines().total() > count, f"more than {count} lines")

    def lines(self) -> Counter[bytes]:
        return Counter(line for record in self.records() for line in record.value.split(b"\n"))


@pytest.fixture
def topic(settings: Settings) -> Topic:
    return Topic(settings, {(one.partition, one.offset) for one in topics.read(settings, RAW)})


def posts(count: int, first: int = 0) -> list[bytes]:
    return [
        builders.line(builders.status(f"made up {first + number}", id=builders.snowflake(sequence=first + number)))
        for number in range(count)
    ]


def write(path: Path, rows: list[bytes]) -> Path:
    data = b"\n".join(rows) + b"\n"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def ok(ran: Ran) -> Ran:
    assert ran.status == 0, ran
    return ran


def test_lines_of_all_forms_arrive_unchanged(settings: Settings, topic: Topic, tmp_path: Path) -> None:
    rows = [
        *posts(200),
        builders.line(builders.v2_payload("a v2 post")),
        builders.line(builders.v2_list(builders.v2_post("one"), builders.v2_post("two"))),
        b'{"limit":{"track":3}}',
        b'{"cut": "off',
        b"\xff\xfe not UTF-8",
        b'  {"blanks": "around"}  ',
    ]
    plain = write(tmp_path / "plain.jsonl", [*rows[:100], b"", b" \r", *rows[100:]])
    packed = write(tmp_path / "packed.jsonl.gz", rows)
    ran = ok(commands.run(settings, tmp_path, "replay", str(plain), str(packed), "--json", "--source", "shelf"))
    told = json.loads(ran.out)
    assert told["lines"] == 2 * len(rows)
    assert told["files"][str(plain)] == {"line": len(rows) + 2, "finished": True}
    assert topic.lines() == Counter(dict.fromkeys(rows, 2))
    records = topic.records()
    assert {record.partition for record in records} == set(range(settings.partitions))
    assert max(record.value.count(b"\n") + 1 for record in records) == settings.record_posts
    now = time.time() * 1000
    for record in records:
        headers = {name: value.decode() for name, value in record.headers}
        received = int(headers.pop("received_at"))
        assert headers == {"source": "shelf", "format": "jsonl", "origin": "replay"}
        assert now - 60_000 < received <= now
        assert record.key is None


@pytest.mark.parametrize("name", ["posts.jsonl", "posts.jsonl.gz"])
def test_an_interrupted_replay_goes_on_where_it_stopped(
    settings: Settings, topic: Topic, tmp_path: Path, name: str
) -> None:
    rows = posts(LINES)
    path = str(write(tmp_path / name, rows))
    sent = 0
    for number, (sign, status) in enumerate(((signal.SIGINT, 130), (signal.SIGTERM, 143))):
        # So slow that both interruptions come before the end, however long a look at the topic takes.
        running = commands.start(settings, tmp_path, "replay", path, "--rate", "100")
        topic.wait(sent)
        running.send_signal(sign)
        ran = commands.finish(running)
        assert ran.status == status
        reached = topic.lines().total()
        assert sent < reached < LINES
        assert f"stopped after line {reached}; the same command goes on from there" in ran.err
        assert (f"resumes at line {sent + 1}; --fresh starts over" in ran.err) == (number > 0)
        sent = reached
    ok(commands.run(settings, tmp_path, "replay", path))
    assert topic.lines() == Counter(rows), "each line once"
    again = ok(commands.run(settings, tmp_path, "replay", path))
    assert again.err == f"{path}: sent already, up to line {LINES}; --fresh sends it again\n"
    assert again.out.startswith("sent 0 lines")


def test_a_killed_replay_skips_nothing_and_repeats_little(settings: Settings, topic: Topic, tmp_path: Path) -> None:
    rate, reached = 2 * RATE, 3 * 2 * RATE
    rows = posts(2 * LINES)
    path = str(write(tmp_path / "posts.jsonl", rows))
    running = commands.start(settings, tmp_path, "replay", path, "--rate", str(rate))
    topic.wait(reached)
    running.kill()
    running.communicate()
    ok(commands.run(settings, tmp_path, "replay", path))
    arrived = topic.lines()
    assert arrived.keys() == set(rows)
    # Lines of a second and what was under way; without any position it would be three seconds of them.
    assert arrived.total() - len(rows) < 2 * rate


def test_a_file_that_grows_is_gone_on_with_and_fresh_starts_over(
    settings: Settings, topic: Topic, tmp_path: Path
) -> None:
    first, second = posts(10), posts(10, first=10)
    path = write(tmp_path / "growing.jsonl", first)
    ok(commands.run(settings, tmp_path, "replay", str(path)))
    write(path, first + second)
    grown = ok(commands.run(settings, tmp_path, "replay", str(path)))
    assert "resumes at line 11" in grown.err
    assert topic.lines() == Counter(first + second)
    ok(commands.run(settings, tmp_path, "replay", str(path), "--fresh"))
    assert topic.lines() == Counter((first + second) * 2)


def test_a_loop_repeats_until_it_is_stopped(settings: Settings, topic: Topic, tmp_path: Path) -> None:
    rows = posts(50)
    path = str(write(tmp_path / "posts.jsonl", rows))
    running = commands.start(settings, tmp_path, "replay", path, "--loop", "--rate", str(RATE), "--json")
    topic.wait(3 * len(rows))
    running.send_signal(signal.SIGINT)
    ran = commands.finish(running)
    assert ran.status == 130
    told = json.loads(ran.out)
    assert told["interrupted"] is True
    counts = topic.lines()
    assert told["lines"] == counts.total()
    assert max(counts.values()) - min(counts[row] for row in rows) <= 1
    empty = write(tmp_path / "empty.jsonl", [b""])
    assert "nothing to repeat" in commands.run(settings, tmp_path, "replay", str(empty), "--loop").error


def test_a_line_too_long_is_told_counted_and_skipped(settings: Settings, topic: Topic, tmp_path: Path) -> None:
    (before, after) = posts(2)
    longest = b'{"text":"' + b"x" * (LINE_LIMIT - 11) + b'"}'
    assert len(longest) == LINE_LIMIT
    path = write(tmp_path / "posts.jsonl", [before, longest + b" ", longest, after])
    ran = commands.run(settings, tmp_path, "replay", str(path))
    assert ran.status == 1
    told, error = ran.err.splitlines()
    assert told == (f"{path}: line 2 skipped: {LINE_LIMIT + 2:,} bytes, a record holds {LINE_LIMIT:,} at most")
    assert error == "starling: skipped 1 line too long for a record"
    assert topic.lines() == Counter([before, longest, after])


def test_a_cut_gzip_file_is_sent_up_to_the_cut(settings: Settings, topic: Topic, tmp_path: Path) -> None:
    rows = posts(500)
    path = write(tmp_path / "cut.jsonl.gz", rows)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    ran = commands.run(settings, tmp_path, "replay", str(path))
    arrived = topic.lines().total()
    assert 0 < arrived < len(rows)
    assert (ran.status, ran.error) == (1, f"{path}: bad file at line {arrived + 1}: the gzip data ends too early")
    path.write_bytes(whole)
    assert f"resumes at line {arrived + 1}" in ok(commands.run(settings, tmp_path, "replay", str(path))).err
    assert topic.lines() == Counter(rows), "the whole file came later"


def test_what_cannot_be_replayed_is_one_line(settings: Settings, tmp_path: Path) -> None:
    csv = write(tmp_path / "posts.csv", [b"id,text", b"1,hello"])
    assert commands.run(settings, tmp_path, "replay", str(csv)).error.startswith(f"{csv}: is not JSONL at line 1: ")
    missing = commands.run(settings, tmp_path, "replay", "missing.jsonl")
    assert (missing.status, missing.error) == (1, "missing.jsonl: no such file")
    (empty := tmp_path / "empty.jsonl").touch()
    ran = commands.run(settings, tmp_path, "replay", str(empty), "--json")
    assert (ran.status, ran.err, json.loads(ran.out)["lines"]) == (0, f"{empty}: holds no lines\n", 0)
    good = write(tmp_path / "posts.jsonl", posts(1))
    assert commands.run(settings, tmp_path, "replay", str(good), "--rate", "1", "--speed", "1").status == 2
    (nobody,) = free_ports(1)
    away = commands.run(settings.model_copy(update={"kafka": f"127.0.0.1:{nobody}"}), tmp_path, "replay", str(good))
    assert away.status == 69
    assert away.error.startswith(f"Kafka is not reachable at 127.0.0.1:{nobody}")
