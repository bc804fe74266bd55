"""Exports of an event: ask, follow, fetch, take back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from aiohttp import web
from msgspec import Struct

from app.domain.exports import MEDIA_TYPES, Wish, manifest_name
from app.domain.people import Right
from app.exporting import bundle
from app.web.export_desk import Ready, Shown
from app.web.handing import File, hand_out
from app.web.problems import Failed, Problem
from app.web.routes import Asked, Reply, Route

T = TypeVar("T")
_ANY = "*/*"
_GONE = {409: Problem, 410: Problem}


class Listed(Struct, frozen=True):
    """Exports, the newest first."""

    exports: list[Shown]


async def every(asked: Asked) -> Reply:
    """The newest 500, those too whose files are gone."""
    desk = asked.desk.exports
    return Reply(Listed(await desk.shown(desk.of(asked.event))))


async def ask(asked: Asked) -> Reply:
    """A manager writes it in the background; ask for it by its id to see how far it is.

    429 where somebody has as many in hand, or asked for as many in 24 hours, as the settings allow.
    """
    desk = asked.desk.exports
    export = await desk.ask(asked.caller, asked.event, asked.body)
    asked.detail["export"] = export.asked.id
    asked.detail["format"] = export.asked.wish.format
    (shown,) = await desk.shown([export])
    return Reply(shown, 202, {"Location": f"/api/v1/events/{shown.code}/exports/{shown.id}"})


async def one(asked: Asked) -> Reply:
    """How far an export is."""
    desk = asked.desk.exports
    (shown,) = await desk.shown([desk.one(asked.event, asked.path["id"])])
    return Reply(shown)


async def withdraw(asked: Asked) -> Reply:
    """It is broken off, and its file removed. By whoever asked for it, and by those who may change the event."""
    await take_back(asked)
    return Reply(None, 204)


async def take_back(asked: Asked) -> None:
    """Withdraw the export that the path names. Raises Failed, Unavailable."""
    event = asked.event
    export = asked.desk.exports.one(event, asked.path["id"])
    if export.asked.who != asked.caller.name:
        asked.check(Right.CHANGE, event)
    asked.detail["export"] = export.asked.id
    await asked.desk.exports.withdraw(asked.caller, export)


async def file(asked: Asked) -> web.StreamResponse:
    """The file; parts of it, too (Range). 409 while it is not done, or where another manager has it."""
    ready = await _ready(asked)
    headers = {"Content-Type": MEDIA_TYPES[ready.export.asked.wish.format], **_as_file(ready.name)}
    response = File(ready.data, headers, asked.check_again)
    with asked.desk.exports.fetched.of(asked.by_whom):
        await response.hand_out(asked.request)
    return response


async def manifest(asked: Asked) -> web.StreamResponse:
    """What the file is."""
    ready = await _ready(asked)
    body = await _read(ready.manifest.read_bytes)
    return web.Response(body=body, content_type="application/json", headers=_as_file(manifest_name(ready.name)))


async def both(asked: Asked) -> web.StreamResponse:
    """The file and its manifest as one tar."""
    ready = await _ready(asked)
    parts = await _read(partial(bundle.members, ready.name, ready.data, ready.manifest))
    headers = {"Content-Type": "application/x-tar", **_as_file(f"{ready.name}.tar")}
    response = web.StreamResponse(headers=headers)
    response.content_length = bundle.length(parts)
    with asked.desk.exports.fetched.of(asked.by_whom):
        await hand_out(asked.request, response, bundle.blocks(parts, ready.export.asked.at), asked.check_again)
    return response


async def _ready(asked: Asked) -> Ready:
    """The file that is asked for; who fetches it, or a part of it, stands in the audit log. Raises Failed."""
    export = asked.desk.exports.one(asked.event, asked.path["id"])
    ready = await asked.desk.exports.ready(export)
    detail: dict[str, Any] = {"export": export.asked.id, "what": asked.route.name}
    if part := asked.request.headers.get("Range"):
        detail["part"] = part[:100]
    await asked.desk.audit(
        asked.caller,
        "exports.fetch",
        asked.address,
        target=export.asked.code,
        outcome="done",
        detail=detail,
    )
    return ready


async def _read(read: Callable[[], T]) -> T:
    """What is read of a file that may have been removed a moment ago. Raises Failed."""
    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        raise Failed(410, f"the file cannot be read any more ({error.strerror})", reason="state") from None


def _as_file(name: str) -> dict[str, str]:
    """Names of files are of ASCII letters, digits, points and hyphens."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}


_PATH = "/api/v1/events/{code}/exports"
ROUTES = [
    Route("GET", _PATH, every, "exports.list", "List exports", answers={200: Listed}),
    Route(
        "POST",
        _PATH,
        ask,
        "exports.ask",
        "Ask for an export",
        body=Wish,
        answers={202: Shown, 409: Problem, 429: Problem},
    ),
    Route("GET", f"{_PATH}/{{id}}", one, "exports.get", "Follow an export", answers={200: Shown}),
    Route("DELETE", f"{_PATH}/{{id}}", withdraw, "exports.withdraw", "Take an export back", answers={204: None}),
    Route(
        "GET",
        f"{_PATH}/{{id}}/file",
        file,
        "exports.file",
        "Fetch the file",
        answers={200: _ANY, 206: _ANY, 304: None, 412: None, 416: None, **_GONE},
        patience=None,
    ),
    Route(
        "GET",
        f"{_PATH}/{{id}}/manifest",
        manifest,
        "exports.manifest",
        "Fetch the manifest",
        answers={200: "application/json", **_GONE},
    ),
    Route(
        "GET",
        f"{_PATH}/{{id}}/bundle",
        both,
        "exports.bundle",
        "Fetch both as a tar",
        answers={200: "application/x-tar", **_GONE},
        patience=None,
    ),
]
