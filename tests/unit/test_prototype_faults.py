"""Faults of the 2017 prototype that must not come back, by what it did (issue 3, item 4; the pure ones)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from app.domain.codes import check_code, code_of
from app.domain.decisions import Command, Refused, decide
from app.domain.events import Definition, Event
from app.domain.matcher import Matcher
from app.domain.posts import Json
from app.domain.records import Line, classified_headers, classified_record
from tests import builders
from tests.builders import entities, extended_status, quote_of, retweet_of, status


def created(code: str = "e", name: str = "E", *keywords: str) -> Event:
    definition = Definition(name=name, keywords=keywords)
    at = datetime(2024, 5, 1, tzinfo=UTC)
    return decide(Command(id="1", action="create", code=code, at=at, who="ann", definition=definition), None)


def matches(event: Event, body: Json) -> bool:
    return bool(Matcher([event]).match(builders.post(body)))


def test_a_blank_keyword_in_a_list_matched_every_post() -> None:
    typed = "boulder, "
    with pytest.raises(Refused, match="blank keyword"):
        created("e", "E", *typed.split(","))
    # And where one has come into `events` all the same, it selects nothing.
    smuggled = Event(code="e", name="E", status="active", keywords=("boulder", " "))
    assert matches(smuggled, status("Boulder!"))
    assert not matches(smuggled, status("Denver"))


def test_a_comma_list_given_as_one_keyword_is_no_keyword_that_never_matches() -> None:
    with pytest.raises(Refused, match="write two keywords"):
        created("e", "E", "boulder, flood")


@pytest.mark.parametrize("keyword", ["Trump", "trump", "TRUMP"])
@pytest.mark.parametrize("text", ["Trump", "trump", "TRUMP", "Trump's", "#Trump"])
def test_trump_never_matched(keyword: str, text: str) -> None:
    assert matches(created("e", "E", keyword), status(f"It is {text} again"))


def test_fire_matched_firefox() -> None:
    event = created("e", "E", "fire")
    assert not matches(event, status("A new Firefox is out"))
    assert matches(event, status("A new fire is out"))


@pytest.mark.parametrize(
    "body",
    [
        extended_status("x" * 200 + " rotwasser", entities()),
        status("x", entities=entities(hashtags=("Rotwasser",))),
        status("x", entities=entities(urls=("https://news.example/rotwasser",))),
        status("x", entities=entities(mentions=("rotwasser",))),
        status("x", user=builders.user("rotwasser")),
        retweet_of(extended_status("x" * 200 + " rotwasser", entities())),
        quote_of(status("Rotwasser")),
    ],
)
def test_only_text_was_looked_at(body: Json) -> None:
    assert "rotwasser" not in body["text"].lower()
    assert matches(created("e", "E", "rotwasser"), body)


@pytest.mark.parametrize("code", ["2012", "on", "off", "yes", "null", "true", "1e3", "0x1f"])
def test_a_code_that_yaml_takes_for_something_else_is_a_code(code: str) -> None:
    assert check_code(code) == code_of(code.upper()) == code
    event = created(code, code, "flood")
    sent = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    assert (sent.code, type(sent.code), sent.name) == (code, str, code)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ('"flash flood"', "a flash flood"),
        ("warning: flood", "flood warning: now"),
        ("- flood", None),
        ("{flood}", "{flood}"),
        ("flood'", "the flood' is"),
        ("it's", "it's"),
        ("%flood\\n", "%flood\\n"),
        ("<b>flood", "&lt;b&gt;flood"),
        ("flood;--", "flood;--"),
    ],
)
def test_a_keyword_with_a_quote_or_colon_is_data(keyword: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(Refused, match="no letter"):
            created("e", "E", keyword)
        return
    event = msgspec.json.decode(msgspec.json.encode(created("e", "N: \"x\" 'y'", keyword)), type=Event)
    assert event.keywords == (keyword,)
    (match,) = Matcher([event]).match(builders.post(status(text)))
    line = Line(0, 1, 0, 0, 1, "x", "live", match.matched)
    record = classified_record(b"e", b"{}", dict(classified_headers(1, [line])))
    assert record.lines[0].matched == {keyword: "text"}


@pytest.mark.parametrize("missing", ["user", "entities", "lang", "coordinates", "created_at", "place", "truncated"])
def test_a_missing_field_killed_the_pod(missing: str) -> None:
    body: dict[str, Any] = status("flood")
    del body[missing]
    assert matches(created("e", "E", "flood"), body)


@pytest.mark.parametrize("value", ["False", "True", "", 0, 1, None])
def test_a_switch_that_was_not_a_truth_value_counted_as_true(value: object) -> None:
    """`tracking="False"` was a text that is not empty. Here only true and false pass, whoever writes the command."""
    at = datetime(2024, 5, 1, tzinfo=UTC)
    command = Command(
        id="1", action="create", code="e", at=at, who="ann", definition=Definition(name="E", keywords=("x",))
    )
    written = msgspec.to_builtins(command)
    with pytest.raises(msgspec.ValidationError, match="Expected `bool`"):
        msgspec.json.decode(msgspec.json.encode({**written, "draft": value}), type=Command)
    for truth, status_then in ((True, "draft"), (False, "active")):
        read = msgspec.json.decode(msgspec.json.encode({**written, "draft": truth}), type=Command)
        assert decide(read, None).status == status_then
