"""What tests of the matcher ask: is a keyword found in a post, and where."""

from __future__ import annotations

from typing import Any

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.posts import Json, Post


def event(code: str = "flood", **definition: Any) -> Event:
    return Event(code=code, name=code, **{"status": "active"} | definition)


def found(keyword: str, post: Post) -> str | None:
    """Places in which a keyword was found, or None."""
    matches = Matcher([event(keywords=(keyword,))]).match(post)
    return next(iter(matches[0].matched.values())) if matches else None


def bare(text: str, **more: Any) -> Post:
    """A post of a text alone."""
    body: Json = {"id_str": "1", "text": text} | more
    return Post("1", "v1", body, {}, b"")
