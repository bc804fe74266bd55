"""Serves routes: who asks and whether they may, what was sent, and every answer in its form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any, get_type_hints
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError
from msgspec import Struct
from multidict import MultiDict

from app.domain.audit import Outcome
from app.domain.people import Caller, Right
from app.domain.proxies import neighbourhood
from app.errors import NotDone, Unavailable
from app.web.desk import Desk
from app.web.door import CSRF_FIELD, CSRF_HEADER, NOBODY
from app.web.limits import Places
from app.web.problems import MEDIA_TYPE, Failed
from app.web.rendering import Rendering
from app.web.routes import API, PATIENCE, Answer, Asked, Page, Redirect, Reply, Route

log = logging.getLogger(__name__)
MOST_IN_HAND = 64  # requests; what flows is bounded by whoever lets it flow
MOST_OF_ONE = 24  # of these
# Of those of whom it is not known who they are; they take no place of the others.
MOST_OF_STRANGERS = 32
MOST_OF_ONE_ADDRESS = 8  # a browser asks for six files of a page at once
MOST_BYTES_OF_STRANGERS = 16 * 1024  # a token has some 2 KB
BODY_SECONDS = 15.0  # in which all of a body comes
TAKEN_SECONDS = 60.0  # in which all of an answer is taken
SIGN_IN = "/sign-in"
_FORM = "application/x-www-form-urlencoded"
_SAFE = {
    "Cache-Control": "no-cache",  # where an answer says nothing else: files of the pages belong to one version
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
        self._places = Places("requests", MOST_IN_HAND, MOST_OF_ONE)
        self._of_strangers = Places("requests", MOST_OF_STRANGERS, MOST_OF_ONE_ADDRESS)

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
            with ExitStack() as held:  # until the answer is taken: it is in memory as long
                try:
                    return await _taken(request, await self._serve(route, request, held))
                except ConnectionError:  # no error of ours
                    log.info("whoever asked is gone", extra={"path": request.path})
                    _let_go(request)
                    return web.Response()

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

    async def _serve(self, route: Route, request: web.Request, held: ExitStack) -> web.StreamResponse:
        asked = Asked(route, request, self._desk, NOBODY)
        try:
            return await self._answered_in_time(asked, held)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            failed = _failed(error, route)
        if failed.problem.status == HTTPStatus.UNAUTHORIZED and not route.of_api:
            return self._to_sign_in(request)
        return self._problem(request, failed, asked.caller)

    async def _answered_in_time(self, asked: Asked, held: ExitStack) -> web.StreamResponse:
        """The answer; what flows is begun in time, and may then last, in no place of the others."""
        patience = asked.route.patience
        until = asyncio.get_running_loop().time() + (patience or PATIENCE)
        held.enter_context(self._one_in_hand())
        async with asyncio.timeout_at(until):
            await self._admit(asked, held)
        if patience is not None:
            return self._formed(await self._answer(asked, until), asked)
        held.close()
        return self._formed(await self._answer(asked, None), asked)

    @contextmanager
    def _one_in_hand(self) -> Iterator[None]:
        """Of all, also while it is not known who asks. Raises Failed."""
        if self._in_hand >= MOST_IN_HAND + MOST_OF_STRANGERS:
            raise Failed(503, "too many requests at once", headers={"Retry-After": "1"})
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1

    async def _admit(self, asked: Asked, held: ExitStack) -> None:
        """Fill in what is asked; a change that somebody may not make is written down. Raises Failed, Unavailable."""
        try:
            await self._fill(asked, held)
        except Failed as failed:
            route, problem = asked.route, failed.problem
            known = asked.caller is not NOBODY and route.right is not Right.NONE
            if known and route.changes and route.audited and problem.status == HTTPStatus.FORBIDDEN:
                await self._note(asked, problem.status, problem.detail)
            raise

    async def _fill(self, asked: Asked, held: ExitStack) -> None:
        """Find out who asks, and what for. Raises Failed, Unavailable."""
        request = asked.request
        if not self._door.is_our_host(request):
            raise Failed(421, f"this server is not {request.host[:100]!r} (STARLING_WEB_URL)")
        asked.caller = await self._desk.known(asked.route.right, request)
        self._desk.check(asked.caller, asked.route.right, request)
        if asked.caller is NOBODY:
            held.enter_context(self._of_strangers.of(neighbourhood(asked.address)))
        else:
            held.enter_context(self._places.of(asked.by_whom))
        await self._read(asked)

    async def _read(self, asked: Asked) -> None:
        route, request = asked.route, asked.request
        if route.query is not None:
            asked.query = _converted(_fields(request.query, route.query, route), route.query, "the query")
        if not route.changes:
            return
        most = MOST_BYTES_OF_STRANGERS if asked.caller is NOBODY else route.most_bytes
        request, body = await _with_body(request, most)
        form = MultiDict[Any]() if route.of_api else await _form(request)
        if route.body is not None:
            asked.body = _sent(request, body, form, route, route.body)
        self._check_intended(request, route.right, asked.caller, str(form.get(CSRF_FIELD, "")))

    def _check_intended(self, request: web.Request, right: Right, caller: Caller, given: str) -> None:
        """Raise Failed where another site may have made a browser send this.

        What anybody may ask for is vouched for by what it holds, not by a cookie.
        """
        if self._door.from_elsewhere(request):
            raise Failed(403, "this was sent by a page of another site")
        by_cookie = caller.by == "session" and right is not Right.NONE
        if by_cookie and not self._door.is_ours(caller, given or request.headers.get(CSRF_HEADER, "")):
            raise Failed(403, "the page is too old, or not ours: load it again")

    async def _answer(self, asked: Asked, until: float | None) -> Answer:
        """The handler's answer; of a change it is written down what became of it, and no deadline cuts that off."""
        route = asked.route
        if not route.changes or not route.audited or route.own_entry:
            return await _in_time(asked, until)
        try:
            answer = await _in_time(asked, until)
        except Exception as error:
            failed = _failed(error, route)
            await self._note(asked, failed.problem.status, failed.problem.detail)
            raise failed from None
        await self._note(asked, *_became(asked, answer))
        return answer

    async def _note(self, asked: Asked, status: int, why: str) -> None:
        outcome: Outcome = "done" if status < 400 else "refused" if status < 500 else "failed"
        detail = asked.detail if outcome == "done" else {**asked.detail, "why": why}
        action, target = asked.route.noted_as, asked.target
        await self._desk.audit(asked.caller, action, asked.address, target=target, outcome=outcome, detail=detail)

    def _formed(self, answer: Answer, asked: Asked) -> web.StreamResponse:
        match answer:
            case Reply(body, status, headers):
                return _json_response(body, status, headers)
            case Page(template, shown, status):
                return self._page(template, shown, status, asked.caller, asked.request)
            case Redirect(to, said):
                query = {"said": said, "seal": self._door.seal(asked.caller, said)} if said else {}
                place = to + (("&" if "?" in to else "?") + urlencode(query) if query else "")
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
                "said": self._said(request, caller),
                "Right": Right,
                **shown,
            },
        )
        return web.Response(
            text=text, status=status, content_type="text/html", charset="utf-8", headers={"Cache-Control": "no-store"}
        )

    def _said(self, request: web.Request, caller: Caller) -> str:
        """What the page is to say that was led to, where it was Starling that said so."""
        said, seal = request.query.get("said", ""), request.query.get("seal", "")
        return said if said and self._door.is_sealed(caller, said, seal) else ""

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


