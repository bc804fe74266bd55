"""What people ask of the stream itself: what keywords would find, and what is said now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct
from msgspec.structs import replace

from app.asking.standing import Standing, TooMany
from app.domain.events import MAX_SELECTORS, Box, Definition, Event
from app.domain.preview import MOST_POSTS, MOST_SECONDS, Limits, Preview, event_to_try
from app.domain.shown import Shown
from app.domain.standing_query import query_of
from app.web import flowing
from app.web.flowing import Told
from app.web.problems import Failed, Problem, too_many
from app.web.routes import Asked, Reply, Route

_AGAIN_SECONDS = 10.0
_POSTS_AT_ONCE = 25  # twice a second at most: more nobody reads
_LOOK_SECONDS = 0.5
_STATE_SECONDS = 5.0
MOST_HOURS = 24.0 * 31  # of the past
_Selectors = Annotated[tuple[str, ...], Meta(max_length=MAX_SELECTORS)]
_Boxes = Annotated[tuple[Box, ...], Meta(max_length=MAX_SELECTORS)]


class Tried(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be tried. Of an event, by its code, a list that is given replaces the one that it has."""

    keywords: _Selectors | None = None
    accounts: _Selectors | None = None
    boxes: _Boxes | None = None
    languages: _Selectors | None = None
    code: str = ""
    hours: Annotated[float, Meta(ge=0.1, le=MOST_HOURS)] = 24.0  # of the past
    posts: Annotated[int, Meta(ge=1, le=MOST_POSTS)] = MOST_POSTS  # read at most
    seconds: Annotated[float, Meta(ge=0.1, le=MOST_SECONDS)] = MOST_SECONDS  # read as long at most


class Asking(Struct, frozen=True):
    """A query (words that must all occur; a comma is "or"), or the code of an event."""

    query: str = ""
    code: str = ""


class Came(Struct, frozen=True):
    """Posts that match, and how many more do that this client was too slow for."""

    posts: list[Shown]
    missed: int


class State(Struct, frozen=True):
    """The stream in the last seconds: posts of it, records that were passed over, and what keeps posts from coming."""

    stream: int
    skipped: int
    trouble: str


async def preview(asked: Asked) -> Reply:
    """What keywords would find, tried on the raw posts that are kept. Nothing is changed.

    It takes some seconds, and ends when the client goes. 429 where a person asks too often.
    """
    tried: Tried = asked.body
    event = _event(asked, tried)
    since = datetime.now(UTC) - timedelta(hours=tried.hours)

    def gone() -> bool:
        return asked.request.transport is None or asked.request.transport.is_closing()

    limits = Limits(tried.posts, tried.seconds)
    return Reply(await asked.desk.asking.preview(asked.caller, event, since, limits, gone))


def _event(asked: Asked, tried: Tried) -> Event:
    names = ("keywords", "accounts", "boxes", "languages")
    before = {name: getattr(asked.desk.event(tried.code), name) for name in names} if tried.code else {}
    given = {name: value for name in names if (value := getattr(tried, name)) is not None}
    try:
        return event_to_try(Definition(**before | given))
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None


async def tail(asked: Asked) -> web.StreamResponse:
    """Server-sent events: `posts` as they come, `state` every five seconds, `ended` when the caller may listen no more.

    From now on; nothing is stored. Who is slow is told how many posts were missed. 429 where a person has as many open
    as they may.
    """
    event = wanted(asked)
    try:
        async with asked.desk.asking.standing.open(asked.caller.name, event) as standing:
            coming = _coming(asked, standing)
            return await asked.desk.flows.flow(asked.request, asked.by_whom, coming, asked.check_again)
    except TooMany as many:
        raise too_many(_AGAIN_SECONDS, str(many)) from None


def wanted(asked: Asked) -> Event:
    """What the query of a request selects. Raises Failed."""
    query: Asking = asked.query
    if bool(query.query) == bool(query.code):
        raise Failed(422, "write a query, or the code of an event", reason="invalid")
    if query.code:
        return replace(asked.desk.event(query.code), status="active")
    try:
        return query_of(query.query)
    except ValueError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None


async def _coming(asked: Asked, standing: Standing) -> AsyncIterator[Told | None]:
    told = monotonic()
    stream = skipped = 0
    trouble: str | None = None
    while not asked.desk.app.should_stop:
        taken = await standing.take(_POSTS_AT_ONCE, _LOOK_SECONDS)
        stream += taken.stream
        skipped += taken.skipped
        if taken.posts or taken.missed:
            yield Told("posts", Came(taken.posts, taken.missed))
        if taken.trouble != trouble or monotonic() - told >= _STATE_SECONDS:
            yield Told("state", State(stream, skipped, taken.trouble))
            told, stream, skipped, trouble = monotonic(), 0, 0, taken.trouble
        yield None
        if taken.posts:
            await asyncio.sleep(_LOOK_SECONDS)


ROUTES = [
    Route(
        "POST",
        "/api/v1/preview",
        preview,
        "asking.preview",
        "What keywords would find",
        body=Tried,
        answers={200: Preview, 404: Problem, 429: Problem},
        audited=False,
    ),
    Route(
        "GET",
        "/api/v1/tail",
        tail,
        "asking.tail",
        "Posts of the raw stream as they come",
        query=Asking,
        answers={200: flowing.MEDIA_TYPE, 404: Problem, 429: Problem, 503: Problem},
        patience=None,
    ),
]
