"""The terms by which posts are found again: what of a text the index holds, and what a search asks it for.

The index only narrows down, the matcher decides: whatever text a keyword matches holds all terms that `needed` names.
So a search finds exactly what the event would have, had it asked for these words.

A term is a word, as `app.domain.keywords` tells words apart; a tag with its mark (`#flood`) beside its word; in scripts
without blanks each character, and each two that stand side by side; and a symbol (❤).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from app.domain.keywords import JOINER, MARKS, SPACELESS, WORD, Keyword, is_word_at, kind_of

LONGEST = 64  # characters; what is longer is cut, in the index and in what is asked of it

_PLAIN = re.compile(r"([#@$]?)([a-z0-9_]+)")
_ASCII = 0x7F


def words(folded: str) -> set[str]:
    """All terms of a folded text; passages may be joined by `SEPARATOR`."""
    found: set[str] = set()
    for chunk in folded.split():  # at SEPARATOR too
        if chunk.isascii():
            for mark, word in _PLAIN.findall(chunk):
                found.add(word[:LONGEST])
                if mark:
                    found.add((mark + word)[:LONGEST])
        else:
            found |= _of_any_script(chunk)
    return found


def needed(keyword: Keyword) -> set[str]:
    """The terms that every text holds which the keyword matches; none where it is made of ASCII signs alone."""
    return {part for term in keyword.terms for word in term.words for part in _needed(word)}


@lru_cache(maxsize=4096)
def _needed(word: str) -> frozenset[str]:
    run = _run(word, 1) if word[0] in MARKS else ""
    if run:
        rest = _terms(word[1 + len(run) :])
        return frozenset({(word[0] + run)[:LONGEST]} | {term for term in rest if term[0] not in MARKS})
    found = {term for term in _terms(word) if term[0] not in MARKS}
    pairs = {char for term in found if _is_pair(term) for char in term}
    return frozenset(term for term in found if len(term) > 1 or term not in pairs)


def _is_pair(term: str) -> bool:
    return len(term) == 2 and all(kind_of(char) == SPACELESS for char in term)


def _terms(text: str) -> set[str]:
    return {term for chunk in text.split() for term in _of_any_script(chunk)}


def _of_any_script(chunk: str) -> set[str]:
    found: set[str] = set()
    at, end = 0, len(chunk)
    while at < end:
        if is_word_at(chunk, at):
            run = _run(chunk, at)
            if at and chunk[at - 1] in MARKS:
                found.add((chunk[at - 1] + run)[:LONGEST])
            _add_run(run, found)
            at += len(run)
            continue
        char = chunk[at]
        if ord(char) > _ASCII and unicodedata.category(char)[0] == "S":
            found.add(char)
        at += 1
    return found


def _run(text: str, at: int) -> str:
    """The characters of words from there on, whatever their scripts."""
    end = at
    while end < len(text) and is_word_at(text, end):
        end += 1
    return text[at:end]


def _add_run(run: str, found: set[str]) -> None:
    start = 0  # of the word
    for at, char in enumerate(run):
        kind = kind_of(char)
        if kind == WORD or (kind == JOINER and _joins_words(run, at)):
            continue
        if start < at:
            found.add(run[start:at][:LONGEST])
        start = at + 1
        if kind == SPACELESS:
            found.add(char)
            if at and kind_of(run[at - 1]) == SPACELESS:
                found.add(run[at - 1 : at + 1])
    if start < len(run):
        found.add(run[start:][:LONGEST])


def _joins_words(run: str, at: int) -> bool:
    return 0 < at < len(run) - 1 and kind_of(run[at - 1]) == kind_of(run[at + 1]) == WORD
