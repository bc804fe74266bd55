"""The v1.1 wire against a small server in this process: the form, lines, control messages, changes while it listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.domain.events import Event
from app.domain.track import Form, form_of
from app.settings import Settings
from app.sources.source import Broken, Fact, Opened, Resume, Selection, Trouble
from app.sources.v1 import XV1
from tests.builders import line, status
from tests.support.sure import surely

TOKEN = "a-token"  # noqa: S105 -- of nobody
NEWER = "another connection of this account has taken its place"
EVICTED = b'{"disconnect":{"code":7,"stream_name":"s","reason":"admin logout"}}'


class Wire:
    """A server that keeps each connection open and sends what the test puts into its queue; None ends it."""

    def __init__(self) -> None:
        self.second: Literal["beside", "evicts", "refused", "late"] = "beside"
        self.status = 200
        self.text = "no"
        self.forms: list[dict[str, Any]] = []
        self.queues: list[asyncio.Queue[bytes | None]] = []
        self.open = 0
        self.answers = asyncio.Event()  # a "late" second one is made then
        self.url = ""

    async def filter(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if self.status != 200:
            return web.Response(status=self.status, text=self.text)
        if self.open and self.second == "refused":
            # The client closes its connection and asks again; whoever looks next finds it closed.
            self.second = "beside"
            return web.Response(status=420, text="Exceeded connection limit for user")
        if self.open and self.second == "evicts":
            self.queues[-1].put_nowait(EVICTED + b"\r\n")
            self.queues[-1].put_nowait(None)
        if self.open and self.second == "late":
            self.queues[-1].put_nowait(None)
            await self.answers.wait()
        self.forms.append(dict(await request.post()))
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.queues.append(queue)
        answer = web.StreamResponse()
        await answer.prepare(request)
        self.open += 1
        try:
            while (piece := await queue.get()) is not None:
                await answer.write(piece)
        finally:
            self.open -= 1
        return answer


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire()
    app = web.Application()
    app.router.add_post("/1.1/statuses/filter.json", wire.filter)
    server = TestServer(app, shutdown_timeout=0)
    await server.start_server()
    wire.url = str(server.make_url("/"))
    yield wire
    for queue in wire.queues:
        queue.put_nowait(None)
    await server.close()


@pytest.fixture
async def source(wire: Wire) -> AsyncIterator[XV1]:
    one = XV1(Settings(x_v1_url=wire.url, x_bearer_token=TOKEN))
    yield one
    await one.close()


def event(code: str, *keywords: str, version: int = 1, **fields: Any) -> Event:
    return Event(code=code, name=code, status="active", keywords=keywords, version=version, **fields)


async def lines(listening: AsyncGenerator[Opened | list[bytes], None], count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        item = await anext(listening)
        assert isinstance(item, list)
        found += item
    return found


async def until_opened(listening: AsyncGenerator[Opened | list[bytes], None]) -> tuple[list[bytes], Opened]:
    found: list[bytes] = []
    while not isinstance(item := await anext(listening), Opened):
        found += item
    return found, item


async def test_the_form_is_posted_and_lines_come_whole(wire: Wire, source: XV1) -> None:
    boxes = ((7.0, 47.0, 8.0, 48.0),)
    selection = await source.select([event("e", "flash flood", "#Flood", accounts=("123",), boxes=boxes)], surely)
    assert selection == Selection({"e": 1})
    listening = source.listen(Resume())
    assert await anext(listening) == Opened()
    assert wire.forms == [{"track": "flash flood,#flood", "follow": "123", "locations": "7,47,8,48"}]
    for piece in (b'{"a"', b":1}\r", b"\n\r\n", b"x" * 300_000, b"\r\n{}\r\n"):
        wire.queues[0].put_nowait(piece)
    assert await lines(listening, 3) == [b'{"a":1}', b"x" * 300_000, b"{}"]
    wire.queues[0].put_nowait(b"cut")
    wire.queues[0].put_nowait(None)
    with pytest.raises(Broken, match=r"the v1\.1 stream closed the connection"):
        await lines(listening, 1)


async def test_keep_alives_are_signs_of_life(wire: Wire, source: XV1) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    wire.queues[0].put_nowait(b"\r\n")
    assert await anext(listening) == []
    await listening.aclose()


@pytest.mark.parametrize("second", ["beside", "evicts"])
async def test_other_keywords_take_another_connection(
    wire: Wire, source: XV1, second: Literal["beside", "evicts"]
) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    wire.queues[0].put_nowait(b"1\r\n")
    assert await lines(listening, 1) == [b"1"]
    coming = asyncio.ensure_future(until_opened(listening))
    wire.second = second
    assert await source.select([event("e", "#a", "#b", version=2)], surely) == Selection({"e": 2})
    last, opened = await coming
    assert (last, opened.note) == ([], "other keywords")
    assert [form["track"] for form in wire.forms] == ["#a", "#a,#b"]
    wire.queues[1].put_nowait(b"2\r\n")
    assert await lines(listening, 1) == [b"2"]


async def test_a_connection_that_ends_before_the_next_one_is_made_leaves_a_gap(wire: Wire, source: XV1) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    wire.second = "late"
    changing = asyncio.ensure_future(source.select([event("e", "#b", version=2)], surely))
    assert await anext(listening) == []  # its end
    wire.answers.set()
    await changing
    assert (await until_opened(listening))[1] == Opened(note="other keywords", gapless=False)
    wire.second = "beside"
    await source.select([event("e", "#c", version=3)], surely)
    assert (await until_opened(listening))[1] == Opened(note="other keywords")
    await listening.aclose()


async def test_where_only_one_connection_may_be_it_ends_before_the_next_and_what_it_has_sent_is_read(
    wire: Wire, source: XV1
) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    wire.second = "refused"
    wire.queues[0].put_nowait(b"1\r\n")
    assert await lines(listening, 1) == [b"1"]
    wire.queues[0].put_nowait(b"2\r\n")
    assert await source.select([event("e", "#a", "#b", version=2)], surely) == Selection({"e": 2})
    heard: list[bytes] = []
    with pytest.raises(Broken, match="takes one connection") as caught:
        async for item in listening:
            assert isinstance(item, list)
            heard += item
    assert (heard in ([], [b"2"]), caught.value.trouble) == (True, Trouble.ENDED)
    listening = source.listen(Resume())
    assert isinstance(await anext(listening), Opened)
    assert [form["track"] for form in wire.forms] == ["#a", "#a,#b"]
    wire.queues[1].put_nowait(b"3\r\n")
    assert await lines(listening, 1) == [b"3"]
    await listening.aclose()


async def test_what_the_old_connection_has_sent_is_still_read(wire: Wire, source: XV1) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    wire.queues[0].put_nowait(b"1\r\n2\r\n3")
    assert (await lines(listening, 1))[0] == b"1"
    await source.select([event("e", "#b", version=2)], surely)
    wire.queues[0].put_nowait(b"3\r\n")
    assert (await until_opened(listening))[0] in ([b"33"], [b"2", b"33"])


async def test_the_same_events_take_no_other_connection(wire: Wire, source: XV1) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    assert await source.select([event("e", "#a", version=2)], surely) == Selection({"e": 2})
    assert len(wire.forms) == 1
    await listening.aclose()


async def test_who_is_not_sure_of_the_account_opens_no_connection_for_a_change(wire: Wire, source: XV1) -> None:
    """It would end that of whoever has the account."""
    await source.select([event("e", "#a")], lambda: False)
    listening = source.listen(Resume())
    await anext(listening)
    with pytest.raises(Broken, match="not sure of its lease"):
        await source.select([event("e", "#b", version=2)], lambda: False)
    assert len(wire.forms) == 1
    wire.queues[0].put_nowait(b"1\r\n")
    assert await lines(listening, 1) == [b"1"]
    await listening.aclose()


async def test_a_rate_limit_does_not_cost_the_connection_that_there_is(wire: Wire, source: XV1) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    wire.status = 420
    with pytest.raises(Broken) as caught:
        await source.select([event("e", "#b", version=2)], surely)
    assert caught.value.trouble is Trouble.RATE
    wire.queues[0].put_nowait(b"1\r\n")
    assert await lines(listening, 1) == [b"1"]
    await listening.aclose()


async def test_a_change_that_fails_leaves_the_connection_as_it_is(wire: Wire, source: XV1) -> None:
    await source.select([event("e", "#a")], surely)
    listening = source.listen(Resume())
    await anext(listening)
    wire.status = 503
    with pytest.raises(Broken):
        await source.select([event("e", "#b", version=2)], surely)
    wire.queues[0].put_nowait(b"1\r\n")
    assert await lines(listening, 1) == [b"1"]
    wire.status = 200
    await source.select([event("e", "#b", version=2)], surely)
    assert [form["track"] for form in wire.forms] == ["#a", "#b"]
    await listening.aclose()


@pytest.mark.parametrize(
    ("code", "text", "trouble"),
    [
        (401, "no", Trouble.DENIED),
        (420, "Easy there, Turbo. Too many requests recently. Enhance your calm.", Trouble.RATE),
        (420, "Exceeded connection limit for user\r\n", Trouble.CONNECTIONS),
        (503, "no", Trouble.HTTP),
        (406, "no", Trouble.HTTP),
    ],
)
async def test_refusals(wire: Wire, source: XV1, code: int, text: str, trouble: Trouble) -> None:
    await source.select([event("e", "#a")], surely)
    wire.status, wire.text = code, text
    with pytest.raises(Broken) as caught:
        await anext(source.listen(Resume()))
    assert caught.value.trouble is trouble


async def test_nothing_to_listen_for_and_no_token_are_told_at_once(wire: Wire, source: XV1) -> None:
    with pytest.raises(Broken, match="nothing to listen for"):
        await anext(source.listen(Resume()))
    with pytest.raises(Broken, match="set STARLING_X_BEARER_TOKEN"):
        without = XV1(Settings(x_v1_url=wire.url))
        await without.select([event("e", "#a")], surely)
        await anext(without.listen(Resume()))
    assert wire.forms == []


async def test_a_host_that_cannot_be_reached_is_named(unused_tcp_port: int) -> None:
    source = XV1(Settings(x_v1_url=f"http://127.0.0.1:{unused_tcp_port}", x_bearer_token=TOKEN))
    await source.select([event("e", "#a")], surely)
    with pytest.raises(Broken, match=r"127\.0\.0\.1 cannot be reached \(connection refused\)") as caught:
        await anext(source.listen(Resume()))
    assert caught.value.trouble is Trouble.NETWORK
    await source.close()


@pytest.mark.parametrize(
    ("sent", "fact"),
    [
        (line(status("x", id=42, id_str="42")), Fact("42")),
        (b'{"limit":{"track":1234,"timestamp_ms":"1"}}', Fact(withheld=1234)),
        (EVICTED, Fact(ends=f"the v1.1 stream: {NEWER}; admin logout (code 7)", trouble=Trouble.CONNECTIONS)),
        (b'{"disconnect":{"code":12}}', Fact(ends="the v1.1 stream: disconnect (code 12)")),
        (
            b'{"disconnect":{"code":6,"reason":"revoked"}}',
            Fact(ends="the v1.1 stream: revoked (code 6)", trouble=Trouble.DENIED),
        ),
        (b'{"warning":{"code":"FALLING_BEHIND","percent_full":60}}', Fact()),
        (b'{"delete":{"status":{"id_str":"1"}}}', Fact()),
        (b'{"id_str":5}', Fact()),
        (b"nonsense", Fact()),
    ],
)
def test_a_fact_of_a_line(sent: bytes, fact: Fact) -> None:
    assert XV1(Settings()).fact(sent) == fact


# ---- the form


def test_what_v1_cannot_take_is_reported_by_event() -> None:
    form, refused = form_of([event("b", "x" * 61, "#b"), event("a", "#b", accounts=("redcross",))])
    assert form == Form(("#b",))
    assert refused == {
        "a": ("from:redcross: v1.1 takes accounts by id only",),
        "b": ("x" * 61 + ": v1.1 takes keywords of 60 bytes",),
    }


def test_an_exact_phrase_is_asked_for_by_its_words() -> None:
    assert form_of([event("e", '"1,000 houses" flood')])[0].track == ("1 000 houses flood",)


def test_events_take_turns_where_there_is_no_room_for_all() -> None:
    large = event("a", *(f"a{at}" for at in range(500)))
    form, refused = form_of([large, event("b", "b0", "b1")])
    assert form.track[:4] == ("a0", "b0", "a1", "b1")
    assert len(form.track) == 400
    assert len(refused["a"]) == 102
    assert refused["a"][0] == "a398: v1.1 takes 400 at once, for all events together"


def test_a_box_across_the_antimeridian_is_two_locations() -> None:
    assert form_of([event("e", boxes=((170.0, -20.0, -175.0, 0.0),))])[0].locations == (
        "170,-20,180,0",
        "-180,-20,-175,0",
    )
