"""Reading and normalizing are total: no bytes, no JSON and no mutation of a post breaks them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.normalize import normalize
from app.domain.posts import Control, Malformed, Post, created_ms, read
from tests.builders import (
    blob,
    bluesky_address,
    bluesky_post,
    bluesky_quote,
    entities,
    extended_status,
    facet,
    jetstream,
    jetstream_v1,
    link,
    place,
    quote_of,
    rest_status,
    retweet_of,
    status,
    v2_list,
    v2_payload,
    v2_post,
    v2_user,
)

TYPES = {"text": str, "int": int, "timestamp": int, "boolean": bool, "list<text>": list}
COLUMNS = POST_COLUMNS | OUR_POST_COLUMNS

RICH_V1 = extended_status(
    whole_entities=entities(("a", "b"), ("https://one.example/",), ("baker", "miller"), (1,)),
    place=place(),
    coordinates={"type": "Point", "coordinates": [8.25, 47.125]},
    geo={"type": "Point", "coordinates": [47.125, 8.25]},
)
RICH_V2 = v2_payload(
    "RT @baker: cut…",
    includes={
        "users": [v2_user(), v2_user("baker")],
        "tweets": [v2_post("the whole of it", id="20")],
        "media": [{"media_key": "3_1", "url": "https://pbs.example/1.jpg"}],
        "places": [{"id": "p1", "full_name": "Talheim", "geo": {"bbox": [8, 47, 8.5, 47.5]}}],
    },
    referenced_tweets=[{"type": "retweeted", "id": "20"}, {"type": "replied_to", "id": "21"}],
    entities={
        "hashtags": [{"tag": "a"}],
        "urls": [link("https://one.example/")],
        "mentions": [{"username": "baker", "id": v2_user("baker")["id"]}, {"username": "ghost"}],
    },
    note_tweet={"text": "RT @baker: cut…"},
    attachments={"media_keys": ["3_1"]},
    geo={"place_id": "p1", "coordinates": {"type": "Point", "coordinates": [8.25, 47.125]}},
)
SKY_TEXT = "é #a @baker.example https://one.example/"
RICH_SKY = bluesky_post(
    SKY_TEXT,
    facets=[
        facet(SKY_TEXT, "#a", tag="a"),
        facet(SKY_TEXT, "@baker.example", did="did:plc:baker"),
        facet(SKY_TEXT, "https://one.example/", uri="https://one.example/"),
    ],
    tags=["b"],
    reply={"parent": {"uri": bluesky_address("did:plc:asker")}},
    embed={"record": bluesky_quote(bluesky_address("did:plc:other")), "media": {"images": [{"image": blob()}]}},
)
POSTS = [
    status(),
    rest_status(),
    RICH_V1,
    retweet_of(RICH_V1),
    quote_of(RICH_V1),
    RICH_V2,
    RICH_V2["data"] | {"author": v2_user(), "attachments": {"media": RICH_V2["includes"]["media"]}},
    v2_list(RICH_V2["data"], v2_post(), includes=RICH_V2["includes"]),
    [status(), rest_status()],
    {"statuses": [status()]},
    jetstream(RICH_SKY),
    jetstream_v1(RICH_SKY),
    jetstream(bluesky_post(embed={"video": blob(), "external": {"uri": "https://one.example/"}})),
]

numbers = st.integers(-(2**63), 2**64 - 1)
leaves = st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
keys = st.text(max_size=4) | st.sampled_from(
    [
        *(
            "text",
            "full_text",
            "id",
            "id_str",
            "data",
            "includes",
            "users",
            "statuses",
            "user",
            "author_id",
            "entities",
        ),
        *("$type", "payload", "kind", "commit", "did", "time_us", "record", "facets"),
    ]
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


@st.composite
def mutated_posts(draw: st.DrawFn) -> object:
    """A good post in which one to four values, anywhere, are replaced by an arbitrary one or removed."""
    body = deepcopy(draw(st.sampled_from(POSTS)))
    for _ in range(draw(st.integers(1, 4))):
        holder: Any = body
        while True:
            places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not places:
                break
            at = draw(st.sampled_from(places))
            if isinstance(holder[at], dict | list) and draw(st.booleans()):
                holder = holder[at]
            elif draw(st.booleans()):
                holder[at] = draw(values)
                break
            else:
                del holder[at]
                break
    return body


def checked(raw: bytes) -> list[Post] | Control | None:
    """What `read` makes of the bytes; every post of it normalizes to the columns' types, twice the same."""
    try:
        found = read(raw)
    except Malformed as error:
        assert str(error)
        return None
    for post in found if isinstance(found, list) else ():
        assert isinstance(post.raw, bytes)
        assert post.id
        row = normalize(post)
        for (name, kind), value in zip(COLUMNS.items(), row, strict=True):
            assert value is None or type(value) is TYPES[kind], name
            assert kind != "int" or value is None or -(2**31) <= value < 2**31, name  # type: ignore[operator]
            assert kind != "timestamp" or value is None or 0 <= value < 2**48, name  # type: ignore[operator]
            assert value != [], name
            assert not isinstance(value, list) or all(type(item) is str and item for item in value), name
        assert row[0] == post.id
        assert row[4] == created_ms(post)
        assert type(row[8]) is bool
        orjson.dumps(row)  # fails on text that UTF-8 cannot hold
        assert row == normalize(post)
    return found


@given(st.binary(max_size=200))
def test_reading_is_total_on_bytes(raw: bytes) -> None:
    checked(raw)


@given(values)
def test_reading_and_normalizing_are_total_on_json(value: object) -> None:
    checked(orjson.dumps(value))


@given(st.sampled_from(POSTS), st.data())
def test_a_line_cut_or_hit_anywhere_is_read_or_malformed(body: object, data: st.DataObject) -> None:
    raw = bytearray(orjson.dumps(body))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 3))] = data.draw(
        st.binary(max_size=3) | st.sampled_from([b"\\ud83d", b"\\uDE00", b"\x00", b"NaN", b"1e999", b"[" * 2000])
    )
    checked(bytes(raw))


@given(mutated_posts())
def test_a_mutated_post_normalizes_to_the_types_of_its_columns(body: object) -> None:
    checked(orjson.dumps(body))


@given(mutated_posts())
def test_a_post_reads_the_same_from_its_own_payload(body: object) -> None:
    found = checked(orjson.dumps(body))
    for post in found if isinstance(found, list) else ():
        again = read(post.raw)
        assert isinstance(again, list)
        if len(again) == 1:
            assert (again[0].id, again[0].wire, again[0].body) == (post.id, post.wire, post.body)
            assert normalize(again[0]) == normalize(post)


def test_the_good_posts_are_posts() -> None:
    lengths = [len(found) for body in POSTS if isinstance(found := checked(orjson.dumps(body)), list)]
    assert lengths == [1] * 7 + [2, 2, 1] + [1] * 3
