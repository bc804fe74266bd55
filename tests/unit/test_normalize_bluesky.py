"""Columns of Bluesky's posts."""

from __future__ import annotations

import pytest

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.posts import Json
from tests.builders import (
    BLUESKY_DID,
    POSTED_MS,
    blob,
    bluesky_address,
    bluesky_post,
    bluesky_quote,
    columns,
    facet,
    jetstream,
    jetstream_v1,
)

TEXT = "Hochwasser in Köln 🌊 #rotwasser @baker.example siehe mill.example/lev… & @miller.example"
RICH = bluesky_post(
    TEXT,
    langs=["de", "en"],
    facets=[
        facet(TEXT, "#rotwasser", tag="rotwasser"),
        facet(TEXT, "@baker.example", did="did:plc:baker"),
        facet(TEXT, "mill.example/lev…", uri="https://mill.example/level?at=1"),
        facet(TEXT, "@miller.example", did="did:web:miller.example"),
    ],
    tags=["hidden", "rotwasser"],
    embed={
        "$type": "app.bsky.embed.recordWithMedia",
        "record": bluesky_quote(bluesky_address("did:plc:other", "3kaaaaaaaaa2a")),
        "media": {"$type": "app.bsky.embed.images", "images": [{"alt": "A bridge", "image": blob()}]},
    },
    reply={"parent": {"uri": bluesky_address("did:plc:asker", "3kaaaaaaaaa2b")}},
)
KNOWN = {
    "t_id": bluesky_address(),
    "hashtags": ["rotwasser", "hidden"],
    "media_url": f"https://cdn.bsky.app/img/feed_fullsize/plain/{BLUESKY_DID}/bafkreipicture@jpeg",
    "t_created_at": POSTED_MS,
    "t_is_a_retweet": False,
    "t_lang": "de",
    "t_text": TEXT,
    "u_id": BLUESKY_DID,
    "um_id": "did:plc:baker, did:web:miller.example",
    "um_screen_name": "baker.example, miller.example",
    "urls": ["https://mill.example/level?at=1"],
    "quoted_id": bluesky_address("did:plc:other", "3kaaaaaaaaa2a"),
    "reply_to_id": bluesky_address("did:plc:asker", "3kaaaaaaaaa2b"),
}
ODD = [5, 5.5, True, "odd", [], [5], [[5]], {}, {"odd": 5}, [{}], [{"features": [{"tag": 5}]}], None]


def told(record: Json) -> Json:
    return {name: value for name, value in columns(jetstream(record)).items() if value is not None}


@pytest.mark.parametrize("wire", [jetstream, jetstream_v1])
def test_a_rich_post_fills_every_column_that_a_record_speaks_of(wire: object) -> None:
    assert callable(wire)
    row = columns(wire(RICH))
    assert {name: value for name, value in row.items() if value is not None} == KNOWN
    assert list(row) == [*POST_COLUMNS, *OUR_POST_COLUMNS]


def test_a_bare_post_has_its_id_text_time_and_author() -> None:
    assert set(told({"text": "bare"})) == {"t_id", "t_text", "t_created_at", "t_is_a_retweet", "u_id"}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", sorted(set(RICH) - {"text"}))
def test_an_odd_type_costs_only_its_own_columns(field: str, odd: object) -> None:
    assert told(RICH | {field: odd}).items() >= {(name, KNOWN[name]) for name in ("t_id", "t_text", "u_id")}


def test_nothing_is_unescaped_for_bluesky_escapes_nothing() -> None:
    assert told(bluesky_post("1 &lt; 2"))["t_text"] == "1 &lt; 2"


def test_the_page_that_is_shown_is_a_link_and_told_once() -> None:
    page = {"$type": "app.bsky.embed.external", "external": {"uri": "https://mill.example/", "title": "T"}}
    shown = {"facets": [facet("See mill.example", "mill.example", uri="https://mill.example/")], "embed": page}
    assert told(bluesky_post("See mill.example", **shown))["urls"] == ["https://mill.example/"]
    assert told(bluesky_post(embed={"media": page, "record": {}}))["urls"] == ["https://mill.example/"]


def test_a_video_has_the_address_of_its_first_picture() -> None:
    video = {"$type": "app.bsky.embed.video", "video": blob("bafkreivideo")}
    address = "https://video.bsky.app/watch/did%3Aplc%3Amillwatch/bafkreivideo/thumbnail.jpg"
    assert told(bluesky_post(embed=video))["media_url"] == address


def test_blobs_of_the_first_days_are_found() -> None:
    old = {"images": [{"image": {}}, {"image": {"cid": "bafold", "mimeType": "image/png"}}]}
    assert told(bluesky_post(embed=old))["media_url"].endswith("/bafold@jpeg")


@pytest.mark.parametrize("kind", ["app.bsky.feed.generator", "app.bsky.graph.list", "app.bsky.graph.starterpack"])
def test_a_list_or_feed_that_is_shown_is_no_quoted_post(kind: str) -> None:
    assert "quoted_id" not in told(bluesky_post(embed=bluesky_quote(f"at://did:plc:other/{kind}/3kaaaaaaaaa2a")))


@pytest.mark.parametrize(
    "index",
    [None, {}, {"byteStart": 0}, {"byteStart": -3, "byteEnd": 4}, {"byteStart": "0", "byteEnd": 4},
     {"byteStart": 8, "byteEnd": 4}, {"byteStart": 0, "byteEnd": 2}, {"byteStart": 500, "byteEnd": 900}],
)  # fmt: skip
def test_a_mention_whose_place_is_odd_is_known_by_its_account(index: object) -> None:
    feature = {"$type": "app.bsky.richtext.facet#mention", "did": "did:plc:baker"}
    row = told(bluesky_post("é @baker", facets=[{"index": index, "features": [feature, 5]}]))
    assert row["um_id"] == "did:plc:baker"
    assert "um_screen_name" not in row
