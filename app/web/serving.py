"""Serves routes: who asks and whether they may, what was sent, and every answer in its form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, get_type_hints
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import web
from msgspec import Struct
from multidict import MultiDict

from app.clients.tokens import Invalid
from app.domain.people import Caller, Right
from app.errors import Unavailable
from app.web.desk import Desk
from app.web.door import CSRF_FIELD, CSRF_HEADER, NOBODY
from app.web.problems import MEDIA_TYPE, Failed
from app.web.rendering import Rendering
from app.web.routes import API, PATIENCE, Answer, Asked, Page, Redirect, Reply, Route

log = logging.getLogger(__name__)
MOST_IN_HAND = 64  # requests; what flows is bounded by whoever lets it flow
SIGN_IN = "/sign-in"
_SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Serving:
    """Answers the requests of one process."""

    def __init__(self, desk: Desk, rendering: Rendering) -> None:
        self._desk = desk
        self._door = desk.door
        self._rendering = rendering
        self._in_hand = 0

    def add(self, application: web.Application, routes: Iterable[Route]) -> None:
        """Add routes to the process's web server."""
        for route in routes:
            application.router.add_route(route.method, route.path, self._handler(route))
            if route.method == "GET" and route.patience is not None:
                application.router.add_route("HEAD", route.path, self._handler(route))
        application.on_response_prepare.append(_make_safe)
        application.middlewares.append(self._nowhere)

    def _handler(self, route: Route) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(route, request)

        return handle

    @web.middleware
    async def _nowhere(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Tell in our form what no route answers."""
        if request.match_info.http_exception is None:
            return await handler(request)  # type: ignore[no-any-return]
        error = request.match_info.http_exception
        detail = "there is no such page" if error.status == HTTPStatus.NOT_FOUND else str(error.reason)
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return self._problem(request, Failed(error.status, detail, headers=headers), NOBODY)

    async def _serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        asked = Asked(route, request, self._desk, NOBODY)
        try:
            return await self._answered_in_time(asked)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            failed = _failed(error, route)
        if failed.problem.status == HTTPStatus.UNAUTHORIZED and not route.of_api:
            return self._to_sign_in(request)
        return self._problem(request, failed, asked.caller)

    async def _answered_in_time(self, asked: Asked) -> web.StreamResponse:
        """The answer; what flows is begun in time, and may then last."""
        patience = asked.route.patience
        if self._in_hand >= MOST_IN_HAND:
            raise Failed(503, "too many requests at once", headers={"Retry-After": "1"})
        self._in_hand += 1
        try:
            async with asyncio.timeout(patience or PATIENCE):
                await self._fill(asked)
                if patience is not None:
                    return await self._answered(asked)
        finally:
            self._in_hand -= 1
        return await self._answered(asked)

    async def _fill(self, asked: Asked) -> None:
        """Find out who asks, and what for. Raises Failed, Unavailable."""
        request = asked.request
        if not self._door.is_our_host(request):
            raise Failed(421, f"this server is not {request.host[:100]!r} (STARLING_WEB_URL)")
        asked.caller = await self._caller(asked.route, request)
        await self._read(asked)

    async def _caller(self, route: Route, request: web.Request) -> Caller:
        try:
            caller = await self._door.caller(request)
        except Invalid as invalid:
            if route.right is Right.NONE:
                return NOBODY
            raise Failed(401, str(invalid), headers={"WWW-Authenticate": "Bearer"}) from None
        if caller is None:
            if route.right is Right.NONE:
                return NOBODY
            raise Failed(401, "sign in, or send a token", headers={"WWW-Authenticate": "Bearer"})
        code = request.match_info.get("code")
        event = self._desk.views.events.view.items.get(code) if code is not None else None
        if not caller.may(route.right, event.owners if event is not None else ()):
            raise Failed(403, f"{caller.name} ({caller.rank}) may not do this")
        return caller

    async def _read(self, asked: Asked) -> None:
        route, request = asked.route, asked.request
        if route.query is not None:
            asked.query = _converted(_fields(request.query, route.query), route.query, "the query")
        if not route.changes:
            return
        body = await _bytes(request, route.most_bytes)
        form = MultiDict[Any]() if route.of_api else MultiDict[Any](await request.post())
        if route.body is not None:
            asked.body = _sent(request, body, form, route, route.body)
        self._check_intended(request, asked.caller, str(form.get(CSRF_FIELD, "")))

    def _check_intended(self, request: web.Request, caller: Caller, given: str) -> None:
        """Raise Failed where another site may have made a browser send this."""
        if self._door.from_elsewhere(request):
            raise Failed(403, "this was sent by a page of another site")
        if caller.by == "session" and not self._door.is_ours(caller, given or request.headers.get(CSRF_HEADER, "")):
            raise Failed(403, "the page is too old, or not ours: load it again")

    async def _answered(self, asked: Asked) -> web.StreamResponse:
        route, request = asked.route, asked.request
        if not route.changes or not route.audited:
            return self._formed(await route.handler(asked), asked)
        target = request.match_info.get("code") or request.match_info.get("name") or ""
        address = request.remote or ""

        async def note(outcome: Any, **more: Any) -> None:
            await self._desk.audit(
                asked.caller, route.name, address, target=target, outcome=outcome, detail=asked.detail | more
            )

        try:
            answer = await route.handler(asked)
        except Failed as failed:
            await note("refused", why=failed.problem.detail)
            raise
        except (Unavailable, TimeoutError) as away:
            await note("failed", why=str(away) or "it took too long")
            raise
        await note("done")
        return self._formed(answer, asked)

    def _formed(self, answer: Answer, asked: Asked) -> web.StreamResponse:
        match answer:
            case Reply(body, status, headers):
                return _json_response(body, status, headers)
            case Page(template, shown, status):
                return self._page(template, shown, status, asked.caller, asked.request)
            case Redirect(to, said):
                place = to + (("&" if "?" in to else "?") + urlencode({"said": said}) if said else "")
                return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": place})
            case _:
                return answer

    def _page(
        self, template: str, shown: Mapping[str, object], status: int, caller: Caller, request: web.Request
    ) -> web.Response:
        text = self._rendering.page(
            template,
            {
                "caller": None if caller is NOBODY else caller,
                "csrf": self._door.csrf(caller),
                "here": request.path,
                "said": request.query.get("said", "")[:300],
                "Right": Right,
                **shown,
            },
        )
        return web.Response(
            text=text, status=status, content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"}
        )

    def _problem(self, request: web.Request, failed: Failed, caller: Caller) -> web.Response:
        problem = failed.problem
        if request.path.startswith(API):
            body = msgspec.json.encode(problem)
            return web.Response(body=body, status=problem.status, content_type=MEDIA_TYPE, headers=failed.headers)
        response = self._page("problem.html", {"problem": problem}, problem.status, caller, request)
        response.headers.update(failed.headers)
        return response

    def _to_sign_in(self, request: web.Request) -> web.Response:
        """Ask for a token first; a page that was only looked at is come back to."""
        back = f"?next={quote(request.path_qs, safe='')}" if request.method in ("GET", "HEAD") else ""
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": SIGN_IN + back})


def _failed(error: Exception, route: Route) -> Failed:
    """What a client is told of an error."""
    again = {"Retry-After": "5"}
    match error:
        case Failed():
            return error
        case Unavailable():
            return Failed(503, str(error), headers=again)
        case TimeoutError():
            return Failed(503, "this took too long", headers=again)
        case web.HTTPRequestEntityTooLarge():
            return Failed(413, "more than this server takes at once")
    log.error("a request failed", extra={"route": route.name}, exc_info=error)
    return Failed(500, "something went wrong here; the log says what")


async def _make_safe(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SAFE.items():
        response.headers.setdefault(name, value)


async def _bytes(request: web.Request, most: int) -> bytes:
    """The body. Raises Failed where it is larger."""
    if (request.content_length or 0) > most:
        raise Failed(413, f"more than {most:,} bytes")
    body = await request.read()
    if len(body) > most:
        raise Failed(413, f"more than {most:,} bytes")
    return body


def _sent(request: web.Request, body: bytes, form: MultiDict[Any], route: Route, into: type[Any]) -> Any:
    """The body as the route takes it. Raises Failed."""
    if not route.of_api and into is not bytes:
        return _converted(_fields(form, into), into, "the form")
    if request.content_type != route.media:
        raise Failed(415, f"send {route.media}")
    return body if into is bytes else _json(body, into)


def _json(body: bytes, into: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=into)
    except msgspec.ValidationError as wrong:
        raise Failed(422, str(wrong), reason="invalid") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise Failed(400, f"this is no JSON: {wrong}", reason="invalid") from None


def _fields(given: Any, into: type[Struct]) -> dict[str, Any]:
    """What a query or form holds of a type's fields: lists where the type has them, else the last value."""
    hints = get_type_hints(into)
    found: dict[str, Any] = {}
    for name in into.__struct_encode_fields__:
        values = given.getall(name, [])
        if not values:
            continue
        many = str(hints.get(name, "")).startswith(("tuple", "list"))
        found[name] = values if many else values[-1]
    return found


def _converted(found: dict[str, Any], into: type[Struct], what: str) -> Any:
    try:
        return msgspec.convert(found, into, strict=False)
    except msgspec.ValidationError as wrong:
        raise Failed(422, f"{what}: {wrong}", reason="invalid") from None


def _json_response(body: object, status: int, headers: Mapping[str, str]) -> web.Response:
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **headers},
    )
