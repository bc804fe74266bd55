"""Dead letters go back to the raw topic: once, with their origin, and nothing is stored or counted twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.records import Line, classified_headers, raw_headers
from app.local.stack import Stack
from app.topics import CLASSIFIED, DEAD_LETTERS, RAW, REPLAYED_LETTERS
from tests import builders
from tests.support import commands, events, topics
from tests.support.chain import Chain, chain
from tests.support.topics import Raw

HEARD = tuple(raw_headers("bluesky", "v1", topics.RECEIVED_MS, "live"))


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    with chain(stack, "manager", "worker") as made:
        yield made


def bury(running: Chain, letter_id: str, value: bytes, **told: str) -> None:
    """Put a letter as a worker would have."""
    topic, partition, offset, line = letter_id.split(":")
    place = {"topic": topic, "partition": partition, "offset": offset, "line": line}
    headers = [(name, text.encode()) for name, text in (place | {"reason": "a test", **told}).items()]
    topics.send(running.settings, [Raw(value, None, letter_id.encode(), headers)], DEAD_LETTERS)


def listed(running: Chain, tmp_path: Path, *options: str) -> dict[str, Any]:
    ran = commands.run(running.settings, tmp_path, "dead-letters", "list", "--json", *options)
    assert ran.status == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def replay(running: Chain, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    ran = commands.run(running.settings, tmp_path, "dead-letters", "replay", "--json", *arguments)
    assert ran.out, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_a_malformed_line_is_listed_shown_and_sent_once_more_with_its_origin(running: Chain, tmp_path: Path) -> None:
    line = b"{not json"
    running.send(Raw(line, 0, headers=HEARD))
    running.settle()
    (letter,) = listed(running, tmp_path, "--reason", "not JSON")["letters"]
    assert (letter["source"], letter["origin"], letter["received_at"]) == ("bluesky", "live", topics.RECEIVED_MS)
    assert letter["replayed"] is None
    shown = commands.run(running.settings, tmp_path, "dead-letters", "show", letter["id"])
    assert shown.out == "{not json\n"
    assert replay(running, tmp_path, letter["id"])["sent"] == [letter["id"]]
    running.settle()
    (raw,) = [record for record in topics.read(running.settings, RAW) if dict(record.headers).get("letter")]
    told = dict(raw.headers)
    assert raw.value == line
    assert (told["source"], told["origin"], told["received_at"]) == (
        b"bluesky",
        b"live",
        str(topics.RECEIVED_MS).encode(),
    )
    (mark,) = topics.read(running.settings, REPLAYED_LETTERS)
    assert mark.key.decode() == letter["id"]
    assert json.loads(mark.value)["who"] == "ada"
    assert replay(running, tmp_path, letter["id"]) == {"sent": [], "before": [letter["id"]], "refused": {}}
    found = listed(running, tmp_path, "--reason", "not JSON")
    assert {one["id"]: one["replayed"] and one["replayed"]["who"] for one in found["letters"]} == {
        letter["id"]: "ada",
        f"{running.settings.topic_prefix}raw_tweets:{raw.partition}:{raw.offset}:0": None,
    }, "it is malformed still: another letter, and not marked"


def test_posts_come_in_once_however_often_their_letters_are_sent(running: Chain, tmp_path: Path) -> None:
    events.accepted(running.settings, events.create("flood", keywords=("rotwasser",)))
    heard = builders.line(builders.status("the rotwasser rises", id_str="1", id=1))
    missed = builders.line(builders.status("the rotwasser falls", id_str="2", id=2))
    sent = running.send(Raw(heard, 0))
    running.settle()
    bury(running, "cassandra/flood:0:0:0", heard, source="x", origin="live", received_at="1714560100000")
    bury(running, "cassandra/flood:0:1:0", missed, source="x", origin="live", received_at="1714560100000")
    bury(running, "cassandra/flood:0:2:0", missed, source="x", origin="live", received_at="1714560100001")
    done = replay(running, tmp_path, "--reason", "a test")
    assert len(done["sent"]) == 3
    running.settle()
    stored = running.stored({"flood"})
    assert {t_id: (row["origin"], row["source"]) for (_, t_id), row in stored.items()} == {
        "1": ("replay", "test"),
        "2": ("live", "x"),
    }
    assert running.counted()["flood"] == 2
    assert sent[0][1].partition == 0


def test_a_line_that_one_event_has_wished_for_goes_back_to_it_alone_as_of_when_it_was_said(
    running: Chain, tmp_path: Path
) -> None:
    said = topics.RECEIVED_MS - 3_600_000
    searched = tuple(raw_headers("x", "v2", topics.RECEIVED_MS, "search", "wish-1", said, "wished"))
    line = Line(0, 9, 0, 0, topics.RECEIVED_MS, "x", "search", {"rotwasser": "text"}, as_of=said)
    running.send(Raw(b"{cut off", 0, headers=searched))
    topics.send(running.settings, [Raw(b"{not whole", 0, b"wished", classified_headers(1, [line]))], CLASSIFIED)
    events.accepted(running.settings, events.create("wished", keywords=("rotwasser",)))
    running.settle()
    names = [
        letter["id"]
        for letter in listed(running, tmp_path, "--reason", "not JSON")["letters"]
        if (letter["event"], letter["as_of"]) == ("wished", said)
    ]
    assert sorted(replay(running, tmp_path, *names)["sent"]) == sorted(names)
    again = [dict(record.headers) for record in topics.read(running.settings, RAW)]
    told = [(headers["event"], headers["as_of"]) for headers in again if headers.get("letter", b"").decode() in names]
    assert told == [(b"wished", str(said).encode())] * 2


def test_a_letter_of_one_event_becomes_no_other_event_s_row(running: Chain, tmp_path: Path) -> None:
    both = [events.create(code, keywords=("gelbwasser",)) for code in ("asked", "another")]
    events.accepted(running.settings, *both)
    post = builders.line(builders.status("the gelbwasser rises", id_str="3", id=3))
    bury(
        running, "cassandra/asked:0:3:0", post, source="x", origin="search", received_at="1714560100000", event="asked"
    )
    assert replay(running, tmp_path, "cassandra/asked:0:3:0")["sent"] == ["cassandra/asked:0:3:0"]
    running.settle()
    assert set(running.stored({"asked", "another"})) == {("asked", "3")}


def test_what_is_no_post_stays(running: Chain, tmp_path: Path) -> None:
    bury(running, "tracker/raw_tweets:0:5:9", b"the beginning of a line")
    ran = commands.run(running.settings, tmp_path, "dead-letters", "replay", "tracker/raw_tweets:0:5:9")
    assert (ran.status, ran.err) == (1, "tracker/raw_tweets:0:5:9: only the beginning of the line was kept\n")
    unknown = commands.run(running.settings, tmp_path, "dead-letters", "replay", "nothing:0:0:0")
    assert unknown.status == 1
    assert "there is no dead letter" in unknown.error
    assert commands.run(running.settings, tmp_path, "dead-letters", "replay").status == 2
