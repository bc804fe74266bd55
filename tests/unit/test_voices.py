"""Whose posts an account selects: its own, what repeats them and what answers them."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.posts import Json, Post
from app.domain.voices import languages_of, voices
from tests import builders
from tests.builders import (
    BLUESKY_DID,
    bluesky_address,
    bluesky_post,
    bluesky_quote,
    jetstream,
    quote_of,
    retweet_of,
    status,
    user,
    v2_payload,
    v2_post,
    v2_user,
)

ANN, BOB = v2_user("ann"), v2_user("bob")


def parts(body: Json) -> dict[str, str]:
    found: dict[str, str] = {}
    for account, part in voices(builders.post(body)):
        found.setdefault(account, part)
    return found


def test_the_author_is_known_by_name_in_any_case_and_by_id() -> None:
    author = user("Ann")
    assert parts(status(user=author)) == {"ann": "author", author["id_str"]: "author"}


def test_an_old_post_has_its_authors_id_as_a_number_alone() -> None:
    assert parts(status(user={"id": 42, "screen_name": "Ann"})) == {"ann": "author", "42": "author"}


def test_a_retweet_speaks_for_whom_it_repeats() -> None:
    found = parts(retweet_of(status(user=user("Ann"))))
    assert found["ann"] == found[user("Ann")["id_str"]] == "retweeted"
    assert found["repeater"] == "author"


def test_a_quote_does_not_speak_for_whom_it_quotes() -> None:
    assert "ann" not in parts(quote_of(status(user=user("ann"))))


@pytest.mark.parametrize("answered", [{"in_reply_to_user_id_str": "42"}, {"in_reply_to_user_id": 42}])
def test_an_answer_speaks_to_whom_it_answers(answered: Json) -> None:
    found = parts(status(user=user("ann"), in_reply_to_screen_name="Bob", **answered))
    assert (found["bob"], found["42"]) == ("reply_to", "reply_to")


def test_v2_accounts_are_found_by_id_and_by_the_name_in_the_includes() -> None:
    found = parts(v2_payload("x", {"users": [ANN, BOB]}, author_id=ANN["id"], in_reply_to_user_id=BOB["id"]))
    assert found == {ANN["id"]: "author", "ann": "author", BOB["id"]: "reply_to", "bob": "reply_to"}


def test_v2_accounts_without_includes_are_found_by_id() -> None:
    assert parts({"data": v2_post(author_id="42", in_reply_to_user_id=None)}) == {"42": "author"}


@pytest.mark.parametrize(("kind", "speaks"), [("retweeted", True), ("quoted", False), ("replied_to", False)])
def test_a_v2_retweet_speaks_for_whom_it_repeats(kind: str, speaks: bool) -> None:
    includes = {"users": [ANN, BOB], "tweets": [v2_post(id="5", author_id=BOB["id"])]}
    found = parts(v2_payload("RT", includes, author_id=ANN["id"], referenced_tweets=[{"type": kind, "id": "5"}]))
    assert ("bob" in found) is speaks
    if speaks:
        assert found["bob"] == found[BOB["id"]] == "retweeted"


ODD: list[dict[str, Any]] = [
    {"user": None},
    {"user": "ann"},
    {"user": {"screen_name": None}},
    {"retweeted_status": "x", "user": 5},
    {"retweeted_status": {"user": []}},
]


@pytest.mark.parametrize("body", ODD)
def test_odd_fields_are_nobodys(body: Json) -> None:
    assert list(voices(Post("1", "v1", body, {}, b""))) == []


@pytest.mark.parametrize("body", [{}, {"author_id": None}, {"referenced_tweets": 5}, {"referenced_tweets": [5, {}]}])
def test_odd_v2_fields_are_nobodys(body: Json) -> None:
    assert list(voices(Post("1", "v2", body, {"users": {"1": {"username": 5}}}, b""))) == []


def test_a_user_whose_name_is_odd_is_known_by_id() -> None:
    assert list(voices(Post("1", "v2", {"author_id": 1}, {"users": {"1": {"username": 5}}}, b""))) == [("1", "author")]


@pytest.mark.parametrize(("lang", "languages"), [("de", ("de",)), ("zh-TW", ("zh-tw",)), ("", ()), (None, ()), (5, ())])
def test_language(lang: object, languages: tuple[str, ...]) -> None:
    assert languages_of(Post("1", "v1", {"lang": lang}, {}, b"")) == languages


def test_a_post_without_a_language() -> None:
    assert languages_of(Post("1", "v1", {}, {}, b"")) == ()


@pytest.mark.parametrize(
    ("langs", "languages"), [(["pt-BR", "en", 5], ("pt-br", "en")), ([], ()), (None, ()), ("en", ()), ({"en": 1}, ())]
)
def test_an_author_on_bluesky_names_several_languages(langs: object, languages: tuple[str, ...]) -> None:
    assert languages_of(builders.post(jetstream(bluesky_post(langs=langs)))) == languages


def test_accounts_on_bluesky_are_known_by_their_did() -> None:
    post = bluesky_post(
        reply={"parent": {"uri": bluesky_address("did:plc:Answered", "3kaaaaaaaaa2a")}},
        embed=bluesky_quote(bluesky_address("did:plc:quoted", "3kaaaaaaaaa2b")),
    )
    assert parts(jetstream(post)) == {
        BLUESKY_DID: "author",
        "did:plc:answered": "reply_to",
        "did:plc:quoted": "quoted",
    }


@pytest.mark.parametrize("odd", [None, 5, [], {}, {"parent": 5}, {"parent": {"uri": "https://a.example/"}}])
def test_odd_references_on_bluesky_are_nobodys(odd: object) -> None:
    assert parts(jetstream(bluesky_post(reply=odd, embed=odd))) == {BLUESKY_DID: "author"}


@pytest.mark.parametrize("account", ["ann", user("Ann")["id_str"]])
def test_an_event_follows_an_account_by_name_or_id_and_says_by_which(account: str) -> None:
    follower = Event(code="e", name="e", status="active", accounts=(account,))
    other = Event(code="o", name="o", status="active", accounts=("bob",))
    matches = Matcher([follower, other]).match(builders.post(status(user=user("Ann"))))
    assert [(match.event.code, match.matched) for match in matches] == [("e", {f"from:{account}": "author"})]
