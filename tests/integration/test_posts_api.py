"""Stored posts by the API and the pages: found, looked at, tagged and noted, by who may."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from app.local.stack import Stack
from app.topics import AUDIT
from tests import builders
from tests.support import commands, events, rows, topics
from tests.support.api import SECRET, Api, api
from tests.support.chain import Chain, chain
from tests.support.together import Running, Together
from tests.support.topics import Raw
from tests.support.waiting import until

scenarios = Together(at_once=1)

NAME = "سيل <script>alert(1)</script>"
EVIL = 'flood <script>alert("x")</script> & <b>'
PATH = "/api/v1/events/flood/posts"
DID = "at://did:plc:abc/app.bsky.feed.post/3kabcdefghij2"


def flood(running: Chain) -> None:
    """An event with forty posts, one of them of Bluesky, one that would like to be HTML."""
    events.accepted(running.settings, events.create("flood", keywords=("flood",), name=NAME))
    bodies = [builders.status(f"flood number {n} 洪水", id=builders.snowflake(sequence=n)) for n in range(38)]
    bodies.append(builders.status(EVIL, id=builders.snowflake(sequence=100)))
    lines = [builders.line(body) for body in bodies]
    running.send(*[Raw(line, number % 4) for number, line in enumerate(lines)])
    running.settle()
    topics.wait_drained(running.settings, "indexer")


def find(caller: Api, **asked: Any) -> Any:
    return caller.get(f"{PATH}?{urlencode(asked, doseq=True)}")


def ids(found: Any) -> list[str]:
    return [one["post"]["id"] for one in found["posts"]]


@scenarios.add
def posts_are_found_looked_at_and_annotated(stack: Stack) -> None:
    with tempfile.TemporaryDirectory() as name, chain(stack, "all", token_secret=SECRET, export_dir=name) as running:
        flood(running)
        vera, ed = api(running.workers["all"], "vera", "viewer"), api(running.workers["all"], "ed", "editor")
        _found_page_by_page(running, vera)
        _looked_at(vera)
        _annotated(running, vera, ed)
        _annotated_by_search(vera, ed)
        _exported(running, Path(name, "tagged.ids"))
        _pages(vera, ed)
        running.check_calm()


def _found_page_by_page(running: Chain, vera: Api) -> None:
    every = sorted((post for _, post in rows.tweets(running.settings)), reverse=True)
    first = find(vera, most=30)
    assert (ids(first), first["complete"]) == (every[:30], True)
    rest = find(vera, most=30, cursor=first["cursor"])
    assert (ids(rest), rest["cursor"]) == (every[30:], None)
    (one,) = find(vera, text='"number 7"')["posts"]
    assert [piece["text"] for piece in one["post"]["text"] if piece["marked"]] == ["flood", "number 7"]
    assert find(vera, text="nothing")["posts"] == []
    for wrong in ({"text": '"'}, {"cursor": "x"}, {"cursor": first["cursor"], "text": "x"}, {"most": 0}, {"tags": ","}):
        assert vera.send("GET", f"{PATH}?{urlencode(wrong)}").status == 422, wrong
    until(lambda: find(vera, most=1)["index_behind"] == 0, "it is known that the index has all")


def _looked_at(vera: Api) -> None:
    (evil,) = find(vera, text="script")["posts"]
    whole = vera.get(f"{PATH}/{evil['post']['id']}")
    assert whole["columns"]["t_text"] == EVIL
    assert whole["raw"]["text"] == EVIL
    assert (whole["found"]["origin"], whole["found"]["post"]["matched"]) == ("replay", {"flood": "text"})
    for unknown in ("1", quote(DID, safe=""), "%00", "%ED%A0%80", "x" * 400):
        assert vera.send("GET", f"{PATH}/{unknown}").status == 404, unknown


def _annotated(running: Chain, vera: Api, ed: Api) -> None:
    post_id = ids(find(vera, most=1))[0]
    assert vera.send("POST", f"{PATH}/{post_id}", {"add": ["a"]}).status == 403
    for wrong in ({}, {"add": ["a"], "remove": ["A"]}, {"add": [","]}, {"note": "x" * 6000}, {"nothing": 1}):
        assert ed.send("POST", f"{PATH}/{post_id}", wrong).status == 422, wrong
    told = ed.post(f"{PATH}/{post_id}", {"add": ["Check ", "b"], "note": "look"})
    assert told["annotation"]["tags"] == ["b", "check"]
    told = ed.post(f"{PATH}/{post_id}", {"remove": ["b"]})
    assert (told["annotation"]["tags"], told["annotation"]["note"]) == (["check"], "look")
    assert (told["annotation"]["changed_by"], ids(find(vera, tags="check"))) == ("ed", [post_id])
    assert vera.get("/api/v1/events/flood/tags")["tags"] == ["b", "check"]
    (row,) = rows.query(running.settings, rows.EVERYTHING + "annotation")
    assert (row["t_id"], set(row["tags"]), row["note"]) == (post_id, {"check"}, "look")
    told = [json.loads(record.value) for record in topics.read(running.settings, AUDIT)]
    entry = next(one for one in told if one["action"] == "posts.annotate" and one["outcome"] == "done")
    assert (entry["who"], entry["target"], entry["detail"]["post"]) == ("ed", "flood", post_id)


def _annotated_by_search(vera: Api, ed: Api) -> None:
    path = "/api/v1/events/flood/annotations"
    wish = {"search": {"text": "洪水"}, "change": {"add": ["bulk"]}}
    assert vera.send("POST", path, wish).status == 403
    assert ed.send("POST", path, wish | {"most": 0}).status == 422
    begun = ed.post(path, wish, status=202)

    def over() -> Any:
        found = vera.get(f"{path}/{begun['id']}")
        return found["state"] != "running" and found

    done = until(over, "all are tagged")
    assert (done["state"], done["posts"], done["who"]) == ("done", 38, "ed")
    assert len(find(vera, tags="bulk", most=100)["posts"]) == 38
    assert [one["id"] for one in vera.get(path)["orders"]] == [begun["id"]]
    assert vera.send("GET", f"{path}/x").status == 404


def _exported(running: Chain, out: Path) -> None:
    with tempfile.TemporaryDirectory() as state:
        done = commands.run(
            running.settings, Path(state), "export", "flood", "--format", "ids", "--tag", "Check", "--out", str(out)
        )
    assert done.status == 0, done.err
    (tagged,) = [
        row["t_id"] for row in rows.query(running.settings, rows.EVERYTHING + "annotation") if "check" in row["tags"]
    ]
    assert out.read_text().split() == [tagged]


def found_one(vera: Api, post_id: str) -> dict[str, Any]:
    """What people have written to a post."""
    annotation = vera.get(f"{PATH}/{post_id}")["found"]["annotation"]
    return {"tags": annotation["tags"], "note": annotation["note"]}


def _pages(vera: Api, ed: Api) -> None:
    page = ed.send("GET", f"/events/flood/posts?{urlencode({'text': 'script'})}").body.decode()
    assert "<script>alert" not in page
    assert "&lt;<mark>script</mark>&gt;" in page
    assert "Write to what this search finds" in page
    assert "Write to what this search finds" not in vera.send("GET", "/events/flood/posts").body.decode()
    wrong = vera.send("GET", f"/events/flood/posts?{urlencode({'text': chr(34)})}")
    assert wrong.status == 422
    assert 'role="alert"' in wrong.body.decode()
    post_id = ids(find(vera, most=1))[0]
    one = ed.send("GET", f"/events/flood/posts/{post_id}").body.decode()
    assert "<script>alert" not in one
    assert "How it came" in one
    was = found_one(vera, post_id)["note"]
    form = {"add": "by page", "remove": ["check"], "note": "other", "was": was}
    media = "application/x-www-form-urlencoded"
    written = ed.send("POST", f"/events/flood/posts/{post_id}", urlencode(form, doseq=True).encode(), media=media)
    assert written.status == 303
    (found,) = find(vera, tags="by page")["posts"]
    assert (found["annotation"]["tags"], found["annotation"]["note"]) == (["by page"], "other")
    late = {"add": "late", "note": was, "was": was}  # as the page was before
    written = ed.send("POST", f"/events/flood/posts/{post_id}", urlencode(late).encode(), media=media)
    assert written.status == 303
    assert found_one(vera, post_id) == {"tags": ["by page", "late"], "note": "other"}
    over = {"add": "later", "note": "mine", "was": was}
    refused = ed.send("POST", f"/events/flood/posts/{post_id}", urlencode(over).encode(), media=media)
    assert refused.status == 409
    page = refused.body.decode()
    assert '<blockquote dir="auto">other</blockquote>' in page
    assert 'dir="auto">mine</textarea>' in page
    assert 'name="was" value="other"' in page
    assert found_one(vera, post_id) == {"tags": ["by page", "late"], "note": "other"}
    bulk = {"text": "number", "add": "page bulk", "note": "of them all"}
    begun = ed.send("POST", "/events/flood/posts", urlencode(bulk).encode(), media=media)
    assert begun.status == 303
    until(lambda: len(find(vera, tags="page bulk", most=100)["posts"]) == 38, "all are tagged by the page")
    assert {one["annotation"]["note"] for one in find(vera, tags="page bulk", most=100)["posts"]} == {"of them all"}


@scenarios.add
def somebody_who_searches_too_often_is_told_when_to_come_again(stack: Stack) -> None:
    with chain(stack, "all", token_secret=SECRET, searches_a_minute=4) as running:
        events.accepted(running.settings, events.create("flood", keywords=("flood",)))
        vera, ed = api(running.workers["all"], "vera", "viewer"), api(running.workers["all"], "ed", "viewer")
        until(lambda: vera.send("GET", PATH).status != 503, "Cassandra is there")
        answers = [vera.send("GET", PATH) for _ in range(5)]
        refused = [one for one in answers if one.status == 429]
        assert refused
        assert int(refused[0].headers["Retry-After"]) > 0
        assert ed.send("GET", PATH).status == 200


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
