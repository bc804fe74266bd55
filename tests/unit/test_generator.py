"""The generator: the same from the same seed, of every kind, and with nothing of an event but what it has planted."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter

import msgspec
import orjson
import pytest

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.normalize import normalize
from app.domain.posts import Control, Malformed, read
from app.generator import Generator, Mix, Planted
from app.generator.expected import COLUMN_NAMES

START_MS = 1_767_225_600_000  # 2026-01-01
FIRE = Event(
    code="fire",
    name="Fire",
    status="active",
    keywords=(
        *("fire", "dry river", '"smoke over town"', "#firewatch", "@firedesk", "$FIRM", "incendie", "Überlauf"),
        *("火事", "ไฟไหม้", "화재", "حريق", "आग", "sandy"),
    ),
    accounts=("townhall", "777001"),
    boxes=((8.0, 47.0, 8.5, 47.5),),
)
VOTE = Event(code="vote", name="Vote", status="active", keywords=("ballot", "Sandy", "#vote2027", "R&D"))
EVENTS = (FIRE, VOTE)


def made(count: int, seed: int = 1, mix: Mix | None = None, events: tuple[Event, ...] = EVENTS) -> list[Planted]:
    generator = Generator(events, seed, mix)
    return [generator.line(START_MS + number) for number in range(count)]


@pytest.fixture(scope="module")
def lines() -> list[Planted]:
    return made(8000)


def test_the_same_seed_gives_the_same_lines_and_another_seed_others() -> None:
    assert made(400, seed=3) == made(400, seed=3)
    assert made(400, seed=3) != made(400, seed=4)


def test_lines_are_spread_evenly_in_time() -> None:
    stream = Generator(EVENTS, 1, Mix(late=0, control=0, malformed=0, again=0, grown=0)).lines(START_MS, rate=4)
    times = [(int(next(stream).posts[0].id) >> 22) + 1_288_834_974_657 for _ in range(5)]
    assert times == [START_MS + 250 * number for number in range(5)]


def test_kinds_have_their_shares(lines: list[Planted]) -> None:
    kinds = Counter(line.kind for line in lines)
    assert 0.02 < kinds["control"] / len(lines) < 0.04
    assert 0.003 < kinds["malformed"] / len(lines) < 0.01
    posts = [post for line in lines for post in line.posts]
    assert 0.4 < sum(bool(post.events) for post in posts) / len(posts) < 0.5
    assert sum(len(post.events) == 2 for post in posts) / len(posts) > 0.01
    assert 0.25 < sum(post.column("t_is_a_retweet") for post in posts) / len(posts) < 0.35
    assert 0.01 < sum(line.repeats for line in lines) / len(lines) < 0.03
    assert sum(len(line.posts) > 1 for line in lines) > 100


def test_every_shape_occurs(lines: list[Planted]) -> None:
    shapes = {line.shape for line in lines}
    assert {f"v1.1 {form} post" for form in ("stream", "rest", "old", "undated", "tool")} <= shapes
    assert {"v1.1 stream retweet", "v1.1 stream quote", "v1.1 stream reply", "v1.1 half a character"} <= shapes
    assert {"v2 single", "v2 list", "v2 bare", "v1.1 stream post again"} <= shapes
    assert {"delete", "limit", "keep_alive", "status_withheld", "scrub_geo", "warning"} <= shapes
    assert {"cut", "not UTF-8", "string", "stranger", "two in one", "no id", "no text", "in a list", "page"} <= shapes
    assert sum(b'"extended_tweet"' in line.line for line in lines) > 500
    assert sum(b'"note_tweet"' in line.line for line in lines) > 10
    assert {post.column("t_lang") for line in lines for post in line.posts} > {"en", "es", "ja", "ar", "th", "hi", None}


def test_every_selector_is_planted_and_in_every_place(lines: list[Planted]) -> None:
    matched = [
        item for line in lines for post in line.posts for found in post.events.values() for item in found.items()
    ]
    boxes = {"box:8,47,8.5,47.5"}
    accounts = {"from:townhall", "from:777001"}
    assert {selector for selector, _ in matched} == {*FIRE.keywords, *VOTE.keywords} | boxes | accounts
    places = {place for _, told in matched for place in told.split(",")}
    own = {"text", "url", "hashtag", "mention", "screen_name"}
    wrapped = {f"{prefix}_{place}" for prefix in ("retweeted", "quoted") for place in own} - {"quoted_mention"}
    assert places >= own | wrapped | {"author", "retweeted", "reply_to", "place"}


def test_lines_are_json_where_they_are_meant_to_be(lines: list[Planted]) -> None:
    for line in lines:
        assert b"\n" not in line.line
        if line.kind == "posts" or (line.line and line.kind == "control"):
            assert type(json.loads(line.line)) is dict


def test_ids_carry_the_time_of_the_post(lines: list[Planted]) -> None:
    for number, line in enumerate(lines):
        for post in line.posts:
            at_ms = (int(post.id) >> 22) + 1_288_834_974_657
            assert START_MS - 1_200_000 <= at_ms <= START_MS + number
            assert post.column("t_created_at") in (at_ms, at_ms // 1000 * 1000)


def test_an_id_comes_again_only_where_it_is_said(lines: list[Planted]) -> None:
    seen: set[str] = set()
    for line in lines:
        ids = {post.id for post in line.posts}
        assert ids <= seen if line.repeats else ids.isdisjoint(seen)
        seen |= ids


def test_columns_stand_in_their_order() -> None:
    assert (*POST_COLUMNS, *OUR_POST_COLUMNS) == COLUMN_NAMES
    assert all(len(post.values) == len(COLUMN_NAMES) for line in made(500) for post in line.posts)


def test_nothing_but_what_is_planted_holds_a_keyword() -> None:
    """Without plants and decoys no word of any keyword stands anywhere in a post, not even as a part of another."""
    words = [word for event in EVENTS for text in event.keywords for word in folded(text.strip('"#@$')).split()]
    for line in made(2000, mix=Mix(planted=0, decoy=0, malformed=0, control=0, half=0)):
        text = " | ".join(passages(orjson.loads(line.line)))
        assert not [word for word in words if word in text], text
        assert all(not post.events for post in line.posts)


def test_decoys_look_like_keywords_and_match_by_no_rule() -> None:
    """A check of its own, by the naive reading of the rules: whole words, phrases side by side, marks kept."""
    decoys = made(1500, mix=Mix(planted=0, decoy=1, malformed=0, control=0, half=0, v2=0, retweet=0))
    near = 0
    for line in decoys:
        texts = passages(orjson.loads(line.line))
        assert not line.posts[0].events
        for event in EVENTS:
            for keyword in event.keywords:
                assert not occurs(keyword, texts), (keyword, texts)
        near += any("fire" in text for text in texts)
    assert near > 70


READ = ("text", "full_text", "expanded_url", "display_url", "screen_name", "username", "tag")


def folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


def passages(body: dict[str, object]) -> list[str]:
    """Every string of the post and of the quoted one that people can read, each by itself."""
    found: list[str] = []

    def walk(value: object, key: str = "") -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name not in ("place", "media", "user", "source", "extended_entities"):
                    walk(inner, name)
            if "user" in value:
                found.append("@" + folded(value["user"]["screen_name"]))
        elif isinstance(value, list):
            for item in value:
                walk(item, key)
        elif isinstance(value, str) and key in READ:
            # Of a word that the platform has cut nobody can know what it was.
            found.append(re.sub(r"\w*…$", "", folded(value)))

    walk(body)
    return found


def occurs(keyword: str, texts: list[str]) -> bool:
    terms = [keyword.strip('"')] if keyword[0] == '"' else keyword.split()
    return all(any(stands_in(folded(term), text) for text in texts) for term in terms)


def stands_in(term: str, text: str) -> bool:
    if re.match("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]", term):
        return term in text
    pattern = r"\W+".join(re.escape(word) for word in term.split())
    return re.search(rf"(?<![\w\u0300-\u036f]){pattern}(?![\w\u0300-\u036f])", text) is not None


def test_languages_restrict_what_is_expected() -> None:
    german = msgspec.structs.replace(FIRE, languages=("de",))
    posts = [post for line in made(3000, events=(german, VOTE)) for post in line.posts]
    fires = [post for post in posts if "fire" in post.events]
    assert fires
    assert {post.column("t_lang") for post in fires} == {"de"}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((msgspec.structs.replace(VOTE, keywords=("dry season",)), FIRE), "beside"),
        ((msgspec.structs.replace(VOTE, keywords=("大火事",)), FIRE), "beside"),
        ((msgspec.structs.replace(VOTE, keywords=("status",)),), "every post"),
        ((msgspec.structs.replace(VOTE, accounts=("ballot",)),), "account"),
        ((msgspec.structs.replace(VOTE, boxes=((8.2, 47.2, 9.0, 48.0),)), FIRE), "apart"),
    ],
)
def test_events_that_cannot_be_told_apart_are_refused(events: tuple[Event, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Generator(events)


def test_matcher_and_normalizer_agree_with_what_was_planted(lines: list[Planted]) -> None:
    """Two sides that know nothing of each other: what the generator put in is what the pure core reads out."""
    agree(lines)


SKY = msgspec.structs.replace(VOTE, code="sky", keywords=("storm surge",), accounts=("did:plc:harbour", "harbour"))


def test_lines_of_bluesky_are_read_as_planted() -> None:
    lines = made(4000, mix=Mix(v2=0, bluesky=1, grown=0), events=(*EVENTS, SKY))
    agree(lines, (*EVENTS, SKY))
    shapes = {line.shape for line in lines}
    assert {"bluesky v1 create", "bluesky v2 create", "bluesky v1 update", "bluesky v2 update"} <= shapes
    assert {"delete", "account"} <= shapes
    posts = [post for line in lines if line.shape.startswith("bluesky") for post in line.posts]
    matched = [item for post in posts for found in post.events.values() for item in found.items()]
    assert {place for _, told in matched for place in told.split(",")} == {
        *("text", "url", "hashtag", "mention", "author", "reply_to"),
    }
    assert {selector for selector, _ in matched if selector.startswith("from:")} == {"from:did:plc:harbour"}
    assert {selector for selector, _ in matched if ":" not in selector} >= {*FIRE.keywords, *VOTE.keywords}
    ids = [post.id for line in lines if not line.repeats for post in line.posts]
    assert len(set(ids)) == len(ids)


def test_without_bluesky_all_lines_are_as_before() -> None:
    assert made(50, mix=Mix(bluesky=0)) == made(50)


def agree(lines: list[Planted], events: tuple[Event, ...] = EVENTS) -> None:
    matcher = Matcher(events)
    for line in lines:
        try:
            found = read(line.line)
        except Malformed:
            assert line.kind == "malformed"
            continue
        if isinstance(found, Control):
            assert (line.kind, line.control) == ("control", found.kind)
            continue
        assert [post.id for post in found] == [post.id for post in line.posts]
        for post, expected in zip(found, line.posts, strict=True):
            assert {match.event.code: match.matched for match in matcher.match(post)} == expected.events
            assert dict(zip(COLUMN_NAMES, normalize(post), strict=True)) == dict(
                zip(COLUMN_NAMES, expected.values, strict=True)
            )
