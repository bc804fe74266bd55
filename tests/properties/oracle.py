"""A second matcher, as plain and slow as can be: each keyword, each term, each passage, each position.

Written apart from `app.domain.matcher` and `passages` and sharing nothing with them; the rules are those of DESIGN.md
("Matching") and of the docstring of `app.domain.keywords`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any, TypeAlias

from app.domain.posts import Post

Passage: TypeAlias = tuple[str, str]  # place, folded text
Term: TypeAlias = list[str]  # a word, or the words of a phrase

ASCII = {"’": "'", "‘": "'", "＃": "#", "＠": "@"}
SPACELESS_NAMES = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HANGUL", "HALFWIDTH", "BOPOMOFO", "THAI", "LAO",
                   "MYANMAR", "KHMER")  # fmt: skip


def matched(keywords: dict[str, list[Term]], post: Post) -> dict[str, str]:
    """Keywords (with their terms) that the post matches, and the places, joined by commas."""
    looked_at = list(passages(post))
    found = {}
    for keyword, terms in keywords.items():
        places = [{place for place, text in looked_at if occurs(term, text)} for term in terms]
        if all(places):
            found[keyword] = ",".join(sorted(set().union(*places), key=ORDER.index))
    return found


# ---- a post as passages

ORDER = [layer + place for layer in ("", "retweeted_", "quoted_")
         for place in ("text", "url", "hashtag", "mention", "screen_name")]  # fmt: skip


def passages(post: Post) -> Iterator[Passage]:
    read = {"v1": _v1, "v2": _v2, "bluesky": _bluesky}[post.wire]
    for place, text in read(post):
        folded = fold(text.replace("\x1f", " "))
        for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            folded = folded.replace(entity, char)
        yield place, folded


def _v1(post: Post) -> Iterator[Passage]:
    status = post.body
    shared = status.get("retweeted_status")
    quoted = status.get("quoted_status") or (shared or {}).get("quoted_status")
    for layer, part in (("", status), ("retweeted_", shared), ("quoted_", quoted)):
        if not part:
            continue
        whole = part.get("extended_tweet") or {}
        text = whole["full_text"] if whole else part.get("full_text") or part.get("text")
        yield layer + "text", without_cut_word(text) if shared and not layer else text
        entities = whole.get("entities") or part.get("entities") or {}
        yield from _links(layer, entities.get("urls") or [])
        for hashtag in entities.get("hashtags") or []:
            yield layer + "hashtag", "#" + hashtag["text"]
        for mention in entities.get("user_mentions") or []:
            yield layer + "mention", "@" + mention["screen_name"]
        if "screen_name" in (part.get("user") or {}):
            yield layer + "screen_name", "@" + part["user"]["screen_name"]


def _v2(read: Post) -> Iterator[Passage]:
    post, includes = read.body, read.includes
    layers = [("", post)]
    for kind, other in _references(post, includes):
        layers.append((f"{kind}_", other))
        if kind == "retweeted":
            layers += [("quoted_", inner) for deeper, inner in _references(other, includes) if deeper == "quoted"]
    is_retweet = any(layer == "retweeted_" for layer, _ in layers)
    for layer, part in layers:
        note = part.get("note_tweet") or {}
        text = note.get("text", part["text"])
        yield layer + "text", without_cut_word(text) if is_retweet and not layer else text
        entities = (note.get("entities") if "text" in note else None) or part.get("entities") or {}
        yield from _links(layer, [url for url in entities.get("urls") or [] if "media_key" not in url])
        for kind, mark in (("hashtags", "#"), ("cashtags", "$")):
            for tag in entities.get(kind) or []:
                yield layer + "hashtag", mark + tag["tag"]
        for mention in entities.get("mentions") or []:
            yield layer + "mention", "@" + mention["username"]
        author = includes.get("users", {}).get(str(part.get("author_id")))
        if author and "username" in author:
            yield layer + "screen_name", "@" + author["username"]


def _bluesky(post: Post) -> Iterator[Passage]:
    record = post.body["record"]
    yield "text", record["text"]
    features = [feature for facet in record.get("facets", []) for feature in facet["features"]]
    links = [feature["uri"] for feature in features if feature["$type"].endswith("#link")]
    if "embed" in record:
        links.append(record["embed"]["external"]["uri"])
    tags = [feature["tag"] for feature in features if feature["$type"].endswith("#tag")]
    for link in links:
        yield "url", link
    for tag in tags + record.get("tags", []):
        yield "hashtag", "#" + tag


def _references(post: dict[str, Any], includes: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    given = [
        (one["type"], includes.get("tweets", {}).get(str(one["id"]))) for one in post.get("referenced_tweets") or []
    ]
    return [(kind, other) for kind, other in given if other and kind in ("retweeted", "quoted")]


def _links(layer: str, urls: list[dict[str, Any]]) -> Iterator[Passage]:
    for url in urls:
        long, shown = url.get("expanded_url") or "", url.get("display_url") or ""
        if long.startswith(("https://twitter.com/i/web/status/", "https://x.com/i/web/status/")):
            continue
        if long:
            yield layer + "url", long
        if shown and not (long and shown.endswith("…")):
            yield layer + "url", shown


def without_cut_word(text: str) -> str:
    if not text.endswith("…"):
        return text
    *whole, _cut = text.split(" ")
    return " ".join([*whole, ""])


# ---- a term in a passage


def occurs(term: Term, text: str) -> bool:
    return any(goes_on(term[1:], text, end) for end in ends_of(term[0], text))


def goes_on(words: Term, text: str, end: int) -> bool:
    """Whether the rest of a phrase follows: something that is no word, then the next one."""
    if not words:
        return True
    at = end
    while at < len(text) and not in_word(text, at):
        at += 1
    after = at + len(words[0])
    return at > end and after in ends_of(words[0], text) and goes_on(words[1:], text, after)


def ends_of(word: str, text: str) -> Iterator[int]:
    """Ends of all occurrences of the word as a whole one."""
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        if stands_free(word, text, start, end):
            yield end
        start = text.find(word, start + 1)


def stands_free(word: str, text: str, start: int, end: int) -> bool:
    letters = word.strip("\u200c\u200d")
    tag = word[0] in "#@$"

    def ends_word(at: int) -> bool:
        return not 0 <= at < len(text) or not in_word(text, at) or (not tag and spaceless(text[at]))

    left = tag or (letter(letters[0]) and not spaceless(letters[0]))
    right = letter(letters[-1]) and (tag or not spaceless(letters[-1]))
    return (not left or ends_word(start - 1)) and (not right or ends_word(end))


def in_word(text: str, at: int) -> bool:
    if text[at] in "\u200c\u200d":
        return 0 < at < len(text) - 1 and letter(text[at - 1]) and letter(text[at + 1])
    return letter(text[at])


def letter(char: str) -> bool:
    """A letter, digit, _ or combining mark; selectors of a look and marks that enclose are none."""
    if 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF:
        return False
    return char.isalnum() or char == "_" or unicodedata.category(char) in ("Mn", "Mc")


def spaceless(char: str) -> bool:
    return letter(char) and unicodedata.name(char, "").startswith(SPACELESS_NAMES)


def fold(text: str) -> str:
    folded = unicodedata.normalize("NFC", text.casefold())
    folded = unicodedata.normalize("NFC", folded.replace("i̇", "i"))
    return "".join(ASCII.get(char, char) for char in folded)


# ---- a keyword as terms


def terms_of(keyword: str) -> list[Term]:
    """Terms of a keyword that is a valid one."""
    tidy = "".join('"' if char in "“”„«»＂" else char for char in keyword if ord(char) not in INVISIBLE)
    tidy = "".join(ASCII.get(char, char) for char in tidy)
    terms: list[Term] = []
    for number, piece in enumerate(tidy.split('"')):
        if number % 2 == 0:
            terms += [[_bare(fold(word))] for word in piece.split()]
        elif piece.strip()[:1] in ("#", "@", "$") and len(piece.split()) == 1 and not set(",，、،") & set(piece):
            terms.append([_bare(fold(piece.strip()))])
        else:
            folded = fold(" ".join(piece.split()))
            letters = [char if in_word(folded, at) else " " for at, char in enumerate(folded)]
            terms.append("".join(letters).split())
    return terms


def _bare(word: str) -> str:
    return word.rstrip("\ufe0e\ufe0f")


INVISIBLE = {0xAD, 0x61C, 0x200B, 0x200E, 0x200F, 0xFEFF, *range(0x202A, 0x202F), *range(0x2060, 0x206A)}
