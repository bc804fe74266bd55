"""A classified post as the row that is stored: the event's columns, the post's, and how it came here."""

from __future__ import annotations

from hashlib import sha1
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

from app.domain.activity import Seen
from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.events import Event
from app.domain.normalize import normalize
from app.domain.partitioning import bucket_of
from app.domain.posts import Malformed, Post, read
from app.domain.records import Line

_NAMESPACE = uuid5(NAMESPACE_URL, "https://starling/event/post").bytes
_INDEX = {name: index for index, name in enumerate(POST_COLUMNS | OUR_POST_COLUMNS)}
_CREATED, _LANGUAGE, _HASHTAGS, _ACCOUNT = (
    _INDEX[name] for name in ("t_created_at", "t_lang", "hashtags", "u_screen_name")
)


class Row(Struct):
    """One post of one event.

    `values` are those of `columns.COLUMNS`, in order: text, int, bool, list[str], dict[str, str], milliseconds for a
    timestamp, 16 bytes for a uuid, None where the source says nothing.
    """

    code: str
    bucket: str
    bucket_since: int  # milliseconds since 1970
    bucket_seconds: int
    post_id: str
    values: list[Any]
    raw: bytes
    line: Line
    born: int  # of the event, which may be purged and created again

    @property
    def size(self) -> int:
        """About how many bytes it takes on the wire."""
        return len(self.raw) + 1024

    def seen(self) -> Seen:
        """What of it is counted."""
        post = self.values[3:]
        return Seen(
            raw_partition=self.line.partition,
            position=self.line.position,
            created_ms=post[_CREATED],
            keywords=self.line.matched,
            language=post[_LANGUAGE],
            hashtags=post[_HASHTAGS] or (),
            account=post[_ACCOUNT],
            source=self.line.source,
        )


def row_of(event: Event, version: int, line: Line, raw: bytes) -> Row:
    """The row of a post classified for an event. Raises Malformed, though classification has read the post before."""
    posts = read(raw)
    if not isinstance(posts, list) or len(posts) != 1:
        raise Malformed("a classified line that is not one post")
    post = posts[0]
    return _row(event, version, line, post)


def _row(event: Event, version: int, line: Line, post: Post) -> Row:
    values: list[Any] = [*normalize(post)]
    bucket, since, seconds = bucket_of(event.buckets, post.id, values[_CREATED])
    return Row(
        event.code,
        bucket,
        since,
        seconds,
        post.id,
        [
            uuid_of(event.code, post.id),
            event.code,
            event.keyword_text,
            *values,
            bucket,
            line.matched,
            version,
            line.origin,
            line.source,
            line.received_at,
        ],
        post.raw,
        line,
        event.born,
    )


def uuid_of(code: str, post_id: str) -> bytes:
    """UUIDv5 of event and post, as its 16 bytes (RFC 9562, section 5.5)."""
    digest = bytearray(sha1(_NAMESPACE + f"{code}/{post_id}".encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
