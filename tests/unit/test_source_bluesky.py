"""The source "bluesky" against a server that speaks Jetstream: both wires, cursors, compression, troubles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import aiohttp
import orjson
import pytest
import zstandard
from aiohttp import WSCloseCode, WSMsgType, web
from yarl import URL

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.posts import Json
from app.settings import Settings
from app.sources import bluesky as bluesky_module
from app.sources import frames, source
from app.sources import jetstream as jetstream_wire
from app.sources.bluesky import Bluesky
from app.sources.source import Broken, Fact, Found, Opened, Place, Resume, Selection, Trouble
from tests.builders import (
    BLUESKY_DID,
    POSTED_MS,
    bluesky_address,
    bluesky_post,
    jetstream,
    jetstream_message,
    jetstream_v1,
    line,
    tid,
)
from tests.support.sure import surely

NSID = "network.bsky.jetstream"
SEQ_BELOW = 10**15  # a cursor from here on is a time in microseconds
DICTIONARY = zstandard.train_dictionary(
    2000, [line(jetstream(bluesky_post(f"Water {number} in the street"), seq=number)) for number in range(2000)]
)


class Server:
    """A Jetstream server with some events in its archive, oldest first."""

    def __init__(self) -> None:
        self.url = ""
        self.archive: list[bytes] = []
        self.oldest = 0  # index of the first event that is still there
        self.next_seq = 10**6
        self.asked: list[dict[str, list[str]]] = []
        self.refuse: web.Response | None = None
        self.dictionary: bytes | None = DICTIONARY.as_bytes()
        self.then: Callable[[web.WebSocketResponse], Awaitable[object]] = self.end
        self.gone = asyncio.Event()

    async def end(self, socket: web.WebSocketResponse) -> None:
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"shutting down")

    async def stay(self, socket: web.WebSocketResponse) -> None:
        async for _ in socket:
            pass
        self.gone.set()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """subscribeEvents, as its lexicon says."""
        asked = self._note(request)
        if self.refuse is not None:
            return self.refuse
        assert asked["collections"] == ["app.bsky.feed.post"]
        assert asked["kinds"] == ["commit", "account"]
        compress = None
        if wanted := asked.get("zstdDictionary"):
            if wanted != [str(DICTIONARY.dict_id())]:
                return error("UnknownZstdDictionary", "current dictionary id is 5")
            compress = zstandard.ZstdCompressor(dict_data=DICTIONARY).compress
        cursor = int(asked.get("cursor", ["-1"])[0])
        notice, lines = None, []
        if 0 <= cursor < SEQ_BELOW:
            lines = [one for one in self.archive if orjson.loads(one)["payload"]["seq"] >= cursor]
            if len(lines) > len(self.archive) - self.oldest:
                return error("CursorTooOld", "the oldest seq is 3")
            if cursor > self.next_seq:
                notice = jetstream_message("info", name="FutureCursor", message="starting at the live tip")
        elif cursor >= SEQ_BELOW:
            lines = [one for one in self.archive if seen_us(one) >= cursor]
            if len(lines) > len(self.archive) - self.oldest:
                notice = jetstream_message("info", name="OutdatedCursor", message="starting at seq 3")
                lines = self.archive[self.oldest :]
        socket = web.WebSocketResponse(protocols=("xrpc.v1.json",), autoping=False)
        await socket.prepare(request)
        assert socket.ws_protocol == "xrpc.v1.json"
        for one in [line(notice), *lines] if notice else lines:
            await (socket.send_bytes(compress(one)) if compress else socket.send_str(one.decode()))
        await self.then(socket)
        return socket

    async def v1(self, request: web.Request) -> web.StreamResponse:
        """subscribe, the older wire: it goes on where it can, without a word."""
        asked = self._note(request)
        assert asked["wantedCollections"] == ["app.bsky.feed.post"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        cursor = int(asked.get("cursor", ["9" * 18])[0])
        for one in self.archive[self.oldest :]:
            if orjson.loads(one)["time_us"] >= cursor:
                await socket.send_str(one.decode())
        await self.then(socket)
        return socket

    async def zstd(self, _request: web.Request) -> web.Response:
        if self.dictionary is None:
            return error("DictionaryNotFound", "there is none", 404)
        return web.Response(body=self.dictionary, content_type="application/octet-stream")

    def _note(self, request: web.Request) -> dict[str, list[str]]:
        self.asked.append({name: request.query.getall(name) for name in request.query})
        return self.asked[-1]


def error(name: str, message: str, status: int = 400) -> web.Response:
    return web.json_response({"error": name, "message": message}, status=status)


def seen_us(one: bytes) -> int:
    return POSTED_MS * 1000 + orjson.loads(one)["payload"]["seq"] * 1_000_000


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    serving = Server()
    app = web.Application()
    app.router.add_get(f"/xrpc/{NSID}.subscribeEvents", serving.events)
    app.router.add_get(f"/xrpc/{NSID}.getZstdDictionary", serving.zstd)
    app.router.add_get("/subscribe", serving.v1)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    serving.url = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    yield serving
    await runner.cleanup()


def posts(*seqs: int) -> list[bytes]:
    """Events of a v2 archive, a second after each other by their number."""
    return [line(jetstream(bluesky_post(f"Post {seq}"), seq=seq, seen_ms=POSTED_MS + seq * 1000)) for seq in seqs]


def posts_v1(*seconds: int) -> list[bytes]:
    """Events of a v1 archive, so many seconds after POSTED_MS."""
    return [line(jetstream_v1(bluesky_post(f"Post {at}"), seen_ms=POSTED_MS + at * 1000)) for at in seconds]


def client(server: Server, matcher: Matcher | None = None, **changed: Any) -> Bluesky:
    settings = Settings.model_validate({"bluesky_url": server.url} | changed)
    return Bluesky(settings, (lambda: matcher) if matcher else None)


def came(server: Server, since_ms: int | None = None, note: str = "", *, wire: str = "v2") -> Opened:
    """A connection to this server, whose cursors are its own on the newer wire."""
    return Opened(since_ms, note, server.url.rpartition("/")[2] if wire == "v2" else "", dated=True)


async def heard(
    bluesky: Bluesky, resume: Resume | None = None, passed: list[Fact] | None = None
) -> tuple[Opened | None, list[bytes], Broken]:
    """All that comes until the connection ends; what is told of lines that were left out goes to `passed`."""
    opened, lines = None, []
    with pytest.raises(Broken) as broken:
        async for item in bluesky.listen(resume or Resume()):
            if isinstance(item, Opened):
                assert opened is None
                opened = item
            elif isinstance(item, Fact):
                assert passed is not None
                passed.append(item)
            else:
                assert opened is not None
                assert len(item) <= 256
                lines += item
    assert "\n" not in str(broken.value)
    return opened, lines, broken.value


def test_it_is_a_source() -> None:
    bluesky: source.Source = Bluesky(Settings())
    assert (bluesky.name, bluesky.form, bluesky.selective) == ("bluesky", "jetstream-v2", False)
    assert Bluesky(Settings(bluesky_wire="v1")).form == "jetstream-v1"


async def test_nothing_is_asked_for_when_events_change() -> None:
    bluesky = Bluesky(Settings())
    events = [Event(code="a", name="a", version=3), Event(code="b", name="b", version=1)]
    assert await bluesky.select(events, surely) == Selection({"a": 3, "b": 1})
    await bluesky.release()
    await bluesky.close()


# ---- cursors


async def test_without_a_cursor_it_hears_from_now_on(server: Server) -> None:
    server.archive = posts(1, 2)
    opened, lines, broken = await heard(client(server))
    assert (opened, lines) == (came(server), [])
    assert "cursor" not in server.asked[0]
    assert (broken.trouble, str(broken)) == (
        Trouble.ENDED,
        "127.0.0.1: the server ended the connection (1001 shutting down)",
    )


async def test_it_goes_on_where_the_last_line_was(server: Server) -> None:
    server.archive = posts(*range(1, 1000))
    opened, lines, _ = await heard(client(server), Resume(cursor=300, heard_ms=POSTED_MS + 299_500))
    assert opened == came(server, since_ms=POSTED_MS + 299_500)
    assert lines == server.archive[299:]


async def test_a_cursor_alone_tells_no_time(server: Server) -> None:
    server.archive = posts(1, 2)
    opened, lines, _ = await heard(client(server), Resume(cursor=2))
    assert (opened, len(lines)) == (
        came(
            server,
        ),
        1,
    )


async def test_a_moment_alone_is_a_place_to_go_on(server: Server) -> None:
    server.archive = posts(*range(1, 100))
    heard_ms = POSTED_MS + 60_000
    opened, lines, _ = await heard(client(server), Resume(heard_ms=heard_ms))
    assert opened == came(server, since_ms=heard_ms)
    assert lines == server.archive[49:], "with ten seconds for clocks that differ"


async def test_a_cursor_that_is_too_old_gives_way_to_the_time(server: Server) -> None:
    server.archive, server.oldest = posts(*range(1, 100)), 50
    opened, lines, _ = await heard(client(server), Resume(cursor=10, heard_ms=POSTED_MS + 70_000))
    assert opened == came(server, POSTED_MS + 70_000, "the cursor is too old for the server; resumed by time")
    assert lines == server.archive[59:]


async def test_a_time_that_is_too_old_says_where_the_gap_ends(server: Server) -> None:
    server.archive, server.oldest = posts(*range(1, 100)), 50
    opened, lines, _ = await heard(client(server), Resume(cursor=10, heard_ms=POSTED_MS + 10_000))
    assert opened is not None
    assert opened.since_ms == POSTED_MS + 51_000
    assert "too old" in opened.note
    assert "no longer has all" in opened.note
    assert lines[1:] == server.archive[50:]
    assert b"OutdatedCursor" in lines[0]


async def test_a_cursor_that_is_too_old_and_no_time_is_a_gap_until_now(server: Server) -> None:
    server.archive, server.oldest = posts(1, 2, 3), 2
    opened, lines, _ = await heard(client(server), Resume(cursor=1))
    assert opened == came(server, None, "the cursor is too old for the server; what was before is missing")
    assert lines == []


async def test_a_cursor_of_another_server_gives_way_to_the_time(server: Server) -> None:
    server.archive = posts(*range(1, 100))
    opened, lines, _ = await heard(client(server), Resume(cursor=5 * 10**6, heard_ms=POSTED_MS + 70_000))
    assert opened == came(server, POSTED_MS + 70_000, "the cursor is another server's; resumed by time")
    assert lines == server.archive[59:]


async def test_a_cursor_that_another_server_knows_for_a_later_time_hides_no_gap(server: Server) -> None:
    server.archive = posts(*range(1, 400))
    opened, lines, _ = await heard(client(server), Resume(cursor=300, heard_ms=POSTED_MS + 100_000))
    assert opened == came(server, POSTED_MS + 300_000, "the server no longer has all that came before")
    assert lines == server.archive[299:]


async def test_a_cursor_is_asked_of_no_other_server_though_that_may_know_the_number(server: Server) -> None:
    server.archive = posts(*range(1, 400))
    resume = Resume(cursor=130, heard_ms=POSTED_MS + 100_000, server="another:443")
    opened, lines, _ = await heard(client(server), resume)
    assert opened == came(server, POSTED_MS + 100_000, "the cursor is another server's; resumed by time")
    assert lines == server.archive[89:], "half a minute that a minute's gap would not have shown"
    own = Resume(cursor=130, heard_ms=POSTED_MS + 129_500, server=came(server).server)
    opened, lines, _ = await heard(client(server), own)
    assert (opened, lines) == (came(server, POSTED_MS + 129_500), server.archive[129:])


async def test_a_cursor_of_the_newer_wire_is_no_time_of_the_older(server: Server) -> None:
    server.archive = posts_v1(*range(100))
    resume = Resume(cursor=130, heard_ms=POSTED_MS + 50_000, server="another:443")
    _, lines, _ = await heard(client(server, bluesky_wire="v1"), resume)
    assert lines == server.archive[40:]


async def test_no_password_of_an_address_goes_to_the_ledger(server: Server) -> None:
    server.archive = posts(1)
    plain = came(server)
    server.url = server.url.replace("//", "//me:secret@")
    opened, _, _ = await heard(client(server))
    assert opened == plain


@pytest.mark.parametrize("wire", ["v1", "v2"])
async def test_that_the_past_is_not_there_is_told_though_the_first_line_is_late(
    server: Server, wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def speak(socket: web.WebSocketResponse) -> None:
        await socket.ping()
        await pinged.wait()
        for one in posts(300, 301) if wire == "v2" else posts_v1(300, 301):
            await socket.send_str(one.decode())
        await server.stay(socket)

    pinged = asyncio.Event()
    monkeypatch.setattr("app.sources.bluesky._FIRST", 0)
    server.then = speak
    async with aclosing(client(server, bluesky_wire=wire).listen(Resume(5, POSTED_MS))) as items:
        assert await anext(items) == came(server, POSTED_MS, wire=wire)
        assert await anext(items) == [], "a sign of life that tells nothing of the past"
        pinged.set()
        assert await anext(items) == came(
            server, POSTED_MS + 300_000, "the server no longer has all that came before", wire=wire
        )
        assert await anext(items)


async def test_where_a_cursor_is_outdated_the_first_line_that_tells_its_time_says_since_when(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the notice comes at once, and the line much later."""

    async def speak(socket: web.WebSocketResponse) -> None:
        await socket.send_str(line(jetstream_message("info", name="OutdatedCursor")).decode())
        await opened.wait()
        for one in posts(20, 21):
            await socket.send_str(one.decode())
        await server.stay(socket)

    opened = asyncio.Event()
    monkeypatch.setattr("app.sources.bluesky._FIRST", 0.2)
    server.then = speak
    async with aclosing(client(server).listen(Resume(None, POSTED_MS))) as items:
        assert await anext(items) == came(server, POSTED_MS), "it claims nothing before a line has come"
        assert b"OutdatedCursor" in (await anext(items))[0]
        opened.set()
        late = came(server, POSTED_MS + 20_000, "the server no longer has all that came before")
        assert await anext(items) == late
        assert (await anext(items))[0] == posts(20)[0]


