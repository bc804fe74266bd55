"""The simulator: all wires and the controls on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from app.errors import UserError
from app.simulator.account import Account, Manners
from app.simulator.compliance import Jobs
from app.simulator.control import Control
from app.simulator.faults import Fault, Wire
from app.simulator.feed import TICK, Feed, source
from app.simulator.jetstream import Jetstream
from app.simulator.log import Log
from app.simulator.options import Options
from app.simulator.pool import Pool
from app.simulator.wires import read
from app.simulator.x import X
from app.simulator.x_v1 import XV1

_MOST_PUSHED = 256 * 1024 * 1024  # bytes of one request
_GRACE = 0.2  # seconds that clients get at the end


class Simulator:
    """A context manager; serves from its entry on, and has posts arise from then on. Raises UserError, OSError."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.log = Log(options.log_size, options.log)
        manners = Manners(options.connections, evicts=options.evict, attempts=options.attempts)
        self.x = X(self.log, options.limits, manners, token=options.token, keep_alive=options.keep_alive or 20)
        self.v1 = XV1(self.log, attempts=options.attempts, token=options.token, keep_alive=options.keep_alive or 30)
        self.jetstream = Jetstream(self.log, history=options.history, keep_alive=options.keep_alive or 20)
        self.jobs = Jobs(options.token)
        self.accounts: list[Account] = [self.x.account, self.v1.account, self.jetstream.account]
        self._posts = source(options)
        pool = Pool(self._posts, options.pool, options.post_bytes) if options.pool else None
        self.feed = Feed(options, self, (lambda: pool.arise(self.x)) if pool else self._arise_next)
        self.pushed: asyncio.Queue[tuple[float, list[tuple[Wire, bytes, dict[str, Any]]]]] = asyncio.Queue()
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = options.port

    @property
    def url(self) -> str:
        """Where it serves."""
        host = self.options.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def listeners(self) -> int:
        """How many clients are connected."""
        return sum(len(account.live) for account in self.accounts)

    @property
    def unread(self) -> int:
        """Bytes that the slowest client has not taken."""
        return max((connection.unread for account in self.accounts for connection in account.live), default=0)

    def arise(self, wire: Wire, line: bytes, body: dict[str, Any]) -> None:
        """A post is made; it is written at the next `flush`."""
        if wire == "x":
            self.x.arise(line, body)
        elif wire == "v1":
            self.v1.arise(line, body)
        else:
            self.jetstream.arise(body)

    def flush(self) -> None:
        """Have everything written."""
        for account in self.accounts:
            account.flush()

    def command(self, fault: Fault) -> None:
        """Have something go wrong."""
        for account in self.accounts:
            if fault.wire in ("all", account.wire):
                account.command(fault)

    async def __aenter__(self) -> Simulator:
        app = web.Application(client_max_size=_MOST_PUSHED)
        for part in (self.x, self.v1, self.jetstream, self.jobs, Control(self)):
            app.add_routes(part.routes())
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=_GRACE)
        await self._runner.setup()
        listening = _listen(self.options.host, self.options.port)
        self.port = listening.getsockname()[1]
        await web.SockSite(self._runner, listening).start()
        self._tasks = [asyncio.create_task(self.feed.run()), asyncio.create_task(self._send_pushed())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for account in self.accounts:
            for connection in tuple(account.live):
                account.end(connection, "the simulator ended")
        if self._runner:
            await self._runner.cleanup()
        self.log.close()

    async def failed(self) -> None:
        """Return never, but raise what has ended the feed."""
        await asyncio.gather(*self._tasks)
        await asyncio.Event().wait()

    def _arise_next(self) -> bool:
        lines = next(self._posts, None)
        for wire, line in lines or ():
            self.arise(wire, line, read(line)[1])
        return lines is not None

    async def _send_pushed(self) -> None:
        """Send what was pushed with a rate, in its turn."""
        while True:
            rate, posts = await self.pushed.get()
            began, sent = asyncio.get_running_loop().time(), 0
            while sent < len(posts):
                due = int((asyncio.get_running_loop().time() - began) * rate) + 1
                for wire, line, body in posts[sent:due]:
                    self.arise(wire, line, body)
                sent = max(sent, due)
                self.flush()
                await asyncio.sleep(TICK)
            self.pushed.task_done()


def _listen(host: str, port: int) -> socket.socket:
    try:
        found: Sequence[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}") from None
    return listening
