"""One matcher over all active events: a post goes in, the events that it belongs to come out, with what matched where.

An Aho-Corasick automaton holds the words of all keywords, so the cost of a post does not grow with the number of
events: one pass over its passages finds the words that occur, and only keywords whose most distinctive word occurred
are looked at, once for all events that share them. Accounts are looked up by name and id, boxes by a coarse grid.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import ahocorasick
from msgspec import Struct

from app.domain.events import Event
from app.domain.keywords import JOINER, MARKS, SPACELESS, WORD, Term, is_word_at, kind_of, parse_keyword
from app.domain.passages import FIELDS, SEPARATOR, read_passages
from app.domain.places import BoxIndex, where
from app.domain.posts import Post
from app.domain.voices import languages_of, voices


class Match(Struct, frozen=True):
    """A post belongs to an event: each selector (keyword, `from:account`, `box:…`) with the places it was found in."""

    event: Event
    matched: dict[str, str]  # selector -> places, joined by ","


class _Wanted(Struct, eq=False):
    """A keyword of one or more events: all its words must occur, those of a phrase side by side."""

    words: frozenset[str]  # all, those of phrases too
    singles: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    askers: list[tuple[Event, str]]  # with the keyword as each has typed it


# What the automaton says of a word: the word, its length, the kinds of character that must not stand before and after
# it (this one and those of a higher number), and the keywords that are looked at when it occurs.
_Pattern: TypeAlias = tuple[str, int, int, int, list[_Wanted]]
_ANY = JOINER + 1
_WordsIn: TypeAlias = Callable[[str], Iterator[tuple[int, _Pattern]]]  # last character of each

_Hits: TypeAlias = dict[str, list[int]]  # word -> where it starts
_Found: TypeAlias = dict[str, tuple[Event, dict[str, str]]]


class Matcher:
    """Matches posts against a fixed set of events; make a new one when the set changes."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = [event for event in events if event.collecting]
        self.codes = frozenset(event.code for event in self.events)
        # (code, keyword) -> why it cannot be looked for. No command lets it pass, but `events` may hold it from
        # elsewhere, and one event must not stop the others.
        self.unusable: dict[tuple[str, str], str] = {}
        self._accounts: dict[str, list[Event]] = defaultdict(list)
        self._boxes = BoxIndex()
        self._languages = {event.code: frozenset(event.languages) for event in self.events if event.languages}
        wanted: dict[tuple[Term, ...], _Wanted] = {}
        for event in self.events:
            for text in event.keywords:
                self._want(event, text, wanted)
            for account in event.accounts:
                self._accounts[account].append(event)
            for box in event.boxes:
                self._boxes.add(box, event)
        self._words_in = _automaton(wanted.values()).iter if wanted else None

    def _want(self, event: Event, text: str, wanted: dict[tuple[Term, ...], _Wanted]) -> None:
        try:
            keyword = parse_keyword(text)
        except ValueError as why:
            self.unusable[event.code, text] = str(why)
            return
        known = wanted.get(keyword.terms)
        if known is None:
            words = frozenset(word for term in keyword.terms for word in term.words)
            singles = tuple(term.words[0] for term in keyword.terms if not term.is_phrase)
            phrases = tuple(term.words for term in keyword.terms if term.is_phrase)
            known = wanted[keyword.terms] = _Wanted(words, singles, phrases, [])
        known.askers.append((event, keyword.text))

    def match(self, post: Post) -> list[Match]:
        """Events that the post belongs to."""
        found: _Found = {}
        if self._words_in is not None:
            self._match_keywords(post, self._words_in, found)
        if self._accounts:
            self._match_accounts(post, found)
        if self._boxes:
            for event, box in self._boxes.matches(where(post)):
                _note(found, event, "box:" + ",".join(f"{edge:.9g}" for edge in box), "place")
        if not found:
            return []
        if self._languages:
            spoken = _with_primary(languages_of(post))
            found = {code: entry for code, entry in found.items() if self._understands(code, spoken)}
        return [Match(event, matched) for event, matched in found.values()]

    def _match_keywords(self, post: Post, words_in: _WordsIn, found: _Found) -> None:
        text, fields = read_passages(post)
        hits: _Hits = {}
        candidates: list[_Wanted] = []
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
        for wanted in candidates:
            if not hits.keys() >= wanted.words:
                continue
            starts = [hits[word] for word in wanted.singles]
            if wanted.phrases:
                starts += [_side_by_side(phrase, text, hits) for phrase in wanted.phrases]
                if not all(starts):
                    continue
            places = _places(starts, text, fields)
            for event, keyword in wanted.askers:
                _note(found, event, keyword, places)

    def _understands(self, code: str, spoken: frozenset[str]) -> bool:
        languages = self._languages.get(code)
        return languages is None or not languages.isdisjoint(spoken)

    def _match_accounts(self, post: Post, found: _Found) -> None:
        for account, part in voices(post):
            for event in self._accounts.get(account, ()):
                _note(found, event, f"from:{account}", part)


def _automaton(wanted: Iterable[_Wanted]) -> ahocorasick.Automaton:
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
    return automaton


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


def _with_primary(languages: tuple[str, ...]) -> frozenset[str]:
    """The languages and, of zh-tw, zh; nothing where the post has none: a restriction then leaves it out."""
    return frozenset(languages).union([language.partition("-")[0] for language in languages])


def _note(found: _Found, event: Event, selector: str, places: str) -> None:
    entry = found.get(event.code)
    if entry is None:
        found[event.code] = (event, {selector: places})
    else:
        entry[1].setdefault(selector, places)


def _places(terms: Iterable[list[int]], text: str, fields: list[int]) -> str:
    """Names of the places in which any of the terms starts; of each term the starts ascend."""
    found = set()
    for starts in terms:
        at = passage = counted = 0
        while at < len(starts):
            passage += text.count(SEPARATOR, counted, starts[at])
            found.add(fields[passage])
            counted = text.find(SEPARATOR, starts[at])
            if counted < 0:
                break
            at = bisect_left(starts, counted, at)
    return ",".join([FIELDS[field] for field in sorted(found)])


def _side_by_side(phrase: tuple[str, ...], text: str, hits: _Hits) -> list[int]:
    """Where the phrase starts: its words one after the other in one passage, with no other word between."""
    begun = {start + len(phrase[0]): start for start in hits[phrase[0]]}  # end so far -> start
    for word in phrase[1:]:
        wanted = {_next_word(text, end): start for end, start in begun.items()}
        begun = {at + len(word): wanted[at] for at in hits[word] if at in wanted}
    return sorted(begun.values())


def _next_word(text: str, end: int) -> int:
    """Where the next word after `end` starts; -1 where there is none, or no gap before it."""
    at = end
    while at < len(text) and text[at] != SEPARATOR and not is_word_at(text, at):
        at += 1
    return at if at > end else -1