async def pinging(socket: web.WebSocketResponse) -> None:
    """Signs of life, and nothing else."""
    with suppress(ConnectionError):
        while not socket.closed:
            await socket.ping()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("wire", ["v1", "v2"])
async def test_a_server_that_brings_nothing_of_the_past_is_left(
    server: Server, wire: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sources.bluesky._FIRST", 0)
    monkeypatch.setattr("app.sources.bluesky._STALLED", 0.1)
    server.then = pinging
    async with asyncio.timeout(30):
        opened, lines, broken = await heard(client(server, bluesky_wire=wire), Resume(5, POSTED_MS))
    assert (opened, lines) == (came(server, POSTED_MS, wire=wire), [])
    assert broken.trouble == Trouble.STALLED
    assert "nothing of the past has come" in str(broken)


async def test_a_server_that_brings_some_of_the_past_and_then_no_more_is_left(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sources.bluesky._STALLED", 0.1)
    server.archive, server.then = posts(5, 6, 7), pinging
    async with asyncio.timeout(30):
        opened, lines, broken = await heard(client(server), Resume(5, POSTED_MS + 5_000))
    assert (opened, lines) == (came(server, POSTED_MS + 5_000), server.archive)
    assert broken.trouble == Trouble.STALLED


@pytest.mark.parametrize("near", [False, True], ids=["that claims nothing of the past", "whose past has come near"])
async def test_a_quiet_stream_is_left_alone(server: Server, near: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sources.bluesky._STALLED", 0)
    now = int(time.time() * 1000)
    archive = [line(jetstream(bluesky_post("Post"), seq=5, seen_ms=now))] if near else []
    server.archive, server.then = archive, pinging
    resume = Resume(5, now) if archive else Resume()
    async with aclosing(client(server).listen(resume)) as items:
        assert (await anext(items)).since_ms == resume.heard_ms
        came_in = [await anext(items) for _ in range(5)]
        assert [one for one in came_in if one] == ([archive] if archive else [])


@pytest.mark.parametrize("wire", ["v1", "v2"])
async def test_a_quiet_server_is_not_waited_for(server: Server, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sources.bluesky._FIRST", 0)
    server.then = server.stay
    async with aclosing(client(server, bluesky_wire=wire).listen(Resume(5, POSTED_MS))) as items:
        assert await anext(items) == came(server, POSTED_MS, wire=wire)


async def test_the_older_wire_goes_on_by_time_two_seconds_before(server: Server) -> None:
    server.archive = posts_v1(*range(100))
    cursor = (POSTED_MS + 50_000) * 1000
    opened, lines, _ = await heard(client(server, bluesky_wire="v1"), Resume(cursor=cursor))
    assert opened == came(server, POSTED_MS + 48_000, wire="v1")
    assert lines == server.archive[48:]


async def test_the_older_wire_does_not_say_that_it_begins_later_but_its_first_post_does(server: Server) -> None:
    server.archive, server.oldest = posts_v1(*range(0, 1000, 10)), 50
    resume = Resume(cursor=POSTED_MS * 1000, heard_ms=POSTED_MS + 5)
    opened, lines, _ = await heard(client(server, bluesky_wire="v1"), resume)
    assert opened == came(server, POSTED_MS + 500_000, "the server no longer has all that came before", wire="v1")
    assert lines == server.archive[50:]


# ---- what comes


async def test_a_ping_and_its_answer_are_signs_of_life(server: Server) -> None:
    async def ping(socket: web.WebSocketResponse) -> None:
        await socket.ping(b"there?")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"there?")
        await socket.send_str(line(jetstream(None)).decode())
        await socket.close()

    server.then = ping
    async with aclosing(client(server).listen(Resume())) as listening:
        items = [await anext(listening) for _ in range(3)]
    assert items == [came(server), [], [line(jetstream(None))]]


async def test_a_ping_that_is_read_when_the_connection_is_gone_is_the_end_of_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lay behind more than is kept, and nobody is there to be answered."""
    monkeypatch.setattr(frames, "_MOST_BYTES", 1)

    async def ping(socket: web.WebSocketResponse) -> None:
        await socket.ping()
        assert socket._req is not None
        assert socket._req.transport is not None
        socket._req.transport.close()

    server.archive, server.then = posts(1), ping
    async with aiohttp.ClientSession() as session:
        url = jetstream_wire.stream_url(URL(server.url), "v2", 1)
        connection = await frames.connect(session, url, (jetstream_wire.SUBPROTOCOL,), None)
        transport = connection._socket._writer.transport
        async with asyncio.timeout(30):
            while not transport.is_closing():  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0)
        assert await connection.take() == posts(1)
        with pytest.raises(Broken) as broken:
            await connection.take()
        await connection.close()
    assert (broken.value.trouble, str(broken.value)) == (Trouble.ENDED, "127.0.0.1: the connection broke off")


async def test_a_socket_without_life_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "HEARTBEAT", 0.05)
    silent = asyncio.Event()

    async def mute(_socket: web.WebSocketResponse) -> None:
        await silent.wait()

    server.then = mute
    _, _, broken = await heard(client(server))
    silent.set()
    assert (broken.trouble, str(broken)) == (Trouble.ENDED, "127.0.0.1: no answer to a ping")


async def test_closing_the_iterator_closes_the_connection(server: Server) -> None:
    server.then = server.stay
    async with aclosing(client(server).listen(Resume())) as items:
        assert await anext(items) == came(server)
    await server.gone.wait()


async def test_an_error_of_the_stream_is_a_line_and_then_the_end(server: Server) -> None:
    told = {"$type": "error", "error": "ConsumerTooSlow", "message": "reading below the floor rate"}

    async def slow(socket: web.WebSocketResponse) -> None:
        await socket.send_json(told)
        await socket.close(code=WSCloseCode.POLICY_VIOLATION)

    server.then = slow
    bluesky = client(server)
    _, lines, broken = await heard(bluesky)
    assert [orjson.loads(one) for one in lines] == [told]
    assert bluesky.fact(lines[0]).ends == "ConsumerTooSlow: reading below the floor rate"
    assert broken.trouble == Trouble.ENDED


async def test_a_frame_never_holds_a_line_break(server: Server) -> None:
    pretty = orjson.dumps(jetstream(bluesky_post("two\nlines")), option=orjson.OPT_INDENT_2)

    async def send(socket: web.WebSocketResponse) -> None:
        await socket.send_str(pretty.decode())
        await socket.close()

    server.then = send
    _, lines, _ = await heard(client(server))
    assert b"\n" not in lines[0]
    assert orjson.loads(lines[0]) == orjson.loads(pretty)


async def test_a_frame_beyond_all_measure_ends_the_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_LINE_BYTES", 1000)

    async def send(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * 1001)
        await server.stay(socket)

    server.then = send
    _, lines, broken = await heard(client(server))
    assert lines == []
    assert broken.trouble == Trouble.ENDED
    assert "1001" in str(broken) or "exceeds" in str(broken)


async def test_much_is_kept_back_until_it_is_taken(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_MOST_BYTES", 1000)
    server.archive = posts(*range(1, 2000))
    _, lines, _ = await heard(client(server), Resume(cursor=1))
    assert lines == server.archive


# ---- the filter


async def test_the_filter_leaves_out_what_no_event_matches_and_counts_it(server: Server) -> None:
    account = line(jetstream_message("account", seq=5, did=BLUESKY_DID, account={"active": False}))
    server.archive = [*posts(1, 2, 3), line(jetstream(None, seq=4)), account, line({"payload": {"seq": 6}})]
    matcher = Matcher([Event(code="e", name="e", status="active", keywords=("2",))])
    bluesky = client(server, matcher, bluesky_filter=True)
    _, lines, _ = await heard(bluesky, Resume(cursor=1), [])
    assert lines == [server.archive[1], *server.archive[3:]]
    assert bluesky.left_out == 2
    unfiltered = client(server, matcher)
    assert (await heard(unfiltered, Resume(cursor=1)))[1] == server.archive
    assert unfiltered.left_out == 0


async def test_what_the_filter_leaves_out_moves_the_place_to_go_on(server: Server) -> None:
    server.archive = posts(1, 2, 3)
    nothing = Matcher([])
    passed: list[Fact] = []
    opened, lines, _ = await heard(client(server, nothing, bluesky_filter=True), Resume(cursor=1), passed)
    assert opened is not None
    assert lines == []
    assert passed[-1] == Fact(cursor=3, seen_ms=POSTED_MS + 3000)


# ---- compression


async def test_frames_come_compressed_where_it_is_wished_for(server: Server) -> None:
    server.archive = posts(*range(1, 50))
    opened, lines, _ = await heard(client(server, bluesky_zstd=True), Resume(cursor=1, heard_ms=POSTED_MS))
    assert opened == came(server, POSTED_MS)
    assert lines == server.archive
    assert server.asked[0]["zstdDictionary"] == [str(DICTIONARY.dict_id())]


@pytest.mark.parametrize("dictionary", [None, b"", b"no dictionary", b"\x37\xa4\x30\xec" + b"x" * 300])
async def test_without_a_dictionary_frames_come_plain_with_a_note(server: Server, dictionary: bytes | None) -> None:
    server.archive, server.dictionary = posts(1), dictionary
    opened, lines, _ = await heard(client(server, bluesky_zstd=True), Resume(cursor=1))
    assert opened is not None
    assert opened.note.startswith("not compressed: no dictionary of 127.0.0.1")
    assert lines == server.archive


async def test_a_dictionary_that_has_just_changed_is_done_without(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = zstandard.train_dictionary(1500, [line(bluesky_post(f"x{n}")) for n in range(2000)], dict_id=7)
    server.archive, server.dictionary = posts(1), other.as_bytes()
    opened, lines, _ = await heard(client(server, bluesky_zstd=True), Resume(cursor=1))
    assert opened is not None
    assert opened.note == "not compressed: the server has another dictionary by now"
    assert lines == server.archive


async def test_a_refusal_of_the_stream_is_none_of_the_dictionary(server: Server) -> None:
    server.refuse = web.Response(status=429)
    _, _, broken = await heard(client(server, bluesky_zstd=True))
    assert (broken.trouble, len(server.asked)) == (Trouble.RATE, 1)


async def test_a_cursor_that_is_too_old_is_told_from_a_dictionary_that_is_missing(server: Server) -> None:
    server.archive, server.oldest = posts(*range(1, 100)), 50
    bluesky = client(server, bluesky_zstd=True)
    opened, lines, _ = await heard(bluesky, Resume(cursor=10, heard_ms=POSTED_MS + 70_000))
    assert opened == came(server, POSTED_MS + 70_000, "the cursor is too old for the server; resumed by time")
    assert lines == server.archive[59:]


@pytest.mark.parametrize(
    "frame",
    [
        b"not zstd",
        zstandard.ZstdCompressor().compress(b"x" * 5001),
        zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 5001),
    ],
)
async def test_a_compressed_frame_that_is_none_or_a_bomb_ends_the_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch, frame: bytes
) -> None:
    monkeypatch.setattr("app.sources.zstd.MOST_LINE_BYTES", 5000)

    async def send(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(frame)
        await server.stay(socket)

    server.then = send
    _, lines, broken = await heard(client(server, bluesky_zstd=True))
    assert lines == []
    assert (broken.trouble, str(broken).startswith("127.0.0.1: a compressed frame")) == (Trouble.ENDED, True)


# ---- troubles


@pytest.mark.parametrize(
    ("status", "headers", "trouble", "retry_after"),
    [
        (401, {}, Trouble.DENIED, None),
        (403, {}, Trouble.DENIED, None),
        (420, {}, Trouble.RATE, None),
        (429, {"Retry-After": "30"}, Trouble.RATE, 30),
        (400, {}, Trouble.HTTP, None),
        (500, {"Retry-After": "soon"}, Trouble.HTTP, None),
        (503, {}, Trouble.HTTP, None),
    ],
)
async def test_a_refusal_has_its_kind_and_says_why(
    server: Server, status: int, headers: dict[str, str], trouble: Trouble, retry_after: float | None
) -> None:
    server.refuse = web.Response(status=status, headers=headers, text="warming\nup")
    opened, _, broken = await heard(client(server))
    assert opened is None
    assert (broken.trouble, broken.retry_after) == (trouble, retry_after)
    assert str(broken) == f"127.0.0.1: HTTP {status} (warming up)"


async def test_a_server_that_does_not_speak_websocket_is_told(server: Server) -> None:
    server.refuse = web.Response(text="hello")
    _, _, broken = await heard(client(server))
    assert broken.trouble == Trouble.NETWORK
    assert "does not speak WebSocket" in str(broken)


async def test_an_unreachable_host_is_one_line_without_the_password(unused_tcp_port: int) -> None:
    server = Server()
    server.url = f"ws://me:secret@127.0.0.1:{unused_tcp_port}"
    _, _, broken = await heard(client(server))
    assert broken.trouble == Trouble.NETWORK
    assert str(broken) == "127.0.0.1 cannot be reached (connection refused)"


async def test_an_address_that_is_none_is_told() -> None:
    """Most are refused as settings; this one has the form of an address."""
    server = Server()
    server.url = "wss://a:b:c"
    _, _, broken = await heard(client(server))
    assert (broken.trouble, "STARLING_BLUESKY_URL" in str(broken)) == (Trouble.DENIED, True)


# ---- facts


def fact(body: Json | bytes, wire: Any = "v2") -> Fact:
    bluesky = Bluesky(Settings(bluesky_wire=wire))
    return bluesky.fact(body if isinstance(body, bytes) else line(body))


def test_a_post_is_known_by_its_address_and_revision() -> None:
    key = f"{bluesky_address()} {tid(POSTED_MS + 2)}"
    assert fact(jetstream(bluesky_post(), seq=77)) == Fact(key, 77, POSTED_MS + 300)
    assert fact(jetstream_v1(bluesky_post(), seen_ms=POSTED_MS), "v1") == Fact(key, POSTED_MS * 1000, POSTED_MS)
    edited = fact(jetstream(bluesky_post("Corrected"), operation="update", rev="later"))
    assert edited.key == f"{bluesky_address()} later"
    assert fact(jetstream(bluesky_post(), rev="")).key == f"{bluesky_address()} bafyreipost"


def test_what_is_no_post_has_a_cursor_but_no_key() -> None:
    seen = POSTED_MS + 300
    assert fact(jetstream(None, seq=5)) == Fact(None, 5, seen)
    assert fact(jetstream({"subject": {}}, collection="app.bsky.feed.like", seq=6)) == Fact(None, 6, seen)
    assert fact(jetstream_message("account", seq=7, did=BLUESKY_DID, account={})) == Fact(cursor=7)
    assert fact({"did": BLUESKY_DID, "time_us": 8000, "kind": "account", "account": {}}, "v1") == Fact(None, 8000, 8)
    assert fact(jetstream_message("info", name="OutdatedCursor")) == Fact()


def test_when_a_line_was_seen_is_when_jetstream_witnessed_it() -> None:
    body = jetstream(bluesky_post(), seen_ms=POSTED_MS, witnessedAt="2024-05-01T10:40:22.5Z")
    assert fact(body).seen_ms == POSTED_MS + 1500


@pytest.mark.parametrize("odd", ["", "soon", "99999-01-01T00:00:00Z"])
def test_a_time_that_is_none_costs_a_line_nothing_else(odd: str) -> None:
    found = fact(jetstream(bluesky_post(), seq=9, time=odd))
    assert found.key is not None
    assert (found.cursor, found.seen_ms) == (9, None)


@pytest.mark.parametrize("wire", ["v1", "v2"])
@pytest.mark.parametrize(
    "odd",
    [
        *(b"", b"{", b"5", b"[]", b"\xff", b"[" * 5000, b'{"$type":5}', b'{"payload":[]}', b'{"payload":{"seq":"1"}}'),
        *(
            b'{"time_us":1.5,"kind":"x"}',
            b'{"time_us":1}',
            b'{"time_us":1,"kind":"x","commit":5}',
            b'{"$type":"message"}',
        ),
        b'{"$type":"message","payload":{"did":"\xff"}}',
        b'{"payload":{"x":' + b"[" * 5000 + b"]" * 5000 + b"}}",
    ],
)
def test_a_line_that_is_not_understood_has_no_facts(odd: bytes, wire: str) -> None:
    assert fact(odd, wire) == Fact()


# ---- asked for the past


RISES = Event(code="flood", name="Flood", keywords=("rises",), status="active")


def said(seq: int, text: str) -> bytes:
    return line(jetstream(bluesky_post(text), seq=seq, seen_ms=POSTED_MS + seq * 1000))


async def replayed(
    bluesky: Bluesky, since: int, until: int, place: Place | None = None
) -> tuple[list[Found], list[bytes]]:
    """All that a search for a time finds, in seconds after POSTED_MS, and its lines."""
    span = POSTED_MS + since * 1000, POSTED_MS + until * 1000
    async with aclosing(bluesky.search(bluesky.asking([RISES]), *span, place or Place())) as search:
        found = [one async for one in search]
    return found, [part for one in found for part in one.line.split(b"\n") if part]


async def test_a_replay_finds_what_an_event_selects_of_a_time(server: Server) -> None:
    server.archive = [said(seq, f"It rises, {seq}" if seq % 2 else "Nothing") for seq in range(1, 40)]
    server.then = server.stay
    found, lines = await replayed(client(server), 10, 30)
    assert lines == [one for one in server.archive[9:29] if b"rises" in one]
    assert found[-1] == Found(found[-1].line, Place(1), POSTED_MS + 10_000, POSTED_MS + 30_000)
    assert int(server.asked[0]["cursor"][0]) == POSTED_MS * 1000, "it begins ten seconds before, for clocks that differ"


async def test_a_replay_goes_on_where_it_was(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bluesky_module, "_PART_SECONDS", 0.0)
    monkeypatch.setattr(frames, "_MOST_FRAMES", 5)
    server.archive = [said(seq, f"It rises, {seq}") for seq in range(1, 40)]
    (first, *_), _ = await replayed(client(server), 1, 38)
    assert first.then.query == 0
    asked = len(server.asked)
    _, rest = await replayed(client(server), 1, 38, first.then)
    assert server.asked[asked]["cursor"] == [first.then.page.split()[0]]
    done = first.line.split(b"\n")
    assert {*done, *rest} == set(server.archive[:37])
    assert await replayed(client(server), 1, 38, Place(1)) == ([], [])


@pytest.mark.parametrize("first", [5.0, 0.0], ids=["at once", "told late"])
async def test_a_replay_that_goes_on_late_has_found_what_came_before(
    server: Server, first: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluesky_module, "_FIRST", first)
    monkeypatch.setattr(frames, "_MOST_FRAMES", 5)
    server.archive = [said(seq, f"It rises, {seq}") for seq in range(1, 400)]
    server.then = server.stay
    own = f"300 {POSTED_MS + 300_000} {came(server).server}"
    for page, begins in ((own, 300), (f"200 {POSTED_MS + 300_000} another:443", 290)):
        found, lines = await replayed(client(server), 1, 390, Place(0, page))
        assert lines == server.archive[begins - 1 : 389]
        assert found[-1].since_ms == POSTED_MS + 1_000, "it reaches back to where it began"


async def test_a_replay_whose_next_part_the_server_has_no_more_claims_nothing_before(server: Server) -> None:
    server.archive, server.oldest = [said(seq, f"It rises, {seq}") for seq in range(1, 400)], 380
    server.then = server.stay
    place = Place(0, f"300 {POSTED_MS + 300_000} {came(server).server}")
    found, lines = await replayed(client(server), 1, 390, place)
    assert lines == server.archive[380:389]
    assert found[-1].since_ms == POSTED_MS + 381_000


async def test_a_replay_goes_on_from_a_place_that_an_earlier_version_wrote(server: Server) -> None:
    server.archive = [said(seq, f"It rises, {seq}") for seq in range(1, 40)]
    server.then = server.stay
    _, lines = await replayed(client(server), 1, 38, Place(0, "30"))
    assert lines == server.archive[29:37]


async def test_a_replay_that_the_server_cannot_give_whole_says_from_when_on_it_is(server: Server) -> None:
    server.archive, server.oldest = [said(seq, f"It rises, {seq}") for seq in range(1, 40)], 20
    found, lines = await replayed(client(server), 10, 39)
    assert lines == server.archive[20:38]
    assert found[-1].since_ms == POSTED_MS + 21_000


async def test_a_replay_that_breaks_off_says_so_and_hands_over_deletions_to_nobody(server: Server) -> None:
    gone = line(jetstream_message("account", did=BLUESKY_DID, active=False, seq=3))
    server.archive = [said(2, "It rises"), gone]
    with pytest.raises(Broken, match="ended the connection"):
        await replayed(client(server), 1, 38)


async def test_a_replay_is_through_where_the_server_has_no_more_of_that_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluesky_module, "PAUSE_SECONDS", 0.0)
    server.archive = [said(2, "It rises")]

    server.then = pinging
    found, lines = await replayed(client(server), 1, 38)
    assert lines == server.archive
    assert (found[-1].then, found[-1].reached_ms) == (Place(1), POSTED_MS + 38_000)


@pytest.mark.parametrize(
    ("archive", "until"), [([], 38), ([2], 62), ([2, 30], 90)], ids=["nothing", "a line", "some of it"]
)
async def test_a_replay_that_stalls_is_not_through(
    server: Server, archive: list[int], until: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluesky_module, "_FIRST", 0)
    monkeypatch.setattr(bluesky_module, "_STALLED", 0.1)
    monkeypatch.setattr(bluesky_module, "PAUSE_SECONDS", 0.0)
    server.archive, server.then = [said(seq, "It rises") for seq in archive], pinging
    with pytest.raises(Broken, match="nothing of the past has come") as broken:
        async with asyncio.timeout(30):
            await replayed(client(server), 1, until)
    assert broken.value.trouble == Trouble.STALLED
