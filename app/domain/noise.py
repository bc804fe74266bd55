"""What among the posts that a selection finds looks as if it did not belong, told in words to the person who chose it.

A hint is a guess that a person judges. A post looks unrelated where it matches one keyword alone and has none of the
words that are typical of posts which match several: of two people who say "sandy", one speaks of the storm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct

from app.domain.keywords import fold

Kind: TypeAlias = Literal["everything", "nothing", "unrelated", "account", "copies", "language"]

MOST_HITS = 5_000  # that are remembered
_FEW = 10  # of fewer posts nothing is said
_BROAD = 0.05  # of all posts, that a keyword matches
_LOUD = 0.25  # of the hits, that are one account's
_COPIED = 0.3  # of the hits, that are one text
_UNRELATED = 0.3  # of a keyword's hits
_FOREIGN = 0.15  # of the hits, in a language that is not the foremost
_TYPICAL = 0.1  # of some posts, that have a word
_LIFT = 3.0  # times as frequent in these as in all posts
_SHOWN = 5

_ADDRESSES = re.compile(r"https?://\S+|@\w+")
_RETWEET = re.compile(r"^rt @\w+: ")
_WORDS = re.compile(r"[^\W\d_]{3,}")


class Hint(Struct, frozen=True):
    """Something about the hits; of a keyword, where it is named."""

    kind: Kind
    text: str
    keyword: str = ""


class Hit(Struct, frozen=True):
    """What is remembered of a post that is selected."""

    selectors: tuple[str, ...]
    words: frozenset[str]
    account: str
    language: str
    copy: int  # the same for the same text


def words_in(text: str) -> frozenset[str]:
    """The words of a folded text, without addresses and mentions."""
    return frozenset(_WORDS.findall(_ADDRESSES.sub(" ", text)))


def copy_of(text: str) -> int:
    """What a folded text has in common with its retweets and its copies under other links."""
    return hash(" ".join(_ADDRESSES.sub(" ", _RETWEET.sub("", text)).split()))


class Noise:
    """Collects hits, and the words of all posts to compare them with."""

    def __init__(self, selectors: Iterable[str], languages: Sequence[str]) -> None:
        self._selectors = tuple(selectors)
        self._languages = languages
        self._all: Counter[str] = Counter()
        self._hits: list[Hit] = []
        self.posts = 0
        self.matched: Counter[str] = Counter()  # selector -> posts

    def post(self, words: frozenset[str]) -> None:
        """A post came, selected or not."""
        self.posts += 1
        self._all.update(words)

    def hit(self, hit: Hit) -> None:
        """It is selected."""
        self.matched.update(hit.selectors)
        if len(self._hits) < MOST_HITS:
            self._hits.append(hit)

    def hints(self, *, whole: Mapping[str, int], whole_posts: int) -> list[Hint]:
        """Of `whole_posts` posts of streams that nobody had chosen from, `whole` has the hits by selector."""
        found = [hint for selector in self._selectors for hint in self._of_selector(selector, whole, whole_posts)]
        if len(self._hits) >= _FEW:
            found += [*self._accounts(), *self._copies(), *self._foreign()]
        return found

    def _of_selector(self, selector: str, whole: Mapping[str, int], whole_posts: int) -> Iterable[Hint]:
        share = whole.get(selector, 0) / whole_posts if whole_posts >= _FEW else 0.0
        if share >= _BROAD:
            yield Hint("everything", f"{selector} matches {share:.0%} of all posts: it is too broad", selector)
        if not self.matched[selector] and self.posts >= _FEW:
            yield Hint("nothing", f"{selector} matches none of {self.posts:,} posts", selector)
        yield from self._unrelated(selector)

    def _unrelated(self, selector: str) -> Iterable[Hint]:
        """Hits by one selector alone that share nothing with those by several."""
        several = [hit for hit in self._hits if len(hit.selectors) > 1]
        own = [hit for hit in self._hits if selector in hit.selectors]
        if len(own) < _FEW or len(several) < _FEW:
            return
        typical = {word for word, _ in self._typical(several)}
        apart = [hit for hit in own if hit.selectors == (selector,) and typical.isdisjoint(hit.words)]
        if not typical or len(apart) < max(_FEW, _UNRELATED * len(own)):
            return
        about = ", ".join(f"{word} ({share:.0%})" for word, share in self._typical(apart)[:_SHOWN])
        what = [f"they speak of {about}" if about else "they have no words in common"]
        language, count = Counter(hit.language or "no language" for hit in apart).most_common(1)[0]
        if count > len(apart) / 2:
            what.append(f"{count / len(apart):.0%} are in {language}")
        account, count = Counter(hit.account for hit in apart).most_common(1)[0]
        if account and count >= _LOUD * len(apart):
            what.append(f"{count / len(apart):.0%} are by {account}")
        yield Hint(
            "unrelated",
            f"{len(apart) / len(own):.0%} of what {selector} matches looks unrelated: no other keyword matches it; "
            + "; ".join(what),
            selector,
        )

    def _typical(self, hits: Sequence[Hit]) -> list[tuple[str, float]]:
        """Words that these hits have oftener than all posts, with the share that has them; none of the selectors."""
        asked = {word for selector in self._selectors for word in words_in(fold(selector))}
        counts = Counter(word for hit in hits for word in hit.words)
        found = [
            (word, count / len(hits))
            for word, count in counts.items()
            if word not in asked
            and count >= max(3, _TYPICAL * len(hits))
            and count / len(hits) >= _LIFT * self._all[word] / max(1, self.posts)
        ]
        return sorted(found, key=lambda one: (-one[1], one[0]))

    def _accounts(self) -> Iterable[Hint]:
        account, count = Counter(hit.account for hit in self._hits).most_common(1)[0]
        share = count / len(self._hits)
        if account and share >= _LOUD:
            yield Hint("account", f"{share:.0%} of the hits are by one account, {account}")

    def _copies(self) -> Iterable[Hint]:
        _, count = Counter(hit.copy for hit in self._hits).most_common(1)[0]
        share = count / len(self._hits)
        if share >= _COPIED:
            yield Hint("copies", f"{share:.0%} of the hits are one text: a copy or retweet of the same post")

    def _foreign(self) -> Iterable[Hint]:
        if self._languages:
            return
        counts = Counter(hit.language for hit in self._hits if hit.language).most_common(_SHOWN + 1)
        others = [(language, count / len(self._hits)) for language, count in counts[1:]]
        if told := [f"{share:.0%} in {language}" for language, share in others if share >= _FOREIGN]:
            first = f"{counts[0][1] / len(self._hits):.0%} of the hits are in {counts[0][0]}"
            yield Hint("language", f"{first}, {', '.join(told)}: a language can be asked for")
