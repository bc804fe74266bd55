"""What is to be said of keywords while somebody types them: faults, and what they may not mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias

from msgspec import Struct

from app.domain.events import Event, Status
from app.domain.keywords import SPACELESS, Keyword, Term, kind_of, parse_keyword

# blank, wrong and twice: an event does not take it; the others are for its writer to judge. cut: not all was looked at.
About: TypeAlias = Literal["blank", "wrong", "twice", "covered", "broad", "operator", "overlap", "cut"]

MOST = 100
MOST_EVENTS = 5
MOST_PAIRS = 20_000  # of keywords are compared: some tens of milliseconds
_FAULTS: tuple[About, ...] = ("blank", "wrong", "twice")
_LOOKING: tuple[Status, ...] = ("draft", "scheduled", "active", "paused")
_OPERATORS = frozenset(("or", "and", "not"))
# Each stands in at least one of some hundred posts of its language, or of all.
_FREQUENT_WORDS = """
    a about all and are as at be but by can do for from get go good has have he her him his how i if in is it just
    know like live love me more my new news no not now of on one or our out people she so some that the their them
    then there they this time to today up us video was we what when who why will with you your breaking update rt via
    al com como con de del donde el en es esta este hay hoy la las lo los mas me mi muy no nos para pero por que se si
    sin su te todo tu un una y ya yo ao com da das do dos e em eu isso mais meu na nas nao o os ou pra sao tem uma um
    vai você au avec ce ces dans des du elle est et il ils je le les mais ne nous on ont pas plus pour qui sur une vous
    aber als am auch auf aus bei das dem den der die ein eine er es für hat ich im ist mit nach nicht noch nur sie sind
    so und von vor war was wie wir zu zum zur che di della il non per sono ti een het ik niet van voor zijn
    в и на не что я с он как это по но от за в из у к ты من في على إلى عن ما هذا لا أن و یا که از به در را
    bir bu ve de da için ne çok ben yang di dan ini itu untuk ada tidak aku ya
