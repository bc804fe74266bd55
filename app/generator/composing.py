"""Puts posts together: fillers, what is planted, entities, people and places, in all their combinations."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from app.domain.events import Event
from app.generator import times
from app.generator.drafts import Draft
from app.generator.links import common_links, link, pictures
from app.generator.parts import IN_URL, Part, Taboo, escape, hashtag
from app.generator.people import Person, crowd, person
from app.generator.planting import Fillers, Plant, decoys, plants
from app.generator.selectors import Selector
from app.generator.spots import common_spots, event_spots
from app.generator.words import EMOJI, ESCAPED, HASHTAGS, SPACELESS, WORDS

if TYPE_CHECKING:
    from app.generator.stream import Mix

_PEOPLE, _LINKS, _PICTURES, _CLAUSES = 600, 300, 60, 80
_DEEP = 145  # characters before something that must lie beyond 140
# How often each language is spoken, of 100.
_SPOKEN = (
    *("en",) * 32, *("es",) * 12, *("ja",) * 12, *("pt",) * 8, *("de",) * 7, *("fr",) * 6, *("ar",) * 6, *("th",) * 4,
    *("ko",) * 4, *("tr",) * 3, *("hi",) * 3, *("ru",) * 2, "zh",
)  # fmt: skip
_DAY_MS = 86_400_000
Sequencer = Callable[[], int]
NOTHING = Plant("nothing")


class Composer:
    """Makes drafts. Everything that costs time is made once, here: posts only choose."""

    def __init__(self, events: Sequence[Event], selectors: Sequence[Selector], rng: Random, mix: Mix) -> None:
        taken = frozenset(word for selector in selectors for word in selector.words)
        taboo = Taboo(taken)
        for event in events:
            if both := taken.intersection(event.accounts):
                raise ValueError(f"the generator cannot plant {min(both)!r}: a keyword and an account")
        self._rng = rng
        self._mix = mix
        self._people = crowd(rng, taboo, _PEOPLE)
        self._links = common_links(rng, taboo, _LINKS)
        self._pictures = pictures(rng, _PICTURES)
        self._spots = common_spots(rng, events)
        self._clauses = {language: _clauses(rng, taboo, language) for language in WORDS}
        self._hashtags = [hashtag(tag) for tag in HASHTAGS if taboo.clean(tag)]
        between = [part for clauses in self._clauses.values() for part in clauses[:6]]
        fillers = Fillers(between, _glue(taken))
        # One list for each thing planted: keywords with many ways must not crowd out accounts and boxes.
        self._plants = [list(plants(selector, rng, fillers)) for selector in selectors]
        self._plants += _account_plants(events, rng)
        inside, beside = event_spots(rng, events)
        self._plants += [[Plant("place", spot=spot)] for spot in inside]
        self._decoys = [list(decoys(selector, rng, taken, between)) for selector in selectors]
        self._decoys += [[Plant("decoy: a point beside", spot=spot)] for spot in beside]
        self._decoys = [ways for ways in self._decoys if ways]

    def text(self, text: str) -> Part:
        """A filler."""
        return Part(escape(text), text, loose="&" not in escape(text))

    def post(self, at_ms: int, sequence: Sequencer) -> Draft:
        """A post or retweet with whatever the mix says."""
        rng, mix = self._rng, self._mix
        drawn = rng.random()
        if self._plants and drawn < mix.planted:
            plant = rng.choice(rng.choice(self._plants))
            if rng.random() < mix.twice:
                plant = _both(plant, rng.choice(rng.choice(self._plants)))
        elif self._decoys and drawn > 1 - mix.decoy:
            plant = rng.choice(rng.choice(self._decoys))
        else:
            plant = NOTHING
        can_be_retweet = not (plant.author or plant.reply_to or plant.spot)
        if plant.retweeted or (can_be_retweet and rng.random() < mix.retweet):
            return self._retweet(plant, at_ms, sequence)
        return self._original(plant, plant.author or self._anyone(), at_ms, sequence)

    def plain_post(self, at_ms: int, sequence: Sequencer) -> Draft:
        """A post without anything of an event, an entity or another post."""
        number = times.snowflake(at_ms, sequence())
        return Draft(number, at_ms, self._anyone(), "en", (self._clause("en"), self._clause("en")))

    def anyone(self) -> Person:
        """Somebody of whom no event wants to hear."""
        return self._anyone()

    def _anyone(self, but: Person | None = None) -> Person:
        people = self._people
        someone = people[int(self._rng.random() * len(people))]
        return someone if someone is not but else self._anyone(but)

    def _clause(self, language: str) -> Part:
        clauses = self._clauses[language]
        return clauses[int(self._rng.random() * len(clauses))]

    def _retweet(self, plant: Plant, at_ms: int, sequence: Sequencer) -> Draft:
        rng = self._rng
        earlier = at_ms - int(rng.random() * _DAY_MS)
        original = self._original(plant, plant.retweeted or self._anyone(), earlier, sequence)
        original.reply_to, original.reply_id, original.spot = None, 0, None
        author = self._anyone()
        return Draft(
            times.snowflake(at_ms, sequence()),
            at_ms,
            author,
            original.lang,
            (),
            retweets=original.retweets,
            retweeted=original,
        )

    def _original(self, plant: Plant, author: Person, at_ms: int, sequence: Sequencer) -> Draft:
        rng = self._rng
        random = rng.random
        language = _SPOKEN[int(random() * len(_SPOKEN))]
        draft = Draft(
            times.snowflake(at_ms, sequence()),
            at_ms,
            author,
            language,
            (),
            likes=int(random() * 200),
            retweets=int(random() * 100),
            is_plain=plant is NOTHING,
        )
        if plant.reply_to or (plant.retweeted is None and random() < 0.15):
            draft.reply_to = plant.reply_to or self._anyone(author)
            draft.reply_id = times.snowflake(at_ms - int(random() * _DAY_MS), sequence())
        draft.parts = self._parts(plant, draft)
        if plant.quoted or plant.quoted_author or random() < self._mix.quote:
            self._quote(plant, draft, sequence)
        if plant.spot or random() < 0.08:
            draft.spot = plant.spot or (rng.choice(self._spots) if self._spots else None)
        return draft

    def _parts(self, plant: Plant, draft: Draft) -> tuple[Part, ...]:
        rng, language = self._rng, draft.lang
        random = rng.random
        parts: list[Part] = []
        if draft.reply_to:
            parts.append(draft.reply_to.mention)
        parts.append(self._clause(language))
        if plant.deep or random() < 0.15:
            length = len(parts[0].shown)
            while length < _DEEP or random() < 0.7:
                parts.append(self._clause(language))
                length += len(parts[-1].shown)
        if plant.own:
            parts += plant.own
            if random() < 0.8:
                parts.append(self._clause(language))
        if plant.shallow:
            while sum(len(part.shown) for part in parts) < _DEEP:
                parts.append(self._clause(language))
        if random() < 0.3:
            parts += rng.sample(self._hashtags, min(len(self._hashtags), rng.randrange(1, 3)))
        if random() < 0.2 and (mentioned := self._anyone()) not in (draft.author, draft.reply_to):
            parts.append(mentioned.mention)
        if random() < 0.2:
            parts.append(rng.choice(self._links))
        if random() < 0.15:
            parts.append(rng.choice(self._pictures))
        return tuple(parts)

    def _quote(self, plant: Plant, draft: Draft, sequence: Sequencer) -> None:
        rng = self._rng
        at_ms = draft.at_ms - int(rng.random() * _DAY_MS)
        author = plant.quoted_author or self._anyone()
        language = draft.lang
        quoted = Draft(times.snowflake(at_ms, sequence()), at_ms, author, language, ())
        parts = [self._clause(language)] if rng.random() < 0.5 else []
        if rng.random() < 0.2:
            parts += [self._clause(language) for _ in range(rng.randrange(3, 7))]
        parts += plant.quoted
        if not parts or rng.random() < 0.5:
            parts.append(self._clause(language))
        quoted.parts = tuple(parts)
        draft.quoted = quoted
        draft.quoted_is_gone = not (plant.quoted or plant.quoted_author) and rng.random() < 0.1
        hits = tuple((selector, IN_URL) for selector in author.in_address)
        draft.parts += (link(rng, f"twitter.com/{author.screen_name}/status/{quoted.id}", hits),)


def _clauses(rng: Random, taboo: Taboo, language: str) -> list[Part]:
    """Fillers of a language; none holds a keyword, not even where two words meet."""
    words = WORDS[language].split()
    blank = "" if language in SPACELESS else " "
    found: list[Part] = []
    for _ in range(40 * _CLAUSES):
        text = blank.join(rng.sample(words, rng.randrange(2, 7)))
        if not taboo.clean(text):
            continue
        drawn = rng.random()
        if drawn < 0.12:
            text = f"{text} {rng.choice(EMOJI)}"
        elif drawn < 0.15:
            text = unicodedata.normalize("NFD", text)
        if drawn > 0.95:
            escaped, written = rng.choice(ESCAPED)
            found.append(Part(f"{text} {escaped}", f"{text} {written}"))
        else:
            found.append(Part(escape(text), text, loose=True))
        if len(found) == _CLAUSES:
            return found
    raise ValueError(f"the events' keywords leave no words of language {language!r} to write with")


def _glue(taken: frozenset[str]) -> list[str]:
    """Words without blanks around them, to be glued to planted ones: none shares a character with a keyword."""
    used = {char for word in taken for char in word}
    words = [word for code in ("ja", "zh") for word in WORDS[code].split()]
    return [word for word in words if used.isdisjoint(word)]


def _account_plants(events: Sequence[Event], rng: Random) -> list[list[Plant]]:
    wanted: dict[str, list[tuple[str, str]]] = {}
    for event in events:
        for account in event.accounts:
            wanted.setdefault(account, []).append((event.code, f"from:{account}"))
    found = []
    for account, targets in wanted.items():
        number = int(account) if account.isdecimal() else None
        name = f"acct{account}" if number else account.capitalize()
        someone = person(rng, name, number=number, followed=tuple(targets))
        found.append([Plant("author", author=someone), Plant("retweeted", retweeted=someone)])
        found[-1].append(Plant("reply", reply_to=someone))
    return found


def _both(one: Plant, other: Plant) -> Plant:
    """Two plants in one post, as far as both need not the same place."""
    if not one.selectors.isdisjoint(other.selectors):
        return one  # two people of one name would be too many
    for those, these in ((one, other), (other, one)):
        if those.retweeted and (these.author or these.reply_to or these.spot):
            return one
    return Plant(
        f"{one.way} and {other.way}",
        own=one.own + other.own,
        quoted=one.quoted + other.quoted,
        deep=one.deep or other.deep,
        author=one.author or other.author,
        retweeted=one.retweeted or other.retweeted,
        quoted_author=one.quoted_author or other.quoted_author,
        reply_to=one.reply_to or other.reply_to,
        spot=one.spot or other.spot,
    )
