"""Columns of X API v2 posts."""

from __future__ import annotations

import orjson
import pytest

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from tests.builders import (
    JOINED_MS,
    LONG_TEXT,
    POSTED_MS,
    columns,
    link,
    snowflake,
    v2_list,
    v2_payload,
    v2_post,
    v2_time,
    v2_user,
)

BOX = {"type": "Polygon", "coordinates": [[[8.0, 47.0], [8.5, 47.0], [8.5, 47.5], [8.0, 47.5], [8.0, 47.0]]]}
PLACE = {"id": "p1", "name": "Talheim", "full_name": "Talheim, Nowhere", "geo": {"bbox": [8.0, 47.0, 8.5, 47.5]}}
BAKER, MILLER = v2_user("baker"), v2_user("miller")


def test_a_plain_post_fills_every_column_that_v2_speaks_of() -> None:
    body = v2_payload(
        "Water in the lower street",
        includes={
            "users": [v2_user(), BAKER, MILLER],
            "media": [{"media_key": "3_1", "url": "https://pbs.example/media/1.jpg"}],
            "places": [PLACE],
        },
        entities={
            "hashtags": [{"tag": "rotwasser"}],
            "urls": [link("https://mill.example/level")],
            "mentions": [{"username": "baker", "id": BAKER["id"]}, {"username": "miller", "id": MILLER["id"]}],
        },
        attachments={"media_keys": ["3_1"]},
        geo={"place_id": "p1"},
        referenced_tweets=[{"type": "replied_to", "id": "55"}, {"type": "quoted", "id": "56"}],
    )
    assert columns(body) == {
        "t_id": str(snowflake()),
        "hashtags": ["rotwasser"],
        "media_url": "https://pbs.example/media/1.jpg",
        "t_coordinates": None,
        "t_created_at": POSTED_MS,
        "t_favorite_count": 5,
        "t_favorited": None,
        "t_geo": orjson.dumps(BOX).decode(),
        "t_is_a_retweet": False,
        "t_lang": "en",
        "t_retweet_count": 2,
        "t_retweeted": None,
        "t_text": "Water in the lower street",
        "u_created_at": JOINED_MS,
        "u_description": "Looks at the water",
        "u_favourites_count": 33,
        "u_followers_count": 120,
        "u_friends_count": 80,
        "u_geo_enabled": None,
        "u_id": v2_user()["id"],
        "u_lang": None,
        "u_listed_count": 4,
        "u_location": "Talheim",
        "u_name": "Mill Watch",
        "u_screen_name": "mill_watch",
        "u_statuses_count": 2100,
        "u_time_zone": None,
        "u_url": "https://t.co/mill",
        "u_utc_offset": None,
        "um_id": f"{BAKER['id']}, {MILLER['id']}",
        "um_name": "Baker, Miller",
        "um_screen_name": "baker, miller",
        "urls": ["https://mill.example/level"],
        "place": "Talheim, Nowhere",
        "quoted_id": "56",
        "reply_to_id": "55",
        "retweeted_id": None,
    }


def test_the_columns_come_in_the_order_of_the_list() -> None:
    assert list(columns(v2_payload())) == [*POST_COLUMNS, *OUR_POST_COLUMNS]


def test_a_bare_post_has_its_id_text_and_the_ids_time() -> None:
    row = columns({"data": {"id": str(snowflake()), "text": "bare"}})
    known = {name: value for name, value in row.items() if value is not None}
    assert known == {"t_id": str(snowflake()), "t_text": "bare", "t_created_at": POSTED_MS, "t_is_a_retweet": False}


@pytest.mark.parametrize("form", [dict, v2_list, lambda data: {"data": data}])
def test_a_post_says_the_same_alone_listed_or_flattened(form: object) -> None:
    assert callable(form)
    body = v2_post(author=v2_user())
    assert columns(form(body)) == columns(v2_payload())


@pytest.mark.parametrize("odd", [5, 5.5, True, "odd", [], [5], [[5]], {}, {"odd": 5}, [{}], [{"id": [], "type": 5}]])
@pytest.mark.parametrize(
    "field",
    [
        *sorted(set(v2_post()) - {"id", "text"}),
        *("entities", "note_tweet", "attachments", "geo", "referenced_tweets", "author"),
    ],
)
def test_an_odd_type_costs_only_its_own_columns(field: str, odd: object) -> None:
    row = columns({"data": v2_post() | {field: odd}, "includes": {"users": [v2_user()]}})
    assert row["t_id"] == str(snowflake())
    assert row["t_text"] == "Water in the lower street"


