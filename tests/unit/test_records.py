"""Records as values: headers go out and come back, and nonsense in them harms nothing."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.records import (
    ClassifiedRecord,
    DeadLetter,
    Line,
    RawRecord,
    classified_headers,
    classified_record,
    raw_headers,
    raw_record,
)

LINES = [
    Line(3, 17, 0, 0, 1_714_560_021_000, "x", "live", {"flood": "text,hashtag", 'a "b": c': "url"}),
    Line(3, 17, 2, 1, 1_714_560_021_000, "x", "live", {"洪水": "quoted_text"}),
]


def raw(value: bytes | None = b"{}", timestamp: int = 99, **headers: Any) -> RawRecord:
    return raw_record("raw_tweets", 3, 17, value, headers, timestamp)


def test_raw_headers_come_back() -> None:
    headers = dict(raw_headers("x", "v2", 1_714_560_021_000, "replay", "c-1"))
    assert headers["format"] == b"v2"
    assert headers["connection"] == b"c-1"
    assert raw_record("raw_tweets", 3, 17, b"{}", headers, 99) == RawRecord(
        "raw_tweets", 3, 17, b"{}", 1_714_560_021_000, "x", "replay"
    )


def test_a_header_without_text_is_left_out() -> None:
    assert "connection" not in dict(raw_headers("x", "v1", 1, "live"))


def test_a_plain_record_was_received_when_kafka_got_it_and_is_live() -> None:
    assert raw() == RawRecord("raw_tweets", 3, 17, b"{}", 99, "unknown", "live")
    assert raw(None).value == b""


@pytest.mark.parametrize("received", [b"", None, b"x", b"-1", b"1.5", b"\xff", b"9" * 15, b"9" * 16, "٣".encode()])
def test_a_nonsense_time_counts_for_nothing(received: bytes | None) -> None:
    assert raw(received_at=received).received_at == 99


@pytest.mark.parametrize("origin", [b"", None, b"dead", b"\xff", b"LIVE"])
def test_an_unknown_origin_is_live(origin: bytes | None) -> None:
    assert raw(origin=origin).origin == "live"


@pytest.mark.parametrize("origin", ["live", "replay", "rematch", "search"])
def test_known_origins(origin: str) -> None:
    assert raw(origin=origin.encode()).origin == origin


@pytest.mark.parametrize(("source", "known"), [(b"", "unknown"), (None, "unknown"), (b"\xffx", "\ufffdx")])
def test_odd_sources(source: bytes | None, known: str) -> None:
    assert raw(source=source).source == known


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (b"", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"\na", [b"", b"a"]),
        (b"a\n\n", [b"a", b""]),
        (b"a\rb", [b"a\rb"]),
    ],
)
def test_lines_of_a_raw_record(value: bytes, lines: list[bytes]) -> None:
    assert raw(value).lines == lines


def test_classified_headers_come_back() -> None:
    headers = dict(classified_headers(7, LINES))
    assert classified_record(b"flood", b"1\n2", headers) == ClassifiedRecord("flood", 7, LINES, [b"1", b"2"])


@pytest.mark.parametrize("value", [b"1", b"1\n2\n3", b"1\n2\n"])
def test_posts_that_are_not_those_of_the_headers_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="headers for 2"):
        classified_record(b"flood", value, dict(classified_headers(7, LINES)))


@pytest.mark.parametrize(("key", "value"), [(None, b"1\n2"), (b"", b"1\n2"), (b"flood", None), (b"flood", b"")])
def test_a_classified_record_without_code_or_posts_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(ValueError, match="without an event code or posts"):
        classified_record(key, value, dict(classified_headers(7, LINES)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": None},
        {"lines": b""},
        {"lines": b"{}"},
        {"lines": b"[1]"},
        {"lines": b"\xff"},
        {"lines": b'[[3,17,0,0,1,"x","live",{"flood":5}]]'},
        {"event_version": None},
        {"event_version": b"x"},
        {"event_version": b"9" * 5000},
    ],
)
def test_nonsense_headers_are_refused(wrong: dict[str, bytes | None]) -> None:
    with pytest.raises(ValueError, match="wrong headers"):
        classified_record(b"flood", b"1\n2", dict(classified_headers(7, LINES)) | wrong)


@pytest.mark.parametrize("missing", ["lines", "event_version"])
def test_missing_headers_are_refused(missing: str) -> None:
    headers = {name: value for name, value in classified_headers(7, LINES) if name != missing}
    with pytest.raises(ValueError, match="wrong headers"):
        classified_record(b"flood", b"1\n2", headers)


def test_positions_of_a_raw_partition_ascend() -> None:
    assert [origin.position for origin in LINES] == [(17, 0, 0), (17, 2, 1)]


def test_a_dead_letter_tells_where_it_came_from_and_why() -> None:
    letter = DeadLetter("raw_tweets", 3, 17, 2, "not JSON: é", b"{")
    assert letter.id == "raw_tweets:3:17:2"
    assert dict(letter.headers()) == {
        "reason": "not JSON: é".encode(),
        "topic": b"raw_tweets",
        "partition": b"3",
        "offset": b"17",
        "line": b"2",
    }
