"""The ways to plant a keyword so that it must be found, and decoys that look like one and must not.

A `Plant` is what one post carries. Made once for each keyword, since posts only choose among them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from random import Random

from msgspec import Struct

from app.generator.links import link, link_with
from app.generator.parts import IN_HASHTAG, TEXT, Hits, Part, escape, folded, hashtag, words
from app.generator.people import Person, person
from app.generator.selectors import Selector, Term
from app.generator.spots import Spot

_ACCENTS = str.maketrans("aeiouy", "áéíóúý")
_VARIANTS = 3  # of each way that has something random


class Plant(Struct, frozen=True):
    """What a post carries, and where. `own` and `quoted` are parts of its text and of the quoted post's."""

    way: str
    own: tuple[Part, ...] = ()
    quoted: tuple[Part, ...] = ()
    deep: bool = False  # only after 140 characters
    shallow: bool = False  # followed by so much that a retweet's copy is cut
    author: Person | None = None
    retweeted: Person | None = None  # the author whose post is retweeted
    quoted_author: Person | None = None
    reply_to: Person | None = None
    spot: Spot | None = None

    @property
    def selectors(self) -> set[int]:
        """Numbers of the keywords that are in it."""
        people = (self.author, self.retweeted, self.quoted_author, self.reply_to)
        named = {number for someone in people if someone for number in someone.selectors}
        return named | {number for part in (*self.own, *self.quoted) for number, _ in part.hits}


class Fillers(Struct, frozen=True):
    """What may stand beside a keyword: texts between its words, words glued to it."""

    between: Sequence[Part]
    glue: Sequence[str]


def plants(selector: Selector, rng: Random, fillers: Fillers) -> Iterator[Plant]:
    """Ways to plant a keyword."""
    for _ in range(_VARIANTS):
        yield from _in_texts(selector, rng, fillers)
        if len(selector.terms) > 1:
            yield from _spread(selector, rng, fillers)
        elif selector.terms[0].is_name and selector.terms[0].mark != "$":
            yield from _in_names(selector, rng)


def _hit(selector: Selector, bits: int = TEXT) -> Hits:
    return ((selector.number, bits),)


def _in_texts(selector: Selector, rng: Random, fillers: Fillers) -> Iterator[Plant]:
    yield Plant("text", own=_whole(selector, rng, fillers))
    yield Plant("quoted", quoted=_whole(selector, rng, fillers))
    yield Plant("deep", own=_whole(selector, rng, fillers), deep=True)
    plain = [word for term in selector.terms for word in term.words if not term.mark]
    if plain == list(selector.words) and all(re.fullmatch("[a-z0-9]+", word) for word in plain):
        # In an address the words of a phrase stand side by side too.
        order = plain if len(selector.terms) == 1 else rng.sample(plain, len(plain))
        yield Plant("url", own=(link_with(rng, "-".join(order), _hit(selector)),))
        yield Plant("quoted url", quoted=(link_with(rng, "-".join(order).upper(), _hit(selector)),))
    if len(selector.terms) == 1:
        yield from _as_hashtag(selector, selector.terms[0], rng)


def _as_hashtag(selector: Selector, term: Term, rng: Random) -> Iterator[Plant]:
    if term.mark in ("", "#") and len(term.words) == 1 and term.words[0].replace("_", "").isalnum():
        for way in ("hashtag", "quoted", "deep"):
            part = hashtag(_cased(term.words[0], rng), _hit(selector, TEXT | IN_HASHTAG))
            if way == "quoted":
                yield Plant("quoted hashtag", quoted=(part,))
            else:
                yield Plant(way, own=(part,), deep=way == "deep")


def _in_names(selector: Selector, rng: Random) -> Iterator[Plant]:
    term = selector.terms[0]
    if term.mark == "#":
        return
    number = (selector.number,)
    someone = person(rng, _cased(term.words[0], rng), selectors=number, in_address=() if term.mark else number)
    yield Plant("mention", own=(someone.mention,))
    yield Plant("screen name", author=someone)
    yield Plant("retweeted name", retweeted=someone)
    yield Plant("quoted name", quoted_author=someone)
    yield Plant("reply", reply_to=someone)


def _whole(selector: Selector, rng: Random, fillers: Fillers) -> tuple[Part, ...]:
    """All terms in one text, in any order, with fillers between."""
    parts: list[Part] = []
    for term in rng.sample(selector.terms, len(selector.terms)):
        if parts:
            parts.append(rng.choice(fillers.between))
        parts.append(_term(selector, term, rng, fillers))
    return tuple(parts)


def _spread(selector: Selector, rng: Random, fillers: Fillers) -> Iterator[Plant]:
    """Terms in several places: a keyword's words may stand anywhere in a post."""
    terms = rng.sample(selector.terms, len(selector.terms))
    first = _term(selector, terms[0], rng, fillers)
    rest = tuple(_term(selector, term, rng, fillers) for term in terms[1:])
    yield Plant("spread over the quoted", own=(first,), quoted=rest)
    if all(term.is_name and not term.mark for term in terms[1:]):
        tags = [hashtag(_cased(term.words[0], rng), _hit(selector, TEXT | IN_HASHTAG)) for term in terms[1:]]
        yield Plant("spread over hashtags", own=(first, *tags))
        links = [link_with(rng, term.words[0], _hit(selector)) for term in terms[1:]]
        yield Plant("spread over links", own=(first, *links))


