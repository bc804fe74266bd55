"""One matcher over all active events: a post goes in, the events that it belongs to come out, with what matched where.

An Aho-Corasick automaton holds the words of all keywords, so the cost of a post does not grow with the number of
events: one pass over its passages finds the words that occur, and only keywords whose most distinctive word occurred
are looked at, once for all events that share them. Accounts are looked up by name and id, boxes by a coarse grid.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from app.domain.events import Event
from app.domain.finding import Wanted, WordsIn, hits_in, side_by_side, wanted_of, words_of
from app.domain.keywords import Term, parse_keyword
from app.domain.passages import FIELDS, SEPARATOR, read_passages
from app.domain.places import BoxIndex, where
from app.domain.posts import Post
from app.domain.voices import languages_of, voices


class Match(Struct, frozen=True):
    """A post belongs to an event: each selector (keyword, `from:account`, `box:…`) with the places it was found in."""

    event: Event
    matched: dict[str, str]  # selector -> places, joined by ","


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
        wanted: dict[tuple[Term, ...], Wanted] = {}
        for event in self.events:
            for text in event.keywords:
                self._want(event, text, wanted)
            for account in event.accounts:
                self._accounts[account].append(event)
            for box in event.boxes:
                self._boxes.add(box, event)
        self._words_in = words_of(wanted.values()) if wanted else None

    def _want(self, event: Event, text: str, wanted: dict[tuple[Term, ...], Wanted]) -> None:
        try:
            keyword = parse_keyword(text)
        except ValueError as why:
            self.unusable[event.code, text] = str(why)
            return
        known = wanted.get(keyword.terms)
        if known is None:
            known = wanted[keyword.terms] = wanted_of(keyword)
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

    def _match_keywords(self, post: Post, words_in: WordsIn, found: _Found) -> None:
        text, fields = read_passages(post)
        hits, candidates = hits_in(text, words_in)
        for wanted in candidates:
            if not hits.keys() >= wanted.words:
                continue
            starts = [hits[word] for word in wanted.singles]
            if wanted.phrases:
                starts += [sorted(side_by_side(phrase, text, hits).values()) for phrase in wanted.phrases]
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
