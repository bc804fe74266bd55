"""Which posts of Bluesky belong to an event, and where its keywords were found."""

from __future__ import annotations

import pytest

from app.domain.matcher import Matcher
from tests import builders
from tests.builders import (
    BLUESKY_DID,
    bluesky_address,
    bluesky_post,
    bluesky_quote,
    facet,
    jetstream,
)
from tests.support.matching import event, found

SKY_TEXT = "Land unter 🌊 in Köln #Hochwasser @baker.example mill.example/lev…"
SKY = bluesky_post(
    SKY_TEXT,
    langs=["de", "zh-TW"],
    facets=[
        facet(SKY_TEXT, "#Hochwasser", tag="Hochwasser"),
        facet(SKY_TEXT, "@baker.example", did="did:plc:baker"),
        facet(SKY_TEXT, "mill.example/lev…", uri="https://mill.example/levels/rotwasser"),
    ],
    tags=["hidden"],
    embed={"external": {"uri": "https://shop.example/boats", "title": "Rafts", "description": "Canoes"}},
    reply={"parent": {"uri": bluesky_address("did:plc:asker", "3kaaaaaaaaa2a")}},
)


@pytest.mark.parametrize(
    ("keyword", "places"),
    [
        ("köln", "text"),
        ("#hochwasser", "text,hashtag"),
        ("hochwasser", "text,hashtag"),
        ("#hidden", "hashtag"),
        ("@baker", "text,mention"),
        ("rotwasser", "url"),
        ("boats", "url"),
        ("mill.example", "text,url"),
        ("rafts", None),
        ("canoes", None),
        ("plc", None),
        ("bsky", None),
    ],
)
def test_a_keyword_is_looked_for_in_what_a_bluesky_record_says(keyword: str, places: str | None) -> None:
    assert found(keyword, builders.post(jetstream(SKY))) == places


@pytest.mark.parametrize(
    ("account", "part"), [(BLUESKY_DID, "author"), ("did:plc:asker", "reply_to"), ("did:plc:baker", None)]
)
def test_an_account_on_bluesky_is_followed_by_its_did(account: str, part: str | None) -> None:
    matches = Matcher([event(accounts=(account,))]).match(builders.post(jetstream(SKY)))
    assert [match.matched for match in matches] == ([{f"from:{account}": part}] if part else [])


def test_an_account_on_bluesky_speaks_in_the_posts_that_quote_it() -> None:
    post = builders.post(
        jetstream(bluesky_post(embed=bluesky_quote(bluesky_address("did:plc:other", "3kaaaaaaaaa2a"))))
    )
    (match,) = Matcher([event(accounts=("did:plc:other",))]).match(post)
    assert match.matched == {"from:did:plc:other": "quoted"}


@pytest.mark.parametrize(("language", "matches"), [("de", True), ("zh", True), ("zh-tw", True), ("en", False)])
def test_any_language_that_the_author_names_will_do(language: str, matches: bool) -> None:
    one = event(keywords=("köln",), languages=(language,))
    assert bool(Matcher([one]).match(builders.post(jetstream(SKY)))) is matches


def test_a_bluesky_post_lies_in_no_box() -> None:
    whole = event(boxes=((-180.0, -90.0, 180.0, 90.0),))
    assert Matcher([whole]).match(builders.post(jetstream(SKY | {"geo": {"coordinates": [1, 1]}}))) == []
