"""The single tests that a rule is made of: keywords, signs and operators."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Container

from app.simulator.seen import Box, Seen
from app.simulator.tokens import folded, joined, tokens

Test = Callable[[Seen], bool]
_CASHTAG = re.compile(r"[A-Za-z]{1,6}([._][A-Za-z]{1,2})?")
_MARKS = {
    "has": ("hashtags", "mentions", "cashtags", "links", "media", "images", "geo"),
    "is": ("retweet", "reply", "quote"),
}
_MOST_MILES = 25.0  # that X allows a box's sides
_MILES_A_DEGREE = 69.172


class BadTerm(Exception):
    """The term is none; the message is one of X's, but for the position."""


def phrase(text: str) -> Test:
    """The words of the text stand in the post in this order, with nothing between them."""
    found = tokens(text)
    if not found:
        raise BadTerm("Rules must contain at least one character that is no punctuation")
    if len(found) == 1:
        word = found[0]
        return lambda seen: word in seen.words
    wanted = joined(found)
    return lambda seen: wanted in seen.text


def _named(names: Callable[[Seen], Container[str]]) -> Callable[[str], Test]:
    """The maker of tests whether a name stands among those of the post."""

    def make(text: str) -> Test:
        name = folded(_name(text))
        return lambda seen: name in names(seen)

    return make


def _cashtag(text: str) -> Test:
    if not _CASHTAG.fullmatch(text):
        raise BadTerm(f"no viable alternative at input '${text}'")
    tag = folded(text)
    return lambda seen: tag in seen.cashtags


def _lang(text: str) -> Test:
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z]{2,4})?", text):
        raise BadTerm(f"invalid language '{text}'")
    return lambda seen: seen.lang.casefold() == text.casefold()


def _url(text: str) -> Test:
    found = tokens(text)
    if not found:
        raise BadTerm("invalid url")
    wanted = joined(found)
    return lambda seen: any(wanted in url for url in seen.urls)


def _marked(operator: str) -> Callable[[str], Test]:
    def make(text: str) -> Test:
        if text not in _MARKS[operator]:
            raise BadTerm(f"Reference to invalid operator '{operator}:{text}'")
        return lambda seen: text in seen.marks

    return make


def _bounding_box(text: str) -> Test:
    try:
        west, south, east, north = (float(edge) for edge in text.strip("[]").split())
    except ValueError:
        raise BadTerm("bounding_box: needs [west_long south_lat east_long north_lat]") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise BadTerm("bounding_box: edges must be west < east within 180 and south < north within 90 degrees")
    height = (north - south) * _MILES_A_DEGREE
    width = (east - west) * _MILES_A_DEGREE * math.cos(math.radians((south + north) / 2))
    if max(height, width) >= _MOST_MILES:
        raise BadTerm("bounding_box: width and height must be less than 25mi")
    box = (west, south, east, north)
    return lambda seen: within(seen, box)


def within(seen: Seen, box: Box) -> bool:
    """Whether the post was written in the box: its point, else the whole of its place."""
    west, south, east, north = box
    if seen.point is not None:
        return west <= seen.point[0] <= east and south <= seen.point[1] <= north
    if seen.area is None:
        return False
    return west <= seen.area[0] and seen.area[2] <= east and south <= seen.area[1] and seen.area[3] <= north


_SIGNS_AND_STOPS = frozenset(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc"))


def check_chars(text: str) -> None:
    """Raises BadTerm for characters that may stand only between quotes: punctuation and signs other than emoji."""
    for char in text:
        if char in "^`" or (char != "_" and unicodedata.category(char) in _SIGNS_AND_STOPS):
            raise BadTerm(f"no viable alternative at character '{char}'")


def _name(text: str) -> str:
    text = text.removeprefix("@")
    check_chars(text)
    if not tokens(text):
        raise BadTerm(f"no viable alternative at input '{text}'")
    return text


SIGNS: dict[str, Callable[[str], Test]] = {
    "#": _named(lambda seen: seen.hashtags),
    "@": _named(lambda seen: seen.mentions),
    "$": _cashtag,
}
# Operator -> how to make its test, and whether it can stand alone.
OPERATORS: dict[str, tuple[Callable[[str], Test], bool]] = {
    "from": (_named(lambda seen: seen.author), True),
    "to": (_named(lambda seen: seen.reply_to), True),
    "retweets_of": (_named(lambda seen: seen.retweet_of), True),
    "url": (_url, True),
    "bounding_box": (_bounding_box, True),
    "lang": (_lang, False),
    "has": (_marked("has"), False),
    "is": (_marked("is"), False),
}
