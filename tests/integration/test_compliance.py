"""What a source takes back goes by the policy of each event, from all that is kept, and nothing brings it back."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.clients.rematches import read_progress
from app.domain.activity import Activity, merge
from app.domain.events import Definition
from app.domain.newest import newest
from app.domain.records import raw_headers
from app.local.stack import Stack
from app.schema import ANNOTATION, POST_INDEX, REMOVAL, TWEET
from app.topics import NEWEST, full_name
from tests import builders
from tests.support import events, rows, topics
from tests.support.chain import Chain, chain
from tests.support.place import environment
from tests.support.simulator import Simulator
from tests.support.topics import RECEIVED_MS, Raw
from tests.support.waiting import until
from tests.support.workers import STARLING

POLICIES = {"drops": "drop", "redacts": "redact", "holds": "hold"}
PLACED = {"place": builders.place(), "coordinates": {"type": "Point", "coordinates": [8.2, 47.1]}}
DID, GONE_DID = "did:plc:stays", "did:plc:gone"
MANY = 240
NOTE = "INSERT INTO {keyspace}.annotation (event_name, bucket, t_id, note) VALUES (%s, %s, %s, 'what she says')"
MOMENTS = itertools.count()


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[Chain]:
    """One process with all roles."""
    with chain(stack, "all") as made:
        yield made


def post_id(number: int) -> str:
    return str(builders.snowflake(sequence=number))


def post(number: int, author: str = "ada", **fields: Any) -> bytes:
    return builders.line(
        builders.status(
            f"flood {number}",
            id=int(post_id(number)),
            user=builders.user(author),
            entities=builders.entities(hashtags=(f"tag_{author}",)),
            **fields,
        )
    )


def bluesky(did: str) -> bytes:
    return builders.line(builders.jetstream(builders.bluesky_post("flood by the sea"), did=did))


def account(author: str) -> str:
    return str(builders.user(author)["id_str"])


def deletion(number: int, author: str = "ada") -> bytes:
    status = {"id_str": post_id(number), "user_id_str": account(author)}
    return orjson.dumps({"delete": {"status": status, "timestamp_ms": str(RECEIVED_MS)}})


EARLY, DELETED, WITHHELD, STAYS = 1, 2, 3, 4
POSTS = [
    *(post(number) for number in (EARLY, DELETED, WITHHELD, STAYS)),
    *(post(number, "berta", **PLACED) for number in (10, 11)),
    *(post(number, "carl") for number in (20, 21, 22)),
    bluesky(DID),
    bluesky(GONE_DID),
]
TAKEN_BACK = [
    deletion(DELETED),
    orjson.dumps({"status_withheld": {"id": int(post_id(WITHHELD)), "user_id": 1, "withheld_in_countries": ["DE"]}}),
    orjson.dumps({"scrub_geo": {"user_id_str": account("berta"), "up_to_status_id_str": post_id(10)}}),
    orjson.dumps({"user_withheld": {"id": int(account("carl")), "withheld_in_countries": ["XX"]}}),
    builders.line(builders.jetstream(None, did=DID)),
    builders.line(builders.jetstream_message("account", did=GONE_DID, active=False, status="deleted")),
    orjson.dumps({"delete": {"status": {"id_str": "1"}}}),  # of a post that nobody has
]
GONE = {
    *(post_id(number) for number in (EARLY, DELETED, WITHHELD, 20, 21, 22)),
    *(builders.bluesky_address(did) for did in (DID, GONE_DID)),
}
LEFT = {post_id(number) for number in (STAYS, 10, 11)}


def send(running: Chain, *lines: bytes, origin: str = "replay", event: str = "") -> None:
    """A line a record, over all partitions; returns once all of it, and what it has led to, is done."""
    headers = raw_headers("test", "v1", RECEIVED_MS + next(MOMENTS), origin, event=event)  # type: ignore[arg-type]
    running.send(*[Raw(line, number % 4, None, headers) for number, line in enumerate(lines)])
    for _ in range(2):  # what is of an account goes to all partitions only then
        running.settle()


def counted(running: Chain, code: str) -> Activity:
    parts = topics.activity(running.settings, "all").items()
    return merge(part for key, part in parts if key.startswith(f"{code}|"))


def stored(running: Chain, code: str) -> dict[str, rows.Stored]:
    return {key[1]: row for key, row in running.stored({code}).items()}


def of(running: Chain, table: str, code: str) -> list[rows.Stored]:
    return [row for row in rows.query(running.settings, rows.EVERYTHING + table) if row["event_name"] == code]


def indexed(running: Chain, code: str) -> set[str]:
    return {row["t_id"] for row in of(running, POST_INDEX, code)}


def starling(running: Chain, *typed: str, **settings: str) -> str:
    """A command of a person; what it says."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STARLING_")}
    done = subprocess.run(
        [str(STARLING), *typed],
        env=inherited | environment(running.settings) | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def exported(running: Chain, code: str, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and manifest of an export as a person makes one."""
    file = folder / f"{code}.jsonl"
    starling(running, "export", code, "--format", "jsonl", "--out", str(file))
    (manifest,) = folder.glob(f"{code}*manifest*")
    return [json.loads(line) for line in file.read_text().splitlines()], json.loads(manifest.read_text())


def hear_the_past(running: Chain, code: str) -> None:
    wish = events.command("rematch", code, rematch_since=datetime.now(UTC) - timedelta(hours=1))
    (answer,) = events.accepted(running.settings, wish)

    def over() -> bool:
        progress = asyncio.run(read_progress(running.settings, code))
        return progress is not None and progress.version == answer.version and progress.state == "done"

    until(over, "the past was heard")
    running.settle()


def check_gone(running: Chain, code: str, gone: set[str]) -> None:
    assert not gone & set(stored(running, code))
    assert not gone & {key[1] for key in rows.raw_json(running.settings) if key[0] == code}
    assert not gone & indexed(running, code)
    assert {row["t_id"] for row in of(running, REMOVAL, code) if row["fate"] == "removed"} == gone


def check_dropped(running: Chain, code: str) -> None:
    """Nothing is left of what is gone, and the sum of what came is known."""
    assert set(stored(running, code)) == LEFT == {key[1] for key in rows.raw_json(running.settings) if key[0] == code}
    check_gone(running, code, GONE)
    counts = counted(running, code)
    assert (counts.collected, counts.posts) == (len(LEFT | GONE), len(LEFT))
    assert counts.retracted == {"removed": len(GONE), "scrubbed": 1}
    assert set(counts.accounts) == {"ada", "berta"}
    assert sum(counts.days.values()) == sum(counts.keywords.values()) == sum(counts.languages.values()) == len(LEFT)


def test_what_is_taken_back(running: Chain, tmp_path: Path) -> None:
    made = [events.create(code, keywords=("flood",), deletions=policy) for code, policy in POLICIES.items()]
    events.accepted(running.settings, *made)
    send(running, deletion(EARLY))
    send(running, *POSTS)
    until(lambda: indexed(running, "drops") == LEFT | GONE - {post_id(EARLY)}, "all is indexed but what came too late")
    for number in (DELETED, STAYS):
        bucket = stored(running, "drops")[post_id(number)]["bucket"]
        rows.query(running.settings, NOTE, "drops", bucket, post_id(number))
    send(running, *TAKEN_BACK)

    check_dropped(running, "drops")
    assert [row["t_id"] for row in of(running, ANNOTATION, "drops")] == [post_id(STAYS)]
    raw = rows.raw_json(running.settings)
    for code in ("drops", "redacts"):
        scrubbed, kept = stored(running, code)[post_id(10)], stored(running, code)[post_id(11)]
        assert (scrubbed["place"], scrubbed["t_geo"], scrubbed["t_coordinates"]) == (None, None, None)
        assert b"Talheim, Nowhere" not in raw[code, post_id(10)]["json"].encode()
        assert scrubbed["retracted"] == "scrubbed: its place is to be forgotten"
        assert (kept["place"], kept["retracted"]) == ("Talheim, Nowhere", None), "posted after what the word is about"
        assert "Talheim, Nowhere" in raw[code, post_id(11)]["json"]

    redacted = stored(running, "redacts")
    assert set(redacted) == LEFT | GONE, "they stay as what is counted"
    assert {key[1] for key in raw if key[0] == "redacts"} == LEFT
    assert indexed(running, "redacts") == LEFT
    for gone in GONE:
        row = redacted[gone]
        assert row["retracted"].startswith("redacted: ")
        assert (row["t_text"], row["u_screen_name"], row["u_id"], row["hashtags"]) == ("", None, None, None)
        assert row["t_created_at"] is not None
    counts = counted(running, "redacts")
    assert (counts.posts, counts.collected, counts.retracted["redacted"]) == (11, 11, len(GONE))
    assert set(counts.accounts) == {"ada", "berta"}

    held = stored(running, "holds")
    assert Counter(bool(row["retracted"]) for row in held.values()) == {True: len(GONE) + 1, False: 2}
    assert held[post_id(DELETED)]["retracted"] == "held: deleted"
    assert held[post_id(DELETED)]["t_text"] == f"flood {DELETED}"
    assert indexed(running, "holds") == LEFT | GONE

    lines, manifest = exported(running, "drops", tmp_path)
    assert {line["t_id"] for line in lines} == LEFT
    assert {name: manifest["posts"][name] for name in ("collected", "stored", "removed")} == {
        "collected": len(LEFT | GONE),
        "stored": len(LEFT),
        "removed": len(GONE),
    }
    running.check_calm()


def test_nothing_brings_it_back(running: Chain) -> None:
    send(running, *POSTS)  # a replay
    send(running, *POSTS, origin="import", event="drops")
    hear_the_past(running, "drops")
    assert set(stored(running, "drops")) == LEFT
    assert indexed(running, "drops") == LEFT
    counts = counted(running, "drops")
    assert counts.retracted["removed"] == len(GONE), "once each, however often it comes"
    # An event that did not exist when they were deleted hears the past without them.
    events.accepted(running.settings, events.create("late", keywords=("flood",)))
    hear_the_past(running, "late")
    assert set(stored(running, "late")) == LEFT
    assert counted(running, "late").retracted == {"removed": len(GONE), "scrubbed": 1}
    # What is held goes once the policy says so, and that is applied.
    edit = Definition(deletions="drop")
    events.accepted(running.settings, events.command("edit", "holds", definition=edit))
    assert json.loads(starling(running, "compliance", "apply", "holds", "--json")) == {"posts": len(GONE) + 1}
    for _ in range(2):
        running.settle()
    check_gone(running, "holds", GONE)
    assert counted(running, "holds").retracted == {"removed": len(GONE), "scrubbed": 1}, (
        "of what is held nothing is left"
    )
    # An account that is there again may be heard again.
    send(running, builders.line(builders.jetstream_message("account", did=GONE_DID, active=True, seq=9)))
    again = builders.tid(builders.POSTED_MS + 5000)
    send(running, builders.line(builders.jetstream(builders.bluesky_post("flood anew"), did=GONE_DID, rkey=again)))
    assert builders.bluesky_address(GONE_DID, again) in stored(running, "drops")
    before = counted(running, "drops").balance
    hear_the_past(running, "drops")
    assert builders.bluesky_address(GONE_DID) not in stored(running, "drops"), "what was removed does not return"
    assert counted(running, "drops").balance == before
    # X tells of its posts when it is asked.
    with Simulator() as x:  # any token will do
        x.gone(**{post_id(STAYS): "deactivated", post_id(11): "scrub_geo", "17": "deleted"})
        own = {"STARLING_X_URL": x.url, "STARLING_X_BEARER_TOKEN": "a-token"}
        told = json.loads(starling(running, "compliance", "check", "late", "--json", **own))
    assert told == {"asked": len(LEFT), "taken_back": 2, "reasons": {"deactivated": 1, "scrub_geo": 1}}
    running.settle()
    for code in ("drops", "late", "holds"):
        left = stored(running, code)
        assert post_id(STAYS) not in left, "in all events, whichever was asked about"
        assert left[post_id(11)]["place"] is None
    running.check_calm()


def test_a_kill_changes_no_count(running: Chain) -> None:
    """Posts and the deletions of two thirds of them, some before their posts, while the worker is killed."""
    events.accepted(running.settings, events.create("killed", keywords=("dike",)))
    made = [builders.line(builders.status("dike", id=int(post_id(1000 + number)))) for number in range(MANY)]
    gone = [deletion(1000 + number) for number in range(MANY) if number % 3]
    mixed = [line for pair in zip_longest(made, gone[::-1]) for line in pair if line]
    running.send(*[Raw(line, number % 4) for number, line in enumerate(mixed)])

    def under_way() -> bool:
        return sum(len(of(running, table, "killed")) for table in (TWEET, REMOVAL)) > MANY // 8

    until(under_way, "some of it is stored", pause=0.02)
    running.workers["all"].kill()
    running.workers["all"].restart()
    running.workers["all"].wait_ready()
    for _ in range(2):
        running.settle()
    counts = counted(running, "killed")
    assert (counts.collected, counts.posts) == (MANY, MANY - len(gone))
    assert len(stored(running, "killed")) == MANY - len(gone)
    assert len(of(running, REMOVAL, "killed")) == len(gone)


PLANT = (
    "INSERT INTO {keyspace}.post_index (event_name, bucket, moment, t_id, terms) VALUES (%s, %s, %s, %s, {{'secret'}})"
)
ZOMBIE = (
    "INSERT INTO {keyspace}.tweet (event_name, bucket, t_id, u_screen_name) VALUES (%s, %s, %s, 'who') "
    "USING TIMESTAMP {stamp}"
)
ZOMBIES_JSON = (
    "INSERT INTO {keyspace}.tweet_raw (event_name, bucket, t_id, json) VALUES (%s, %s, %s, 'secret') "
    "USING TIMESTAMP {stamp}"
)


@pytest.mark.parametrize("policy", ["drop", "redact"])
def test_what_others_have_of_a_post_that_came_after_its_deletion_goes_too(running: Chain, policy: Any) -> None:
    """The index reads the same records, and is ahead of who stores; one who was frozen writes what he had in hand."""
    code, known, late = f"ahead-{policy}", 40, 41
    events.accepted(running.settings, events.create(code, keywords=("levee",), deletions=policy))

    def told(number: int) -> bytes:
        made = builders.status("a levee", id=int(post_id(number)), user=builders.user("dora"))
        return builders.line(made)

    send(running, told(known))
    bucket = stored(running, code)[post_id(known)]["bucket"]
    frozen = time.time_ns() // 1000
    send(running, deletion(late, "dora"))
    moment = datetime.fromtimestamp(builders.POSTED_MS / 1000, UTC)
    rows.query(running.settings, PLANT, code, bucket, moment, post_id(late))
    assert post_id(late) in indexed(running, code)
    send(running, told(late))
    for cql in (ZOMBIE, ZOMBIES_JSON):
        rows.query(running.settings, cql.replace("{stamp}", str(frozen)), code, bucket, post_id(late))
    assert indexed(running, code) == {post_id(known)}
    assert (code, post_id(late)) not in rows.raw_json(running.settings)
    row = stored(running, code).get(post_id(late))
    assert row is None if policy == "drop" else row is not None and row["u_screen_name"] is None


def test_a_page_shows_no_deleted_post_whoever_told_it(running: Chain) -> None:
    """What is shown as newest was told by a process that is no more; its heir does not know what."""
    events.accepted(running.settings, events.create("shown", keywords=("seawall",)))

    def shown() -> list[str]:
        told = topics.newest(running.settings, full_name(NEWEST, running.settings))
        return [post.text for key, value in told.items() if key.startswith("shown|") for post in newest(value).posts]

    send(running, builders.line(builders.status("a seawall", id=int(post_id(50)))))
    until(lambda: shown() == ["a seawall"], "it is shown")
    running.workers["all"].kill()
    running.workers["all"].restart()
    running.workers["all"].wait_ready()
    send(running, deletion(50))
    assert post_id(50) not in stored(running, "shown")
    assert shown() == []


def test_odd_messages_and_very_many_deletions_of_nothing_stop_nobody(running: Chain) -> None:
    events.accepted(running.settings, events.create("odd", keywords=("sandbag",)))
    send(
        running,
        b'{"status_withheld": {"id": 1, "user_id": 2, "withheld_in_countries": 5}}',
        orjson.dumps({"compliance": {"kind": "delete", "at": 1 << 62, "post": "1"}}),
        *[orjson.dumps({"compliance": {"kind": "delete", "at": 1, "post": "1", "why": "x" * 900_000}})] * 3,
        orjson.dumps({"compliance": {"kind": "delete", "at": 1, "post": "1", "event": "x" * 70_000}}),
        b"\n".join(deletion(100_000 + number) for number in range(5000)),
        builders.line(builders.status("a sandbag", id=int(post_id(60)))),
    )
    assert set(stored(running, "odd")) == {post_id(60)}
    running.check_calm()
