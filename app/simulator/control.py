"""`/control/…`: what a test tells the simulator and asks of it. Answers only on loopback."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from app.simulator.account import Account
from app.simulator.connections import Connection
from app.simulator.faults import WIRES, BadFault, Wire, read_fault
from app.simulator.wires import NoPost, read

if TYPE_CHECKING:
    from app.simulator.server import Simulator

_Handler = Callable[[web.Request], Awaitable[web.Response]]


class Control:
    """The controls of a simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._began = time.time()

    def routes(self) -> list[web.RouteDef]:
        """Its part of the server."""
        return [
            web.post("/control/posts", _near(self._push)),
            web.post("/control/fault", _near(self._fault)),
            web.post("/control/gone", _near(self._gone)),
            web.get("/control/log", _near(self._log)),
            web.get("/control/state", _near(self._state)),
        ]

    async def _push(self, request: web.Request) -> web.Response:
        """JSON lines, sent as they are: by the rules in force, or to everybody of ?wire= with ?raw=1."""
        lines = [line for line in (await request.read()).splitlines() if line.strip()]
        query, simulator = request.query, self._simulator
        wire = next((name for name in WIRES if name == query.get("wire")), None)
        after = simulator.log.last
        if query.get("raw"):
            if wire is None:
                return _wrong("raw needs wire=x, v1 or jetstream")
            for account in simulator.accounts:
                if account.wire == wire:
                    for line in lines:
                        for connection in account.live:
                            connection.say(line)
            simulator.flush()
            return web.json_response({"taken": len(lines), "after": after})
        try:
            posts = [_read(number, line, wire) for number, line in enumerate(lines, 1)]
            rate = float(query.get("rate", "0"))
        except (NoPost, ValueError) as wrong:
            return _wrong(str(wrong))
        if rate > 0:
            simulator.pushed.put_nowait((rate, posts))
        else:
            for of_wire, line, body in posts:
                simulator.arise(of_wire, line, body)
            simulator.flush()
        return web.json_response({"taken": len(posts), "after": after})

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            fault = read_fault(await request.read())
        except BadFault as wrong:
            return _wrong(str(wrong))
        self._simulator.command(fault)
        return web.json_response({"commanded": fault.kind, "wire": fault.wire})

    async def _gone(self, request: web.Request) -> web.Response:
        """Lines of an id and a reason: what X's compliance jobs are to say of these posts from now on."""
        lines = [line.partition(" ") for line in (await request.text()).splitlines() if line.strip()]
        if any(not number.isdecimal() or not reason for number, _, reason in lines):
            return _wrong("a line is an id, a blank, and deleted, deactivated, protected, scrub_geo or suspended")
        self._simulator.jobs.gone |= {number: reason for number, _, reason in lines}
        return web.json_response({"taken": len(lines)})

    async def _log(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            return _wrong(f"since: {since!r} is no number")
        log = self._simulator.log
        log.flush()
        answer = {"last": log.last, "entries": log.since(int(since))}
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _state(self, _: web.Request) -> web.Response:
        simulator = self._simulator
        state = {
            "since": self._began,
            "rate": simulator.options.rate,
            "made": simulator.feed.made,
            "queued": simulator.pushed.qsize(),
            "counts": dict(simulator.log.counts),
            "rules": [rule.told for rule in simulator.x.book.rules],
            "faults": {account.wire: account.pending for account in simulator.accounts},
            "connections": [_told(account, c) for account in simulator.accounts for c in account.live],
            "past": [_told(account, c) for account in simulator.accounts for c in account.past],
        }
        return web.Response(body=msgspec.json.encode(state), content_type="application/json")


def _near(handler: _Handler) -> _Handler:
    """Refuse whoever is not on this machine."""

    async def guarded(request: web.Request) -> web.Response:
        if not request.remote or not ip_address(request.remote).is_loopback:
            return web.json_response({"error": "only from this machine"}, status=403)
        return await handler(request)

    return guarded


def _read(number: int, line: bytes, wire: Wire | None) -> tuple[Wire, bytes, dict[str, Any]]:
    try:
        found, body = read(line, wire)
    except NoPost as wrong:
        raise NoPost(f"line {number}: {wrong}") from None
    return found, line, body


def _wrong(message: str) -> web.Response:
    return web.json_response({"error": message}, status=400)


def _told(account: Account, connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "wire": account.wire,
        "peer": connection.peer,
        "since": connection.since,
        "until": connection.until,
        "why": connection.why,
        "mood": None if connection.ended else connection.mood,
        "sent": connection.sent,
        "withheld": connection.withheld,
        "unread": 0 if connection.ended else connection.unread,
    }
