"""Dead letters: what they say, which of them can be sent once more, and as what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.domain.classify import classify
from app.domain.letters import Letter, cannot_replay, headers, kinds, letter
from app.domain.matcher import Matcher
from app.domain.records import DeadLetter, RawRecord, Way, raw_record
from app.domain.rows import Row, normalized, row_of
from app.domain.standing import Standing, left, yields
from tests.builders import line, post, status
from tests.support.events import active

AT = 1_714_560_100_000
FLOOD = active("flood", "flood")


def read(buried: DeadLetter) -> Letter:
    return letter(buried.id.encode(), len(buried.value), dict(buried.headers()), 1, 7, AT + 5)


def made(**more: Any) -> Letter:
    given = {"id": "raw_tweets:0:1:0", "reason": "not JSON", "topic": "raw_tweets"} | more
    return Letter(**given, partition=0, offset=1, at=AT, size=1)


def test_a_letter_is_read_as_it_was_buried() -> None:
    found = read(DeadLetter("raw_tweets", 3, 17, 2, "not JSON: é", b"{", Way("x", "live", AT)))
    assert (found.id, found.reason, found.topic) == ("raw_tweets:3:17:2", "not JSON: é", "raw_tweets")
    assert (found.source, found.origin, found.received_at, found.at, found.size) == ("x", "live", AT, AT + 5, 1)
    assert (found.partition, found.offset) == (1, 7)


@pytest.mark.parametrize("told", [{}, {"received_at": b"soon"}, {"reason": None, "source": b"\xff"}])
def test_what_something_else_has_written_is_a_letter_too(told: dict[str, bytes | None]) -> None:
    found = letter(None, 0, told, 2, 9, AT)
    assert (found.id, found.reason, found.received_at) == ("dead_letters:2:9:0", "unknown", None)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("not JSON: unexpected character: line 1 column 7", "not JSON"),
        ("no record of 9,437,184 bytes; this is its beginning", "no record of N bytes; this is its beginning"),
        ("a classified record with 3 posts and headers for 4", "a classified record with N posts and headers for N"),
        ("", "unknown"),
        (": x", "unknown"),
    ],
)
def test_reasons_that_differ_in_numbers_are_of_one_kind(reason: str, kind: str) -> None:
    assert made(reason=reason).kind == kind


def test_kinds_are_counted() -> None:
    letters = [made(reason=reason) for reason in ("b: 1", "a: 1", "b: 2", "c", "a: 3", "b: 3")]
    assert kinds(letters) == [("b", 3), ("a", 2), ("c", 1)]


@pytest.mark.parametrize(
    ("topic", "able"),
    [
        ("t1-raw_tweets", True),
        ("t1-classified_tweets", True),
        ("cassandra/flood", True),
        ("tracker/raw_tweets", False),
        ("t1-event_commands", False),
        ("unknown", False),
    ],
)
def test_what_can_be_sent_once_more(topic: str, able: bool) -> None:
    assert (cannot_replay(made(topic=topic), "t1-") is None) is able


def test_it_is_heard_as_it_was_then() -> None:
    one = read(DeadLetter("raw_tweets", 3, 17, 2, "x", b"{", Way("bluesky", "live", AT)))
    again = raw_record("raw_tweets", 0, 99, b"{", dict(headers(one)), AT + 9_999_999)
    assert again == RawRecord("raw_tweets", 0, 99, b"{", AT, "bluesky", "live", again=True)


def test_what_answered_a_wish_belongs_to_no_other_event_and_to_it_as_it_was() -> None:
    """A line of recent search that is malformed: it was received long after it was said."""
    wished = RawRecord("raw_tweets", 3, 17, b"{", AT, "x", "search", as_of=AT - 3_600_000, event="flood")
    (buried,) = classify([wished], Matcher([FLOOD]), 4).dead
    again = raw_record("raw_tweets", 3, 17, b"{", dict(headers(read(buried))), AT + 9_999_999)
    assert again == msgspec.structs.replace(wished, again=True)


def test_a_line_of_an_event_says_as_of_when_it_belongs_to_it() -> None:
    found = RawRecord("raw_tweets", 0, 5, line(status("flood")), AT, "x", "search", as_of=AT - 3_600_000)
    (bundle,) = classify([found], Matcher([FLOOD]), 4).bundles
    assert [one.as_of for one in bundle.lines] == [AT - 3_600_000]


def test_a_letter_of_an_older_version_says_nothing_of_its_way() -> None:
    again = raw_record("raw_tweets", 0, 99, b"{", dict(headers(made())), AT + 9_999_999)
    assert (again.source, again.origin, again.received_at) == ("unknown", "replay", AT)


def test_the_way_of_a_line_is_buried_with_it() -> None:
    record = RawRecord("raw_tweets", 0, 5, b"{\n" + line(status("flood")), AT, "x", "live")
    (buried,) = classify([record], Matcher([FLOOD]), 4).dead
    assert buried.way == Way("x", "live", AT)


def row(again: bool) -> Row:
    record = RawRecord("raw_tweets", 0, 5, line(status("flood")), AT, "x", "live", again=again)
    (bundle,) = classify([record], Matcher([FLOOD]), 4).bundles
    return row_of(FLOOD, 1, bundle.lines[0], normalized(post(bundle.posts[0])))


def test_a_post_that_stands_is_not_stored_again_by_a_letter() -> None:
    once, again = row(again=False), row(again=True)
    assert not yields(once)
    assert yields(again)
    stands = {again.key: Standing("live", 1, AT)}
    assert left([(0, again)], stands) == []
    assert left([(0, again)], {}) == [(0, again)]
    assert left([(0, again), (0, row(again=True))], {}) == [(0, again)], "nor twice by two letters"
    assert left([(0, once)], stands) == [(0, once)], "the live path writes over itself"
