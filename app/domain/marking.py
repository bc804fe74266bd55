"""Where in a text keywords stand, so that it can be shown with what matched marked.

The text stays as its author wrote it: words are found in its folded form, and led back from there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from app.domain.finding import Hits, Wanted, WordsIn, hits_in, side_by_side, wanted_of, words_of
from app.domain.keywords import fold, parse_keyword
from app.domain.passages import FIELDS
from app.domain.spans import Span, union

_WORDS = frozenset(FIELDS)
_VOWELS_AND_FINALS = range(0x1160, 0x1200)  # Hangul that composes with what stands before it


class Piece(Struct, frozen=True):
    """A part of a text, and whether it is what matched."""

    text: str
    marked: bool = False


def keywords_in(matched: Mapping[str, str]) -> tuple[str, ...]:
    """The keywords among the selectors of a post (`Match.matched`): not accounts, not boxes."""
    return tuple(selector for selector, places in matched.items() if not _WORDS.isdisjoint(places.split(",")))


def pieces(text: str, keywords: Iterable[str]) -> tuple[Piece, ...]:
    """The text in pieces, joined they are the text. `keywords` are those that matched its post.

    Of a keyword of several words those are marked that stand in this text: the others stand elsewhere in the post.
    What is no keyword marks nothing.
    """
    found: list[Piece] = []
    at = 0
    for start, end in _spans(text, tuple(sorted(set(keywords)))):
        if at < start:
            found.append(Piece(text[at:start]))
        found.append(Piece(text[start:end], marked=True))
        at = end
    if at < len(text):
        found.append(Piece(text[at:]))
    return tuple(found)


def _spans(text: str, keywords: tuple[str, ...]) -> list[Span]:
    wanted, words_in = _wanted(keywords)
    if words_in is None:
        return []
    folded, places = folded_with_places(text)
    hits, _ = hits_in(folded, words_in)
    return union(
        (places[start], places_end)
        for one in wanted
        for start, end in _found(one, folded, hits)
        if (places_end := _end(places, end)) > places[start]
    )


@lru_cache(maxsize=512)
def _wanted(keywords: tuple[str, ...]) -> tuple[tuple[Wanted, ...], WordsIn | None]:
    found = []
    for text in keywords:
        try:
            found.append(wanted_of(parse_keyword(text)))
        except ValueError:
            continue
    return tuple(found), words_of(found) if found else None


def _found(wanted: Wanted, folded: str, hits: Hits) -> Iterator[Span]:
    for word in wanted.singles:
        for start in hits.get(word, ()):
            yield start, start + len(word)
    for phrase in wanted.phrases:
        if all(word in hits for word in phrase):
            for end, start in side_by_side(phrase, folded, hits).items():
                yield start, end


def _end(places: list[int], end: int) -> int:
    """Where in the text what ends in the folded one ends: with the whole character of which it has a part."""
    last = places[end - 1]
    while places[end] == last:
        end += 1
    return places[end]


def folded_with_places(text: str) -> tuple[str, list[int]]:
    """The folded text and, for each of its characters and for its end, where in the text that begins."""
    if text.isascii():
        return fold(text), list(range(len(text) + 1))
    parts: list[str] = []
    places: list[int] = []
    start = 0
    for end in _ends(text):
        part = fold(text[start:end])
        parts.append(part)
        places += [start] * len(part)
        start = end
    places.append(len(text))
    return "".join(parts), places


def _ends(text: str) -> Iterator[int]:
    """Ends of the shortest parts that are folded by themselves: a character with the marks that follow it."""
    for at in range(1, len(text)):
        char = text[at]
        if char.isascii() or not (unicodedata.category(char)[0] == "M" or ord(char) in _VOWELS_AND_FINALS):
            yield at
    yield len(text)
