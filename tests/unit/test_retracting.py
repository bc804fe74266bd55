"""What sources take back: how their messages are read, and what becomes of a post by its event's policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest

from app.domain.activity import Activity
from app.domain.classify import classify
from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.partitioning import HOUR, BucketRule
from app.domain.posts import Control, read
from app.domain.records import Line, RawRecord
from app.domain.retracting import (
    GEO,
    Retraction,
    again,
    fate_of,
    first_of,
    is_news,
    mark_of,
    read_retraction,
    retraction_of,
    stronger,
    treated,
)
from app.domain.rows import Row, normalized, post_of, row_of
from app.domain.standing import Standing
from tests import builders

AT = 1_714_560_000_000
DID = "did:plc:millwatch"
POST_ID = str(builders.snowflake())
WAY = Line(3, 41, 2, 1, 1_700_000_000_123, "x-v1", "live", {"flood": "text"})
EVENT = Event(code="flood", name="Flood", keywords=("flood",), buckets=(BucketRule(since=0, seconds=HOUR, shards=1),))


def taken(message: Any) -> Retraction | None:
    control = read(orjson.dumps(message))
    assert isinstance(control, Control)
    return retraction_of(control, AT, "a source")


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (
            {"delete": {"status": {"id": 12, "id_str": "12", "user_id": 3, "user_id_str": "3"}, "timestamp_ms": "99"}},
            Retraction(kind="delete", at=99, post="12", account="3", why="deleted"),
        ),
        ({"delete": {"direct_message": {"id": 12, "user_id": 3}}}, None),
        (
            {"scrub_geo": {"user_id": 3, "user_id_str": "3", "up_to_status_id": 12, "up_to_status_id_str": "12"}},
            Retraction(kind="geo", at=AT, account="3", up_to="12", why="its place is to be forgotten"),
        ),
        ({"scrub_geo": {"user_id": 3}}, None),
        (
            {"status_withheld": {"id": 12, "user_id": 3, "withheld_in_countries": ["DE", "FR"]}},
            Retraction(kind="withheld", at=AT, post="12", account="3", why="withheld in DE, FR"),
        ),
        (
            {"user_withheld": {"id": 3, "withheld_in_countries": ["XX"]}},
            Retraction(kind="withheld", at=AT, account="3", why="withheld in XX"),
        ),
        ({"user_withheld": {"id": 3, "withheld_in_countries": []}}, None),
        (
            {
                "did": DID,
                "time_us": 1,
                "kind": "commit",
                "commit": {"operation": "delete", "collection": "app.bsky.feed.post", "rkey": "3kabc"},
            },
            Retraction(kind="delete", at=AT, post=f"at://{DID}/app.bsky.feed.post/3kabc", account=DID, why="deleted"),
        ),
        (
            {"did": DID, "time_us": 1, "kind": "account", "account": {"active": False, "status": "takendown"}},
            Retraction(kind="account", at=AT, account=DID, why="account takendown"),
        ),
        (
            {"$type": "message", "payload": {"$type": "x#account", "did": DID, "active": False, "status": "deleted"}},
            Retraction(kind="account", at=AT, account=DID, why="account deleted"),
        ),
        (
            {"did": DID, "time_us": 1, "kind": "account", "account": {"did": DID, "active": True}},
            Retraction(kind="restored", at=AT, account=DID),
        ),
        ({"did": DID, "time_us": 1, "kind": "account", "account": {"active": False, "status": "throttled"}}, None),
        ({"did": DID, "time_us": 1, "kind": "identity", "identity": {"did": DID, "handle": "a.example"}}, None),
        ({"delete": {"status": {"id": "9" * 400}}}, None),
        ({"limit": {"track": 3}}, None),
        ({"compliance": {"kind": "nonsense"}}, None),
    ],
)
def test_what_a_message_takes_back(message: Any, found: Retraction | None) -> None:
    one = taken(message)
    assert one == (
        found
        and Retraction(**{name: getattr(found, name) for name in found.__struct_fields__} | {"source": "a source"})
    )
    if one is not None:
        assert read_retraction(one.line) == one, "and it can be sent on"
        assert retraction_of(read(one.line), AT) == one, "also by way of the raw posts"  # type: ignore[arg-type]


def test_a_sweep_cannot_be_sent_by_a_source() -> None:
    line = Retraction(kind="account", at=1, account="3", sweep=True).line
    found = retraction_of(read(line), AT)  # type: ignore[arg-type]
    assert found is not None
    assert not found.sweep


def test_classifying_hands_on_what_is_taken_back_and_an_archives_word_is_for_its_event() -> None:
    deletion = orjson.dumps({"delete": {"status": {"id_str": "12", "user_id_str": "3"}}})
    value = builders.line(builders.status("flood")) + b"\n" + deletion
    for event in ("", "flood"):
        record = RawRecord("raw", 0, 5, value, AT, event=event)
        found = classify([record], Matcher([EVENT]), 4)
        assert [(one.post, one.event) for one in found.retractions] == [("12", event)]
        (intake,) = found.intake[0]
        assert (intake.lines, intake.posts, intake.control) == (2, 1, {"delete": 1}), "and it is counted as before"
    assert found.retractions[0].concerns("flood", "12")
    assert not found.retractions[0].concerns("sandy", "12")


def row(**fields: Any) -> Row:
    place = {"coordinates": {"type": "Point", "coordinates": [8.2, 47.1]}, "place": builders.place()}
    body = builders.line(builders.status("a flood", entities=builders.entities(hashtags=("Flood",)), **place | fields))
    return row_of(EVENT, 1, WAY, normalized(post_of(body)))


def columns(made: Row) -> dict[str, Any]:
    return dict(zip(POST_COLUMNS | OUR_POST_COLUMNS, made.post.values, strict=True))


@pytest.mark.parametrize("policy", ["drop", "redact", "hold"])
@pytest.mark.parametrize("kind", ["delete", "geo", "withheld", "account"])
def test_a_post_that_comes_after_its_deletion(policy: Any, kind: Any) -> None:
    before = row()
    made = treated(before, Retraction(kind=kind, at=AT, post=POST_ID, why="a reason"), fate_of(kind, policy))
    values, was = columns(made), columns(before)
    mark = made.way_values[-1]
    if policy == "hold":
        assert (made.fate, values, made.post.raw, mark) == ("held", was, before.post.raw, "held: a reason")
    elif kind == "geo":
        assert (made.fate, mark) == ("scrubbed", "scrubbed: a reason")
        assert {name: value for name, value in values.items() if value != was[name]} == dict.fromkeys(GEO)
        stored = orjson.loads(made.post.raw)
        assert [stored[name] for name in ("coordinates", "place", "geo")] == [None] * 3
        assert stored["text"] == "a flood"
    elif policy == "redact":
        assert (made.fate, made.post.raw, mark) == ("redacted", b"", "redacted: a reason")
        assert {name for name, value in values.items() if value is not None} == {
            "t_id",
            "t_created_at",
            "t_is_a_retweet",
            "t_lang",
            "t_text",
        }
        assert values["t_text"] == "", "no row is without one"
    else:
        assert (made.fate, mark) == ("removed", None)
    assert columns(before) == was, "the post of its other events is not touched"


def test_scrubbing_leaves_the_places_of_others_and_takes_those_of_v2() -> None:
    quoted = builders.quote_of(builders.status(place=builders.place()), place=builders.place())
    made = treated(
        row_of(EVENT, 1, WAY, normalized(post_of(builders.line(quoted)))),
        Retraction(kind="geo", at=AT, account="1", up_to=POST_ID),
        "scrubbed",
    )
    stored = orjson.loads(made.post.raw)
    assert stored["place"] is None
    assert stored["quoted_status"]["place"] is not None
    v2 = builders.v2_payload("flood", {"places": [{"id": "p", "full_name": "Wasserau"}]}, geo={"place_id": "p"})
    made = treated(
        row_of(EVENT, 1, WAY, normalized(post_of(builders.line(v2)))),
        Retraction(kind="geo", at=AT, account="1"),
        "scrubbed",
    )
    assert b"Wasserau" not in made.post.raw
    assert b"place_id" not in made.post.raw


def test_what_a_deletion_is_about() -> None:
    geo = Retraction(kind="geo", at=AT, account="3", up_to="100")
    assert geo.concerns("flood", "100")
    assert not geo.concerns("flood", "101")
    assert geo.concerns("flood", "99"), "numbers, not texts"
    deletion = Retraction(kind="delete", at=AT, post="7")
    assert stronger(geo, deletion) is deletion is stronger(deletion, geo) is stronger(deletion, None)
    assert deletion.part != geo.part


@pytest.mark.parametrize(
    ("fate", "mark", "news"),
    [
        ("held", None, True),
        ("held", "held: deleted", False),
        ("removed", "held: deleted", True),  # the policy has changed since
        ("scrubbed", "redacted: deleted", False),
        ("redacted", "scrubbed: x", True),
        ("removed", "what another program wrote", True),
    ],
)
def test_a_row_meets_a_fate_once(fate: Any, mark: str | None, news: bool) -> None:
    assert is_news(fate, mark) is news
    assert not is_news(fate, mark_of(fate, Retraction(kind="delete", at=1)))


def test_a_post_that_is_kept_out_is_counted_for_its_first_way_alone() -> None:
    live = row()
    again = row_of(EVENT, 1, Line(0, 1, 0, 0, 5, "x-v1", "rematch", {}), live.post)
    assert first_of([(1, live), (1, again)], {}) == [(1, live)]
    by_live = {live.key: Standing("live", 1, WAY.received_at)}
    assert first_of([(1, again)], by_live) == []
    assert first_of([(1, live)], by_live) == [(1, live)], "the same record, read again after a kill"


def test_a_row_that_is_read_again_after_a_kill() -> None:
    """Without a mark it is as it was, since the word that takes it back follows; with one it stays what it was made.

    A held row that were written as a redacted one, since the policy is another by now, would bear that mark, and its
    author, links and JSON still: nothing would ever remove these.
    """
    own, redaction = row(), Retraction(kind="delete", at=AT, post=POST_ID)
    way = Standing("live", 1, WAY.received_at)
    assert again(own, redaction, way, "") is own
    for fate in ("held", "redacted", "scrubbed"):
        assert again(own, redaction, way, f"{fate}: deleted") == treated(own, redaction, fate)  # type: ignore[arg-type]
    assert again(own, redaction, way, "what another program wrote") is own
    assert again(own, redaction, Standing("replay", 1, 5), "") is None, "another copy"


def test_what_came_is_what_stands_and_what_was_removed() -> None:
    counts = Activity()
    posts = [row(id=builders.snowflake(sequence=number), user=builders.user(f"u{number}")) for number in range(4)]
    seen = []
    for number, one in enumerate(posts):
        one.line = Line(0, number, 0, 0, 1, "x-v1", "live", {"flood": "text"})
        seen.append(one.seen())
        assert counts.count(one.seen())
    out = row_of(EVENT, 1, Line(0, 9, 0, 0, 1, "x-v1", "live", {"flood": "text"}), posts[0].post)
    out.fate = "removed"
    assert counts.count(out.seen()), "came, and may not be stored"
    assert not counts.count(out.seen()), "read again"
    assert (counts.posts, counts.collected) == (4, 5)

    def meet(number: int, fate: Any, was: Any = None) -> Any:
        posts[number].fate = fate
        return msgspec.structs.replace(posts[number].seen(), was=was)

    assert counts.retract((7, 0), [meet(0, "removed"), meet(1, "redacted")])
    assert not counts.retract((7, 0), [meet(0, "removed"), meet(1, "redacted")]), "after a kill"
    assert counts.retract((7, 1), [meet(2, "held")])
    assert (counts.posts, counts.collected) == (3, 5)
    assert counts.retracted == {"removed": 2, "redacted": 1, "held": 1}
    assert set(counts.accounts) == {"u2", "u3"}, "nobody who has gone is named"
    assert counts.hashtags == {"flood": 2}
    minute = builders.POSTED_MS // 60_000
    assert (counts.minutes, counts.keywords, counts.sources) == ({minute: 3}, {"flood": 3}, {"x-v1": 3})
    # One by one, by words that came later or by another policy: each stands among those that it is now.
    assert counts.retract((8, 0), [meet(2, "redacted", "held"), meet(1, "removed", "redacted")])
    assert (counts.posts, counts.collected, counts.retracted) == (2, 5, {"removed": 3, "redacted": 1})
    assert counts.hashtags == {"flood": 1}, "what was forgotten of a redacted post is not taken back again"


ODD = [0, 5, -1.5, True, None, "", "DE", "x" * 400, "a\x00b", 1 << 62, -(1 << 62), 1 << 70, [], ["DE"], {}, {"id": 5}]
MESSAGES: list[Any] = [
    {"delete": {"status": {"id": 12, "id_str": "12", "user_id_str": "3"}, "timestamp_ms": "99"}},
    {"scrub_geo": {"user_id": 3, "user_id_str": "3", "up_to_status_id_str": "12", "timestamp_ms": 9}},
    {"status_withheld": {"id": 12, "user_id": 3, "withheld_in_countries": ["DE", "FR"], "timestamp_ms": 9}},
    {"user_withheld": {"id": 3, "withheld_in_countries": ["XX"]}},
    {"did": DID, "time_us": 1, "kind": "account", "account": {"did": DID, "active": False, "status": "takendown"}},
    {"$type": "message", "payload": {"$type": "x#account", "did": DID, "active": False, "status": "deleted"}},
    {"compliance": {"kind": "geo", "at": 5, "post": "12", "account": "3", "up_to": "9", "why": "w", "event": "flood"}},
    {"compliance": {"kind": "restored", "at": 5, "account": "3", "source": "x", "sweep": True}},
]


def variants(message: Any) -> Iterator[Any]:
    """The message with each of its values replaced by each of the odd ones."""
    for key, value in message.items():
        yield from ({**message, key: odd} for odd in ODD)
        if isinstance(value, dict):
            yield from ({**message, key: one} for one in variants(value))


@pytest.mark.parametrize("message", MESSAGES)
def test_an_odd_message_stops_nobody(message: Any) -> None:
    """A worker that fails by a message would read it again, and fail again, for ever."""
    kinds = set()
    for odd in variants(message):
        line = msgspec.json.encode(odd)
        found = classify([RawRecord("raw", 0, 5, line, AT)], Matcher([EVENT]), 4)
        assert len(found.retractions) + len(found.dead) + sum(found.intake[0][0].control.values()) >= 1
        for one in found.retractions:
            kinds.add(one.kind)
            assert read_retraction(one.line) == one
            assert 0 <= one.at * 1000 < 1 << 63, "as Cassandra takes it"
            assert len(one.line) < 20_000, "64 fit into a record"
            treated(row(), one, "redacted")
            assert isinstance(one.concerns("flood", POST_ID, AT), bool)
    assert kinds, "some of it can be understood"


def test_what_no_classifier_sends_is_buried() -> None:
    for odd in ({"at": 1 << 60}, {"at": -1}, {"post": ""}, {"event": "x" * 70_000}, {"why": "x" * 5000}):
        given: dict[str, Any] = {"kind": "delete", "at": AT, "post": "12"}
        assert read_retraction(msgspec.json.encode({"compliance": given})) is not None
        assert read_retraction(msgspec.json.encode({"compliance": given | odd})) is None


def test_an_account_that_posts_again_is_there_again() -> None:
    """Whoever lags may carry out that it was gone when later posts of it stand already."""
    gone = Retraction(kind="account", at=AT, account=DID)
    assert gone.concerns("flood", POST_ID, AT)
    assert gone.concerns("flood", POST_ID, AT + 30_000), "by a clock that is ahead"
    assert gone.concerns("flood", POST_ID, None)
    assert not gone.concerns("flood", POST_ID, AT + 90_000)
    for kind, post in (("withheld", ""), ("delete", POST_ID), ("account", POST_ID)):
        one = Retraction(kind=kind, at=AT, account=DID, post=post)  # type: ignore[arg-type]
        assert one.concerns("flood", POST_ID, AT + 90_000)