async def _in_time(asked: Asked, until: float | None) -> Answer:
    async with asyncio.timeout_at(until):
        return await asked.route.handler(asked)


def _became(asked: Asked, answer: Answer) -> tuple[int, str]:
    """The status that says what became of a change, and why: a form that is shown again says it on its page."""
    if asked.refused:
        return 409, asked.refused
    if isinstance(answer, Page):
        return answer.status, str(answer.shown.get("wrong", ""))
    return (answer.status, "") if isinstance(answer, (Reply, web.StreamResponse)) else (200, "")


def _failed(error: Exception, route: Route) -> Failed:
    """What a client is told of an error."""
    again = {"Retry-After": "5"}
    match error:
        case Failed():
            return error
        case NotDone():
            return Failed(503, str(error), headers=again)
        case Unavailable() | KafkaError() | TimeoutError():
            why = _away(error)
            if route.changes and route.audited:
                return Failed(504, f"{why}; it may have been done: look before you try again", reason="uncertain")
            return Failed(503, why, headers=again)
        case web.HTTPRequestEntityTooLarge():
            return Failed(413, "more than this server takes at once")
    log.error("a request failed", extra={"route": route.name}, exc_info=error)
    return Failed(500, "something went wrong here; the log says what")


def _away(error: Exception) -> str:
    if isinstance(error, Unavailable):
        return str(error)
    return (
        "this took too long" if isinstance(error, TimeoutError) else f"Kafka does not answer ({type(error).__name__})"
    )


async def _taken(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """The answer, once the client has taken it: aiohttp itself would wait for that without end."""
    try:
        async with asyncio.timeout(TAKEN_SECONDS):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        log.warning("a client that does not take its answer is let go", extra={"path": request.path})
        _let_go(request)
    return response


def _let_go(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _make_safe(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SAFE.items():
        response.headers.setdefault(name, value)


async def _with_body(request: web.Request, most: int) -> tuple[web.Request, bytes]:
    """The request that holds its body, and this. Raises Failed where it is larger, as soon as it is."""
    too_large = Failed(413, f"more than {most:,} bytes", headers={"Connection": "close"})
    if (request.content_length or 0) > most:
        raise too_large
    bounded = request.clone(client_max_size=most + 1)  # the server's own bound is that of the largest route
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return bounded, await bounded.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except TimeoutError:
        raise Failed(408, "the body does not come", headers={"Connection": "close"}) from None


async def _form(request: web.Request) -> MultiDict[Any]:
    """The fields of a form. Raises Failed where it is none that a page of ours sends."""
    if request.content_type.startswith("multipart/"):
        raise Failed(415, f"send {_FORM}")
    try:
        return MultiDict(await request.post())
    except (ValueError, LookupError) as wrong:  # of a charset that there is not
        raise Failed(400, f"this is no form: {str(wrong)[:200]}", reason="invalid") from None


def _sent(request: web.Request, body: bytes, form: MultiDict[Any], route: Route, into: type[Any]) -> Any:
    """The body as the route takes it. Raises Failed."""
    if not route.of_api and into is not bytes:
        return _converted(_fields(form, into, route), into, "the form")
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


def _fields(given: Any, into: type[Struct], route: Route) -> dict[str, Any]:
    """What a query or form holds of a type's fields: lists where the type has them, else the last value."""
    hints = get_type_hints(into)
    found: dict[str, Any] = {}
    for name in into.__struct_encode_fields__:
        values = given.getall(name, [])
        if not values:
            continue
        many = str(hints.get(name, "")).startswith(("tuple", "list"))
        if many and not route.of_api:
            values = [one for one in values if one]  # a field of a form that is left blank is sent all the same
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