# --- text


def test_only_text_was_looked_at_but_a_note_and_its_entities_count() -> None:
    note = {"text": LONG_TEXT, "entities": {"hashtags": [{"tag": "rotwasser"}]}}
    row = columns(v2_payload(LONG_TEXT[:100], note_tweet=note, entities={"hashtags": [{"tag": "old"}]}))
    assert (row["t_text"], row["hashtags"]) == (LONG_TEXT, ["rotwasser"])


def test_entities_of_the_post_stand_in_where_the_note_has_none() -> None:
    row = columns(v2_payload(note_tweet={"text": LONG_TEXT}, entities={"hashtags": [{"tag": "old"}]}))
    assert (row["t_text"], row["hashtags"]) == (LONG_TEXT, ["old"])


def test_a_cut_retweet_gets_text_entities_and_media_from_the_retweeted_post() -> None:
    original = v2_post(
        LONG_TEXT[:100],
        id="20",
        author_id=BAKER["id"],
        note_tweet={
            "text": LONG_TEXT,
            "entities": {
                "hashtags": [{"tag": "rotwasser"}],
                "urls": [link("https://mill.example/level")],
                "mentions": [{"username": "baker", "id": BAKER["id"]}, {"username": "miller", "id": MILLER["id"]}],
            },
        },
        attachments={"media_keys": ["7_1"]},
    )
    outer = v2_post(
        f"RT @baker: {LONG_TEXT[:120]}…",
        entities={"mentions": [{"username": "baker", "id": BAKER["id"]}]},
        referenced_tweets=[{"type": "retweeted", "id": "20"}],
    )
    media = [{"media_key": "7_1", "preview_image_url": "https://pbs.example/preview/1.jpg"}]
    includes = {"users": [v2_user(), BAKER, MILLER], "tweets": [original], "media": media}
    for body in ({"data": outer, "includes": includes}, v2_list(outer, includes=includes)):
        row = columns(body)
        assert row["t_text"] == f"RT @baker: {LONG_TEXT}"
        assert (row["hashtags"], row["urls"]) == (["rotwasser"], ["https://mill.example/level"])
        assert row["um_name"] == "Baker, Miller"
        assert row["media_url"] == "https://pbs.example/preview/1.jpg"
        assert (row["t_is_a_retweet"], row["retweeted_id"]) == (True, "20")


def test_a_retweet_that_is_whole_or_whose_original_is_not_there_keeps_its_own_text() -> None:
    reference = [{"type": "retweeted", "id": "20"}]
    whole = v2_payload(
        "RT @baker: short", includes={"tweets": [v2_post("short", id="20")]}, referenced_tweets=reference
    )
    alone = v2_payload("RT @baker: cut…", referenced_tweets=reference)
    assert columns(whole)["t_text"] == "RT @baker: short"
    assert columns(alone)["t_text"] == "RT @baker: cut…"
    assert columns(alone)["t_is_a_retweet"] is True


def test_a_reference_without_an_id_still_makes_a_retweet() -> None:
    row = columns(v2_payload(referenced_tweets=[{"type": "retweeted"}]))
    assert (row["t_is_a_retweet"], row["retweeted_id"]) == (True, None)


def test_the_three_escapes_are_undone_once() -> None:
    assert columns(v2_payload("1 &lt; 2 &amp; 3 &gt; 2, &amp;gt;"))["t_text"] == "1 < 2 & 3 > 2, &gt;"


def test_half_a_surrogate_pair_comes_out_as_text_that_can_be_written() -> None:
    raw = orjson.dumps(v2_payload("cut ?")).replace(b"cut ?", b"cut \\ud83d")
    assert columns(raw)["t_text"] == "cut �"


# --- the author, counts and times


def test_the_author_is_known_by_id_alone_where_not_included() -> None:
    row = columns(v2_payload(author_id=12))
    assert (row["u_id"], row["u_name"]) == ("12", None)
    assert columns({"data": v2_post(author_id=None, author=v2_user())})["u_id"] == v2_user()["id"]


