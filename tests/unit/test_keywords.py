"""Keywords as people type them: what they are cut into, and what is refused with which words."""

from __future__ import annotations

import unicodedata

import pytest

from app.domain.keywords import GAP, MAX_KEYWORD, SPACELESS, fold, is_word_at, kind_of, parse_keyword

BOM = "\ufeff"
ZERO_WIDTH_SPACE = "\u200b"
SOFT_HYPHEN = "\u00ad"
RIGHT_TO_LEFT = "\u200f"
JOINER = "\u200d"
NON_JOINER = "\u200c"
EMOJI = "\ufe0f"


def words(text: str) -> list[tuple[str, ...]]:
    return [term.words for term in parse_keyword(text).terms]


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("Flood", [("flood",)]),
        ("  flash \t flood ", [("flash",), ("flood",)]),
        ("flood FLOOD Flood", [("flood",)]),
        ("#Flood @RedCross $TSLA", [("#flood",), ("$tsla",), ("@redcross",)]),
        ("＃flood ＠redcross", [("#flood",), ("@redcross",)]),
        ('"Flash Flood"', [("flash", "flood")]),
        ('"flash flood" kansas', [("flash", "flood"), ("kansas",)]),
        ('kansas"flash flood"river', [("flash", "flood"), ("kansas",), ("river",)]),
        ("“flash flood”", [("flash", "flood")]),
        ("„flash flood“", [("flash", "flood")]),
        ("«flash flood»", [("flash", "flood")]),
        ('"flash,  flood!"', [("flash", "flood")]),
        ('"flood"', [("flood",)]),
        ('"#flood"', [("#flood",)]),
        ('"#flood warning"', [("flood", "warning")]),
        ('"1,000 houses"', [("1", "000", "houses")]),
        ('"$1,000"', [("1", "000")]),
        ("don’t", [("don't",)]),
        ("don‘t", [("don't",)]),
        ("AT&T", [("at&t",)]),
        ("c++", [("c++",)]),
        ("example.com/path", [("example.com/path",)]),
        ("Straße", [("strasse",)]),
        ("ΟΔΟΣ", [("οδοσ",)]),
        ("ﬂood", [("flood",)]),
        ("İstanbul", [("istanbul",)]),
        ("cafe\u0301", [("café",)]),
        ("洪水 警報", [("洪水",), ("警報",)]),
        ("洪水\u3000警報", [("洪水",), ("警報",)]),
        ("🔥", [("🔥",)]),
        ("❤" + EMOJI, [("❤",)]),
        ("👩\u200d🚒", [("👩\u200d🚒",)]),
        ("می\u200cخواهم", [("می\u200cخواهم",)]),
        (f'"a{NON_JOINER} b"', [("a", "b")]),
        (f"{BOM}flo{SOFT_HYPHEN}od{ZERO_WIDTH_SPACE}", [("flood",)]),
        (f"{RIGHT_TO_LEFT}فيضان", [("فيضان",)]),
        ('a: "b c" \\d', [("\\d",), ("a:",), ("b", "c")]),
    ],
)
def test_a_keyword_is_cut_into_folded_terms(typed: str, terms: list[tuple[str, ...]]) -> None:
    assert words(typed) == terms


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "blank"),
        (" \t\n", "blank"),
        ("\u3000", "blank"),
        ("\x1f", "blank"),
        (ZERO_WIDTH_SPACE, "blank"),
        ("flood,storm", "comma"),
        ("flood, storm", "comma"),
        ("洪水，地震", "comma"),
        ("洪水、地震", "comma"),
        ("فيضان،زلزال", "comma"),
        ('"flash flood', "quote that is not closed"),
        ('5" pipe', "quote that is not closed"),
        ("#", "no letter"),
        ("@ flood", "no letter"),
        ("...", "no letter"),
        ("_", "no letter"),
        ("#_", "no letter"),
        (JOINER, "no letter"),
        (EMOJI, "no letter"),
        ("\u0301", "no letter"),
        ('""', "phrase"),
        ('" "', "phrase"),
        ('"..."', "phrase"),
        ('"_"', "phrase"),
        ('"🔥"', "phrase"),
        (f'flood "{JOINER}"', "phrase"),
        ("x" * (MAX_KEYWORD + 1), "at most 200"),
    ],
)
def test_what_could_match_nothing_or_everything_is_refused_and_why(typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_keyword(typed)


def test_the_longest_keyword_is_accepted() -> None:
    assert words("x" * MAX_KEYWORD) == [("x" * MAX_KEYWORD,)]


def test_a_keyword_is_kept_as_typed_but_for_blanks_and_quotes() -> None:
    assert parse_keyword(" Flash\n“Flood  Watch” ").text == 'Flash "Flood Watch"'


def test_keywords_of_the_same_terms_are_known_by_their_terms() -> None:
    assert parse_keyword("Storm  FLOOD").terms == parse_keyword('flood "storm"').terms
    assert parse_keyword('"storm flood"').terms != parse_keyword('"flood storm"').terms


def test_a_term_knows_whether_it_is_a_phrase() -> None:
    assert [term.is_phrase for term in parse_keyword('"flash flood" kansas').terms] == [True, False]


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("FLOOD", "flood"),
        ("Straße", "strasse"),
        ("ÜBER", "über"),
        ("u\u0308ber", "über"),
        ("Ὀδυσσεύς", "ὀδυσσεύσ"),
        ("İ", "i"),
        ("I\u0307", "i"),
        ("I\u0307\u0301", "í"),
        ("ı", "ı"),
        ("ŉ", "ʼn"),
        ("it’s", "it's"),
        ("ﬀ", "ff"),
        ("한글", unicodedata.normalize("NFC", unicodedata.normalize("NFD", "한글"))),
        ("\u1112\u1161\u11ab", "한"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_accents_are_not_folded() -> None:
    assert fold("é") != fold("e")


@pytest.mark.parametrize("char", ["a", "é", "9", "_", "洪", "ห", "\u0e31", "\u093f", "\u064b", JOINER, "ʼ", "²"])
def test_characters_of_words(char: str) -> None:
    assert kind_of(char) != GAP


@pytest.mark.parametrize("char", [" ", ".", "-", "'", "#", "🔥", "・", EMOJI, "\u20e3", "\U000e0101", "\x1f", "។"])
def test_characters_between_words(char: str) -> None:
    assert kind_of(char) == GAP


@pytest.mark.parametrize(
    ("char", "spaceless"),
    [
        ("洪", True),
        ("ま", True),
        ("ไ", True),
        ("홍", True),
        ("ក", True),
        ("ㄅ", True),
        ("a", False),
        ("ह", False),
        ("م", False),
        ("・", False),
    ],
)
def test_scripts_without_blanks(char: str, spaceless: bool) -> None:
    assert (kind_of(char) == SPACELESS) is spaceless


@pytest.mark.parametrize(
    ("text", "at", "inside"),
    [
        (f"a{JOINER}b", 1, True),
        (f"क्{JOINER}ष", 2, True),
        (f"洪{JOINER}水", 1, True),
        (f"a{JOINER} b", 1, False),
        (f"a{JOINER}", 1, False),
        (f"{JOINER}a", 0, False),
        (f"🔥{JOINER}a", 1, False),
        (f"a{JOINER}{JOINER}b", 1, False),
        ("ab", 1, True),
        ("a b", 1, False),
    ],
)
def test_a_joiner_belongs_to_a_word_between_two_characters_of_it(text: str, at: int, inside: bool) -> None:
    assert is_word_at(text, at) is inside
