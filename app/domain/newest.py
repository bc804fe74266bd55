"""The newest posts of an event, in short, and what of them somebody who looks at them has not seen yet.

A worker tells for each partition how many posts of the event there were and the last few. Who looks keeps the numbers
up to which he has seen them; when more came than the last few, it is known how many he has missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from app.domain.addresses import post_address, web_address
from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS
from app.domain.rows import Row, post_of
from app.domain.shown import is_sensitive

MOST = 10  # of a partition
MOST_TEXT = 600  # characters; a post of X is shorter unless its author pays
MOST_NAME = 80
MOST_KEYWORDS = 8

_INDEX = {name: index for index, name in enumerate(POST_COLUMNS | OUR_POST_COLUMNS)}


class NewPost(Struct, frozen=True, omit_defaults=True):
    """A post in short. Times are milliseconds since 1970."""

    id: str
    text: str
    received_at: int
    source: str
    origin: str
    created_at: int | None = None
    name: str = ""
    account: str = ""  # screen name, or id where the source tells no other
    language: str = ""
    matched: tuple[str, ...] = ()
    address: str = ""  # of its page at the platform
    media: str = ""  # address of a picture; nobody shall load it unasked
    sensitive: bool = False  # as its author or source says


class Newest(Struct, frozen=True):
    """The last posts of an event in one partition of `classified_tweets`, the newest last."""

    born: int  # version that created the event
    total: int  # posts of it that were counted in this partition so far
    posts: tuple[NewPost, ...]


class Arrived(Struct, frozen=True):
    """What has come since somebody looked last, the newest last; `passed`: posts that came and are not among them."""

    posts: list[NewPost]
    passed: int
    mark: str  # where to go on


_decode = msgspec.json.Decoder(Newest).decode


def newest(value: bytes) -> Newest:
    """A record of `newest`. Raises msgspec.DecodeError."""
    decoded: Newest = _decode(value)
    return decoded


def replaces(new: Newest, standing: Newest) -> bool:
    """Whether it was told later: one who has lost a partition may tell of it after his heir."""
    return (new.born, new.total) >= (standing.born, standing.total)


def shortened(row: Row) -> NewPost:
    """The post of a row."""

    def text(name: str) -> str:
        value = row.post.values[_INDEX[name]]
        return value if isinstance(value, str) else ""

    told = text("t_text")
    created = row.post.values[_INDEX["t_created_at"]]
    return NewPost(
        id=row.post.id,
        text=told if len(told) <= MOST_TEXT else told[: MOST_TEXT - 1] + "…",
        received_at=row.line.received_at,
        source=row.line.source,
        origin=row.line.origin,
        created_at=created if isinstance(created, int) else None,
        name=text("u_name")[:MOST_NAME],
        account=(text("u_screen_name") or text("u_id"))[:MOST_NAME],
        language=text("t_lang"),
        matched=tuple(row.line.matched)[:MOST_KEYWORDS],
        address=post_address(row.post.id) or "",
        media=web_address(text("media_url")) or "",
        sensitive=is_sensitive(post_of(row.post.raw)),
    )


class Looker:
    """Somebody who looks at the newest posts of an event. `mark` of an earlier look goes on from there."""

    def __init__(self, mark: str = "") -> None:
        self._born, self._seen = _read(mark)
        self._looked = bool(self._seen)

    def look(self, parts: Mapping[int, Newest], most: int = 4 * MOST) -> Arrived:
        """What is new, of the partitions (by number) of an event; at the first look the last few, and none missed."""
        born = max((part.born for part in parts.values()), default=0)
        parts = {number: part for number, part in parts.items() if part.born == born}
        if born != self._born:
            self._born, self._seen = born, {}
        first, self._looked = not self._looked, True
        came: list[NewPost] = []
        count = 0
        for number, part in parts.items():
            # A partition that had no posts yet when others had is seen from its first one on.
            new = len(part.posts) if first else max(0, part.total - self._seen.get(number, 0))
            count += new
            came += part.posts[-new:] if new else ()
            self._seen[number] = max(part.total, self._seen.get(number, 0))
        came.sort(key=lambda post: post.received_at)
        mark = f"{born}~" + ",".join(f"{number}:{total}" for number, total in sorted(self._seen.items()))
        return Arrived(came[-most:], 0 if first else count - len(came[-most:]), mark)


def _read(mark: str) -> tuple[int, dict[int, int]]:
    """A mark; one that is not understood is none."""
    born, _, rest = mark.partition("~")
    parts = [part.partition(":")[::2] for part in rest.split(",") if rest]
    numbers = [born, *(text for part in parts for text in part)]
    if not all(text.isascii() and text.isdigit() and len(text) < 16 for text in numbers):
        return 0, {}
    return int(born), {int(number): int(total) for number, total in parts}


def of_event(code: str, items: Mapping[str, Newest], partitions: Iterable[int]) -> dict[int, Newest]:
    """The partitions of an event among the entries of `newest`."""
    return {number: items[key] for number in partitions if (key := f"{code}|{number}") in items}
