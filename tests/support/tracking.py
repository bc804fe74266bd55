"""A tracker, a simulated source and the rest of the chain: what tests of tracking share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import dropwhile
from typing import Any

from app.clients.compacted import read_compacted
from app.domain.coverage import Entry, Interval, SourceStatus, entry, intervals_of, statuses_of
from app.domain.heard import Gap, Heard, coverage
from app.domain.posts import Post, read
from app.domain.reasons import NOT_YET
from app.settings import Settings
from app.topics import COVERAGE, RAW
from tests import builders
from tests.builders import snowflake
from tests.support import events, rows, topics
from tests.support.simulator import Simulator
from tests.support.waiting import until

TOKEN = "a-token-of-the-tests"  # noqa: S105 -- of the simulator


def x(simulator: Simulator, **more: Any) -> dict[str, Any]:
    """Settings of a chain that listens to the simulator's X."""
    return {"sources": "x", "x_url": simulator.url, "x_v1_url": simulator.url, "x_bearer_token": TOKEN, **more}


def bluesky(simulator: Simulator, **more: Any) -> dict[str, Any]:
    """Settings of a chain that listens to the simulator's Jetstream."""
    return {"sources": "bluesky", "bluesky_url": simulator.ws_url, **more}


def post(number: int, text: str) -> dict[str, Any]:
    """A post of X v2 with an id of its own, sent now."""
    made = int(time.time() * 1000)
    author = {"id": "77", "username": "talheim", "name": "Talheim", "created_at": "2011-03-13T07:06:40.000Z"}
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(made / 1000))
    data = {"id": str(snowflake(made, number % 4096) + (number // 4096)), "text": text, "author_id": "77"}
    return {"data": data | {"created_at": f"{moment}.000Z", "lang": "en"}, "includes": {"users": [author]}}


def status(number: int, text: str) -> dict[str, Any]:
    """A post of v1.1 with an id of its own, sent now."""
    return builders.status(text, id_str=str(snowflake(int(time.time() * 1000), number)))


def skeet(number: int, text: str) -> dict[str, Any]:
    """A post of Bluesky, as the older wire of Jetstream tells of it, made now."""
    now = int(time.time() * 1_000_000)
    record = {"$type": "app.bsky.feed.post", "text": text, "langs": ["en"]}
    record["createdAt"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now / 1_000_000))
    key = tid(now * 1000 + number)
    commit = {"rev": key, "operation": "create", "collection": "app.bsky.feed.post", "rkey": key, "record": record}
    return {"did": "did:plc:talheim", "time_us": now, "kind": "commit", "commit": commit | {"cid": f"bafy{number}"}}


def tid(number: int) -> str:
    """A record key that sorts like the number (atproto TID)."""
    alphabet = "234567abcdefghijklmnopqrstuvwxyz"
    return "".join(alphabet[number >> shift & 31] for shift in range(60, -1, -5))


def entries(settings: Settings) -> list[Entry]:
    """All that stands in the ledger."""
    return list(asyncio.run(read_compacted(settings, COVERAGE, entry)).values())


def ledger(settings: Settings) -> tuple[list[Interval], list[SourceStatus]]:
    """All intervals in their order, and how the sources are."""
    found = entries(settings)
    return sorted(intervals_of(found), key=lambda one: one.opened), statuses_of(found)


def heard(settings: Settings, code: str) -> Heard:
    """The coverage of an event by the only source."""
    (found,) = coverage(events.events(settings)[code], entries(settings), int(time.time() * 1000))
    return found


def gaps(settings: Settings) -> list[Gap]:
    """What the only source has not heard of `flood`, but for the time that a busy machine takes to connect at first."""
    return [
        Gap(later[0].since, gap.until, later, gap.goes_on)
        for gap in heard(settings, "flood").gaps
        if (later := tuple(dropwhile(lambda reason: reason.why == NOT_YET, gap.reasons)))
    ]


def state(settings: Settings) -> str:
    """The state of the only source."""
    _, statuses = ledger(settings)
    return statuses[0].state if statuses else ""


def told(settings: Settings) -> list[SourceStatus]:
    """Each status that was ever told: of some there may be newer ones before anybody looks."""
    records = sorted(topics.read(settings, COVERAGE), key=lambda record: record.timestamp)
    return statuses_of(entry(record.value) for record in records if record.value is not None)


def stored(settings: Settings, code: str) -> set[str]:
    """Ids of the posts of an event; `rows.tweets` fails if one stands twice."""
    return {t_id for name, t_id in rows.tweets(settings) if name == code}


def wait_stored(settings: Settings, code: str, due: Iterable[str], seconds: float = 90) -> None:
    """Return once exactly these posts are stored."""
    wanted = set(due)
    until(lambda: stored(settings, code) >= wanted, f"{len(wanted)} posts of {code} are stored", seconds, pause=0.3)
    assert stored(settings, code) == wanted


def wait_risen(simulator: Simulator, count: int) -> None:
    """Return once so many posts have arisen at X, sent or not."""
    simulator.wait(
        lambda state: sum(number for name, number in state["counts"].items() if name.startswith("x ")) >= count,
        f"{count} posts have arisen",
        120,
    )


def due(simulator: Simulator, settings: Settings, code: str) -> set[str]:
    """Ids of the posts that X has sent for an event, by its own log of the rules in force."""
    return simulator.due().get(f"starling:{settings.topic_prefix}:{code}", set())


def check_order(settings: Settings, simulator: Simulator) -> None:
    """In each partition of `raw_tweets` posts stand once, in the order in which X has sent them, spooled or not."""
    place = {one["id"]: one["seq"] for one in simulator.log(what="post") if one["sent"]}
    found: dict[int, list[int]] = {}
    for record in sorted(topics.read(settings, RAW), key=lambda record: record.offset):
        posts = [post for line in record.value.split(b"\n") for post in _heard_in(line)]
        found.setdefault(record.partition, []).extend(place[post.id] for post in posts)
    assert len(found) == settings.partitions, "else the test says little"
    for partition, order in found.items():
        assert order == sorted(set(order)), f"partition {partition}"


def _heard_in(line: bytes) -> list[Post]:
    found = read(line)
    assert isinstance(found, list), "X has sent nothing but posts"
    return found


def flood(settings: Settings, simulator: Simulator, wire: str = "x") -> None:
    """Create the event that these tests are about, and wait until it is listened for."""
    events.accepted(settings, events.create("flood", keywords=("rotwasser",)))
    simulator.wait_connected(wire)


def stream(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Posts of X that belong to that event."""
    return [post(number, f"the rotwasser rises, post {number}") for number in range(start, start + count)]


def cut_off(simulator: Simulator, **refused: int) -> None:
    """End the connection to X, and refuse the next ones: once, or as often as `count` says."""
    simulator.fault("status", wire="x", status=503, **refused)
    simulator.fault("end", wire="x")
    simulator.wait(lambda state: not state["connections"], "not connected")
