"""The index may hold too much, never too little: what the matcher matches has every term that is asked for."""

from __future__ import annotations

from hypothesis import example, given, settings

from app.domain.keywords import fold, parse_keyword
from app.domain.matcher import Matcher
from app.domain.passages import passages
from app.domain.posts import Json, Post
from app.domain.words import needed, words
from tests.properties.test_matcher_properties import (
    CALM,
    bluesky_bodies,
    events_of,
    is_keyword,
    keywords,
    keywords_and_text,
    post_of,
    texts,
    v1_bodies,
    v2_bodies,
)


def check(chosen: list[str], post: Post) -> None:
    held = words(passages(post)[0])
    for match in Matcher(events_of(chosen)).match(post):
        for text in match.matched:
            assert needed(parse_keyword(text)) <= held, text


@settings(CALM, max_examples=400)
@given(keywords_and_text())
def test_a_text_holds_the_terms_of_every_keyword_that_it_matches(given_both: tuple[list[str], str]) -> None:
    some, text = given_both
    check(some, post_of({"text": text}))


@settings(CALM, max_examples=200)
@given(keywords, v1_bodies() | v2_bodies() | bluesky_bodies())
def test_a_post_holds_the_terms_of_every_keyword_that_it_matches(some: list[str], body: Json) -> None:
    check(some, post_of(body))


@settings(CALM, max_examples=400)
@given(texts, texts, texts)
@example("地\u200c", "\u200ca", "")
@example("", "a#b", "地")
@example("地", "\u200d震", "x")
def test_a_piece_of_a_text_is_asked_for_by_terms_of_the_whole(before: str, word: str, after: str) -> None:
    if is_keyword(word):
        check([parse_keyword(word).text], post_of({"text": before + word + after}))


@settings(CALM, max_examples=200)
@given(texts)
def test_the_terms_of_a_part_are_among_those_of_the_whole(text: str) -> None:
    whole = words(fold(text))
    for part in fold(text).split():
        assert words(part) <= whole
