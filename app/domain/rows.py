"""A classified post as the row that is stored: the event's columns, the post's, and how it came here."""

from __future__ import annotations

from hashlib import sha1
from typing import Any, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.counting import Fate, Seen
from app.domain.events import Event
from app.domain.normalize import Value, normalize
from app.domain.partitioning import bucket_of
from app.domain.posts import Malformed, Post, read
from app.domain.records import PAST, Line

Key: TypeAlias = tuple[str, str, str]  # event, bucket, post

_NAMESPACE = uuid5(NAMESPACE_URL, "https://starling/event/post").bytes
_INDEX = {name: index for index, name in enumerate(POST_COLUMNS | OUR_POST_COLUMNS)}
_CREATED, _LANGUAGE, _HASHTAGS, _LINKS, _ACCOUNT, _ACCOUNT_ID = (
    _INDEX[name] for name in ("t_created_at", "t_lang", "hashtags", "urls", "u_screen_name", "u_id")
)


class NormalizedPost(Struct):
    """A post as the rows of all its events share it."""

    id: str
    raw: bytes
    values: list[Value]  # of POST_COLUMNS and OUR_POST_COLUMNS
    encoded: list[Any] | None = None  # the same in the form of the store, kept by who writes it

    @property
    def created_ms(self) -> int | None:
        """When the post was made."""
        return self.values[_CREATED]  # type: ignore[return-value]


class Row(Struct):
    """One post of one event.

    Values are text, int, bool, list[str], dict[str, str], milliseconds for a timestamp, 16 bytes for a uuid, None where
    the source says nothing.
    """

    code: str
    bucket: str
    bucket_since: int  # milliseconds since 1970
    bucket_seconds: int
    post: NormalizedPost
    event_values: list[Any]  # of EVENT_COLUMNS
    way_values: list[Any]  # of OUR_COLUMNS
    line: Line
    born: int  # of the event, which may be purged and created again
    version: int  # of the event for which it was classified
    rematch: int = 0  # version at which the rematch was wished that found it
    fate: Fate | None = None  # what becomes of it, since its source has taken it back

    @property
    def key(self) -> Key:
        """Its primary key."""
        return self.code, self.bucket, self.post.id

    @property
    def values(self) -> list[Any]:
        """Values of `columns.COLUMNS`, in order."""
        return [*self.event_values, *self.post.values, *self.way_values]

    @property
    def size(self) -> int:
        """About how many bytes it takes on the wire."""
        return len(self.post.raw) + 1024

    def seen(self) -> Seen:
        """What of it is counted."""
        post = self.post.values
        name: str | None = post[_ACCOUNT]  # type: ignore[assignment]
        number: str | None = post[_ACCOUNT_ID]  # type: ignore[assignment]
        return Seen(
            raw_partition=self.line.partition,
            position=self.line.position,
            created_ms=self.post.created_ms,
            keywords=self.line.matched,
            language=post[_LANGUAGE],  # type: ignore[arg-type]
            hashtags=post[_HASHTAGS] or (),  # type: ignore[arg-type]
            account=name or number,
            source=self.line.source,
            rematch=self.rematch,
            links=post[_LINKS] or (),  # type: ignore[arg-type]
            author=author_of(number, name),
            screen_name=name,
            received_ms=self.line.received_at,
            fate=self.fate,
            past=self.line.origin in PAST and not self.rematch,
        )


def author_of(number: str | None, name: str | None) -> str | None:
    """By what an account is told from others: its id, or @name where the source gives the name alone."""
    return number or (f"@{name.lower()}" if name else None)


class Rows:
    """Makes rows of classified posts. A post of several events is read and normalized once, as long as this lives."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, tuple[int, int, int]], NormalizedPost] = {}

    def row(self, event: Event, version: int, line: Line, raw: bytes, rematch: int = 0) -> Row:
        """The row of a post classified for an event. Raises Malformed, though classification has read it before."""
        place = line.partition, line.position
        post = self._known.get(place)
        if post is None or post.raw != raw:
            post = self._known[place] = normalized(post_of(raw))
        return row_of(event, version, line, post, rematch)


def post_of(raw: bytes) -> Post:
    """The post of a line that holds one alone. Raises Malformed."""
    posts = read(raw)
    if not isinstance(posts, list) or len(posts) != 1:
        raise Malformed("a classified line that is not one post")
    return posts[0]


def normalized(post: Post) -> NormalizedPost:
    """The post with its values."""
    return NormalizedPost(post.id, post.raw, normalize(post))


def row_of(event: Event, version: int, line: Line, post: NormalizedPost, rematch: int = 0) -> Row:
    """The row of a post for an event."""
    bucket, since, seconds = bucket_of(event.buckets, post.id, post.values[_CREATED])  # type: ignore[arg-type]
    return Row(
        event.code,
        bucket,
        since,
        seconds,
        post,
        [uuid_of(event.code, post.id), event.code, event.keyword_text],
        [bucket, line.matched, version, line.origin, line.source, line.received_at, None],
        line,
        event.born,
        version,
        rematch,
    )


def uuid_of(code: str, post_id: str) -> bytes:
    """UUIDv5 of event and post, as its 16 bytes (RFC 9562, section 5.5)."""
    digest = bytearray(sha1(_NAMESPACE + f"{code}/{post_id}".encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
