"""Events as YAML: out, and in again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web
from msgspec import Struct

from app.domain import yamls
from app.domain.events import Event
from app.domain.importing import Fate, Step
from app.domain.people import Right
from app.web.importing import bring, planned
from app.web.routes import Asked, Reply, Route

MEDIA = "application/yaml"


class How(Struct, frozen=True, kw_only=True):
    """How it is imported."""

    dry: bool = False  # only say what would become of each event
    begin: bool = False  # new events begin, and are no drafts
    why: str = ""


class Fared(Struct, frozen=True, kw_only=True):
    """What became of an event of the file."""

    code: str
    fate: Fate
    why: str  # it is refused
    fields: tuple[str, ...]  # that an edit changes


class Imported(Struct, frozen=True):
    """What became of each; not done where it was only planned, or one is refused."""

    done: bool
    events: list[Fared]


async def one(asked: Asked) -> web.Response:
    """The definition of an event, without its history."""
    return await _file([asked.event], asked.event.code)


async def every(asked: Asked) -> web.Response:
    """The definitions of all events but deleted ones."""
    view = asked.desk.views.events.view
    found = sorted(view.items.values(), key=lambda event: event.code)
    written = [event for event in found if event.status not in ("deleted", "purging")]
    return await _file(written, "events")


async def _file(events: list[Event], name: str) -> web.Response:
    return web.Response(
        text=await asyncio.to_thread(yamls.write, events),
        content_type=MEDIA,
        headers={"Content-Disposition": f'attachment; filename="{name}.yaml"', "Cache-Control": "private, no-store"},
    )


async def bring_in(asked: Asked) -> Reply:
    """Create what is not there and edit what is. All of the file is checked first: one fault, and nothing is done."""
    how: How = asked.query
    asked.detail["dry"] = how.dry
    steps = await planned(asked, asked.body, how.why, begin=how.begin)
    if not how.dry:
        steps = await bring(asked, steps)
    return Reply(imported(steps, done=not how.dry))


def imported(steps: Iterable[Step], *, done: bool) -> Imported:
    """What became of the events of a file."""
    fared = [Fared(code=step.code, fate=step.fate, why=step.why, fields=step.changes) for step in steps]
    return Imported(done and not any(one.fate == "refused" for one in fared), fared)


ROUTES = [
    Route("GET", "/api/v1/events/{code}/yaml", one, "events.yaml", "An event as YAML", answers={200: MEDIA}),
    Route("GET", "/api/v1/yaml", every, "events.all-yaml", "All events as YAML", answers={200: MEDIA}),
    Route(
        "POST",
        "/api/v1/yaml",
        bring_in,
        "events.import",
        "Import events",
        Right.CREATE,
        query=How,
        body=bytes,
        media=MEDIA,
        answers={200: Imported},
        most_bytes=yamls.MOST_BYTES,
    ),
]
