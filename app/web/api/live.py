"""An event while it happens: figures, coverage, newest posts, what is to be said of it, and all of it as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from aiohttp import web
from msgspec import Struct

from app.domain.diagnosis import Finding
from app.domain.figures import Figures, Span, figures, per_minute
from app.domain.heard import to_ms
from app.domain.heard_plain import WholeCoverage, whole_coverage
from app.domain.newest import Looker, NewPost
from app.domain.presence import Holding
from app.domain.rematch import Progress
from app.domain.strip import Strip
from app.domain.wishes import Heard, heard
from app.web import flowing
from app.web.flowing import Ended, Told
from app.web.problems import Problem
from app.web.routes import Asked, Reply, Route
from app.web.watching import now_ms

LOOK_SECONDS = 0.25
MOST_SHOWN = 20


class Spanned(Struct, frozen=True):
    """Of which time: the last hour by minutes, the last day by hours, a fortnight by four hours, or all by days."""

    span: Span = "hour"


class Covered(Struct, frozen=True):
    """The span of the same figures as a strip for each source. Times are milliseconds since 1970."""

    since: int
    until: int
    strips: list[Strip]


class Between(Struct, frozen=True):
    """From when to when; else all of the event's time."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        given = [at for at in (self.since, self.until) if at is not None]
        if any(at.tzinfo is None for at in given):
            raise ValueError("a time needs its zone: 2026-05-01T18:00:00Z")
        if len(given) == 2 and given[0] >= given[1]:
            raise ValueError("since is not before until")


class Hearing(Struct, frozen=True):
    """How far the last rematch of an event is (null where none has begun), and each source that was asked itself."""

    progress: Progress | None
    sources: list[Heard] = []


class Diagnosed(Struct, frozen=True):
    """What is to be said, the worst first, and the version that each process and source has in force."""

    version: int
    findings: list[Finding]
    holdings: list[Holding]


class Since(Struct, frozen=True):
    """From where on: the id of the last event that a client of the stream has had."""

    mark: str = ""


class Newly(Struct, frozen=True):
    """Newest posts, the newest last; `passed` came too since the mark, and are not shown."""

    posts: list[NewPost]
    passed: int
    mark: str


class Counted(Struct, frozen=True):
    """How many posts there are."""

    posts: int
    per_minute: float


async def of_figures(asked: Asked) -> Reply:
    """Posts by time, keyword, language, hashtag, account and source, as the workers count them: no database is read.

    Exact but for rare languages, hashtags and accounts: `forgotten` says by how much a figure may be too low.
    """
    return Reply(figures(asked.desk.views.activity.of(asked.event), asked.query.span, now_ms()))


async def of_coverage(asked: Asked) -> Reply:
    """In which part of its active time the event was heard, by each source and by at least one, with every gap and why.

    `platform_only`: posts that X sent for the event and that no keyword of it matches here; they are not stored.
    `posts`: of the whole event, whatever the span, those collected, which are those stored and those that were removed
    as their source took them back.
    """
    wanted: Between = asked.query
    event, now = asked.event, now_ms()
    entries = list(asked.desk.views.heard.items.values())
    span = (to_ms(wanted.since) if wanted.since else 0, to_ms(wanted.until) if wanted.until else now)
    activity = asked.desk.views.activity
    platform_only = activity.intake().platform_only.get(event.code, 0)
    return Reply(whole_coverage(event, entries, now, span, platform_only, activity.of(event).balance))


async def of_strip(asked: Asked) -> Reply:
    """When the event was heard by each source, when not and why, and what the source kept back."""
    live = asked.desk.watching.live(asked.event, asked.query.span)
    series = live.figures.series
    return Reply(Covered(series.since, series.until, live.strips))


async def of_rematch(asked: Asked) -> Reply:
    """How far the event has come in hearing the past, once that has begun."""
    return Reply(hearing(asked))


def hearing(asked: Asked) -> Hearing:
    """How far the event of the path has come in hearing the past."""
    event, views = asked.event, asked.desk.views
    found = views.rematches.items.get(event.code)
    progress = found if found is not None and found.born == event.born else None
    return Hearing(progress, heard(event, list(views.heard.items.values())))


async def of_diagnosis(asked: Asked) -> Reply:
    """How the collection is, in words."""
    live = asked.desk.watching.live(asked.event, "hour")
    return Reply(Diagnosed(asked.event.version, live.findings, live.holdings))


async def of_newest(asked: Asked) -> Reply:
    """The newest posts, those since a mark or the last few."""
    came = Looker(asked.query.mark).look(asked.desk.watching.parts(asked.event), MOST_SHOWN)
    return Reply(Newly(came.posts, came.passed, came.mark))


async def stream(asked: Asked) -> web.StreamResponse:
    """Server-sent events: `posts` (as `newest` answers them), `counted`, and `ended`.

    The last says why: the event is no more, or the caller may listen no more.

    A client that comes back with `Last-Event-ID` goes on where it was. One that is slow gets what is newest then, and
    is told how many were passed over; one that takes nothing for ten seconds is let go.
    """
    mark = asked.request.headers.get("Last-Event-ID") or asked.query.mark
    event = asked.event
    return await asked.desk.flows.flow(
        asked.request, asked.by_whom, _happening(asked, event.code, event.born, mark), asked.check_again
    )


async def _happening(asked: Asked, code: str, born: int, mark: str) -> AsyncIterator[Told | None]:
    desk = asked.desk
    looker = Looker(mark)
    counted: Counted | None = None
    while not desk.app.should_stop:
        event = desk.views.events.view.items.get(code)
        if event is None or event.born != born:
            yield Told("ended", Ended("the event is no more"))
            return
        came = looker.look(desk.watching.parts(event), MOST_SHOWN)
        if came.posts or came.passed:
            yield Told("posts", Newly(came.posts, came.passed, came.mark), came.mark)
        activity = desk.views.activity.of(event)
        before, counted = counted, Counted(activity.posts, per_minute(activity, now_ms()))
        if counted != before:
            yield Told("counted", counted)
        yield None
        await asyncio.sleep(LOOK_SECONDS)


_EVENT = "/api/v1/events/{code}"
ROUTES = [
    Route(
        "GET",
        f"{_EVENT}/coverage",
        of_coverage,
        "live.coverage",
        "What was heard of an event",
        query=Between,
        answers={200: WholeCoverage},
    ),
    Route(
        "GET",
        f"{_EVENT}/figures",
        of_figures,
        "live.figures",
        "Figures of an event",
        query=Spanned,
        answers={200: Figures},
    ),
    Route(
        "GET",
        f"{_EVENT}/rematch",
        of_rematch,
        "live.rematch",
        "How far a rematch is",
        answers={200: Hearing},
    ),
    Route(
        "GET",
        f"{_EVENT}/strip",
        of_strip,
        "live.strip",
        "When an event was heard, beside its figures",
        query=Spanned,
        answers={200: Covered},
    ),
    Route(
        "GET", f"{_EVENT}/diagnosis", of_diagnosis, "live.diagnosis", "How the collection is", answers={200: Diagnosed}
    ),
    Route(
        "GET",
        f"{_EVENT}/newest",
        of_newest,
        "live.newest",
        "Newest posts of an event",
        query=Since,
        answers={200: Newly},
    ),
    Route(
        "GET",
        f"{_EVENT}/live",
        stream,
        "live.stream",
        "An event while it happens",
        query=Since,
        answers={200: flowing.MEDIA_TYPE, 503: Problem},
        patience=None,
    ),
]
