"""Reading lines: every wire form, every message that is no post, and everything that is neither."""

from __future__ import annotations

import json

import orjson
import pytest

from app.domain.posts import CONTROL_KEYS, Control, Malformed, Post, created_ms, read
from tests.builders import (
    POSTED_MS,
    extended_status,
    line,
    post,
    rest_status,
    snowflake,
    status,
    v2_list,
    v2_payload,
    v2_post,
    v2_time,
    v2_user,
)


def posts_of(raw: bytes) -> list[Post]:
    found = read(raw)
    assert isinstance(found, list)
    return found


def posts(body: object) -> list[Post]:
    return posts_of(line(body))


@pytest.mark.parametrize("body", [status(), extended_status(), rest_status()], ids=["compat", "extended", "REST"])
def test_a_v1_status_is_one_post_with_its_own_line_as_raw(body: dict[str, object]) -> None:
    only = post(body)
    assert (only.id, only.wire, only.body, only.includes, only.raw) == (body["id_str"], "v1", body, {}, line(body))


def test_the_id_text_is_believed_before_a_rounded_number() -> None:
    assert post(status(id=1785617000000000000, id_str="1785617000000000123")).id == "1785617000000000123"


@pytest.mark.parametrize("id_text", [None, "", [], {}, 1.5, True, "with blank", "with\nbreak", "x" * 301, -1, 0])
def test_an_odd_id_text_falls_back_to_the_number(id_text: object) -> None:
    assert post(status(id=42, id_str=id_text)).id == "42"


@pytest.mark.parametrize("number", [None, "", [], 1.5, True, -1, 10**30])
def test_a_post_without_any_id_is_malformed(number: object) -> None:
    with pytest.raises(Malformed, match="without an id"):
        read(json.dumps(status() | {"id_str": None, "id": number}).encode())


def test_only_text_was_looked_at_but_full_text_and_extended_text_make_a_post_too() -> None:
    body = status(id=7)
    del body["text"]
    assert post(body | {"full_text": "whole"}).id == "7"
    assert post(body | {"text": None, "full_text": "whole"}).id == "7"
    assert post(body | {"text": None, "extended_tweet": {"full_text": "whole"}}).id == "7"


@pytest.mark.parametrize("more", [{}, {"extended_tweet": None}, {"extended_tweet": {"full_text": 5}}])
@pytest.mark.parametrize("text", [None, 5, ["text"], {"text": "text"}])
def test_a_v1_status_without_a_text_is_malformed(text: object, more: dict[str, object]) -> None:
    with pytest.raises(Malformed, match="without a text"):
        read(line(status() | more | {"text": text}))


@pytest.mark.parametrize("field", sorted(set(status()) - {"id", "id_str", "text"}))
def test_a_missing_field_killed_the_pod_but_the_post_is_read_without_it(field: str) -> None:
    body = status()
    del body[field]
    assert post(body).id == body["id_str"]


@pytest.mark.parametrize("blank", [b"", b"\r\n", b"  \t "])
def test_a_blank_line_is_a_keep_alive(blank: bytes) -> None:
    assert read(blank) == Control("keep_alive", {})


