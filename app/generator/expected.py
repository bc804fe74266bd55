"""What must become of a line, known before anything has read it."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from app.domain.columns import OUR_POST_COLUMNS, POST_COLUMNS

Kind: TypeAlias = Literal["posts", "control", "malformed"]
Matched: TypeAlias = dict[str, str]  # keyword, from:account or box:… -> places, joined by ","

COLUMN_NAMES = (*POST_COLUMNS, *OUR_POST_COLUMNS)


class Expected(Struct, frozen=True):
    """One post: the events that it belongs to, and its own columns, as values of COLUMN_NAMES."""

    id: str
    events: dict[str, Matched]
    values: tuple[Any, ...]

    def column(self, name: str) -> Any:
        """The value of a column of the post."""
        return self.values[COLUMN_NAMES.index(name)]


class Planted(Struct, frozen=True):
    """A line of the stream. `shape` says in a word what it is, for reports and tests."""

    line: bytes
    kind: Kind
    shape: str
    posts: tuple[Expected, ...] = ()  # several where a v2 line holds several
    control: str = ""  # the kind of a control message
    listed: bool = False  # posts stand in a list, so that what is stored of one is not the line itself
    repeats: bool = False  # these posts were there before

    @property
    def key(self) -> str:
        """Lines of one key must be read in their order, so that of a post sent twice the second counts."""
        return self.posts[0].id if self.posts else ""
