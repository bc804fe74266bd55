"""Finds the words of keywords in a folded text: an Aho-Corasick automaton of all of them, and what holds them apart.

The matcher asks which keywords occur in a post, `marking` where in a text they stand; both by these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import ahocorasick
from msgspec import Struct

from app.domain.events import Event
from app.domain.keywords import JOINER, MARKS, SPACELESS, WORD, Keyword, is_word_at, kind_of
from app.domain.passages import SEPARATOR


class Wanted(Struct, eq=False):
    """A keyword of one or more events: all its words must occur, those of a phrase side by side."""

    words: frozenset[str]  # all, those of phrases too
    singles: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    askers: list[tuple[Event, str]]  # with the keyword as each has typed it


# What the automaton says of a word: the word, its length, the kinds of character that must not stand before and after
# it (this one and those of a higher number), and the keywords that are looked at when it occurs.
_Pattern: TypeAlias = tuple[str, int, int, int, list[Wanted]]
_ANY = JOINER + 1
WordsIn: TypeAlias = Callable[[str], Iterator[tuple[int, _Pattern]]]  # last character of each

Hits: TypeAlias = dict[str, list[int]]  # word -> where it starts


def wanted_of(keyword: Keyword) -> Wanted:
    """What a keyword looks for; nobody asks for it yet."""
    words = frozenset(word for term in keyword.terms for word in term.words)
    singles = tuple(term.words[0] for term in keyword.terms if not term.is_phrase)
    phrases = tuple(term.words for term in keyword.terms if term.is_phrase)
    return Wanted(words, singles, phrases, [])


def words_of(wanted: Iterable[Wanted]) -> WordsIn:
    """What finds the words of some keywords, at least one, in a text."""
    wanted = list(wanted)
    shared = Counter(word for keyword in wanted for word in keyword.words)
    patterns = {word: _pattern(word) for word in shared}
    for keyword in wanted:
        # Of "flood jakarta", "flood manila", … a post about a flood must look at none: start from the word that fewest
        # keywords have, and of these from the longest, which as a rule is the rarest in posts.
        start = min(keyword.words, key=lambda word: (shared[word], -len(word), word))
        patterns[start][-1].append(keyword)
    automaton = ahocorasick.Automaton()
    for word, pattern in patterns.items():
        automaton.add_word(word, pattern)
    automaton.make_automaton()
    found: WordsIn = automaton.iter
    return found


def hits_in(text: str, words_in: WordsIn) -> tuple[Hits, list[Wanted]]:
    """Which words stand in a folded text as whole words, and the keywords of which the most distinctive one does."""
    hits: Hits = {}
    candidates: list[Wanted] = []
    last = len(text) - 1
    for end, (word, length, before, after, needs) in words_in(text):
        start = end - length + 1
        if start and kind_of(text[start - 1]) >= before and is_word_at(text, start - 1):
            continue
        if end < last and kind_of(text[end + 1]) >= after and is_word_at(text, end + 1):
            continue
        if word in hits:
            hits[word].append(start)
        else:
            hits[word] = [start]
            candidates += needs
    return hits, candidates


def side_by_side(phrase: tuple[str, ...], text: str, hits: Hits) -> dict[int, int]:
    """Where a phrase ends and, by that, starts: its words one after the other in one passage, no other word between."""
    begun = {start + len(phrase[0]): start for start in hits[phrase[0]]}
    for word in phrase[1:]:
        wanted = {_next_word(text, end): start for end, start in begun.items()}
        begun = {at + len(word): wanted[at] for at in hits[word] if at in wanted}
    return begun


def _pattern(word: str) -> _Pattern:
    """An end of the word must be the end of a word in the post, unless its script sets no blanks or it is a sign.

    A tag ends only where no character of a word follows, of whatever script.
    """
    tag = word[0] in MARKS
    strict = SPACELESS if tag else WORD
    kinds = [kind for char in word if (kind := kind_of(char)) != JOINER]
    before = strict if tag or kinds[0] == WORD else _ANY
    after = strict if kinds[-1] >= strict else _ANY
    return word, len(word), before, after, []


def _next_word(text: str, end: int) -> int:
    """Where the next word after `end` starts; -1 where there is none, or no gap before it."""
    at = end
    while at < len(text) and text[at] != SEPARATOR and not is_word_at(text, at):
        at += 1
    return at if at > end else -1
