"""Pieces of a post's text. Each knows which selectors (keywords) it holds, and in which places a reader finds them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

# Kinds of parts: plain text, and what the platform lists as an entity.
WORDS, HASHTAG, MENTION, URL, MEDIA = range(5)

# Places as bits; those of a retweeted post lie 5 higher, of a quoted one 10.
TEXT, IN_URL, IN_HASHTAG, IN_MENTION, SCREEN_NAME = (1 << place for place in range(5))
RETWEETED, QUOTED = 5, 10
_NAMES = [
    prefix + place
    for prefix in ("", "retweeted_", "quoted_")
    for place in ("text", "url", "hashtag", "mention", "screen_name")
]

Hits = tuple[tuple[int, int], ...]  # number of the selector, bits of the places


class Part(Struct, frozen=True):
    """A piece of text. `value` is what an entity says of it: a tag, a person, a link or a medium."""

    shown: str  # as it stands in the JSON, where &, < and > are escaped
    plain: str
    kind: int = WORDS
    value: Any = None
    hits: Hits = ()
    loose: bool = False  # may be cut anywhere: it holds nothing that matters
    cut: str = ""  # a retweet's copy that must be cut ends with this much of it


def words(text: str, hits: Hits = ()) -> Part:
    """A piece of text that must stay whole."""
    return Part(escape(text), text, hits=hits)


def hashtag(tag: str, hits: Hits = ()) -> Part:
    """A hashtag."""
    return Part(f"#{tag}", f"#{tag}", HASHTAG, tag, hits)


def escape(text: str) -> str:
    """Text as X sends it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def shown(parts: Sequence[Part]) -> str:
    """The text of a post as it stands in the JSON."""
    return " ".join([part.shown for part in parts])


def plain(parts: Sequence[Part]) -> str:
    """The text of a post as its author wrote it."""
    return " ".join([part.plain for part in parts])


@lru_cache(maxsize=1 << 15)
def place_names(bits: int) -> str:
    """Names of places, as a row's `matched` says them."""
    return ",".join([name for place, name in enumerate(_NAMES) if bits >> place & 1])


class Taboo:
    """The words of all keywords: whatever is not planted must not hold one, not even inside a longer word."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = tuple(folded(word) for word in words)

    def clean(self, text: str) -> bool:
        """Whether the text holds none of them."""
        text = folded(text)
        return not any(word in text for word in self._words)


def folded(text: str) -> str:
    """Text for comparison: NFC and any case, as people see it."""
    return unicodedata.normalize("NFC", text.casefold())
