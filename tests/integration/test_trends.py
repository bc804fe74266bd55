"""Trends while an event happens: what the API tells is what stands in Cassandra, however often workers are killed."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.domain.records import raw_headers
from app.local.stack import Stack
from app.roles import EVENT_TRENDS, Role, changelog
from app.settings import Settings
from app.topics import TRENDS, full_name
from tests import builders
from tests.support import events, topics
from tests.support.api import SECRET, api
from tests.support.chain import Chain, chain
from tests.support.commands import run
from tests.support.rows import Stored
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

HOSTILE = '"><b>tag'
MINUTE_MS = 60_000


def posts(count: int, first: int, now: int) -> list[Raw]:
    """Posts of the 90 minutes before now, most of them late, four a record."""
    headers = tuple(raw_headers("test", "v1", now, "live"))
    lines = []
    for number in range(first, first + count):
        made = now - 1000 - (number * number * 7919) % (90 * MINUTE_MS)
        tags, urls = (f"Tag{number % 5}", HOSTILE), (f"https://a.example/{number % 3}", "https://b.example")
        told = builders.status(
            "the rotwasser rises",
            id=builders.snowflake(made, sequence=number),
            created_at=builders.v1_time(made),
            user=builders.user(f"account{number % 7}"),
            entities=builders.entities(tags[: 1 + number % 2], urls[: number % 3]),
        )
        lines.append(builders.line(told))
    return [Raw(b"\n".join(lines[at : at + 4]), at // 4 % 4, headers=headers) for at in range(0, count, 4)]


def of_time(stored: Iterable[Stored], since: int, until: int) -> Iterator[Stored]:
    for row in stored:
        made = row["t_created_at"].replace(tzinfo=UTC)
        if datetime.fromtimestamp(since / 1000, UTC) <= made < datetime.fromtimestamp(until / 1000, UTC):
            yield row


def due(stored: list[Stored]) -> dict[str, list[dict[str, Any]]]:
    """What a batch finds, as tests/analysis has it of Spark; an account's name here never changes."""
    names = {row["u_id"]: row["u_screen_name"] for row in stored}

    def ranked(items: Iterable[str]) -> list[dict[str, Any]]:
        return [{"name": k, "posts": n} for k, n in sorted(Counter(items).items(), key=lambda one: (-one[1], one[0]))]

    return {
        "hashtags": ranked(tag for row in stored for tag in {tag.lower() for tag in row["hashtags"] or ()}),
        "accounts": [one | {"screen_name": names[one["name"]]} for one in ranked(row["u_id"] for row in stored)],
        "links": ranked(link for row in stored for link in set(row["urls"] or ())),
    }


def kept(settings: Settings) -> tuple[set[str], set[str]]:
    """Keys in the table, by its changelog, and in the topic."""
    table = topics.newest(settings, changelog(Role.WORKER, EVENT_TRENDS, settings))
    return {key.strip('"') for key in table}, set(topics.newest(settings, full_name(TRENDS, settings)))


def check(running: Chain, count: int) -> None:
    """Every window is that of the stored posts."""
    running.settle()
    ada = api(running.workers["manager"])
    stored = list(running.stored(["flood"]).values())
    assert len(stored) == count

    def told() -> bool:
        return bool(ada.get("/api/v1/events/flood/figures?span=day")["posts"] == count) and all(
            map(agrees, (1, 10, 60))
        )

    def agrees(window: int) -> bool:
        found = ada.get(f"/api/v1/events/flood/trends?window={window}&most=100")
        assert found["until"] - found["since"] == window * MINUTE_MS
        rows = list(of_time(stored, found["since"], found["until"]))
        wanted = due(rows) | {"posts": len(rows), "forgotten": {}, "window": window}
        return found == wanted | {"since": found["since"], "until": found["until"]}

    until(told, "trends are those of the stored posts")


def test_trends_are_exact_through_kills_and_go_with_their_event(stack: Stack, tmp_path: Path) -> None:
    with (
        chain(stack, "manager", "worker", token_secret=SECRET) as running,
        worker(running.settings, "worker") as second,
    ):
        second.wait_ready()
        first, ada = running.workers["worker"], api(running.workers["manager"])
        events.accepted(running.settings, events.create("flood", keywords=("rotwasser",)))
        now = int(time.time() * 1000)
        running.send(*posts(200, 0, now))
        check(running, 200)
        running.send(*posts(200, 200, now))
        second.kill()
        running.send(*posts(100, 400, now))
        check(running, 500)
        first.kill()
        first.restart()
        running.send(*posts(100, 500, now))
        first.wait_ready()
        check(running, 600)

        # A third of them is deleted, by one of two that is killed meanwhile: nothing of these is frequent any more.
        gone = sorted(row["t_id"] for row in running.stored(["flood"]).values())[::3]
        deletions = [b'{"delete": {"status": {"id_str": "%s"}}}' % number.encode() for number in gone]
        second.restart()
        second.wait_ready()
        running.send(*[Raw(b"\n".join(deletions[at : at + 10]), at // 10 % 4) for at in range(0, len(gone), 10)])
        until(lambda: len(running.stored(["flood"])) < 600, "some of it is removed", pause=0.02)
        first.kill()
        first.restart()
        first.wait_ready()
        running.settle()
        check(running, 400)

        of_links = ada.get("/api/v1/events/flood/trends?window=60&of=links&most=2")
        assert (len(of_links["links"]), of_links["hashtags"], of_links["accounts"]) == (2, [], [])
        assert ada.get("/api/v1/events/flood/bursts?window=10")["window"] == 10
        for wrong in ("trends?window=7", "trends?of=words", "trends?most=0", "bursts?window=2"):
            assert ada.send("GET", f"/api/v1/events/flood/{wrong}").status == 422
        page = ada.send("GET", "/events/flood?span=day&window=60").body.decode()
        assert 'href="?span=day&amp;window=1#trends-head"' in page
        assert "#&#34;&gt;&lt;b&gt;tag" in page
        assert HOSTILE not in page

        def told_by(*whom: str) -> bool:
            """Whether the command says what the API does, unless a minute ends between both."""
            ran = run(running.settings, tmp_path, *whom, "event", "trends", "flood", "--window", "60", "--json")
            said, found = json.loads(ran.out), ada.get("/api/v1/events/flood/trends?window=60&most=10")
            return bool(said | {"bursts": []} == found | {"bursts": []})

        until(lambda: told_by("--direct"), "it is in Kafka")
        until(lambda: told_by("--url", f"http://127.0.0.1:{ada.worker.port}", "--token", ada.token or ""), "and told")
        assert "#tag1" in run(running.settings, tmp_path, "--direct", "event", "trends", "flood", "--window", "60").out

        def oldest() -> int:
            return min(int(key.rpartition("|")[2]) for keys in kept(running.settings) for key in keys)

        until(lambda: oldest() > now // MINUTE_MS - 80, "what was too late, or grew too old, is in no minute")
        events.accepted(running.settings, events.command("stop", "flood"), events.command("purge", "flood"))
        until(lambda: kept(running.settings) == (set(), set()), "of a purged event nothing is left")
        assert running.workers["manager"].complaints() == []
