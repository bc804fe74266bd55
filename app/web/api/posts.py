"""Stored posts of an event: find them, look at one, tag and note them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from app.domain.annotating import MAX_POSTS, Change
from app.domain.people import Right
from app.domain.searching import Search, search
from app.web.archive_desk import FoundPost, Ordered, Results, Whole
from app.web.problems import Failed, Problem
from app.web.routes import Asked, Reply, Route

MOST = 200  # posts of a page


class Looked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is looked for: posts to which all of it applies."""

    text: str = ""  # words as in a keyword: all must occur, those in quotes side by side
    keyword: str = ""  # of the event, that matched
    language: str = ""
    account: str = ""  # name or id of the author
    tags: tuple[str, ...] = ()
    since: datetime | None = None  # without a zone: UTC
    until: datetime | None = None  # the first that is too late

    def search(self) -> Search:
        """The search. Raises Failed."""
        try:
            return search(
                self.text,
                keyword=self.keyword,
                language=self.language,
                account=self.account,
                tags=self.tags,
                since=_ms(self.since),
                until=_ms(self.until),
            )
        except ValueError as wrong:
            raise Failed(422, str(wrong), reason="invalid") from None


class Wanted(Looked, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A search, and which page of it."""

    cursor: str = ""
    most: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MOST:
            raise ValueError(f"most is from 1 to {MOST}")


class Wished(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of all that a search finds, the newest first, at most so many."""

    search: Looked
    change: Change
    most: int = MAX_POSTS


class Tags(Struct, frozen=True):
    """Tags that a post of the event has, or had."""

    tags: list[str]


class Orders(Struct, frozen=True):
    """Orders, the newest first."""

    orders: list[Ordered]


async def find(asked: Asked) -> Reply:
    """A page of the posts that are looked for, newest first; the cursor of an answer asks for the next page.

    429 where somebody searches more often, or more at once, than the settings allow.
    """
    wanted: Wanted = asked.query
    return Reply(await found(asked, wanted.search(), wanted.cursor, wanted.most))


async def found(asked: Asked, what: Search, cursor: str, most: int) -> Results:
    """A page. Raises Failed, Unavailable."""
    try:
        return await asked.desk.archive.search(asked.caller, asked.event, what, cursor, most)
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None


async def one(asked: Asked) -> Reply:
    """A post with all columns, its JSON as it came, and how it came."""
    return Reply(await asked.desk.archive.whole(asked.caller, asked.event, asked.path["id"]))


async def annotate(asked: Asked) -> Reply:
    """Add and remove tags, or set the note."""
    return Reply(await write(asked, asked.body))


async def write(asked: Asked, change: Change) -> FoundPost:
    """Write to the post that the path names. Raises Failed, Unavailable."""
    asked.detail |= {"post": asked.path["id"], "change": msgspec.to_builtins(change)}
    try:
        return await asked.desk.archive.annotate(asked.caller, asked.event, asked.path["id"], change)
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None


async def order(asked: Asked) -> Reply:
    """Begin to tag or note all that a search finds, in the background; ask for it by its id to see how far it is."""
    wished: Wished = asked.body
    begun = await begin(asked, wished.search.search(), wished.change, wished.most)
    return Reply(begun, 202, {"Location": f"/api/v1/events/{asked.event.code}/annotations/{begun.id}"})


async def begin(asked: Asked, what: Search, change: Change, most: int) -> Ordered:
    """Begin an order. Raises Failed, Unavailable."""
    detail: dict[str, Any] = {"search": msgspec.to_builtins(what), "change": msgspec.to_builtins(change), "most": most}
    asked.detail |= detail
    try:
        begun = await asked.desk.archive.order(asked.caller, asked.event, what, change, most)
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    asked.detail["order"] = begun.id
    return begun


async def orders(asked: Asked) -> Reply:
    """The newest 100, of the last 30 days."""
    return Reply(Orders(await asked.desk.archive.orders(asked.event)))


async def ordered(asked: Asked) -> Reply:
    """How far an order is."""
    return Reply(await asked.desk.archive.ordered(asked.event, asked.path["id"]))


async def tags(asked: Asked) -> Reply:
    """Tags that were ever given to posts of the event."""
    return Reply(Tags(await asked.desk.archive.archive.tags(asked.event.code)))


def _ms(at: datetime | None) -> int | None:
    if at is None:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


_EVENT = "/api/v1/events/{code}"
ROUTES = [
    Route(
        "GET",
        f"{_EVENT}/posts",
        find,
        "posts.find",
        "Find posts",
        query=Wanted,
        answers={200: Results, 429: Problem},
    ),
    Route("GET", f"{_EVENT}/posts/{{id}}", one, "posts.get", "Look at a post", answers={200: Whole, 429: Problem}),
    Route(
        "POST",
        f"{_EVENT}/posts/{{id}}",
        annotate,
        "posts.annotate",
        "Tag or note a post",
        Right.CHANGE,
        body=Change,
        answers={200: FoundPost, 429: Problem},
    ),
    Route("GET", f"{_EVENT}/tags", tags, "posts.tags", "List tags", answers={200: Tags}),
    Route(
        "POST",
        f"{_EVENT}/annotations",
        order,
        "posts.annotate_found",
        "Tag or note what a search finds",
        Right.CHANGE,
        body=Wished,
        answers={202: Ordered, 429: Problem},
    ),
    Route("GET", f"{_EVENT}/annotations", orders, "posts.orders", "List such orders", answers={200: Orders}),
    Route("GET", f"{_EVENT}/annotations/{{id}}", ordered, "posts.order", "Follow one", answers={200: Ordered}),
]
