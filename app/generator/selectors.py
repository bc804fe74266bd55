"""The keywords of events, as the generator understands them: a few lines of its own, so as not to share a fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from app.domain.events import Event
from app.generator.parts import folded

_TERM = re.compile(r'"([^"]+)"|(\S+)')
# Runs of scripts that set no blanks between words, and Hangul, whose particles are joined to the word.
_RUN = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7ff]+")
# What stands in every post, in links and in front of retweets.
_EVERYWHERE = frozenset(
    [
        *("rt", "https", "http", "t", "co", "twitter", "com", "www", "example", "org", "news", "blog", "shop"),
        *("videos", "status", "2026"),
    ]
)


class Term(Struct, frozen=True):
    """A part of a keyword: a word, the words of a phrase, or a word with its mark."""

    words: tuple[str, ...]
    mark: str = ""

    @property
    def is_spaceless(self) -> bool:
        """Whether it is found inside a longer run of letters."""
        return not self.mark and len(self.words) == 1 and _RUN.fullmatch(self.words[0]) is not None

    @property
    def is_name(self) -> bool:
        """Whether it can be an account's name or stand in an address as it is."""
        return len(self.words) == 1 and re.fullmatch(r"[A-Za-z0-9_]+", self.words[0]) is not None


class Selector(Struct, frozen=True):
    """A keyword and the events that have it, each with the text that it has there."""

    number: int
    terms: tuple[Term, ...]
    targets: tuple[tuple[str, str], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """All its words, without marks."""
        return tuple(word for term in self.terms for word in term.words)


def selectors_of(events: Sequence[Event]) -> list[Selector]:
    """All keywords of the events, equal ones together.

    Raises ValueError for keywords that share a word: what is planted of one would be found of the other too.
    """
    targets: dict[tuple[Term, ...], list[tuple[str, str]]] = {}
    for event in events:
        for text in event.keywords:
            targets.setdefault(_terms(text), []).append((event.code, text))
    found = [Selector(number, terms, tuple(those)) for number, (terms, those) in enumerate(targets.items())]
    _check(found)
    return found


def _terms(text: str) -> tuple[Term, ...]:
    terms = []
    for phrase, word in _TERM.findall(folded(text)):
        if phrase:
            terms.append(Term(tuple(phrase.split())))
        elif word[0] in "#@$":
            terms.append(Term((word[1:],), word[0]))
        else:
            terms.append(Term((word,)))
    return tuple(sorted(set(terms), key=lambda term: (term.words, term.mark)))


def _check(selectors: Iterable[Selector]) -> None:
    seen: dict[str, Selector] = {}
    for selector in selectors:
        for word in selector.words:
            if word in _EVERYWHERE:
                raise ValueError(f"the generator cannot plant {word!r}: it stands in every post")
            for other, owner in seen.items():
                if owner is not selector and (word == other or _within(word, other) or _within(other, word)):
                    raise ValueError(f"the generator cannot plant {word!r} beside {other!r}: one holds the other")
            seen[word] = selector


def _within(word: str, other: str) -> bool:
    return _RUN.fullmatch(word) is not None and word in other
