"""Reading lines of Bluesky's Jetstream: posts of both wires, every other message, and what is neither."""

from __future__ import annotations

import pytest

from app.domain.partitioning import time_in_id
from app.domain.posts import Control, Json, Malformed, created_ms, read
from tests.builders import (
    BLUESKY_DID,
    POSTED_MS,
    bluesky_address,
    bluesky_post,
    jetstream,
    jetstream_message,
    jetstream_v1,
    line,
    post,
    tid,
    v2_time,
)

WIRES = [jetstream, jetstream_v1]


@pytest.mark.parametrize("operation", ["create", "update"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_record_is_one_post_with_its_own_line_as_raw(wire: object, operation: str) -> None:
    assert callable(wire)
    body = wire(bluesky_post("Water"), operation=operation)
    only = post(body)
    assert (only.id, only.wire, only.includes, only.raw) == (bluesky_address(), "bluesky", {}, line(body))
    assert (only.body["did"], only.body["operation"]) == (BLUESKY_DID, operation)
    assert only.body["record"] == bluesky_post("Water")


def test_a_message_without_its_frame_is_read_too() -> None:
    body = jetstream(bluesky_post())
    assert post(body["payload"]).body == post(body).body


def test_the_id_carries_the_time_of_the_post() -> None:
    assert time_in_id(post(jetstream(bluesky_post())).id) == POSTED_MS


@pytest.mark.parametrize("wire", WIRES)
def test_a_deleted_post_is_a_control_message(wire: object) -> None:
    assert callable(wire)
    found = read(line(wire(None)))
    assert isinstance(found, Control)
    assert (found.kind, found.body["did"], found.body["rkey"]) == ("delete", BLUESKY_DID, tid())


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_record_of_another_collection_is_a_control_message(wire: object, operation: str) -> None:
    assert callable(wire)
    found = read(line(wire({"subject": {}}, collection="app.bsky.feed.like", operation=operation)))
    assert isinstance(found, Control)
    assert found.kind == "other_collection"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("account", jetstream_message("account", seq=1, did=BLUESKY_DID, account={"active": False})),
        ("identity", jetstream_message("identity", seq=2, did=BLUESKY_DID, identity={"handle": "mill.example"})),
        ("sync", jetstream_message("sync", seq=3, did=BLUESKY_DID, sync={})),
        ("info", jetstream_message("info", name="OutdatedCursor", message="starting at seq 200")),
        ("error", {"$type": "error", "error": "ConsumerTooSlow", "message": "reading below the floor rate"}),
        ("account", {"did": BLUESKY_DID, "time_us": 5, "kind": "account", "account": {"active": True}}),
        ("identity", {"did": BLUESKY_DID, "time_us": 5, "kind": "identity", "identity": {}}),
    ],
)
def test_what_else_happens_is_told_by_its_kind(kind: str, body: Json) -> None:
    assert read(line(body)) == Control(kind, body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"$type": "message"}, "kind"),
        ({"$type": "message", "payload": 5}, "kind"),
        ({"$type": "message", "payload": {"$type": ["commit"]}}, "kind"),
        (jetstream_message("blink", seq=5), "kind"),
        ({"$type": "app.bsky.feed.post"}, "kind"),
        ({"did": BLUESKY_DID, "time_us": 5, "kind": ["commit"]}, "kind"),
        ({"did": BLUESKY_DID, "time_us": 5, "kind": "commit"}, "without an operation"),
        ({"did": BLUESKY_DID, "time_us": 5, "kind": "commit", "commit": []}, "without an operation"),
        (jetstream(bluesky_post(), operation="read"), "without an operation"),
        (jetstream(bluesky_post(), operation=["create"]), "without an operation"),
        (jetstream(bluesky_post(), record=None), "without a text"),
        (jetstream(bluesky_post(), record=[]), "without a text"),
        (jetstream(bluesky_post(text=5)), "without a text"),
        *(
            (jetstream(bluesky_post(), did=odd), "without an account or key")
            for odd in (None, "", 5, "plc:a", "did:PLC:a", "did:plc:a b", "did:plc:é", f"did:plc:{'x' * 300}")
        ),
        *(
            (jetstream(bluesky_post(), rkey=odd), "without an account or key")
            for odd in (None, "", 5, "a/b", "a b", "a\n", "é")
        ),
    ],
)
def test_what_is_neither_is_malformed(body: Json, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(line(body))


def test_an_empty_text_makes_a_post() -> None:
    assert post(jetstream(bluesky_post(""))).body["record"]["text"] == ""


def created(told: object, **seen: object) -> int | None:
    return created_ms(post(jetstream(bluesky_post(createdAt=told), **{"time": None} | seen)))


SEEN_MS = POSTED_MS + 5000


@pytest.mark.parametrize(
    "seen",
    [
        {"time": v2_time(SEEN_MS)},
        {"time": v2_time(7), "witnessedAt": v2_time(SEEN_MS)},
        {"time_us": SEEN_MS * 1000 + 999},
    ],
)
def test_the_time_is_the_authors_word_where_it_can_be(seen: Json) -> None:
    assert created(v2_time(POSTED_MS), **seen) == POSTED_MS
    assert created("2012-09-24T03:35:21Z", **seen) == 1_348_457_721_000
    for nonsense in (None, 5, "yesterday", v2_time(SEEN_MS + 1), "9999-01-01T00:00:00Z", "1970-01-01T00:00:00Z"):
        assert created(nonsense, **seen) == SEEN_MS


@pytest.mark.parametrize("seen", [{}, {"time": "x"}, {"time_us": -1}, {"time_us": True}, {"time_us": 10**18}])
def test_without_a_time_of_the_stream_the_id_stands_in(seen: Json) -> None:
    assert created(v2_time(SEEN_MS), **seen) == SEEN_MS
    assert created(None, **seen) == POSTED_MS


def test_a_post_may_have_no_time_at_all() -> None:
    assert created(None, rkey="self") is None
