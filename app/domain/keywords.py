"""What a person types as a keyword, cut into the terms that must all occur in a post.

A keyword is one or more terms with blanks between: a word (`flood`), a hashtag, mention or cashtag (`#flood`,
`@redcross`, `$tsla`: found only as such), or an exact phrase (`"flash flood"`). All its terms must occur, in any
order and any place. These are X's `track` rules plus quotes.

Terms are compared folded (`fold`) and as whole words. A word is letters, digits, `_` and combining marks, and a joiner
between two of these. In scripts that set no blanks between words a term is found inside a longer run of letters too,
and a letter of such a script ends a word of another one. Symbols (emoji, `+`) are found wherever they stand. Of a
phrase only the words count, not what stands between them; quotes around one hashtag or the like change nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct

MAX_KEYWORD = 200
MARKS = "#@$"

# What a character is to the words around it. Compared by size: see `matcher`.
GAP, SPACELESS, WORD, JOINER = range(4)

_TERM = re.compile(r'"([^"]*)"|([^\s"]+)')
_COMMA_OUTSIDE = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_COMMAS = frozenset(",，、،")
_PLAIN = {"’": "'", "‘": "'", "＃": "#", "＠": "@"}
_QUOTES = str.maketrans(_PLAIN | dict.fromkeys("“”„«»＂", '"'))
# Come along unseen with pasted text, and would keep a term from ever being found.
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x61C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF]
)
# Scripts written without blanks between words, and Hangul, whose particles are joined to the word.
_SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3021-\u302f\u3031-\u303c\u3040-\u30ff"
    "\u3100-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\ua9e0-\ua9ff\uaa60-\uaa7f"
    "\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc"
    "\U00020000-\U0003ffff]"
)
_JOINERS = "\u200c\u200d"  # inside words of Persian and Indic scripts, and inside emoji
# They choose how the character before looks; most often that it is an emoji.
_VARIATIONS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_VARIATION_SELECTORS = "\ufe0e\ufe0f"
_DOTTED_I = "i\u0307"


class Term(Struct, frozen=True):
    """A word, or the words of a phrase, folded."""

    words: tuple[str, ...]

    @property
    def is_phrase(self) -> bool:
        """Whether the words must stand side by side."""
        return len(self.words) > 1


class Keyword(Struct, frozen=True):
    """A keyword as typed (blanks tidied) and its terms, sorted."""

    text: str
    terms: tuple[Term, ...]


def fold(text: str) -> str:
    """The form in which keywords and posts are compared: any case, NFC, accents kept, plain apostrophes and marks.

    İ counts as a capital i: its full case folding, i with a dot above, is what nobody types.
    """
    text = text.casefold()
    if text.isascii():
        return text
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    if _DOTTED_I in text:
        text = unicodedata.normalize("NFC", text.replace(_DOTTED_I, "i"))
    for fancy, ascii_ in _PLAIN.items():
        if fancy in text:
            text = text.replace(fancy, ascii_)
    return text


def plain(text: str) -> str:
    """The text with straight quotes and ASCII marks, without invisible characters."""
    return text if text.isascii() else text.translate(_QUOTES).translate(_INVISIBLE)


def split_keywords(typed: Iterable[str]) -> tuple[str, ...]:
    """Keywords that were typed with commas between them; a comma inside of quotes is part of one. Raises ValueError."""
    keywords: list[str] = []
    for text in typed:
        parts = [part.strip() for part in _COMMA_OUTSIDE.split(plain(text))]
        if "" in parts:
            raise ValueError(f"{text!r} holds a blank keyword, which would match every post")
        keywords += parts
    return tuple(keywords)


def parse_keyword(text: str) -> Keyword:
    """Cut a keyword into terms. Raises ValueError, in words for its writer, where it could match nothing or all."""
    tidy = " ".join(plain(text).split())
    if any(unicodedata.category(char) == "Cc" for char in tidy):
        raise ValueError(f"keyword {tidy[:30]!r} holds a control character")
    if not tidy:
        raise ValueError("a blank keyword would match every post")
    if len(tidy) > MAX_KEYWORD:
        raise ValueError(f"keyword {tidy[:30]!r}… has {len(tidy)} characters; at most {MAX_KEYWORD}")
    return _parse(tidy)


# A change of one event makes the matcher anew from the keywords of all.
@lru_cache(maxsize=20_000)
def _parse(tidy: str) -> Keyword:
    if tidy.count('"') % 2:
        raise ValueError(f"keyword {tidy!r} has a quote that is not closed")
    terms = {_phrase(phrase, tidy) if phrase or not word else _word(word, tidy) for phrase, word in _TERM.findall(tidy)}
    return Keyword(tidy, tuple(sorted(terms, key=lambda term: term.words)))


def _word(word: str, keyword: str) -> Term:
    if not _COMMAS.isdisjoint(word):
        raise ValueError(f"keyword {keyword!r} has a comma: write two keywords, or put it in quotes")
    if not any(char.isalnum() or unicodedata.category(char)[0] == "S" for char in word.lstrip(MARKS)):
        raise ValueError(f"keyword {keyword!r}: {word!r} has no letter, digit or symbol")
    # Half of the keyboards type ❤ without the selector that makes it an emoji.
    return Term((fold(word).rstrip(_VARIATION_SELECTORS),))


def _phrase(phrase: str, keyword: str) -> Term:
    phrase = phrase.strip()
    if phrase and phrase[0] in MARKS and " " not in phrase and _COMMAS.isdisjoint(phrase):
        return _word(phrase, keyword)
    folded = fold(phrase)
    words = "".join(char if is_word_at(folded, at) else " " for at, char in enumerate(folded)).split()
    if not any(char.isalnum() for word in words for char in word):
        raise ValueError(f"keyword {keyword!r} has a phrase without a letter or digit")
    return Term(tuple(words))


@lru_cache(maxsize=8192)  # of text in all the world's scripts, most characters are of these
def kind_of(char: str) -> int:
    """GAP, SPACELESS, WORD or JOINER."""
    if char in _JOINERS:
        return JOINER
    # An enclosing mark makes a keycap of a digit: a symbol, like what a variation selector ends.
    if char.isalnum() or char == "_" or (unicodedata.category(char) in ("Mn", "Mc") and not _VARIATIONS.match(char)):
        return SPACELESS if _SPACELESS.match(char) else WORD
    return GAP


def is_word_at(text: str, at: int) -> bool:
    """Whether the character there belongs to a word; a joiner does where it joins two that do."""
    kind = kind_of(text[at])
    if kind != JOINER:
        return kind != GAP
    return 0 < at < len(text) - 1 and all(kind_of(text[beside]) in (SPACELESS, WORD) for beside in (at - 1, at + 1))
