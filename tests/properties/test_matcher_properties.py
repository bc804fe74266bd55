"""The matcher against the oracle: the same keywords in the same places, on generated posts and on the real ones."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.domain.events import Event
from app.domain.keywords import Keyword, fold, parse_keyword
from app.domain.matcher import Matcher
from app.domain.posts import Control, Json, Malformed, Post, read
from tests.builders import bluesky_post, entities, facet, link, status, user, v2_post, v2_user
from tests.properties import oracle

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "tweets"
FILES = sorted(SHARED.glob("*.jsonl.gz"))

# A loaded machine is no fault.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Few and alike, so that they meet often: each within another, in other cases, with marks of other scripts.
WORDS = [
    "fire", "firefox", "FIRE", "fox", "flash", "flood", "Flood", "a", "b", "ß", "SS",
    "İ", "ı", "i", "é", "e\u0301", "σ", "ΟΔΟΣ", "東京", "大雨", "京", "ข้าว", "น้ำ", "홍수",
    "\u1112\u1169\u11bc", "बाढ़", "पान", "पानी", "سیل", "سیل\u200cزده", "فيضان",
    "2012", "20", "c++", "at&t", "don’t", "don't", "hello.", "🔥", "❤\ufe0f", "❤",
    "👩\u200d🚒", "👩", "🚒", "1\ufe0f\u20e3", "_", "x_y", "ﬂood", "क्\u200dष",
]  # fmt: skip
GAPS = [
    "", "", " ", " ", " ", "-", ".", "…", "#", "@", "$", "＃", "_", "'", "’", "\u200d",
    "\u200c", "\ufe0f", "\u0301", "\u0e31", "・", "\u3000", "\x1f", "\n", "&lt;",
    "\xad", "\U000e0100", "ー", "/", "&amp;",
]  # fmt: skip

words = st.sampled_from(WORDS)
texts = st.lists(st.tuples(st.sampled_from(GAPS), words), max_size=8).map(
    lambda pairs: "".join(gap + word for gap, word in pairs)
) | st.text(max_size=12)
pieces = st.builds(str.__add__, st.sampled_from(["", "", "", "#", "@", "$"]), words | texts)
phrases = st.lists(words | st.sampled_from(GAPS), min_size=1, max_size=3).map(lambda some: f'"{" ".join(some)}"')
typed = st.lists(pieces | phrases, min_size=1, max_size=3).map(" ".join)


def is_keyword(text: str) -> bool:
    try:
        parse_keyword(text)
    except ValueError:
        return False
    return True


keywords = st.lists(typed.filter(is_keyword), min_size=1, max_size=5, unique_by=lambda text: parse_keyword(text).text)
links = st.builds(link, texts, display_url=texts | st.none())
tags = st.lists(texts, max_size=2)


@st.composite
def v1_bodies(draw: st.DrawFn, depth: int = 0) -> Json:
    body = status(draw(texts), user=draw(st.builds(user, texts) | st.none()))
    body["entities"] = entities(tuple(draw(tags)), (), tuple(draw(tags))) | {"urls": draw(st.lists(links, max_size=2))}
    if draw(st.booleans()):
        body["extended_tweet"] = {"full_text": draw(texts), "entities": draw(st.none() | st.just(entities(("a",))))}
    if depth < 2:
        for shared in ("retweeted_status", "quoted_status"):
            if draw(st.integers(0, 3)) == 0:
                body[shared] = draw(v1_bodies(depth + 1))
    if draw(st.booleans()) and body["text"]:
        body["text"] += "…"
    return body


@st.composite
def v2_bodies(draw: st.DrawFn) -> Json:
    def post(number: int, referred: int) -> dict[str, Any]:
        inner = {
            "entities": {
                "hashtags": [{"tag": tag} for tag in draw(tags)],
                "cashtags": [{"tag": tag} for tag in draw(tags)],
                "mentions": [{"username": tag} for tag in draw(tags)],
                "urls": draw(st.lists(links, max_size=2)),
            },
            "author_id": draw(st.sampled_from(["1", "2"])),
            "referenced_tweets": draw(
                st.lists(
                    st.builds(
                        lambda kind, other: {"type": kind, "id": str(other)},
                        st.sampled_from(["retweeted", "quoted", "replied_to"]),
                        st.integers(1, 3),
                    ),
                    max_size=referred,
                )
            ),
        }
        if draw(st.booleans()):
            inner["note_tweet"] = {
                "text": draw(texts),
                "entities": draw(st.none() | st.just({"hashtags": [{"tag": "b"}]})),
            }
        return v2_post(draw(texts), id=str(number), **inner)

    own = post(9, 2)
    return {
        "data": own,
        "includes": {"users": [v2_user(draw(texts), id="1")], "tweets": [post(number, 1) for number in (1, 2)]},
    }


@st.composite
def bluesky_bodies(draw: st.DrawFn) -> Json:
    text = draw(texts)
    said = st.builds(lambda tag: facet(text, "", tag=tag), texts) | st.builds(lambda to: facet(text, "", uri=to), texts)
    more: Json = {"embed": {"external": {"uri": draw(texts)}}} if draw(st.booleans()) else {}
    return {"record": bluesky_post(text, facets=draw(st.lists(said, max_size=3)), tags=draw(tags), **more)}


def post_of(body: Json) -> Post:
    """Without reading bytes: a generated text may be empty."""
    if "record" in body:
        return Post("1", "bluesky", body, {}, b"")
    if "data" not in body:
        return Post("1", "v1", body, {}, b"")
    includes = {kind: {item["id"]: item for item in items} for kind, items in body["includes"].items()}
    return Post("1", "v2", body["data"], includes, b"")


def compared(events: list[Event], post: Post) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """What the matcher finds, and what the oracle finds."""
    ours = {match.event.code: match.matched for match in Matcher(events).match(post)}
    naive = {}
    for event in events:
        terms = {parse_keyword(text).text: oracle.terms_of(text) for text in event.keywords}
        if found := oracle.matched(terms, post):
            naive[event.code] = found
    return ours, naive


def events_of(*several: list[str]) -> list[Event]:
    return [Event(code=str(n), name="e", status="active", keywords=tuple(some)) for n, some in enumerate(several)]


@st.composite
def keywords_and_text(draw: st.DrawFn) -> tuple[list[str], str]:
    """Keywords and a text of the same few words and gaps, so that nearly everything nearly matches."""
    few = draw(st.lists(words, min_size=1, max_size=3))
    gaps = [" ", *draw(st.lists(st.sampled_from(GAPS), max_size=2))]
    own = st.lists(st.sampled_from(few), min_size=1, max_size=3)
    keyword = st.builds("{1}{0}{1}".format, own.map(" ".join), st.sampled_from(["", '"'])) | st.builds(
        str.__add__, st.sampled_from(["#", "@", ""]), st.sampled_from(few)
    )
    some = draw(st.lists(keyword.filter(is_keyword), max_size=3, unique_by=lambda text: parse_keyword(text).text))
    text = draw(st.lists(st.sampled_from([*few, *gaps, *gaps, "a", "#"]), max_size=7).map("".join))
    return [*some, *draw(st.lists(typed.filter(is_keyword), max_size=int(not some), min_size=int(not some)))], text


@settings(CALM, max_examples=400)
@given(keywords_and_text())
@example((["fire"], "firefox"))
@example((['"a b"'], "a\u200c b"))
@example((["❤\ufe0f"], "❤flood"))
@example((["İ"], "i"))
def test_a_text_matches_as_the_oracle_says(given_both: tuple[list[str], str]) -> None:
    some, text = given_both
    ours, naive = compared(events_of(some), post_of({"text": text}))
    assert ours == naive


@settings(CALM, max_examples=200)
@given(keywords, keywords, v1_bodies() | v2_bodies() | bluesky_bodies())
def test_a_post_matches_where_the_oracle_says(some: list[str], others: list[str], body: Json) -> None:
    ours, naive = compared(events_of(some, others), post_of(body))
    assert ours == naive


@settings(CALM, max_examples=200)
@given(typed | st.text(max_size=30))
def test_a_text_is_a_keyword_or_refused_in_words(text: str) -> None:
    try:
        keyword = parse_keyword(text)
    except ValueError as why:
        assert len(str(why)) > 10
        return
    assert isinstance(keyword, Keyword)
    assert keyword.terms
    assert all(word for term in keyword.terms for word in term.words)
    assert parse_keyword(keyword.text) == keyword
    assert {tuple(term) for term in oracle.terms_of(text)} == {term.words for term in keyword.terms}


@settings(CALM, max_examples=200)
@given(st.lists(words, min_size=1, max_size=4))
def test_a_word_that_stands_alone_is_always_found(some: list[str]) -> None:
    if is_keyword(" ".join(some)):
        ours, _ = compared(events_of([" ".join(some)]), post_of({"text": " . ".join(reversed(some))}))
        assert ours


@CALM
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u0345")))
def test_texts_that_look_the_same_are_the_same(text: str) -> None:
    forms = {fold(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    assert fold(text.upper().lower()) == fold(text.upper())


FIELDS = [
    "text", "full_text", "extended_tweet", "entities", "urls", "hashtags",
    "user_mentions", "screen_name", "user", "retweeted_status", "quoted_status",
    "expanded_url", "display_url", "tag", "username", "referenced_tweets", "type",
    "id", "author_id", "note_tweet", "lang", "place", "bounding_box", "coordinates",
    "geo", "place_id", "in_reply_to_user_id", "mentions", "cashtags",
    "facets", "features", "index", "byteStart", "embed", "media", "external", "uri", "record", "reply", "langs", "did",
]  # fmt: skip
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)
EVERYTHING = Event(
    code="e",
    name="e",
    status="active",
    keywords=("fire", '"a b"', "東京"),
    accounts=("a",),
    boxes=((-1.0, -1.0, 1.0, 1.0),),
    languages=("en",),
)
odd_bodies = st.dictionaries(st.text(max_size=3) | st.just("entities"), json_values)


@settings(CALM, max_examples=300)
@given(odd_bodies, json_values, st.sampled_from(["v1", "v2"]))
def test_no_post_is_too_odd_to_be_matched(extra: Json, value: Any, wire: Any) -> None:
    body = {"text": "fire"} | (value if isinstance(value, dict) else {}) | extra
    includes: dict[str, dict[str, Json]] = {"users": {}, "tweets": {}, "places": {}}
    for number in ("0", "1"):
        includes["users"][number] = includes["tweets"][number] = includes["places"][number] = body
    matcher = Matcher([EVERYTHING, *events_of(["fire"])])
    matcher.match(Post("1", wire, body, includes, b""))
    if isinstance(body.get("text"), str) and "fire" in body["text"].split() and not body["text"].endswith("…"):
        lead = {"text": body["text"], "entities": extra.get("entities")}
        assert matcher.match(Post("1", wire, lead, {}, b""))


@settings(CALM, max_examples=200)
@given(st.text(max_size=5), odd_bodies, odd_bodies)
def test_no_bluesky_post_is_too_odd_to_be_matched(text: str, record: Json, extra: Json) -> None:
    body = extra | {"record": record | {"text": f"fire {text}"}}
    matcher = Matcher([EVERYTHING, *events_of(["fire"])])
    post = Post("1", "bluesky", body, {}, b"")
    assert matcher.match(post)
    matcher.match(Post("1", "bluesky", {"record": record}, {}, b""))


# ---- the real posts

REAL_KEYWORDS = [
    "love", "walmart", "target", "trump", "the", "rt", "fire", "on", "2012", "1",
    "lol", "twitter.com", "t.co", "https", "black friday", '"black friday"',
    "white house", '"white house"', '"thank you"', '"in the"', "you me", "new york",
    "i'm", "don’t", "#nowplaying", "#love", "@youtube", "$tsla", "café", "año", "ß",
    "日本", "です", '"です 日本"', "사랑", "ไม่", "في", "не", "की", "🔥", "❤\ufe0f", "😂 love",
    "c++", "example.com",
]  # fmt: skip


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with gzip.open(path) as file:
        yield from enumerate(file, 1)


def posts_of(line: bytes) -> list[Post]:
    try:
        found = read(line)
    except Malformed:
        return []
    return [] if isinstance(found, Control) else found


@pytest.mark.skipif(not FILES, reason="the shared real posts (../shared/tweets) are not on this machine")
def test_the_real_posts_match_as_the_oracle_says() -> None:
    """Nothing of a post is shown, not even on failure: only its file and line."""
    matcher = Matcher(events_of(REAL_KEYWORDS))
    terms = {parse_keyword(keyword).text: oracle.terms_of(keyword) for keyword in REAL_KEYWORDS}
    others, matches, seen = [], 0, set()
    for path in FILES:
        for number, line in lines(path):
            for post in posts_of(line):
                ours = matcher.match(post)
                naive = oracle.matched(terms, post)
                matches += bool(naive)
                seen |= naive.keys()
                if (ours[0].matched if ours else {}) != naive:
                    others.append((path.name, number))
    assert not others
    assert matches > 10_000
    assert len(seen) > 35