"""
_FREQUENT = frozenset(_FREQUENT_WORDS.split())
_FREQUENT_SPACELESS = frozenset("のはをにがでとたるいし人日今的是了不我有在就也ที่และใน")


# Somebody types, and all events are looked at each time.
_parsed = lru_cache(maxsize=50_000)(parse_keyword)


class Advice(Struct, frozen=True, kw_only=True):
    """Something to be said of a keyword."""

    keyword: str
    about: About
    says: str
    fault: bool = False  # an event does not take it so
    events: tuple[str, ...] = ()  # codes of others that look for it, at most five


def advise(typed: Sequence[str], others: Iterable[Event] = ()) -> list[Advice]:
    """What is to be said of keywords, one typed line each, beside other events; at most MOST, faults first."""
    found: list[Advice] = []
    keywords: dict[tuple[Term, ...], Keyword] = {}
    for text in typed:
        if not text.strip():
            found.append(_advice("", "blank", "a blank keyword would match every post: leave it out"))
            continue
        try:
            keyword = parse_keyword(text)
        except ValueError as wrong:
            found.append(_advice(text[:200], "wrong", str(wrong)))
            continue
        if twin := keywords.get(keyword.terms):
            found.append(_advice(text, "twice", f"the same as {twin.text!r}"))
            continue
        keywords[keyword.terms] = keyword
        found += _alone(keyword)
    pairs = _Pairs(keywords.values())
    found += _covered(pairs)
    found += _overlaps(pairs, others)
    if pairs.cut:
        says = "so many keywords share their words that not all were compared, with each other and with other events"
        found.append(_advice("", "cut", says))
    return sorted(found, key=lambda one: (not one.fault, one.about != "cut"))[:MOST]


def _advice(keyword: str, about: About, says: str, events: Sequence[str] = ()) -> Advice:
    return Advice(keyword=keyword, about=about, says=says, fault=about in _FAULTS, events=tuple(events[:MOST_EVENTS]))


def _alone(keyword: Keyword) -> Iterator[Advice]:
    words = [word for term in keyword.terms for word in term.words]
    if len(words) > 1 and (operators := _OPERATORS.intersection(words)) and not any(t.is_phrase for t in keyword.terms):
        yield _advice(
            keyword.text,
            "operator",
            f"{min(operators).upper()!r} is looked for as a word: all words of a keyword must occur. "
            "Write one keyword a line for words of which one is enough",
        )
    elif any(word.startswith("-") for word in words):
        yield _advice(
            keyword.text, "operator", "a hyphen before a word does not leave posts out: it is looked for with the word"
        )
    if all(_is_broad(term) for term in keyword.terms):
        what = "this word" if len(words) == 1 else "each of these words"
        yield _advice(
            keyword.text, "broad", f"{what} stands in very many posts about anything: add a word, or use quotes"
        )


def _is_broad(term: Term) -> bool:
    if term.is_phrase:
        return False
    (word,) = term.words
    if word in _FREQUENT:
        return True
    if all(kind_of(char) == SPACELESS for char in word):
        return len(word) == 1 or word in _FREQUENT_SPACELESS
    return (len(word) < 3 and word[0].isalnum()) or word.isdecimal()


def _covered(pairs: _Pairs) -> Iterator[Advice]:
    wider: dict[str, Keyword] = {}
    for wide in pairs.keywords:
        for narrow in pairs.near(wide):
            if narrow is not wide and narrow.text not in wider and covers(wide, narrow):
                wider[narrow.text] = wide
    for keyword in pairs.keywords:
        if keyword.text in wider:
            says = f"finds nothing more than {wider[keyword.text].text!r} does; it tells which posts had it"
            yield _advice(keyword.text, "covered", says)


def _overlaps(pairs: _Pairs, others: Iterable[Event]) -> Iterator[Advice]:
    same: dict[str, list[str]] = {}
    wider: dict[str, list[str]] = {}
    for event in others:
        if event.status not in _LOOKING:
            continue
        for text in event.keywords:
            theirs = _parsed(text)
            for mine in pairs.near(theirs):
                if mine.terms == theirs.terms:
                    same.setdefault(mine.text, []).append(event.code)
                elif covers(theirs, mine):
                    wider.setdefault(mine.text, []).append(event.code)
    for text, codes in same.items():
        yield _advice(text, "overlap", f"{_named(codes)} too: a post is then stored for each", codes)
    for text, codes in wider.items():
        if text not in same:
            yield _advice(text, "overlap", f"{_named(codes)} all of these posts too, by a wider keyword", codes)


def _named(codes: Sequence[str]) -> str:
    codes = list(dict.fromkeys(codes))
    more = f" and {len(codes) - 3} more" if len(codes) > 3 else ""
    return f"{', '.join(codes[:3])}{more} look{'s' if len(codes) == 1 else ''} for"


class _Pairs:
    """Keywords by the words in them, so that few are compared; `cut` where that were too many all the same."""

    def __init__(self, keywords: Iterable[Keyword]) -> None:
        self.keywords = list(keywords)
        self.cut = False
        self._left = MOST_PAIRS
        self._by_word: dict[str, list[Keyword]] = {}
        for keyword in self.keywords:
            for word in _bare_words(keyword):
                self._by_word.setdefault(word, []).append(keyword)

    def near(self, wide: Keyword) -> list[Keyword]:
        """Those that it may cover: they have all of its words, so the rarest of these finds them."""
        found = min((self._by_word.get(word, []) for word in _bare_words(wide)), key=len)
        self.cut = self.cut or len(found) > self._left
        found = found[: self._left]
        self._left -= len(found)
        return found


def _bare_words(keyword: Keyword) -> set[str]:
    return {word.lstrip("#@$") for term in keyword.terms for word in term.words}


def covers(wide: Keyword, narrow: Keyword) -> bool:
    """Whether every post that has the narrow keyword has the wide one, as far as their words say."""
    return all(any(_implies(term, needed) for term in narrow.terms) for needed in wide.terms)


def _implies(term: Term, needed: Term) -> bool:
    if term == needed:
        return True
    length = len(needed.words)
    if any(term.words[at : at + length] == needed.words for at in range(len(term.words) - length + 1)):
        return True
    return (
        not needed.is_phrase and not term.is_phrase and term.words[0] in (f"#{needed.words[0]}", f"@{needed.words[0]}")
    )
