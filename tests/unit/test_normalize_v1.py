"""Columns of v1.1 statuses."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import orjson
import pytest

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.normalize import normalize
from tests.builders import (
    JOINED_MS,
    LONG_TEXT,
    POSTED_MS,
    columns,
    entities,
    extended_status,
    link,
    mention,
    picture,
    place,
    post,
    quote_of,
    rest_status,
    retweet_of,
    snowflake,
    status,
    user,
    v1_time,
)

POINT = {"type": "Point", "coordinates": [8.25, 47.125]}
BOX = [[8.0, 47.0], [8.0, 47.5], [8.5, 47.5], [8.5, 47.0], [8.0, 47.0]]


def test_a_plain_status_fills_every_column_that_it_speaks_of() -> None:
    body = status(
        "Water in the lower street",
        entities=entities(("rotwasser",), ("https://mill.example/level",), ("baker", "miller"), (1, 2)),
        place=place(),
        in_reply_to_status_id_str="55",
    )
    baker, miller = mention("baker"), mention("miller")
    assert columns(body) == {
        "t_id": str(snowflake()),
        "hashtags": ["rotwasser"],
        "media_url": "https://pbs.example/media/1.jpg",
        "t_coordinates": None,
        "t_created_at": POSTED_MS,
        "t_favorite_count": 5,
        "t_favorited": False,
        "t_geo": orjson.dumps({"type": "Polygon", "coordinates": [BOX]}).decode(),
        "t_is_a_retweet": False,
        "t_lang": "en",
        "t_retweet_count": 2,
        "t_retweeted": False,
        "t_text": "Water in the lower street",
        "u_created_at": JOINED_MS,
        "u_description": "Looks at the water & writes it down",
        "u_favourites_count": 33,
        "u_followers_count": 120,
        "u_friends_count": 80,
        "u_geo_enabled": True,
        "u_id": user()["id_str"],
        "u_lang": "de",
        "u_listed_count": 4,
        "u_location": "Talheim",
        "u_name": "Mill Watch",
        "u_screen_name": "mill_watch",
        "u_statuses_count": 2100,
        "u_time_zone": "Bern",
        "u_url": "https://mill.example/",
        "u_utc_offset": 7200,
        "um_id": f"{baker['id_str']}, {miller['id_str']}",
        "um_name": "Baker, Miller",
        "um_screen_name": "baker, miller",
        "urls": ["https://mill.example/level"],
        "place": "Talheim, Nowhere",
        "quoted_id": None,
        "reply_to_id": "55",
        "retweeted_id": None,
    }


def test_the_columns_come_in_the_order_of_the_list() -> None:
    assert list(columns(status())) == [*POST_COLUMNS, *OUR_POST_COLUMNS]


@pytest.mark.parametrize("field", sorted(set(status()) - {"id", "id_str", "text"}))
def test_a_missing_field_killed_the_pod_but_costs_only_its_own_columns(field: str) -> None:
    whole, body = columns(status()), status()
    del body[field]
    changed = {name for name, value in columns(body).items() if value != whole[name]}
    assert all(name == f"t_{field}" or (field == "user" and name.startswith("u_")) for name in changed)


@pytest.mark.parametrize("odd", [5, 5.5, True, "odd", [], [5], [[5]], {}, {"odd": 5}, [{}], [{"text": 5}]])
@pytest.mark.parametrize(
    "field", [*sorted(set(status()) - {"id", "id_str", "text"}), "retweeted_status", "extended_tweet"]
)
def test_an_odd_type_costs_only_its_own_columns(field: str, odd: object) -> None:
    row = columns(status() | {field: odd})
    assert row["t_id"] == str(snowflake())
    assert row["t_text"] == "Water in the lower street"


@pytest.mark.parametrize("odd", [None, 5, True, "odd", [5], {"media": 5}, {"media": [5, {}]}])
@pytest.mark.parametrize("field", ["hashtags", "urls", "user_mentions", "media"])
def test_odd_entities_are_passed_over(field: str, odd: object) -> None:
    assert columns(status(entities=entities() | {field: odd})) == columns(status())
    assert columns(status(extended_entities=odd)) == columns(status())


# --- text


def test_only_text_was_looked_at_but_the_whole_text_and_its_entities_count() -> None:
    row = columns(extended_status())
    assert (row["t_text"], row["hashtags"], row["urls"]) == (LONG_TEXT, ["rotwasser"], None)
    assert columns(rest_status())["t_text"] == LONG_TEXT


def test_entities_of_the_status_stand_in_where_the_extended_tweet_has_none() -> None:
    body = extended_status(
        extended_tweet={"full_text": LONG_TEXT}, entities=entities(hashtags=("talheim",), media=(4,))
    )
    row = columns(body)
    assert (row["hashtags"], row["media_url"]) == (["talheim"], "https://pbs.example/media/4.jpg")


@pytest.mark.parametrize("extended", [None, {}, {"full_text": None}, [], "odd"])
def test_an_extended_tweet_without_a_text_is_not_believed(extended: object) -> None:
    assert columns(status("short", extended_tweet=extended))["t_text"] == "short"


def test_a_cut_retweet_gets_the_whole_text_and_its_entities_from_the_retweeted_post() -> None:
    whole = entities(("rotwasser",), ("https://mill.example/level",), ("miller", "baker"), (7,))
    body = retweet_of(extended_status(whole_entities=whole))
    body["entities"]["user_mentions"].append(mention("miller"))
    row = columns(body)
    assert body["text"].endswith("…")
    assert row["t_text"] == f"RT @mill_watch: {LONG_TEXT}"
    assert (row["hashtags"], row["urls"]) == (["rotwasser"], ["https://mill.example/level"])
    assert row["media_url"] == "https://pbs.example/media/7.jpg"
    assert row["um_screen_name"] == "mill_watch, miller, baker"


def test_a_retweet_that_is_cut_with_a_link_is_completed_too() -> None:
    body = retweet_of(extended_status(), text=f"RT @mill_watch: {LONG_TEXT[:90]}… https://t.co/xyz")
    assert columns(body)["t_text"] == f"RT @mill_watch: {LONG_TEXT}"


def test_a_cut_retweet_that_is_longer_than_the_original_is_completed_too() -> None:
    body = retweet_of(status("short & good"), text="RT @mill_watch: short &amp; good, or so i…")
    assert columns(body)["t_text"] == "RT @mill_watch: short & good"


@pytest.mark.parametrize(
    ("text", "original"),
    [
        ("RT @mill_watch: the same…", "the same…"),
        ("RT @mill_watch: more than the original", "the original"),
        ("My own words: short", LONG_TEXT),
        ("RT @mill_watch", LONG_TEXT),
        ("RT @mill_watch: cut…", ""),
    ],
)
def test_a_retweet_that_is_not_cut_keeps_its_own_text(text: str, original: str) -> None:
    assert columns(retweet_of(status(original), text=text))["t_text"] == text


def test_the_three_escapes_are_undone_once() -> None:
    assert columns(status("1 &lt; 2 &amp; 3 &gt; 2, &amp;lt; &quot;"))["t_text"] == "1 < 2 & 3 > 2, &lt; &quot;"


def test_half_a_surrogate_pair_comes_out_as_text_that_can_be_written() -> None:
    raw = orjson.dumps(status("cut ?", user=user(name="?"))).replace(b"?", b"\\ud83d")
    row = columns(raw)
    assert (row["t_text"], row["u_name"]) == ("cut �", "�")
    assert all(value.encode() for value in row.values() if isinstance(value, str))


# --- retweets, quotes, replies and ids


def test_a_retweet_says_so_and_whose() -> None:
    original = status()
    row = columns(retweet_of(original))
    assert (row["t_is_a_retweet"], row["retweeted_id"]) == (True, original["id_str"])
    assert (row["um_screen_name"], row["u_screen_name"]) == ("mill_watch", "repeater")


def test_a_quote_is_no_retweet_and_says_whose() -> None:
    row = columns(quote_of(status(id=31)))
    assert (row["t_is_a_retweet"], row["quoted_id"]) == (False, "31")
    only_inside = quote_of(status(id=31), quoted_status_id=None, quoted_status_id_str=None)
    assert columns(only_inside)["quoted_id"] == "31"


def test_id_texts_are_believed_before_rounded_numbers_everywhere() -> None:
    text, rounded = "1785617000000000123", 1785617000000000000
    both: dict[str, Any] = {"id": rounded, "id_str": text}
    row = columns(
        status(
            user=user(**both),
            entities=entities() | {"user_mentions": [mention("baker", **both)]},
            retweeted_status=status(**both),
            quoted_status_id=rounded,
            quoted_status_id_str=text,
            in_reply_to_status_id=rounded,
            in_reply_to_status_id_str=text,
            **both,
        )
    )
    ids = ("t_id", "u_id", "um_id", "retweeted_id", "quoted_id", "reply_to_id")
    assert [row[name] for name in ids] == [text] * len(ids)


@pytest.mark.parametrize(("number", "expected"), [(12, "12"), ("12", "12"), (True, None), (1.5, None), ("", None)])
def test_a_number_stands_in_for_a_missing_id_text(number: object, expected: str | None) -> None:
    assert columns(status(user=user(id=number, id_str=None)))["u_id"] == expected


# --- booleans and numbers


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *((True, True), (False, False), ("True", True), ("true", True), ("False", False), ("false", False)),
        *zip((None, 0, 1, "", "yes", "FALSE", [], {}, 1.0), repeat(None)),
    ],
)
def test_the_string_false_was_counted_as_true_but_is_false(given: object, expected: bool | None) -> None:
    row = columns(status(favorited=given, retweeted=given, user=user(geo_enabled=given)))
    assert (row["t_favorited"], row["t_retweeted"], row["u_geo_enabled"]) == (expected,) * 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *((0, 0), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31))),
        *zip((2**31, -(2**31) - 1, 2**63, 1.0, "5", True, None, []), repeat(None)),
    ],
)
def test_a_number_that_cql_cannot_hold_is_absent(given: object, expected: int | None) -> None:
    row = columns(status(favorite_count=given, user=user(followers_count=given, utc_offset=given)))
    assert (row["t_favorite_count"], row["u_followers_count"], row["u_utc_offset"]) == (expected,) * 3


def test_an_empty_profile_field_is_absent() -> None:
    row = columns(status(user=user(url="", location="", description="", name="")))
    assert [row[name] for name in ("u_url", "u_location", "u_description", "u_name")] == [None] * 4


# --- times


def test_the_time_falls_back_to_the_streams_and_then_to_the_ids() -> None:
    later = POSTED_MS + 5000
    assert columns(status(created_at=None, timestamp_ms=str(later)))["t_created_at"] == later
    assert columns(status(created_at=None, timestamp_ms=None, id=snowflake(later)))["t_created_at"] == later
    assert columns(status(created_at=None, timestamp_ms=None, id=20))["t_created_at"] is None
    assert columns(status(user=user(created_at=v1_time(later))))["u_created_at"] == later


# --- links, media, mentions


def test_links_are_expanded_and_those_of_the_platform_left_out() -> None:
    urls = [
        link("https://one.example/"),
        link("", url="https://t.co/two"),
        link("https://twitter.com/a/status/1/photo/1", display_url="pic.twitter.com/abc"),
        link("https://twitter.com/i/web/status/1"),
        {"url": "", "expanded_url": None},
        link("https://one.example/", display_url=None, unwound={"url": "https://far.example/"}),
    ]
    row = columns(status(entities=entities() | {"urls": urls}))
    assert row["urls"] == ["https://one.example/", "https://t.co/two", "https://one.example/"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"entities": entities(media=(1, 2))}, "https://pbs.example/media/1.jpg"),
        ({"extended_entities": {"media": [picture(3)]}}, "https://pbs.example/media/3.jpg"),
        ({"entities": {"media": [{}, {"media_url": "http://pbs.example/4.jpg"}]}}, "http://pbs.example/4.jpg"),
        ({"extended_tweet": {"full_text": "x", "entities": entities(media=(5,))}}, "https://pbs.example/media/5.jpg"),
        ({"retweeted_status": status(entities=entities(media=(6,)))}, "https://pbs.example/media/6.jpg"),
        ({}, None),
    ],
)
def test_the_first_medium_is_found_wherever_it_stands(more: dict[str, object], expected: str | None) -> None:
    assert columns(status() | more)["media_url"] == expected


def test_mentions_keep_their_positions_where_something_is_unknown() -> None:
    known, nameless, bare = mention("baker"), mention("miller", name=""), {"screen_name": "ghost"}
    row = columns(status(entities=entities() | {"user_mentions": [nameless, known, bare]}))
    assert row["um_screen_name"] == "miller, baker, ghost"
    assert row["um_name"] == ", Baker, "
    assert row["um_id"] == f"{nameless['id_str']}, {known['id_str']}, "


def test_mentions_of_whom_nothing_is_known_are_absent() -> None:
    row = columns(status(entities=entities() | {"user_mentions": [{}, {"name": ""}]}))
    assert (row["um_id"], row["um_name"], row["um_screen_name"]) == (None, None, None)


# --- geography


def test_an_exact_point_is_geojson_in_both_columns() -> None:
    row = columns(status(coordinates=POINT, place=place()))
    assert row["t_coordinates"] == row["t_geo"] == '{"type":"Point","coordinates":[8.25,47.125]}'


def test_the_older_geo_has_the_latitude_first_and_is_turned() -> None:
    row = columns(status(geo={"type": "Point", "coordinates": [47.125, 8.25]}))
    assert row["t_coordinates"] == row["t_geo"] == '{"type":"Point","coordinates":[8.25,47.125]}'


@pytest.mark.parametrize("odd", [None, [], [1], [1, 2, 3], ["8", "47"], [True, False], [8, 91], [181, 47], {"a": 1}])
def test_coordinates_that_are_no_place_on_earth_leave_the_box(odd: object) -> None:
    row = columns(status(coordinates={"coordinates": odd}, place=place()))
    assert row["t_coordinates"] is None
    assert row["t_geo"] is not None


@pytest.mark.parametrize(
    ("rings", "expected"),
    [
        ([BOX], BOX),
        ([BOX[:4]], BOX),
        ([BOX[:3]], [*BOX[:3], BOX[0]]),
        *zip((None, [], [None], [[]], [BOX[:2]], [[1, 2, 3]], [[[1, 2], [3, 4], [5, "6"]]]), repeat(None)),
    ],
)
def test_a_places_box_is_a_closed_ring(rings: object, expected: object) -> None:
    geo = columns(status(place=place(bounding_box={"type": "Polygon", "coordinates": rings})))["t_geo"]
    assert (orjson.loads(geo)["coordinates"] if isinstance(geo, str) else None) == (expected and [expected])


def test_a_place_without_a_full_name_gives_its_name() -> None:
    assert columns(status(place=place(full_name=None)))["place"] == "Talheim"
    assert columns(status(place="Talheim"))["place"] is None


def test_a_post_is_read_and_not_changed() -> None:
    body = retweet_of(extended_status(place=place()))
    given = post(body)
    normalize(given)
    assert given.body == body
