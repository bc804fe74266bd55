"""A post as people are shown it: who, when, the text with what matched marked, where it stands at its source.

For previews, standing queries and search alike. What comes out is plain text: who draws it escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from msgspec import Struct

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.facets import media_of
from app.domain.fields import Value, record, records, text, truth, unescaped
from app.domain.marking import Piece, keywords_in, pieces
from app.domain.normalize import normalize
from app.domain.passages import referenced
from app.domain.posts import Json, Post
from app.domain.posts_bluesky import POSTS
from app.domain.voices import languages_of

_INDEX = {name: index for index, name in enumerate(POST_COLUMNS | OUR_POST_COLUMNS)}
_X_ID = re.compile(r"[0-9]{1,19}")
_X_NAME = re.compile(r"[A-Za-z0-9_]{1,15}")
_BLUESKY_ID = re.compile(rf"at://(did:[A-Za-z0-9._:%-]+)/{re.escape(POSTS)}/([A-Za-z0-9._:~-]+)")


class Shown(Struct, frozen=True, kw_only=True):
    """A post to be shown. Times are milliseconds since 1970; `received_at` is 0 where it is not known."""

    id: str
    source: str
    received_at: int
    created_at: int | None
    name: str  # of the author, as he calls himself
    account: str  # screen name, or id where the source tells no other
    language: str
    text: tuple[Piece, ...]
    quoted: tuple[Piece, ...] = ()  # text of the post that it quotes, where that came with it
    matched: dict[str, str]  # selector -> places that it was found in, joined by ","
    link: str | None  # to the post at its source; https
    media: int  # pictures and videos; nobody shall load them unasked
    sensitive: bool  # as its author or source says


def shown(post: Post, matched: Mapping[str, str], *, source: str = "", received_at: int = 0) -> Shown:
    """A post with what matched marked. Total for any post that `posts.read` yields."""
    values = normalize(post)
    keywords = keywords_in(matched)
    created = values[_INDEX["t_created_at"]]
    return Shown(
        id=post.id,
        source=source,
        received_at=received_at,
        created_at=created if isinstance(created, int) else None,
        name=_column(values, "u_name"),
        account=_column(values, "u_screen_name") or _column(values, "u_id"),
        language=next(iter(languages_of(post)), ""),
        text=pieces(_column(values, "t_text"), keywords),
        quoted=pieces(_quoted(post), keywords),
        matched=dict(matched),
        link=link_of(post.id, _column(values, "u_screen_name")),
        media=_media(post),
        sensitive=is_sensitive(post),
    )


def text_of(post: Post) -> str:
    """The whole text of a post, as its author wrote it."""
    return _column(normalize(post), "t_text")


def account_of(post: Post) -> str:
    """Screen name of its author, or id where the source tells no other."""
    values = normalize(post)
    return _column(values, "u_screen_name") or _column(values, "u_id")


def _column(values: list[Value], column: str) -> str:
    value = values[_INDEX[column]]
    return value if isinstance(value, str) else ""


def link_of(post_id: str, account: str = "") -> str | None:
    """Address of the post on the pages of its source, by its id; None where that is not known."""
    if _X_ID.fullmatch(post_id):
        return f"https://x.com/{account if _X_NAME.fullmatch(account) else 'i/web'}/status/{post_id}"
    if found := _BLUESKY_ID.fullmatch(post_id):
        return f"https://bsky.app/profile/{quote(found[1], safe=':')}/post/{quote(found[2], safe=':~')}"
    return None


def _quoted(post: Post) -> str:
    body = post.body
    if post.wire == "v2":
        for kind, inner in referenced(body, post.includes):
            if kind == "quoted":
                return _text(record(inner.get("note_tweet"))) or _text(inner)
        return ""
    quoted = record(body.get("quoted_status")) or record(record(body.get("retweeted_status")).get("quoted_status"))
    return _text(record(quoted.get("extended_tweet"))) or _text(quoted)


def _text(body: Json) -> str:
    return unescaped(text(body.get("full_text")) or text(body.get("text")) or "")


def _media(post: Post) -> int:
    body = post.body
    if post.wire == "bluesky":
        embed = media_of(record(body.get("record")))
        return len(records(embed.get("images"))) + ("video" in embed)
    if post.wire == "v2":
        keys = record(body.get("attachments")).get("media_keys")
        return len(keys) if type(keys) is list else 0
    inner = record(body.get("retweeted_status")) or body
    for part in (record(inner.get("extended_tweet")), inner):
        for entities in ("extended_entities", "entities"):
            if media := records(record(part.get(entities)).get("media")):
                return len(media)
    return 0


def is_sensitive(post: Post) -> bool:
    """Whether its author or source calls it so."""
    if post.wire == "bluesky":
        return bool(records(record(record(post.body.get("record")).get("labels")).get("values")))
    return truth(post.body.get("possibly_sensitive")) is True
