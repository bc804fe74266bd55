"""What becomes of a parcel that is too large for Kafka."""

from __future__ import annotations

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from app.topics import COVERAGE, DEAD_LETTERS, RAW
from app.tracking.parcel import Parcel
from app.tracking.refused import BEGINNING_BYTES, is_for_size, smaller

HEADERS = [("source", b"x"), ("connection", b"c0ffee")]


@pytest.mark.parametrize(
    ("error", "size"),
    [(MessageSizeTooLargeError(), True), (RecordListTooLargeError(), True), (KafkaTimeoutError(), False)],
)
def test_only_a_refusal_for_the_size_is_one(error: KafkaError, size: bool) -> None:
    assert is_for_size(error) is size


def test_several_lines_go_one_by_one_with_the_headers_of_all() -> None:
    whole = Parcel(RAW.name, b"a\nb\nc", HEADERS, None, "x", 1000, 3, 7, 3, "c0ffee")
    parts = smaller(whole)
    assert [(part.value, part.headers, part.heard_ms, part.lines) for part in parts] == [
        (line, HEADERS, 1000, 1) for line in (b"a", b"b", b"c")
    ]


def test_a_line_becomes_a_letter_that_is_the_same_each_time() -> None:
    line = Parcel(RAW.name, b"x" * 1_000_000, HEADERS, None, "x", 1000, 1)
    first, again = smaller(line), smaller(line)
    assert first == again
    (letter,) = first
    assert (letter.topic, letter.value) == (DEAD_LETTERS.name, b"x" * BEGINNING_BYTES)
    headers = dict(letter.headers)
    assert headers["size"] == b"1000000"
    assert b"1,000,000" in headers["reason"]
    assert set(HEADERS) <= set(letter.headers)
    told = b":".join(headers[name] for name in ("topic", "partition", "offset", "line"))
    assert letter.key == told


def test_two_lines_of_one_moment_are_two_letters() -> None:
    one, other = (Parcel(RAW.name, value * 100, HEADERS, None, "x", 1000, 1) for value in (b"x", b"y"))
    assert smaller(one)[0].key != smaller(other)[0].key


def test_an_entry_of_the_ledger_becomes_a_letter_too() -> None:
    (letter,) = smaller(Parcel(COVERAGE.name, b"{}", [], b"x|1|c0ffee"))
    assert letter.topic == DEAD_LETTERS.name