def _term(selector: Selector, term: Term, rng: Random, fillers: Fillers) -> Part:
    word = term.words[0]
    if term.mark == "#":
        return hashtag(_cased(word, rng), _hit(selector, TEXT | IN_HASHTAG))
    if term.mark == "@":
        return person(rng, _cased(word, rng), selectors=(selector.number,)).mention
    text = _cased(word, rng) if len(term.words) == 1 else _phrase(term.words, rng)
    if term.mark == "$":
        return words("$" + text, _hit(selector))
    if rng.random() < 0.3:
        # Nothing of this is a word's: the word ends where it begins.
        before, after = rng.choice([("(", ")"), ("“", "”"), ("", "!"), ("", "'s"), ("—", ","), ("&", "<")])
        return words(f"{before}{text}{after}", _hit(selector))
    if fillers.glue and rng.random() < (0.5 if term.is_spaceless else 0.1):
        return words(rng.choice(fillers.glue) + text + rng.choice(fillers.glue), _hit(selector))
    if not text.isascii() and rng.random() < 0.3:
        text = unicodedata.normalize("NFD", text)
    return words(text, _hit(selector))


def _phrase(given: Sequence[str], rng: Random) -> str:
    return _cased(rng.choice((" ", "-", ", ", " / ", "  ")).join(given), rng)


def _cased(text: str, rng: Random) -> str:
    """The text in some case in which it is the same to people."""
    changed = rng.choice((text, text, text.upper(), text.title()))
    return changed if folded(changed) == folded(text) else text


def _is_spaceless(text: str) -> bool:
    return Term((text,)).is_spaceless


def decoys(selector: Selector, rng: Random, taken: frozenset[str], between: Sequence[Part]) -> Iterator[Plant]:
    """What looks like the keyword and is none. `taken` are all words of all keywords."""
    for _ in range(_VARIANTS):
        if len(selector.terms) > 1:
            rest = rng.sample(selector.terms, len(selector.terms) - 1)
            missing = [words(" ".join(term.words)) for term in rest]
            yield Plant("decoy: a word is missing", own=tuple(missing))
            continue
        term = selector.terms[0]
        if len(term.words) > 1:
            yield from _phrase_decoys(term.words, rng.choice(between))
        elif term.mark:
            yield from _mark_decoys(term, rng)
        else:
            for way, text in _word_decoys(term.words[0]):
                if folded(text) not in taken:
                    yield Plant(way, own=(words(text),))
            if not term.is_spaceless and f"{term.words[0]}land" not in taken:
                yield from _cut_decoys(term, rng)
            if len(term.words[0]) > 3 and not term.is_spaceless:
                cut = len(term.words[0]) // 2
                start, end = term.words[0][:cut], term.words[0][cut:]
                if {start, end}.isdisjoint(taken):
                    yield Plant("decoy: split over two passages", own=(words(start),), quoted=(words(end),))


def _cut_decoys(term: Term, rng: Random) -> Iterator[Plant]:
    """A longer word, of which the platform's own cut leaves the keyword."""
    word = term.words[0]
    text = f"{word}land"
    yield Plant("decoy: cut to the keyword", own=(Part(escape(text), text, cut=escape(word)),), shallow=True)
    if term.is_name:
        address = f"news.example/{word}"
        yield Plant("decoy: an address cut to the keyword", own=(link(rng, f"{address}land", cut=len(address)),))


def _word_decoys(word: str) -> Iterator[tuple[str, str]]:
    if _is_spaceless(word):
        if len(word) > 1:
            yield "decoy: a gap inside", word[0] + " " + word[1:]
        return
    for text in (word + "x", "un" + word, word + "_2", "9" + word, f"{word}fox", word.upper() + "ISH"):
        yield "decoy: part of a word", text
    bare = "".join(char for char in unicodedata.normalize("NFD", word) if unicodedata.category(char) != "Mn")
    other = word.translate(_ACCENTS) if bare == word else bare
    if folded(other) != word and not any(unicodedata.category(char)[0] == "M" for char in word):
        yield "decoy: other accents", other


def _phrase_decoys(given: tuple[str, ...], filler: Part) -> Iterator[Plant]:
    yield Plant("decoy: other order", own=(words(" ".join(reversed(given))),))
    inserted = words(given[0]), filler, words(" ".join(given[1:]))
    yield Plant("decoy: a word between", own=inserted)
    yield Plant("decoy: split over two passages", own=(words(given[0]),), quoted=(words(" ".join(given[1:])),))


def _mark_decoys(term: Term, rng: Random) -> Iterator[Plant]:
    word = term.words[0]
    yield Plant("decoy: without its mark", own=(words(word),))
    yield Plant("decoy: part of a tag", own=(words(f"{term.mark}{word}x"),))
    if term.mark == "#" and term.is_name:
        yield Plant("decoy: another mark", own=(person(rng, word).mention,))
    elif term.mark == "@" and term.is_name:
        yield Plant("decoy: another mark", own=(hashtag(word),))
