"""Standing queries: what they are made of, and what they keep."""

from __future__ import annotations

import pytest

from app.domain.events import Event
from app.domain.records import RawRecord
from app.domain.standing_query import MOST_QUERY, Sieve, query_of
from tests import builders


def record(*texts: str, event: str = "") -> RawRecord:
    lines = [builders.line(builders.status(text, id=7 + n)) for n, text in enumerate(texts)]
    return RawRecord("raw", 0, 0, b"\n".join([*lines, b"{broken", b"", b'{"delete": {}}']), 5, "bluesky", event=event)


@pytest.mark.parametrize(
    ("query", "keywords"),
    [
        ("flood", ("flood",)),
        ('flood "dike breach" #x', ('flood "dike breach" #x',)),
        ('flood, "dike, breach"', ("flood", '"dike, breach"')),
    ],
)
def test_a_query_is_written_as_keywords_are(query: str, keywords: tuple[str, ...]) -> None:
    assert query_of(query).keywords == keywords


@pytest.mark.parametrize("query", ["", " ", ",", "flood,", '"open', "flood, FLOOD", "\x00", "x" * (MOST_QUERY + 1)])
def test_what_is_no_query_is_told(query: str) -> None:
    with pytest.raises(ValueError, match=r"keyword|query"):
        query_of(query)


def test_each_query_gets_its_own_posts_in_order_with_what_matched() -> None:
    sieve = Sieve({"a": query_of("flood"), "b": query_of("fire, #flood"), "c": query_of("quake")})
    found = sieve.sift([record("a flood", "sun", "fire"), record("#flood")])
    texts = {
        name: ["".join(piece.text for piece in post.text) for post in posts] for name, posts in found.wanted.items()
    }
    assert texts == {"a": ["a flood", "#flood"], "b": ["fire", "#flood"]}
    assert found.posts == 4
    assert [piece.text for piece in found.wanted["b"][1].text if piece.marked] == ["#flood"]
    assert found.wanted["a"][0].received_at == 5


def test_an_event_is_followed_whatever_its_status() -> None:
    event = Event(code="e", name="e", status="paused", keywords=("flood",), languages=("de",))
    assert Sieve({"a": event}).sift([record("flood")]).wanted == {}
    assert (
        "a"
        in Sieve({"a": Event(code="e", name="e", status="draft", keywords=("flood",))}).sift([record("flood")]).wanted
    )


def test_what_an_event_hears_of_the_past_is_nothing_that_comes_now() -> None:
    found = Sieve({"a": query_of("flood")}).sift([record("flood", event="e")])
    assert (found.posts, found.wanted) == (0, {})