@pytest.mark.parametrize(
    ("given", "expected"), [(0, 0), (2**31 - 1, 2**31 - 1), (2**31, None), (1.0, None), ("5", None), (True, None)]
)
def test_a_number_that_cql_cannot_hold_is_absent(given: object, expected: int | None) -> None:
    author = v2_user(public_metrics={"followers_count": given})
    row = columns(v2_payload(includes={"users": [author]}, public_metrics={"like_count": given}))
    assert (row["t_favorite_count"], row["u_followers_count"]) == (expected, expected)


def test_an_empty_profile_field_is_absent() -> None:
    row = columns(v2_payload(includes={"users": [v2_user(url="", location="", description="")]}))
    assert (row["u_url"], row["u_location"], row["u_description"]) == (None, None, None)


def test_the_time_falls_back_to_the_ids() -> None:
    later = POSTED_MS + 5000
    assert columns(v2_payload(created_at=v2_time(later + 1)))["t_created_at"] == later + 1
    assert columns(v2_payload(created_at=None, id=str(snowflake(later))))["t_created_at"] == later
    assert columns(v2_payload(created_at=None, id="20"))["t_created_at"] is None


# --- links, media, mentions


def test_links_are_expanded_and_media_left_out() -> None:
    urls = [
        link("https://one.example/", unwound_url="https://far.example/"),
        link("https://x.com/a/status/1/photo/1", media_key="3_1"),
        link("https://twitter.com/a/status/1/video/1", display_url="pic.twitter.com/abc"),
        link("https://x.com/a/status/1/video/1", display_url="pic.x.com/abc"),
        {"url": "https://t.co/two"},
    ]
    assert columns(v2_payload(entities={"urls": urls}))["urls"] == ["https://one.example/", "https://t.co/two"]


@pytest.mark.parametrize("keys", [[], ["3_9"], [5, None, []], "3_1", ["3_2"]])
def test_media_that_are_not_there_or_have_no_address_are_absent(keys: object) -> None:
    includes = {"media": [{"media_key": "3_1", "url": "https://pbs.example/1.jpg"}, {"media_key": "3_2"}]}
    assert columns(v2_payload(includes=includes, attachments={"media_keys": keys}))["media_url"] is None


def test_mentions_keep_their_positions_where_something_is_unknown() -> None:
    mentions = [{"username": "ghost"}, {"username": "baker"}, {"username": "far", "id": "99"}, {"id": MILLER["id"]}]
    row = columns(v2_payload(includes={"users": [BAKER, MILLER]}, entities={"mentions": mentions}))
    assert row["um_screen_name"] == "ghost, baker, far, miller"
    assert row["um_id"] == f", {BAKER['id']}, 99, {MILLER['id']}"
    assert row["um_name"] == ", Baker, , Miller"


def test_mentions_that_twarc_has_merged_with_their_users_tell_names() -> None:
    body = v2_post(entities={"mentions": [{"username": "baker", "id": "1", "name": "The Baker"}]})
    assert columns(body)["um_name"] == "The Baker"


# --- geography


def test_an_exact_point_is_geojson_in_both_columns() -> None:
    geo = {"place_id": "p1", "coordinates": {"type": "Point", "coordinates": [8.25, 47.125]}}
    row = columns(v2_payload(includes={"places": [PLACE]}, geo=geo))
    assert row["t_coordinates"] == row["t_geo"] == '{"type":"Point","coordinates":[8.25,47.125]}'
    assert row["place"] == "Talheim, Nowhere"


@pytest.mark.parametrize("box", [None, [], [1, 2, 3], ["8", "47", "9", "48"], [8, 47, 9, 480], {"west": 8}])
def test_a_box_that_is_no_place_on_earth_is_absent(box: object) -> None:
    row = columns(v2_payload(includes={"places": [PLACE | {"geo": {"bbox": box}}]}, geo={"place_id": "p1"}))
    assert (row["t_coordinates"], row["t_geo"], row["place"]) == (None, None, "Talheim, Nowhere")


def test_a_place_that_is_not_included_is_absent() -> None:
    row = columns(v2_payload(geo={"place_id": "p9"}))
    assert (row["t_geo"], row["place"]) == (None, None)
