"""Which posts belong to which event."""

from __future__ import annotations

from itertools import product

import pytest

from app.domain.matcher import Matcher
from tests import builders
from tests.builders import (
    status,
    user,
)
from tests.support.matching import bare, event


def test_each_event_gets_its_own_keywords_as_it_has_typed_them() -> None:
    events = [
        event("a", keywords=("Flood", "storm flood")),
        event("b", keywords=("FLOOD", "hail")),
        event("c", keywords=("hail",)),
    ]
    matches = {match.event.code: match.matched for match in Matcher(events).match(bare("flood and storm"))}
    assert matches == {"a": {"Flood": "text", "storm flood": "text"}, "b": {"FLOOD": "text"}}


KEYWORD, ACCOUNT, BOX = {"keywords": ("flood",)}, {"accounts": ("ann",)}, {"boxes": ((8.0, 47.0, 9.0, 48.0),)}


@pytest.mark.parametrize(("keyword", "account", "box"), list(product([False, True], repeat=3)))
@pytest.mark.parametrize(("languages", "spoken"), list(product([(), ("de",), ("de", "en")], ["de", "en", "und", None])))
def test_keywords_or_accounts_or_boxes_select_and_languages_restrict(
    keyword: bool, account: bool, box: bool, languages: tuple[str, ...], spoken: str | None
) -> None:
    body = status(
        "a flood" if keyword else "a fire",
        user=user("Ann" if account else "bob"),
        coordinates={"type": "Point", "coordinates": [8.5 if box else 7.5, 47.5]},
        lang=spoken,
    )
    matches = Matcher([event(**KEYWORD, **ACCOUNT, **BOX, languages=languages)]).match(builders.post(body))
    selected = {"flood": keyword, "from:ann": account, "box:8,47,9,48": box}
    if any(selected.values()) and (not languages or spoken in languages):
        (match,) = matches
        assert set(match.matched) == {selector for selector, selects in selected.items() if selects}
    else:
        assert matches == []


@pytest.mark.parametrize(
    ("selectors", "given", "selects"),
    [
        (selectors, given, bool(set(selectors) & set(given)))
        for selectors in ([], ["k"], ["a"], ["b"], ["k", "a"], ["k", "b"], ["a", "b"], ["k", "a", "b"])
        for given in ([], ["k"], ["a"], ["b"], ["k", "a", "b"])
    ],
)
def test_only_the_selectors_that_an_event_has_select(selectors: list[str], given: list[str], selects: bool) -> None:
    kinds = {"k": KEYWORD, "a": ACCOUNT, "b": BOX}
    definition = {name: value for kind in selectors for name, value in kinds[kind].items()}
    body = status(
        "flood" if "k" in given else "fire",
        user=user("ann" if "a" in given else "bob"),
        coordinates={"coordinates": [8.5, 47.5 if "b" in given else 1]},
    )
    assert bool(Matcher([event(**definition)]).match(builders.post(body))) is selects


@pytest.mark.parametrize(
    ("languages", "spoken", "matches"),
    [
        (("zh",), "zh-TW", True),
        (("zh-tw",), "zh-TW", True),
        (("zh-tw",), "zh", False),
        (("pt",), "PT", True),
        (("en",), 5, False),
        (("en",), "", False),
    ],
)
def test_a_language_holds_its_regions(languages: tuple[str, ...], spoken: object, matches: bool) -> None:
    post = bare("flood", lang=spoken)
    assert bool(Matcher([event(keywords=("flood",), languages=languages)]).match(post)) is matches


def test_a_restricted_event_leaves_the_others_alone() -> None:
    events = [event("a", keywords=("flood",), languages=("de",)), event("b", keywords=("flood",))]
    assert [match.event.code for match in Matcher(events).match(bare("flood", lang="en"))] == ["b"]


@pytest.mark.parametrize("state", ["draft", "scheduled", "paused", "stopped", "archived", "deleted", "purging"])
def test_only_active_events_collect(state: str) -> None:
    idle = event(**KEYWORD, **ACCOUNT, **BOX, status=state)
    body = status("flood", user=user("ann"), coordinates={"coordinates": [8.5, 47.5]})
    matcher = Matcher([idle, event("b", keywords=("fire",))])
    assert matcher.match(builders.post(body)) == []
    assert [active.code for active in matcher.events] == ["b"]


def test_without_events_nothing_matches() -> None:
    assert Matcher([]).match(bare("flood")) == []


def test_an_event_with_an_impossible_keyword_does_not_stop_the_others() -> None:
    matcher = Matcher([event("a", keywords=("", "flood,storm", "flood")), event("b", keywords=(" ",))])
    assert [match.matched for match in matcher.match(bare("any flood, storm"))] == [{"flood": "text"}]
    assert list(matcher.unusable) == [("a", ""), ("a", "flood,storm"), ("b", " ")]


def test_a_box_is_named_exactly() -> None:
    box = (-122.419416, 37.0, -122.25, 37.774929)
    (match,) = Matcher([event(boxes=(box,))]).match(bare("x", coordinates={"coordinates": [-122.3, 37.5]}))
    assert match.matched == {"box:-122.419416,37,-122.25,37.774929": "place"}
