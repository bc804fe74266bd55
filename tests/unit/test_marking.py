"""What of a text is marked: in tables, and against the matcher for any text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.keywords import fold
from app.domain.marking import Piece, folded_with_places, keywords_in, pieces
from tests.support.matching import bare, found


def marked(text: str, *keywords: str) -> str:
    """The text with what is marked in brackets."""
    return "".join(f"[{piece.text}]" if piece.marked else piece.text for piece in pieces(text, keywords))


@pytest.mark.parametrize(
    ("text", "keywords", "wanted"),
    [
        ("Flood in Talheim, FLOOD!", ["flood"], "[Flood] in Talheim, [FLOOD]!"),
        ("floods and firefox", ["flood", "fire"], "floods and firefox"),
        ("#flood at the mill", ["#flood", "flood"], "[#flood] at the mill"),
        ("#flood at the mill", ["flood"], "#[flood] at the mill"),
        ("the dike has a breach", ["dike breach"], "the [dike] has a [breach]"),
        ("the dike holds", ["dike breach"], "the [dike] holds"),  # the breach stands elsewhere in the post
        ("a Flash-Flood, flash of a flood", ['"flash flood"'], "a [Flash-Flood], flash of a flood"),
        ("Straße", ["strasse"], "[Straße]"),
        ("in cafe\u0301s? cafe\u0301!", ["café"], "in cafe\u0301s? [cafe\u0301]!"),
        ("ﬂood", ["flood"], "[ﬂood]"),
        ("İSTANBUL sel", ["istanbul"], "[İSTANBUL] sel"),
        ("昨日の地震は", ["地震"], "昨日の[地震]は"),
        ("فيضان كبير", ["فيضان"], "[فيضان] كبير"),
        ("overlap flash flood watch", ['"flash flood"', '"flood watch"'], "overlap [flash flood watch]"),
        ("<script>alert(1)</script>", ["script"], "<[script]>alert(1)</[script]>"),
        ("", ["flood"], ""),
        ("flood", [], "flood"),
        ("flood", ["", '"', "flood"], "[flood]"),
    ],
)
def test_what_is_marked(text: str, keywords: list[str], wanted: str) -> None:
    assert marked(text, *keywords) == wanted


def test_of_the_selectors_only_keywords_are_marked() -> None:
    matched = {"flood": "text,hashtag", "dike": "quoted_text", "from:mill": "author", "box:1,2,3,4": "place"}
    assert keywords_in(matched) == ("flood", "dike")


_TEXTS = st.text(
    st.one_of(
        st.sampled_from("flodFLOD #@_.ßİıſﬂéÉ\u0301\u0307\u0345地震가\u1100\u1161\u11a8\u200d\u200c🌊\ufe0f&;\x1f"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=40,
)


@given(_TEXTS)
def test_the_folded_text_is_that_of_the_matcher_and_its_places_ascend(text: str) -> None:
    folded, places = folded_with_places(text)
    assert folded == fold(text)
    assert len(places) == len(folded) + 1
    assert places == sorted(places)
    assert places[-1] == len(text)


@given(_TEXTS, st.lists(st.sampled_from(["flood", "fl", "地震", "#flod", '"f l"', "é", "가"]), max_size=4))
def test_the_pieces_are_the_text_and_alternate(text: str, keywords: list[str]) -> None:
    found_pieces = pieces(text, keywords)
    assert "".join(piece.text for piece in found_pieces) == text
    assert all(piece.text for piece in found_pieces)
    assert all(piece.marked != after.marked for piece, after in pairwise(found_pieces))


@given(_TEXTS, st.sampled_from(["flood", "flod", "地震", "#flod", '"f l"', "ß", "é", "가"]))
def test_something_is_marked_exactly_where_the_matcher_finds_it(text: str, keyword: str) -> None:
    text = text.replace("&", "+").replace("\x1f", " ").removesuffix("…")
    is_marked = any(piece.marked for piece in pieces(text, [keyword]))
    assert is_marked == (found(keyword, bare(text)) is not None)


def test_a_piece_is_not_marked_by_itself() -> None:
    assert Piece("flood") == Piece("flood", marked=False)
