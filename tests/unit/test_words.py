"""What the index holds of a text, and what is asked of it for a keyword."""

from __future__ import annotations

import pytest

from app.domain.keywords import fold, parse_keyword
from app.domain.words import LONGEST, needed, words

HELD = [
    ("Flood in Talheim!", {"flood", "in", "talheim"}),
    ("#Flood @Red_Cross $TSLA", {"flood", "#flood", "red_cross", "@red_cross", "tsla", "$tsla"}),
    ("don’t at&t c++", {"don", "t", "at", "c"}),
    ("https://mill.example/Water_1", {"https", "mill", "example", "water_1"}),
    ("Straße É", {"strasse", "é"}),
    ("大雨", {"大", "雨", "大雨"}),
    ("東京で地震", {"東", "京", "で", "地", "震", "東京", "京で", "で地", "地震"}),
    ("iPhone地震", {"iphone", "地", "震", "地震"}),
    ("#東京2020", {"東", "京", "東京", "2020", "#東京2020"}),
    ("سیل\u200cزده فيضان", {"سیل\u200cزده", "فيضان"}),
    ("น้ำ", {"น", "\u0e49", "ำ", "น\u0e49", "\u0e49ำ"}),
    ("🔥 ❤\ufe0f!", {"🔥", "❤"}),
    ("a\x1fb", {"a", "b"}),
    ("", set()),
    ("x" * 100, {"x" * LONGEST}),
]

ASKED = [
    ("flood", {"flood"}),
    ('river "Flash Flood"', {"river", "flash", "flood"}),
    ("#Flood", {"#flood"}),
    ("flash-flood", {"flash", "flood"}),
    ("地", {"地"}),
    ("地震", {"地震"}),
    ("地震速", {"地震", "震速"}),
    ("#地震", {"#地震"}),
    ("a#b", {"a", "b"}),
    ("🔥", {"🔥"}),
    ("++", set()),
    ("y" * 100, {"y" * LONGEST}),
]


@pytest.mark.parametrize(("text", "held"), HELD)
def test_the_terms_of_a_text(text: str, held: set[str]) -> None:
    assert words(fold(text)) == held


@pytest.mark.parametrize(("keyword", "asked"), ASKED)
def test_the_terms_that_are_asked_for(keyword: str, asked: set[str]) -> None:
    assert needed(parse_keyword(keyword)) == asked
