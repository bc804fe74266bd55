"""Chooses keywords from how often words occur in the posts, so that a wanted share of the posts matches.

Deterministic: the same posts give the same keywords. Function words of the frequent languages are left out, and so are
the words that every link holds.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from app.domain.passages import passages
from app.domain.posts import Post

_WORD = re.compile(r"\w+")
_STOPPED = """
    http https www com org net html htm php utm ref src goo bit dlvr ift youtu amp twitter status web via
    the and for you your yours are was were been being have has had having not but all any both each few more most
    other some such only own same than too very can will just don didn doesn isn wasn should now would could this that
    these those with from into about against between through during before after above below out off over under again
    then once here there when where why how what which who whom she her hers him his its they them their our ours
    because until while did does doing get got one two let say said says may might must shall also even ever every
    que los las del una por con para como pero más mas sus este esta eso esto muy sin sobre también hay ser son está
    fue han nos les porque cuando todo todos ese esa quien hasta donde desde entre ella ellos solo
    não uma dos das com mais seu sua ela ele isso mas foi pra você meu minha quando tem são muito nos pelo pela
    les des est dans qui une pour pas sur plus avec tout mais ont aux cette ses son ces été sont elle nous vous ils
    der die das und ist nicht ein eine einen den dem mit von auf für auch sich aus bei nur noch wie ich wir
    che non per una sono della con del più anche come dei nel alla questo
    van het een niet met voor zijn maar ook dat deze
    yang dan dari ini itu untuk dengan ada aku kamu tidak juga akan bisa
    bir için çok ama gibi daha var ben sen
    على الى إلى عن هذا هذه مع كان لا ما أن في من
"""
_STOP = frozenset(_STOPPED.split())


def document_words(posts: Iterable[Post]) -> list[frozenset[str]]:
    """The words of each post that may be keywords."""
    return [
        frozenset(
            word
            for word in _WORD.findall(passages(post)[0])
            if 3 <= len(word) <= 24 and word.isalpha() and word not in _STOP and not _is_spaceless(word)
        )
        for post in posts
    ]


def _is_spaceless(word: str) -> bool:
    """Runs of Chinese, Japanese or Thai are no words."""
    return any("\u0e00" <= char <= "\u0eff" or char >= "\u3040" for char in word)


def covering(documents: Sequence[frozenset[str]], count: int) -> list[str]:
    """Words that together occur in as many documents as possible (greedy), the most useful first."""
    places = _places(documents, least=10)
    chosen: list[str] = []
    for _ in range(count):
        best = max(places, key=lambda word: (len(places[word]), word))
        covered = places.pop(best)
        chosen.append(best)
        for word in places:
            places[word] -= covered
    return chosen


def matching_share(documents: Sequence[frozenset[str]], count: int, share: float) -> list[str]:
    """So many words of similar frequency that together occur in about this share of the documents."""
    places = _places(documents, least=1)
    ranked = sorted(places, key=lambda word: (-len(places[word]), word))
    low, high = 0, len(ranked) - count
    while low < high:  # the further back, the rarer the words and the smaller the share
        middle = (low + high) // 2
        if len(set().union(*(places[word] for word in ranked[middle : middle + count]))) > share * len(documents):
            low = middle + 1
        else:
            high = middle
    return ranked[low : low + count]


def share_of(documents: Sequence[frozenset[str]], words: Iterable[str]) -> float:
    """Share of the documents that hold any of the words."""
    wanted = frozenset(words)
    return sum(not wanted.isdisjoint(document) for document in documents) / len(documents)


def dealt(words: Sequence[str], documents: Sequence[frozenset[str]], hands: int) -> list[list[str]]:
    """The words in so many groups of similar weight: dealt by frequency, to and fro."""
    frequency = Counter(word for document in documents for word in document)
    ranked = sorted(words, key=lambda word: (-frequency[word], word))
    groups: list[list[str]] = [[] for _ in range(hands)]
    for start in range(0, len(ranked), hands):
        row = ranked[start : start + hands]
        order = groups if start // hands % 2 == 0 else groups[::-1]
        for group, word in zip(order, row, strict=False):
            group.append(word)
    return groups


def _places(documents: Sequence[frozenset[str]], least: int) -> dict[str, set[int]]:
    places: dict[str, set[int]] = defaultdict(set)
    for number, document in enumerate(documents):
        for word in document:
            places[word].add(number)
    return {word: where for word, where in places.items() if len(where) >= least}
