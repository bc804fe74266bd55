"""What rules can ask of a post, read from its own JSON in either form of X."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from app.simulator.tokens import WORD, folded, joined, tokens

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?)\b")
_HASHTAG = re.compile(f"(?<![\\w&])#([{WORD}]+)")
_MENTION = re.compile(r"(?<!\w)@(\w{1,15})\b", re.ASCII)
_REFERENCES = {"retweeted": "retweet", "quoted": "quote", "replied_to": "reply"}
Box = tuple[float, float, float, float]  # west, south, east, north


class Seen(Struct):
    """A post as rules see it. Words of a retweeted or quoted post count as its own, as X says."""

    text: str = ""  # words between blanks
    words: frozenset[str] = frozenset()
    urls: tuple[str, ...] = ()  # words of each address, between blanks
    hashtags: frozenset[str] = frozenset()
    mentions: frozenset[str] = frozenset()
    cashtags: frozenset[str] = frozenset()
    author: tuple[str, str] = ("", "")  # name, id
    reply_to: tuple[str, str] = ("", "")
    retweet_of: tuple[str, str] = ("", "")
    lang: str = ""
    point: tuple[float, float] | None = None  # longitude, latitude
    area: Box | None = None
    marks: frozenset[str] = frozenset()  # what has: and is: ask for


class _Heap:
    """Collects of a post and those in it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.urls: list[str] = []
        self.hashtags: set[str] = set()
        self.mentions: set[str] = set()
        self.cashtags: set[str] = set()
        self.marks: set[str] = set()

    def text(self, text: str, *, entities: bool) -> None:
        """Take a text. Where nothing tells what it links to (a test's short post), its signs are read as X does."""
        self.texts.append(text)
        self.cashtags.update(folded(tag) for tag in _CASHTAG.findall(text))
        if not entities:
            self.hashtags.update(folded(tag) for tag in _HASHTAG.findall(text))
            self.mentions.update(folded(name) for name in _MENTION.findall(text))

    def entities(self, entities: dict[str, Any] | None, tag: str, name: str) -> None:
        """Take the entities, in which a tag and a name stand under these keys."""
        if not entities:
            return
        self.hashtags.update(folded(item.get(tag, "")) for item in entities.get("hashtags") or ())
        self.mentions.update(folded(item.get(name, "")) for item in _mentions(entities))
        symbols = entities.get("cashtags") or entities.get("symbols") or ()
        self.cashtags.update(folded(item.get(tag, "")) for item in symbols)
        for item in (*(entities.get("urls") or ()), *(entities.get("media") or ())):
            self.urls += {item[key] for key in ("url", "expanded_url", "unwound_url") if isinstance(item.get(key), str)}

    def seen(self, **own: Any) -> Seen:
        """Put together."""
        words = tokens("\n".join(self.texts).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        found = {"hashtags": self.hashtags, "mentions": self.mentions, "cashtags": self.cashtags, "links": self.urls}
        return Seen(
            text=joined(words),
            words=frozenset(words),
            urls=tuple(joined(tokens(url)) for url in self.urls),
            hashtags=frozenset(self.hashtags),
            mentions=frozenset(self.mentions),
            cashtags=frozenset(self.cashtags),
            marks=frozenset(self.marks | {kind for kind, items in found.items() if items}),
            **own,
        )


def _mentions(entities: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return entities.get("mentions") or entities.get("user_mentions") or ()


def seen_v2(body: dict[str, Any]) -> Seen:
    """What rules see of `{"data": …, "includes": …}`."""
    post, includes = body["data"], body.get("includes") or {}
    names = {user["id"]: folded(user.get("username", "")) for user in includes.get("users") or ()}
    others = {other["id"]: other for other in includes.get("tweets") or ()}
    heap = _Heap()
    retweet_of = ("", "")
    for part in _parts_v2(post, others):
        note = part.get("note_tweet") or {}
        heap.text(note.get("text") or part.get("text", ""), entities="entities" in part)
        heap.entities(part.get("entities"), "tag", "username")
        heap.entities(note.get("entities"), "tag", "username")
    for reference in post.get("referenced_tweets") or ():
        kind = reference["type"]
        heap.marks.add(_REFERENCES.get(kind, kind))
        if kind == "retweeted":
            author = others.get(reference["id"], {}).get("author_id", "")
            retweet_of = names.get(author, ""), author
    author, reply_to = post.get("author_id", ""), post.get("in_reply_to_user_id", "")
    geo = post.get("geo") or {}
    places = {place["id"]: place for place in includes.get("places") or ()}
    bbox = ((places.get(geo.get("place_id")) or {}).get("geo") or {}).get("bbox")
    if geo:
        heap.marks.add("geo")
    if media := (post.get("attachments") or {}).get("media_keys"):
        heap.marks.add("media")
        kinds = {item["media_key"]: item.get("type") for item in includes.get("media") or ()}
        heap.marks.update("images" for key in media if kinds.get(key) == "photo")
    at = (geo.get("coordinates") or {}).get("coordinates")
    return heap.seen(
        author=(names.get(author, ""), author),
        reply_to=(names.get(reply_to, ""), reply_to),
        retweet_of=retweet_of,
        lang=post.get("lang", ""),
        point=(at[0], at[1]) if at else None,
        area=tuple(bbox) if bbox else None,
    )


def _parts_v2(post: dict[str, Any], others: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The post, what it quotes or retweets, and what that quotes."""
    yield post
    for reference in post.get("referenced_tweets") or ():
        other = others.get(reference["id"])
        if other is not None and other is not post and reference["type"] != "replied_to":
            yield from _parts_v2(other, others)


def seen_v1(post: dict[str, Any]) -> Seen:
    """What `statuses/filter` sees of a post in the form of v1.1."""
    heap = _Heap()
    for part in _parts_v1(post):
        heap.text(part.get("full_text") or part.get("text") or "", entities="entities" in part)
        heap.entities(part.get("entities"), "text", "screen_name")
        heap.entities(part.get("extended_entities"), "text", "screen_name")
    user, retweeted = post.get("user") or {}, (post.get("retweeted_status") or {}).get("user") or {}
    at = (post.get("coordinates") or {}).get("coordinates")
    if at is None and post.get("geo"):
        at = (post["geo"].get("coordinates") or [])[::-1] or None
    ring = ((((post.get("place") or {}).get("bounding_box") or {}).get("coordinates")) or [[]])[0]
    return heap.seen(
        author=_user_v1(user.get("screen_name"), user.get("id_str")),
        reply_to=_user_v1(post.get("in_reply_to_screen_name"), post.get("in_reply_to_user_id_str")),
        retweet_of=_user_v1(retweeted.get("screen_name"), retweeted.get("id_str")),
        lang=post.get("lang") or "",
        point=(at[0], at[1]) if at else None,
        area=_around(ring) if ring else None,
    )


def _parts_v1(post: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield post
    for key in ("extended_tweet", "retweeted_status", "quoted_status"):
        if isinstance(part := post.get(key), dict):
            yield from _parts_v1(part)


def _user_v1(name: str | None, number: str | None) -> tuple[str, str]:
    return folded(name or ""), number or ""


def _around(ring: list[list[float]]) -> Box:
    longitudes, latitudes = [at[0] for at in ring], [at[1] for at in ring]
    return min(longitudes), min(latitudes), max(longitudes), max(latitudes)
