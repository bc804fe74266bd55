"""A post as it is shown, of each wire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.marking import Piece
from app.domain.matcher import Matcher
from app.domain.posts import Json, Post
from app.domain.shown import link_of, shown
from tests import builders
from tests.support.matching import event

MATCHED = {"water": "text"}


def show(body: Json, **more: Any) -> Any:
    return shown(builders.post(body), MATCHED, source="x", received_at=5, **more)


@pytest.mark.parametrize("body", [builders.status(), builders.v2_payload()])
def test_a_post_of_x(body: Json) -> None:
    post = show(body)
    assert post.text == (Piece("Water", marked=True), Piece(" in the lower street"))
    assert (post.name, post.account, post.language) == ("Mill Watch", "mill_watch", "en")
    assert (post.created_at, post.received_at, post.source) == (builders.POSTED_MS, 5, "x")
    assert post.link == f"https://x.com/mill_watch/status/{builders.snowflake()}"
    assert (post.media, post.sensitive, post.quoted, post.matched) == (0, False, (), MATCHED)


def test_a_post_of_bluesky() -> None:
    post = show(builders.jetstream(builders.bluesky_post()))
    assert post.text[0] == Piece("Water", marked=True)
    assert (post.name, post.account, post.language) == ("", builders.BLUESKY_DID, "en")
    assert post.link == f"https://bsky.app/profile/{builders.BLUESKY_DID}/post/{builders.tid()}"


@pytest.mark.parametrize(
    ("post_id", "account", "link"),
    [
        ("20", "jack", "https://x.com/jack/status/20"),
        ("20", "", "https://x.com/i/web/status/20"),
        ("20", "a/../b", "https://x.com/i/web/status/20"),
        ("20", 'x"onclick="', "https://x.com/i/web/status/20"),
        ("at://did:plc:a/app.bsky.feed.post/3k", "x", "https://bsky.app/profile/did:plc:a/post/3k"),
        ("at://did:web:a%3A8/app.bsky.feed.post/3k", "", "https://bsky.app/profile/did:web:a%253A8/post/3k"),
        ("at://did:plc:a/app.bsky.feed.like/3k", "", None),
        ("at://did:plc:a/app.bsky.feed.post/../x", "", None),
        ("javascript:alert(1)", "", None),
        ("12345678901234567890", "", None),
        ("٣", "", None),
        ("20\n", "", None),
        ("", "", None),
    ],
)
def test_links_lead_to_the_source_and_nowhere_else(post_id: str, account: str, link: str | None) -> None:
    assert link_of(post_id, account) == link


def test_text_is_whole_and_as_its_author_wrote_it() -> None:
    whole = builders.extended_status("Water &amp; <script> " + builders.LONG_TEXT)
    text = "".join(piece.text for piece in show(builders.retweet_of(whole)).text)
    assert text == "RT @mill_watch: Water & <script> " + builders.LONG_TEXT


@pytest.mark.parametrize(
    "body",
    [
        builders.quote_of(builders.status("Hot water")),
        builders.quote_of(builders.extended_status("Hot water")),
        builders.retweet_of(builders.quote_of(builders.status("Hot water"))),
        builders.v2_payload(
            "Look",
            includes={"tweets": [builders.v2_post("Hot water", id="7")]},
            referenced_tweets=[{"type": "quoted", "id": "7"}],
        ),
    ],
)
def test_the_quoted_post_is_shown_with_what_matched_there(body: Json) -> None:
    assert show(body).quoted == (Piece("Hot "), Piece("water", marked=True))


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (builders.status(entities=builders.entities(media=(1,))), 1),
        (builders.status(extended_entities={"media": [builders.picture(1), builders.picture(2)]}), 2),
        (builders.extended_status(whole_entities=builders.entities(media=(1,))), 1),
        (builders.retweet_of(builders.status(entities=builders.entities(media=(1,)))), 1),
        (builders.v2_payload(attachments={"media_keys": ["3_1", "3_2"]}), 2),
        (builders.jetstream(builders.bluesky_post(embed={"images": [{"image": builders.blob()}] * 3})), 3),
        (builders.jetstream(builders.bluesky_post(embed={"video": builders.blob()})), 1),
        (builders.v2_payload(attachments={"media_keys": 7}), 0),
    ],
)
def test_media_are_counted(body: Json, media: int) -> None:
    assert show(body).media == media


@pytest.mark.parametrize(
    "body",
    [
        builders.status(possibly_sensitive=True),
        builders.v2_payload(possibly_sensitive=True),
        builders.jetstream(builders.bluesky_post(labels={"values": [{"val": "graphic-media"}]})),
    ],
)
def test_what_its_author_or_source_calls_sensitive_is(body: Json) -> None:
    assert show(body).sensitive
    assert not show(builders.status(possibly_sensitive="maybe")).sensitive


_ODD: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
_FIELDS = st.sampled_from(
    [
        "user",
        "entities",
        "extended_entities",
        "quoted_status",
        "retweeted_status",
        "extended_tweet",
        "attachments",
        "referenced_tweets",
        "note_tweet",
        "record",
        "possibly_sensitive",
        "lang",
        "created_at",
        "did",
    ]
)


@given(st.sampled_from(["v1", "v2", "bluesky"]), st.dictionaries(_FIELDS, _ODD))
def test_no_post_is_too_odd_to_be_shown(wire: Any, body: Json) -> None:
    post = shown(Post("1", wire, {"text": "water", **body}, {"tweets": {}, "users": {}}, b""), MATCHED)
    assert msgspec.json.decode(msgspec.json.encode(post), type=type(post)) == post


def test_a_post_of_an_event_shows_what_the_matcher_says() -> None:
    post = builders.post(builders.status("Deep water at the mill", entities=builders.entities(hashtags=("rotwasser",))))
    (match,) = Matcher([event(keywords=("water rotwasser", "mill"))]).match(post)
    marked = [piece.text for piece in shown(post, match.matched).text if piece.marked]
    assert marked == ["water", "mill"]
