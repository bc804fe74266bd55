"""What a Bluesky record says besides its text: links, hashtags and mentions, and the posts that it refers to.

Source of the facts: the lexicons app.bsky.feed.post, app.bsky.richtext.facet and app.bsky.embed.*. All reads are
total: what has not the expected type counts as absent.
"""

from __future__ import annotations

import re

from msgspec import Struct

from app.domain.fields import record, records, text
from app.domain.posts_bluesky import POSTS
from app.domain.wires import Json

_LINK, _TAG, _MENTION = (f"app.bsky.richtext.facet#{kind}" for kind in ("link", "tag", "mention"))
_HANDLE = re.compile(r"@(\S+)")
_ACCOUNT = re.compile(r"at://(did:[^/]+)/")


class Facets(Struct, frozen=True):
    """Links and tags, each once, in the order of the record; mentions as account (did) and, where shown, handle."""

    links: list[str]
    tags: list[str]
    mentions: list[tuple[str, str | None]]


def facets_of(post: Json) -> Facets:
    """Of a record `app.bsky.feed.post`: its text's facets, the page that it shows, the tags beside the text."""
    links: dict[str, None] = {}
    tags: dict[str, None] = {}
    mentions: list[tuple[str, str | None]] = []
    for facet in records(post.get("facets")):
        for feature in records(facet.get("features")):
            kind = feature.get("$type")
            if kind == _LINK and (uri := text(feature.get("uri"))):
                links[uri] = None
            elif kind == _TAG and (tag := text(feature.get("tag"))):
                tags[tag] = None
            elif kind == _MENTION and (did := text(feature.get("did"))):
                mentions.append((did, _handle(post, record(facet.get("index")))))
    if page := text(record(media_of(post).get("external")).get("uri")):
        links[page] = None
    given = post.get("tags")
    for tag in given if type(given) is list else ():
        if text(tag):
            tags[tag] = None
    return Facets(list(links), list(tags), mentions)


def media_of(post: Json) -> Json:
    """The embed that holds images, a video or a page: the record's own, or the one beside a quote."""
    embed = record(post.get("embed"))
    return record(embed.get("media")) or embed


def quoted_by(post: Json) -> str | None:
    """Address of the post that the record quotes; lists, feeds and the like are no posts."""
    quoted = record(record(post.get("embed")).get("record"))
    address = text(quoted.get("uri")) or text(record(quoted.get("record")).get("uri"))
    return address if address and f"/{POSTS}/" in address else None


def answered_by(post: Json) -> str | None:
    """Address of the post that the record answers."""
    return text(record(record(post.get("reply")).get("parent")).get("uri"))


def account_in(address: str | None) -> str | None:
    """The account (did) of a post's address."""
    found = _ACCOUNT.match(address) if address else None
    return found[1] if found else None


def _handle(post: Json, index: Json) -> str | None:
    """The handle as it stands in the text; a facet counts bytes of UTF-8."""
    told, start, end = post.get("text"), index.get("byteStart"), index.get("byteEnd")
    if type(told) is not str or type(start) is not int or type(end) is not int or start < 0:
        return None
    shown = _HANDLE.fullmatch(told.encode()[start:end].decode(errors="replace"))
    return shown[1] if shown else None
