"""What a line of a stream is read as: posts, a control message, or neither."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

Json: TypeAlias = dict[str, Any]
Wire: TypeAlias = Literal["v1", "v2", "bluesky"]

MAX_ID = 300  # characters


class Malformed(ValueError):
    """The line is neither a post nor a control message; the message says why."""


class Control(Struct, frozen=True):
    """A message of the stream about itself: never stored as a post, always counted by its kind."""

    kind: str
    body: Json


class Post(Struct, frozen=True):
    """One post as its source sent it.

    `body` is the v1.1 status, the v2 `data` object or Bluesky's commit (with its `did` and time, whichever Jetstream
    wire it came by; the post itself is its `record`); `includes` (v2) are its expansions by kind and id; `raw` is a
    payload that holds this post alone.
    """

    id: str
    wire: Wire
    body: Json
    includes: dict[str, dict[str, Json]]
    raw: bytes
    tags: tuple[str, ...] = ()  # codes of the events that X has sent it for
