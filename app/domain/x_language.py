"""What an event looks for, in the rule language of X API v2, so that X hands over at least what our matcher matches.

X's operators (its pages "Build a rule" and "Operators") and what is made of them:

- A keyword of X is compared with the tokens of a post's text, cut at punctuation and symbols, accents kept, any case;
  of a retweet with the retweeted text, of a quote with the quoted one too. It does not look into links, and X does not
  say whether it finds `#flood` and `@flood`. So a word is asked for as word, hashtag, mention, author and in links;
  not as cashtag: plans without that operator would refuse the word, and `$flood` is cut at its symbol.
- A term with other characters than letters and digits goes in quotes: X finds its tokens side by side.
- `lang:` restricts where X has all the languages of the event; else our matcher alone does.

What X cannot deliver: a word of a script without blanks inside a longer run of letters, where X does not cut it out;
`#flood` that X has not recognized as a hashtag; words of a link that only its display form has, or that are not ASCII;
places that only overlap a box (X wants them wholly inside) or lie across the tiles of a large one; words that it calls
stop words, and signs other than emoji.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise

from msgspec import Struct

from app.domain.events import Box, Event
from app.domain.keywords import MARKS, Term, fold, parse_keyword

MOST_TILES = 64  # of one box: about four rules of 1,024 characters
# X: "Width and height must be less than 25mi". A degree of latitude has at most 69.41 miles, one of longitude at the
# equator 69.18.
_MOST_MILES = 24.9
_MILES_A_DEGREE = 69.42
_NAME = re.compile(r"[a-z0-9_]{1,15}", re.ASCII)
_ID = re.compile(r"[0-9]{1,19}", re.ASCII)
_CASHTAG = re.compile(r"[a-z]{1,6}([._][a-z]{1,2})?", re.ASCII)
_GAPS = re.compile(r'[\s"]+')
_PICTURE = "\ufe0f"
_OPERATORS = frozenset(("or", "and", "not"))
# As posts have them in `lang`, in lower case -> as X writes them in a rule.
_TWO_LETTERS = (
    "am ar bg bn ca cs da de el en es et eu fa fi fr gu hi hr hu hy in it iw ja ka kn ko lt lv ml mr nl no pl pt ro ru "
    "sk sl sr sv ta te th tr uk ur vi"
)
_LANGUAGES = {code: code for code in _TWO_LETTERS.split()} | {"zh-cn": "zh-CN", "zh-tw": "zh-TW"}


class Clause(Struct, frozen=True):
    """A selector of an event (keyword, `from:account`, `box:…`) and what X is asked for it; several for a large box."""

    selector: str
    text: str  # stands beside others with OR between


def clauses_of(event: Event) -> tuple[list[Clause], list[str]]:
    """What X is asked for, in the order that the event has it; and what it is not asked for, with the reason."""
    clauses: list[Clause] = []
    refused: list[str] = []
    asks: list[tuple[str, Callable[[], list[str]]]] = [
        *((text, partial(_keyword, text)) for text in event.keywords),
        *((f"from:{account}", partial(_account, account)) for account in event.accounts),
        *(("box:" + ",".join(f"{edge:.9g}" for edge in box), partial(_box, box)) for box in event.boxes),
    ]
    for selector, ask in asks:
        try:
            clauses += [Clause(selector, text) for text in ask()]
        except ValueError as why:
            refused.append(f"{selector}: {why}")
    return clauses, refused


def language_clause(languages: tuple[str, ...]) -> str:
    """The restriction to the languages; empty where there is none, or where X lacks one of them."""
    codes = [_LANGUAGES.get(language) for language in languages]
    if not codes or None in codes:
        return ""
    return _any(f"lang:{code}" for code in codes)


def _any(texts: Iterable[str]) -> str:
    found = list(dict.fromkeys(texts))
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _keyword(text: str) -> list[str]:
    keyword = parse_keyword(text)
    typed = _typed(keyword.text)
    return [" ".join(_any(_alternatives(term, typed)) for term in keyword.terms)]


def _typed(text: str) -> dict[str, str]:
    """Words that folding has changed by more than their case (ß, ς), as typed: X does not fold so far."""
    pieces = {fold(piece): piece.lower() for piece in _GAPS.split(text)}
    return {folded: piece for folded, piece in pieces.items() if folded != piece}


def _alternatives(term: Term, typed: dict[str, str]) -> Iterator[str]:
    """All that X is asked for, any of which will do, for one term."""
    if term.is_phrase:
        phrase = " ".join(term.words)
        yield from _in_text(phrase)
        yield from _in_text(" ".join(typed.get(word, word) for word in term.words))
        if phrase.isascii():
            yield f'url:"{phrase}"'
        return
    word = term.words[0]
    mark, rest = (word[0], word[1:]) if word[0] in MARKS else ("", word)
    spellings = dict.fromkeys((rest, typed.get(word, word).lstrip(MARKS)))
    if mark == "#" and _is_hashtag(rest):
        yield from (f"#{spelling}" for spelling in spellings)
    elif mark == "@" and _NAME.fullmatch(rest):
        yield from (f"@{rest}", f"from:{rest}")
    elif mark == "$" and _CASHTAG.fullmatch(rest):
        yield f"${rest}"
    else:
        yield from _word(rest, spellings)


def _word(word: str, spellings: Iterable[str]) -> Iterator[str]:
    for spelling in spellings:
        yield from _in_text(spelling)
        if _is_hashtag(spelling):
            yield f"#{spelling}"
    if _NAME.fullmatch(word):
        yield f"@{word}"
        if not word.isdigit():  # X would take it for an id
            yield f"from:{word}"
    if word.isascii() and any(char.isalnum() for char in word):
        yield f"url:{word}" if word.isalnum() else f'url:"{_inside_quotes(word)}"'


def _in_text(text: str) -> Iterator[str]:
    inside = _inside_quotes(text)
    if all(char.isalnum() or unicodedata.category(char)[0] == "M" for char in inside) and inside not in _OPERATORS:
        yield inside
        return
    if not any(char.isalnum() or unicodedata.category(char) == "So" for char in inside):
        raise ValueError(f"X does not look for signs such as {inside}")
    yield f'"{inside}"'
    if len(inside) == 1 and inside <= "\uffff":
        # Half of the posts have the selector that makes a picture of ❤; X counts it as another one.
        yield f'"{inside}{_PICTURE}"'


def _inside_quotes(text: str) -> str:
    """Where X would read a sign as its own (escape, end of the phrase), its tokens end just as well at a blank."""
    return " ".join(text.replace("\\", " ").replace('"', " ").split())


def _is_hashtag(word: str) -> bool:
    fits = all(char.isalnum() or char == "_" or unicodedata.category(char)[0] == "M" for char in word)
    return fits and any(char.isalpha() for char in word)


def _account(account: str) -> list[str]:
    if not (_NAME.fullmatch(account) or _ID.fullmatch(account)):
        raise ValueError("no account of X has such a name")
    return [f"(from:{account} OR retweets_of:{account} OR to:{account})"]


def _box(box: Box) -> list[str]:
    west, south, east, north = box
    if west > east:
        return [*_tiles((west, south, 180.0, north)), *_tiles((-180.0, south, east, north))]
    return _tiles(box)


def _tiles(box: Box) -> list[str]:
    west, south, east, north = box
    rows = max(1, math.ceil((north - south) * _MILES_A_DEGREE / _MOST_MILES))
    height = (north - south) / rows
    tiles: list[str] = []
    for row in range(rows):
        low, high = south + row * height, south + (row + 1) * height if row < rows - 1 else north
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))  # to the equator, where a degree is longest
        miles = (east - west) * _MILES_A_DEGREE * math.cos(math.radians(nearest))
        columns = max(1, math.ceil(miles / _MOST_MILES))
        if len(tiles) + columns > MOST_TILES:
            raise ValueError(f"X takes boxes of 25 miles a side, and this one would need more than {MOST_TILES}")
        width = (east - west) / columns
        edges = [west + column * width for column in range(columns)] + [east]
        tiles += [
            f"bounding_box:[{_degrees(left)} {_degrees(low)} {_degrees(right)} {_degrees(high)}]"
            for left, right in pairwise(edges)
        ]
    return tiles


def _degrees(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")
