"""Posts and keywords that would make a careless matcher slow. Work is counted, not time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from app.domain import matcher as matcher_module
from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.posts import Post

LONG = "flood the river " * 10_000


def event(code: object, *keywords: str) -> Event:
    return Event(code=str(code), name="e", status="active", keywords=keywords)


def post(text: str) -> Post:
    return Post("1", "v1", {"text": text, "entities": {"hashtags": [{"text": "flood"}]}}, {}, b"")


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that the work runs: the same on every machine."""
    count = 0

    def trace(frame: FrameType, kind: str, _: Any) -> Any:
        nonlocal count
        count += kind == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(few: list[Event], many: list[Event], one: Post) -> float:
    small, large = Matcher(few), Matcher(many)
    assert len(small.match(one)) == len(large.match(one))  # also fills the caches
    return steps(lambda: large.match(one)) / steps(lambda: small.match(one))


SHARED_WORD: dict[str, Callable[[int], str]] = {
    "a word that all events share": lambda number: f"flood town{number}",
    "a long word that all events share, beside short ones": lambda number: f"thunderstorms t{number}",
    "two words that all events share": lambda number: f"flood thunderstorms town{number}",
    "a phrase that begins alike": lambda number: f'"flood town{number}"',
    "words of their own": lambda number: f"town{number}",
    "accountless hashtags": lambda number: f"#flood{number}",
}


@pytest.mark.parametrize("kind", SHARED_WORD)
def test_a_post_costs_the_same_for_ten_events_and_a_thousand(kind: str) -> None:
    keyword = SHARED_WORD[kind]
    matching = [event("a", "flood"), event("b", "thunderstorms")]
    events = [event(number, keyword(number)) for number in range(1000)]
    one = post("After the thunderstorms a flood; the flood came down to the mill")
    assert growth([*matching, *events[:8]], [*matching, *events[:998]], one) < 1.5


def test_what_many_events_ask_alike_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    side_by_side = matcher_module.side_by_side
    monkeypatch.setattr(matcher_module, "side_by_side", lambda *args: calls.append(1) or side_by_side(*args))
    matcher = Matcher([event(number, '"the river" flood') for number in range(500)])
    assert len(matcher.match(post("flood: the river"))) == 500
    assert len(calls) == 1


@pytest.mark.parametrize(
    "keyword", ["flood", "flood river", '"the river"', '"river flood the"', '"flood the river flood"']
)
def test_a_word_that_stands_in_a_long_text_ten_thousand_times_costs_one_pass(keyword: str) -> None:
    matcher = Matcher([event("a", keyword)])
    short, long = post(LONG[: len(LONG) // 10]), post(LONG)
    assert matcher.match(long)
    assert steps(lambda: matcher.match(long)) < 12 * steps(lambda: matcher.match(short))


def test_many_keywords_of_a_frequent_word_do_not_multiply_its_places() -> None:
    text = LONG + " ".join(f"town{number}" for number in range(300))
    few, many = ([event(number, f"flood town{number}") for number in range(count)] for count in (30, 300))
    small, large = Matcher(few), Matcher(many)
    assert len(large.match(post(text))) == 300
    extra = steps(lambda: large.match(post(text))) - steps(lambda: small.match(post(text)))
    assert extra < 270 * 60


def test_a_long_gap_is_walked_once() -> None:
    text = "flash" + "!" * 20_000 + "flood"
    matcher = Matcher([event("a", '"flash flood"'), event("b", '"flash point"', '"flash mob"')])
    assert len(matcher.match(post(text))) == 1
    assert steps(lambda: matcher.match(post(text))) < 8 * 20_000