@pytest.mark.parametrize("kind", CONTROL_KEYS)
def test_each_control_message_is_told_by_its_kind(kind: str) -> None:
    body = {kind: {"some": "thing"}}
    assert read(line(body)) == Control(kind, body)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        (b'{"text": "\\ud83d"', "not JSON"),
        (b'{"text": "\\ud83d", "id": NaN}', "not JSON"),
        (b'\xff{"text": "\\ud83d"}', "not JSON"),
        (b'{"text": "x", "id": NaN}', "not JSON"),
        (b'{"\\ud83d":' + b"[" * 5000 + b"]" * 5000 + b"}", "not JSON"),
        (b"[" * 5000 + b"]" * 5000, "not JSON"),
        (b"5", "int where an object"),
        (b'"text"', "str where an object"),
        (b"null", "NoneType where an object"),
        (b"[]", "no posts"),
        (b"[1]", "other things"),
        (b'{"statuses": [1]}', "other things"),
        (b'{"data": [1]}', "other things"),
        (b"{}", "neither"),
        (b'{"data": 5}', "neither"),
        (b'{"data": {"id": "5", "name": "a user"}}', "v2 post without a text"),
        (b'{"data": {"text": "x"}}', "without an id"),
        (b'[{"id": 5}]', "without a text"),
        (b'{"id": "5", "text": 5, "author_id": "6"}', "v2 post without a text"),
    ],
)
def test_what_is_neither_post_nor_message_is_malformed_with_the_reason(wrong: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(wrong)


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    raw = line(status("ends in ?")).replace(b"ends in ?", b"ends in \\ud83d, not \\ud83d\\ude00")
    (only,) = posts_of(raw)
    assert only.body["text"] == "ends in �, not 😀"
    assert only.raw == raw


@pytest.mark.parametrize("wrap", [lambda items: items, lambda items: {"statuses": items}], ids=["list", "search"])
def test_a_list_of_statuses_is_cut_into_payloads_that_read_the_same(wrap: object) -> None:
    assert callable(wrap)
    found = posts(wrap([status("one", id=1), status("two", id=2)]))
    assert [(item.id, item.body["text"]) for item in found] == [("1", "one"), ("2", "two")]
    assert [posts_of(item.raw) for item in found] == [[item] for item in found]


def test_a_post_too_deep_to_be_cut_from_its_list_is_malformed() -> None:
    deep = orjson.loads(b"[" * 300 + b"]" * 300)
    raw = json.dumps([status(odd=deep)]).encode()
    with pytest.raises(Malformed, match="too deep"):
        read(raw)
    assert posts_of(raw[1:-1])


def test_an_answer_without_posts_is_an_empty_list() -> None:
    assert posts({"data": []}) == posts({"statuses": []}) == []


def test_a_v2_object_has_its_expansions_by_kind_and_id() -> None:
    includes = {
        "media": [{"media_key": "3_1", "type": "photo"}],
        "places": [{"id": "p1"}],
        "tweets": [v2_post("other", id="9")],
    }
    only = post(v2_payload(includes=includes))
    assert (only.wire, only.body["text"]) == ("v2", "Water in the lower street")
    assert {kind: list(items) for kind, items in only.includes.items()} == {
        "users": [v2_user()["id"]],
        "tweets": ["9"],
        "media": ["3_1"],
        "places": ["p1"],
    }


@pytest.mark.parametrize("odd", [None, 5, [], "x", [1], [[]], [{}], [{"id": []}], [{"id": None}], {"id": "1"}])
def test_includes_of_odd_types_are_passed_over(odd: object) -> None:
    for includes in (odd, {"users": odd, "media": odd, "tweets": odd, "places": odd}):
        for data in (v2_post(), [v2_post()]):
            (only,) = posts({"data": data, "includes": includes})
            assert only.includes == {"users": {}, "tweets": {}, "media": {}, "places": {}}


@pytest.mark.parametrize("odd", [None, 5, "x", [], [1], {}, {"id": []}, [{"id": []}]])
@pytest.mark.parametrize("field", ["author_id", "referenced_tweets", "attachments", "geo", "entities", "note_tweet"])
def test_references_of_odd_types_are_passed_over(field: str, odd: object) -> None:
    bad = v2_post() | {field: odd}
    assert [item.id for item in posts(v2_list(bad, bad))] == [bad["id"]] * 2
    assert post(bad).wire == "v2"


def test_each_post_of_a_v2_list_keeps_the_expansions_that_it_refers_to_and_no_others() -> None:
    quoted = v2_post("quoted", id="30", author_id="3")
    retweeted = v2_post("inner", id="20", author_id="2", referenced_tweets=[{"type": "quoted", "id": "30"}])
    outer = v2_post(
        id="10",
        author_id="1",
        in_reply_to_user_id="4",
        referenced_tweets=[{"type": "retweeted", "id": "20"}],
        attachments={"media_keys": ["3_1"]},
        geo={"place_id": "p1"},
        entities={"mentions": [{"username": "five", "id": "5"}]},
        note_tweet={"text": "long", "entities": {"mentions": [{"username": "six", "id": "6"}]}},
    )
    includes = {
        "users": [v2_user(f"user_{number}", id=str(number)) for number in range(1, 8)],
        "tweets": [retweeted, quoted, v2_post("stranger", id="99")],
        "media": [{"media_key": "3_1"}, {"media_key": "3_9"}],
        "places": [{"id": "p1"}, {"id": "p9"}],
    }
    first, second = posts(v2_list(outer, v2_post(id="11", author_id="7"), includes=includes))
    assert {kind: sorted(items) for kind, items in first.includes.items()} == {
        "users": ["1", "2", "3", "4", "5", "6"],
        "tweets": ["20", "30"],
        "media": ["3_1"],
        "places": ["p1"],
    }
    assert list(second.includes["users"]) == ["7"]
    assert posts_of(first.raw) == [Post("10", "v2", outer, first.includes, first.raw)]


def flattened() -> dict[str, object]:
    inner = v2_post("inner", id="20", author_id="2", author=v2_user("inner", id="2"), type="retweeted")
    inner["attachments"] = {"media_keys": ["3_2"], "media": [{"media_key": "3_2"}, 5, {}]}
    return v2_post(
        author_id="1",
        author=v2_user("outer", id="1"),
        in_reply_to_user=v2_user("asker", id="4"),
        referenced_tweets=[inner, {"type": "quoted", "id": "30"}],
        attachments={"media_keys": ["3_1"], "media": [{"media_key": "3_1"}]},
        geo={"place_id": "p1", "full_name": "Talheim", "geo": {"bbox": [8, 47, 8.5, 47.5]}},
    )


@pytest.mark.parametrize(
    "body", [flattened(), {"data": flattened()}, {"data": [flattened()]}], ids=["bare", "object", "list"]
)
def test_expansions_that_twarc_put_inside_the_post_are_found(body: dict[str, object]) -> None:
    assert {kind: sorted(items) for kind, items in post(body).includes.items()} == {
        "users": ["1", "2", "4"],
        "tweets": ["20"],
        "media": ["3_1", "3_2"],
        "places": ["p1"],
    }


def test_the_time_of_a_post_is_its_own_word_then_the_streams_then_its_ids() -> None:
    later = POSTED_MS + 5000
    assert created_ms(post(status(timestamp_ms=str(later)))) == POSTED_MS
    assert created_ms(post(status(created_at=None, timestamp_ms=str(later)))) == later
    assert created_ms(post(status(created_at=None, timestamp_ms=later))) == later
    assert created_ms(post(status(created_at="nonsense", timestamp_ms=None, id=snowflake(later)))) == later
    assert created_ms(post(status(created_at=None, timestamp_ms=None, id=20))) is None
    assert created_ms(post(v2_payload(created_at=v2_time(later + 7)))) == later + 7


@pytest.mark.parametrize("stamp", ["", "x", "-1", "1.5", "٣", "9" * 15, "9" * 40, True, [], 10**17, -1])
def test_an_odd_time_stamp_is_no_time(stamp: object) -> None:
    assert created_ms(post(status(created_at=None, timestamp_ms=stamp, id=20))) is None
