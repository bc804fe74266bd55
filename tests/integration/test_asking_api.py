"""Previews and standing queries as a program asks a manager for them."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from app.domain.records import raw_headers
from app.local.stack import Stack
from app.settings import Settings
from tests import builders
from tests.support import events, topics
from tests.support.api import SECRET, Api, api
from tests.support.place import place
from tests.support.topics import Raw
from tests.support.waiting import until
from tests.support.workers import Worker, worker

WITHIN = 60.0
PREVIEW = "/api/v1/preview"
NUMBERS = count()


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack, token_secret=SECRET) as own:
        topics.send(own, [post(("flood" if n % 4 else "flood, fire") if n % 2 else "sun", n) for n in range(200)])
        yield own


@pytest.fixture(scope="module")
def manager(settings: Settings) -> Iterator[Worker]:
    with worker(settings, "manager") as started:
        started.wait_ready()
        events.accepted(settings, events.create("river", keywords=("flood", "fire")))
        yield started


@pytest.fixture(scope="module")
def ada(manager: Worker) -> Api:
    return api(manager, "ada", "editor")


def post(text: str, number: int) -> Raw:
    at = int(time.time() * 1000) - (200 - number) * 60_000
    body = builders.status(text, id=builders.snowflake(sequence=number))
    return Raw(builders.line(body), number % 4, headers=raw_headers("bluesky", "v1", at, "live"))


def tried(manager: Worker, body: Any) -> Any:
    """A preview that has come to all posts: it reads for some seconds only. A person may ask for six a minute."""

    def whole() -> Any:
        replied = api(manager, f"somebody-{next(NUMBERS)}", "editor").send("POST", PREVIEW, body)
        assert replied.status in (200, 503), replied
        return replied.json if replied.status == 200 and not replied.json["basis"]["stopped_by"] else None

    return until(whole, "all posts are read")


def test_keywords_are_tried(manager: Worker) -> None:
    found = tried(manager, {"keywords": ["flood", "fire"]})
    assert (found["hits"], found["basis"]["posts"]) == (100, 200)
    assert [(one["selector"], one["hits"]) for one in found["keywords"]] == [("flood", 100), ("fire", 0)]
    assert found["words"][0] == "100 of 200 posts match (50.00%)"
    assert found["basis"]["sources"] == [{"source": "bluesky", "selection": "whole", "posts": 200, "hits": 100}]
    assert found["samples"][0]["text"][0] == {"text": "flood", "marked": True}


def test_an_event_is_tried_with_what_would_change(manager: Worker) -> None:
    assert [one["selector"] for one in tried(manager, {"code": "river"})["keywords"]] == ["flood", "fire"]
    assert tried(manager, {"code": "river", "keywords": ["sun"]})["hits"] == 100
    assert tried(manager, {"code": "river", "languages": ["de"]})["hits"] == 0


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "at least one keyword"),
        ({"keywords": [""]}, 422, "blank"),
        ({"keywords": ["a"] * 1001}, 422, "length"),
        ({"keywords": ["a"], "hours": 0}, 422, "hours"),
        ({"keywords": ["a"], "else": 1}, 422, "else"),
        ({"code": "nobody"}, 404, "there is no event"),
        (b"{", 400, "JSON"),
    ],
)
def test_what_cannot_be_tried_is_told(ada: Api, body: Any, status: int, said: str) -> None:
    refused = ada.send("POST", PREVIEW, body)
    assert (refused.status, said in refused.json["detail"]) == (status, True), refused


def test_a_person_may_try_so_often(manager: Worker) -> None:
    greedy = api(manager, "greedy", "viewer")
    statuses = [greedy.send("POST", PREVIEW, {"keywords": ["quake"], "posts": 100}).status for _ in range(12)]
    assert statuses[0] == 200
    assert set(statuses) == {200, 429}
    refused = greedy.send("POST", PREVIEW, {"keywords": ["quake"]})
    assert (refused.status, int(refused.headers["Retry-After"]) >= 1) == (429, True)
    assert Api(manager, None).send("POST", PREVIEW, {"keywords": ["quake"]}).status == 401


class Stream:
    """Server-sent events as they come."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status

    def next(self, name: str) -> Any:
        """The next event of this name."""
        event = ""
        while True:
            line = self._response.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event == name:
                return json.loads(line.removeprefix("data: "))


@contextmanager
def tail(caller: Api, query: str) -> Iterator[Stream]:
    connection = http.client.HTTPConnection("127.0.0.1", caller.worker.port, timeout=WITHIN)
    try:
        headers = {"Authorization": f"Bearer {caller.token}"}
        connection.request("GET", f"/api/v1/tail?{query}", headers=headers)
        yield Stream(connection.getresponse())
    finally:
        connection.close()


def test_posts_are_told_as_they_come(settings: Settings, ada: Api) -> None:
    hostile = '<script>alert("x")</script> \u202e earthquake'
    with tail(ada, "query=earthquake") as stream:
        assert stream.status == 200
        assert stream.next("state")["trouble"] == ""
        _until_it_listens(settings, stream)
        topics.send(settings, [post("sun", 901), post(hostile, 902)])
        came = stream.next("posts")
        while not any(piece["text"].startswith("<script>") for one in came["posts"] for piece in one["text"]):
            came = stream.next("posts")
        (found,) = [one for one in came["posts"] if one["text"][0]["text"].startswith("<script>")]
        assert "".join(piece["text"] for piece in found["text"]) == hostile
        assert found["matched"] == {"earthquake": "text"}


def _until_it_listens(settings: Settings, stream: Stream) -> None:
    """The reader begins at the end of the topic, some time after the stream was opened."""
    while not stream.next("state")["stream"]:
        topics.send(settings, [post("earthquake", 900)])


def test_an_event_is_listened_to_and_a_person_has_so_many(manager: Worker) -> None:
    eve = api(manager, "eve", "viewer")
    with tail(eve, "code=river") as one, tail(eve, "query=a") as two, tail(eve, "query=b"), tail(eve, "query=c"):
        assert (one.status, two.status) == (200, 200)
        refused = eve.send("GET", "/api/v1/tail?query=d")
        assert (refused.status, "eve has 4 standing queries" in refused.json["detail"]) == (429, True)
    # A client that has gone is noticed by the next that is written to it.
    until(lambda: _opens(eve), "the queries are given back", WITHIN)


def _opens(caller: Api) -> bool:
    with tail(caller, "query=d") as stream:
        return stream.status == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 422), ("query=", 422), ("query=%22", 422), ("query=a&code=river", 422), ("code=none", 404)],
)
def test_what_cannot_be_listened_for_is_told(ada: Api, query: str, status: int) -> None:
    refused = ada.send("GET", f"/api/v1/tail?{query}")
    assert refused.status == status
    assert refused.headers["Content-Type"].startswith("application/problem+json")


def test_the_pages(ada: Api) -> None:
    assert b'id="preview-try"' in ada.send("GET", "/preview").body
    page = ada.send("GET", "/tail?query=%3Cscript%3E")
    assert page.status == 200
    assert b"<script>" not in page.body.replace(b'<script type="module"', b"")
    assert b"/api/v1/tail?query=%3Cscript%3E" in page.body
    assert b"Posts that" not in ada.send("GET", "/tail").body
    wrong = ada.send("GET", "/tail?query=%22")
    assert (wrong.status, b"quote that is not closed" in wrong.body) == (422, True)
