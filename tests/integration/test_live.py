"""An event while it happens, by the API: figures that are the sum of all workers, the newest posts, what is wrong."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.local.stack import Stack
from tests import builders
from tests.support import events
from tests.support.api import SECRET, Api, api
from tests.support.chain import Chain, chain
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import worker

HOSTILE = '<script>alert("1")</script> the rotwasser rises \u202e'


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with chain(stack, "manager", "worker", token_secret=SECRET) as made, worker(made.settings, "worker") as second:
        second.wait_ready()
        yield made


def posts(count: int, first: int = 0, text: str = "the rotwasser rises", word: str = "#high") -> list[Raw]:
    now = int(time.time() * 1000)
    lines = [
        builders.line(
            builders.status(
                f"{text} {word}",
                id=builders.snowflake(now, sequence=number),
                user=builders.user(f"account{number % 7}"),
            )
        )
        for number in range(first, first + count)
    ]
    return [Raw(b"\n".join(lines[at : at + 8]), at // 8 % 4) for at in range(0, count, 8)]


@contextmanager
def listening(caller: Api, path: str, **headers: str) -> Iterator[Iterator[tuple[str, Any, str]]]:
    """Events of a stream, as name, data and id."""
    request = urllib.request.Request(f"http://127.0.0.1:{caller.worker.port}{path}", headers=headers)
    request.add_header("Authorization", f"Bearer {caller.token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        assert response.headers["Content-Type"] == "text/event-stream"

        def entries() -> Iterator[tuple[str, Any, str]]:
            entry: dict[str, str] = {}
            deadline = time.monotonic() + 90
            for line in response:
                assert time.monotonic() < deadline, "what is waited for does not come"
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    entry[name] = value
                elif not name and "event" in entry:
                    yield entry["event"], json.loads(entry["data"]), entry.get("id", "")
                    entry = {}

        yield entries()


def told(caller: Api, path: str, truth: Callable[[Any], bool], what: str) -> Any:
    """The first answer of which something is true."""
    return until(lambda: found if truth(found := caller.get(path)) else None, what)


def test_figures_and_newest_posts_are_those_of_all_workers(running: Chain) -> None:
    ada = api(running.workers["manager"])
    events.accepted(running.settings, events.create("flood", keywords=("rotwasser",)))
    with listening(ada, "/api/v1/events/flood/live") as stream:
        running.send(*posts(160))
        shown: dict[str, Any] = {}
        passed = counted = 0
        mark = ""
        while len(shown) + passed < 160 or counted < 160:
            name, data, entry = next(stream)
            if name == "posts":
                shown |= {post["id"]: post for post in data["posts"]}
                passed, mark = passed + data["passed"], entry
            elif name == "counted":
                counted = data["posts"]
    assert len(shown) + passed == 160, "each was told once, or is known to be passed over"
    found = told(ada, "/api/v1/events/flood/figures", lambda now: now["posts"] == 160, "all are counted")
    assert sum(found["series"]["posts"]) == 160
    assert found["keywords"] == [{"name": "rotwasser", "posts": 160}]
    assert sum(one["posts"] for one in found["languages"]) == 160
    assert sum(one["posts"] for one in found["accounts"]) == 160
    assert found["forgotten"] == {}
    assert len(ada.get("/api/v1/events/flood/newest")["posts"]) == 20
    running.send(*posts(1, first=500, text=HOSTILE))
    with listening(ada, "/api/v1/events/flood/live", **{"Last-Event-ID": mark}) as stream:
        (post,) = next(data["posts"] for name, data, _ in stream if name == "posts")
    assert post["text"].startswith(HOSTILE), "as it is: who shows it escapes it"
    assert post["account"].startswith("account")


def test_a_stream_ends_when_its_event_is_gone(running: Chain) -> None:
    ada = api(running.workers["manager"])
    events.accepted(running.settings, events.create("gone", keywords=("talheim",)))
    with listening(ada, "/api/v1/events/gone/live") as stream:
        events.accepted(running.settings, events.command("stop", "gone"), events.command("purge", "gone"))
        assert [data for name, data, _ in stream if name == "ended"] == [{"why": "the event is no more"}]


def test_a_stream_ends_when_its_listener_s_token_is_revoked(running: Chain) -> None:
    manager = running.workers["manager"]
    ada, vera = api(manager), api(manager, "vera", "viewer")
    events.accepted(running.settings, events.create("told", keywords=("told",)))
    with listening(vera, "/api/v1/events/told/live") as live, listening(vera, "/api/v1/tail?code=told") as tail:
        assert next(live)[0] == "counted"
        assert next(tail)[0] == "state"
        ada.post("/api/v1/people/vera/revoke", status=204)
        for stream in (live, tail):
            assert list(stream)[-1][:2] == ("ended", {"why": "the token was revoked"})


def test_a_stream_ends_calmly_when_its_worker_stops(running: Chain) -> None:
    events.accepted(running.settings, events.create("calm", keywords=("calm",)))
    with worker(running.settings, "manager") as other:
        other.wait_ready()
        ada = api(other)
        told(ada, "/api/v1/events", lambda now: "calm" in [one["code"] for one in now["events"]], "it is known")
        with listening(ada, "/api/v1/events/calm/live") as stream:
            assert next(stream)[0] == "counted"
            other.process.terminate()
            assert list(stream) == [], "it comes to its end"
        assert other.process.wait(30) == 0
        assert other.complaints() == []


def test_what_is_in_force_and_how_it_is(running: Chain) -> None:
    ada = api(running.workers["manager"])
    events.accepted(running.settings, events.create("dike", keywords=("dike",)))
    found = told(
        ada,
        "/api/v1/events/dike/diagnosis",
        lambda now: (
            [one["lags"] for one in now["holdings"]] == [False] * 3
            and {one["about"] for one in now["findings"]} == {"source", "event"}
        ),
        "manager and both workers have it in force, and what a manager has left that stopped is done",
    )
    assert {one["version"] for one in found["holdings"]} == {1}
    assert [one["words"] for one in found["findings"]] == [
        "no live source has been listened to yet: posts come by replay alone",
        "no post has come for it yet",
    ]
    strip = ada.get("/api/v1/events/dike/strip?span=day")
    assert strip["strips"] == []
    heard = ada.get("/api/v1/events/dike/coverage")
    assert (heard["code"], heard["sources"], heard["platform_only"]) == ("dike", [], 0)
    for wrong in ("figures?span=year", "coverage?since=2026-01-01T00:00:00", "coverage?since=x"):
        assert ada.send("GET", f"/api/v1/events/dike/{wrong}").status == 422
    assert ada.send("GET", "/api/v1/events/none/live").status == 404


def test_the_whole_at_a_glance(running: Chain) -> None:
    vera = api(running.workers["manager"], "vera", "viewer")
    running.settle()
    found = told(
        vera,
        "/api/v1/system",
        lambda now: now["cassandra"]["up"] and now["kafka"]["up"] and not now["findings"],
        "all is well",
    )
    assert sorted(one["role"] for one in found["processes"]) == ["manager", "worker", "worker"]
    lags = {(one["topic"], one["partition"]): one for one in found["lags"] if one["role"] == "worker"}
    assert sorted(lags) == [(topic, number) for topic in ("classified_tweets", "raw_tweets") for number in range(4)]
    told(
        vera,
        "/api/v1/system",
        lambda now: all(one["committed"] == one["end"] and one["owner"] for one in now["lags"]),
        "nothing is left to do",
    )


def test_dead_letters_go_back_by_the_api_of_an_editor(running: Chain) -> None:
    manager = running.workers["manager"]
    vera, eve = api(manager, "vera", "viewer"), api(manager, "eve", "editor")
    running.send(Raw(b"{neither", 0), Raw(b"[nor", 1))
    found = told(vera, "/api/v1/dead-letters", lambda now: now["all"] == 2, "both are known")
    assert found["kinds"] == [{"kind": "not JSON", "letters": 2}]
    ids = [one["letter"]["id"] for one in found["letters"]]
    opened = {vera.get(f"/api/v1/dead-letters/one?id={name}")["bytes"] for name in ids}
    assert opened == {"{neither", "[nor"}
    assert vera.send("GET", "/api/v1/dead-letters/one?id=none").status == 404
    assert vera.send("POST", "/api/v1/dead-letters/replay", {"ids": ids}).status == 403
    assert eve.send("POST", "/api/v1/dead-letters/replay", {}).status == 422
    assert eve.post("/api/v1/dead-letters/replay", {"ids": ids[:1]})["sent"] == ids[:1]
    assert eve.post("/api/v1/dead-letters/replay", {"kind": "not JSON", "most": 1})["sent"] == ids[1:]
    assert sorted(eve.post("/api/v1/dead-letters/replay", {"ids": ids})["before"]) == sorted(ids)
    told(
        vera,
        "/api/v1/dead-letters",
        lambda now: (
            {one["letter"]["id"]: (one["replayed"] or {}).get("who") for one in now["letters"]}.items()
            >= dict.fromkeys(ids, "eve").items()
        ),
        "they are marked",
    )
