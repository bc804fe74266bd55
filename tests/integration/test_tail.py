"""Posts as they come, from a real Kafka: by the command, and by standing queries of a process."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.asking import standing
from app.asking.standing import MOST_OF_ONE, MOST_WAITING, Standing, StandingQueries, Taken, TooMany
from app.clients.following import Following
from app.domain.records import raw_headers
from app.domain.standing_query import query_of
from app.local.server import free_ports
from app.local.stack import Stack
from app.settings import Settings
from tests import builders
from tests.support import commands, topics
from tests.support.place import place
from tests.support.topics import Raw

WITHIN = 60.0


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack) as own:
        yield own


def post(text: str, number: int = 0, *, age_ms: int = 0) -> Raw:
    at = int(time.time() * 1000) - age_ms
    body = builders.status(text, id=builders.snowflake(sequence=number))
    return Raw(builders.line(body), number % 4, headers=raw_headers("bluesky", "v1", at, "live"))


class Tail:
    """The command as a process; lines of its output are waited for."""

    def __init__(self, settings: Settings, state: Path, *args: str) -> None:
        self.process = commands.start(settings, state, "tail", *args)

    def lines(self, count: int) -> list[str]:
        assert self.process.stdout is not None
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]


@pytest.fixture
def tails() -> Iterator[list[Tail]]:
    started: list[Tail] = []
    yield started
    for one in started:
        one.process.kill()
        one.process.communicate()


def begin(tails: list[Tail], settings: Settings, state: Path, query: str, *args: str) -> Tail:
    """A tail that is listening: what it is to show first was there before, and `--since` tells it."""
    topics.send(settings, [post(f"{query} 0")])
    made = Tail(settings, state, "--query", query, "--since", "10m", *args)
    tails.append(made)
    assert made.lines(1)[0].endswith(f"{query} 0") or "--json" in args
    return made


def test_posts_are_printed_as_they_come_until_it_is_interrupted(
    settings: Settings, tmp_path: Path, tails: list[Tail]
) -> None:
    tail = begin(tails, settings, tmp_path, "earthquake")
    for number in range(1, 4):
        topics.send(settings, [post("sun", number), post(f"earthquake {number}", number)])
        (line,) = tail.lines(1)
        assert line.endswith(f"@mill_watch earthquake {number}")
    tail.process.send_signal(signal.SIGINT)
    ran = commands.finish(tail.process)
    assert (ran.status, ran.out, ran.err.strip()) == (130, "", "")


def test_json_limit_and_what_is_kept(settings: Settings, tmp_path: Path) -> None:
    topics.send(settings, [post(f"landslide \x1b[31m {number}", number) for number in range(6)])
    ran = commands.run(settings, tmp_path, "tail", "--query", "landslide", "--since", "10m", "--limit", "4", "--json")
    assert (ran.status, ran.err) == (0, "")
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert len(told) == 4
    assert told[0]["text"][0] == {"text": "landslide", "marked": True}
    assert told[0]["link"].startswith("https://x.com/mill_watch/status/")
    plain = commands.run(settings, tmp_path, "tail", "--query", "landslide", "--since", "10m", "--limit", "1")
    assert "\x1b" not in plain.out
    assert "\\x1b[31m" in plain.out


def test_who_has_enough_ends_it_silently(settings: Settings, tmp_path: Path) -> None:
    topics.send(settings, [post(f"blizzard {number}", number) for number in range(2000)])
    process = commands.start(settings, tmp_path, "tail", "--query", "blizzard", "--since", "10m")
    assert process.stdout is not None
    assert "blizzard" in process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert process.wait(WITHIN) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_that_nothing_comes_is_told(stack: Stack, tmp_path: Path, tails: list[Tail]) -> None:
    with place(stack) as quiet:
        tail = Tail(quiet, tmp_path, "--query", "flood")
        tails.append(tail)
        assert tail.process.stderr is not None
        assert tail.process.stderr.readline().startswith("starling: nothing comes at all")
        topics.send(quiet, [post("flood")])
        assert tail.lines(1)[0].endswith("flood")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "write the code of an event, or --query"),
        (["e", "--query", "x"], "write the code of an event, or --query"),
        (["nobody"], "there is no event 'nobody'"),
        (["--query", ""], "blank keyword"),
        (["--query", "x", "--since", "soon"], "is no time"),
    ],
)
def test_what_cannot_be_asked_is_one_line(settings: Settings, tmp_path: Path, args: list[str], said: str) -> None:
    ran = commands.run(settings, tmp_path, "tail", *args)
    assert (ran.status, ran.out) == (1, "")
    assert said in ran.error


def test_without_kafka_it_says_so(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    away = Settings.model_validate({"kafka": f"127.0.0.1:{port}", "connect_timeout": 1})
    ran = commands.run(away, tmp_path, "tail", "--query", "x")
    assert ran.status == 69
    assert f"not reachable at 127.0.0.1:{port}" in ran.error


# ---- of a process


@asynccontextmanager
async def queries(settings: Settings) -> AsyncIterator[StandingQueries]:
    made = StandingQueries(settings)
    try:
        yield made
    finally:
        await made.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def taken(one: Standing, count: int) -> list[Taken]:
    """What is taken until so many posts are."""
    found: list[Taken] = []
    async with asyncio.timeout(WITHIN):
        while sum(len(part.posts) for part in found) < count:
            found.append(await one.take(MOST_WAITING, 1.0))
    return found


async def listening(settings: Settings, one: Standing, query: str) -> None:
    """Return once the reader has handed a post over."""
    async with asyncio.timeout(WITHIN):
        number = 0
        while not (await one.take(MOST_WAITING, 0.2)).posts:
            number += 1
            await topics.send_async(settings, [post(f"{query} probe", number)])
        while (await one.take(MOST_WAITING, 1.0)).posts:
            continue


async def test_one_reader_serves_all_queries(settings: Settings) -> None:
    async with queries(settings) as mine, mine.open("ada", query_of("avalanche")) as first:
        await listening(settings, first, "avalanche")
        async with mine.open("ben", query_of("avalanche, hail")) as second:
            await topics.send_async(settings, [post("hail"), post("an avalanche", 1), post("sun", 2)])
            one, two = await asyncio.gather(taken(first, 1), taken(second, 2))
        texts = ["".join(piece.text for piece in shown.text) for part in two for shown in part.posts]
        assert sorted(texts) == ["an avalanche", "hail"]
        assert sum(part.missed + part.skipped for part in [*one, *two]) == 0
        await topics.send_async(settings, [post("avalanche again", 3)])
        await taken(first, 1)


async def test_who_is_slow_is_told_how_many_were_missed(settings: Settings) -> None:
    async with queries(settings) as mine, mine.open("ada", query_of("monsoon")) as slow:
        await listening(settings, slow, "monsoon")
        async with mine.open("ben", query_of("monsoon")) as quick:
            total = MOST_WAITING + 50
            await topics.send_async(settings, [post(f"monsoon {number}", number) for number in range(total)])
            parts = await taken(quick, total)
            assert sum(part.missed for part in parts) == 0
        got = await slow.take(1000, 1.0)
        assert (len(got.posts), got.missed) == (MOST_WAITING, 50)


async def test_a_person_has_so_many_and_gets_them_back(settings: Settings) -> None:
    async with queries(settings) as mine:
        event = query_of("drought")
        opened = [mine.open("ada", event) for _ in range(MOST_OF_ONE)]
        for one in opened:
            await one.__aenter__()
        with pytest.raises(TooMany, match="ada has 4 standing queries"):
            async with mine.open("ada", event):
                pass
        async with mine.open("ben", event):
            pass
        await opened[0].__aexit__(None, None, None)
        async with mine.open("ada", event):
            pass
        for one in opened[1:]:
            await one.__aexit__(None, None, None)


async def test_the_reader_ends_when_nobody_asks_and_begins_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "_LINGER_SECONDS", 0.0)
    async with queries(settings) as mine:
        for _ in range(2):
            async with mine.open("ada", query_of("tornado")) as one:
                await listening(settings, one, "tornado")
            async with asyncio.timeout(WITHIN):
                assert mine._task is not None
                await mine._task


async def test_what_is_too_much_is_passed_over_and_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = [standing.MOST_BEHIND + 7]

    async def far(_: Following) -> int:
        return behind.pop() if behind else 0

    monkeypatch.setattr(Following, "behind", far)
    monkeypatch.setattr(standing, "_LOOK_SECONDS", 0.0)
    async with queries(settings) as mine, mine.open("ada", query_of("typhoon")) as one:
        skipped = 0
        async with asyncio.timeout(WITHIN):
            while not skipped:
                skipped = (await one.take(10, 0.2)).skipped
        assert skipped == standing.MOST_BEHIND + 7
        await topics.send_async(settings, [post("typhoon")])
        await taken(one, 1)


async def test_without_kafka_a_query_is_told_so() -> None:
    (port,) = free_ports(1)
    away = Settings.model_validate({"kafka": f"127.0.0.1:{port}", "connect_timeout": 1})
    async with queries(away) as mine, mine.open("ada", query_of("flood")) as one:
        async with asyncio.timeout(WITHIN):
            while not (told := await one.take(10, 0.2)).trouble:
                continue
        assert "not reachable" in told.trouble
