"""The source "bluesky" against a server that speaks Jetstream: both wires, cursors, compression, troubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import orjson
import pytest
import zstandard
from aiohttp import WSCloseCode, WSMsgType, web

from app.domain.events import Event
from app.domain.matcher import Matcher
from app.domain.posts import Json
from app.settings import Settings
from app.sources import frames, source
from app.sources.bluesky import Bluesky
from app.sources.source import Broken, Fact, Opened, Resume, Selection, Trouble
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
                lines = lines[self.oldest :]
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
    assert await bluesky.select(events) == Selection({"a": 3, "b": 1})
    await bluesky.release()
    await bluesky.close()


# ---- cursors


async def test_without_a_cursor_it_hears_from_now_on(server: Server) -> None:
    server.archive = posts(1, 2)
    opened, lines, broken = await heard(client(server))
    assert (opened, lines) == (Opened(), [])
    assert "cursor" not in server.asked[0]
    assert (broken.trouble, str(broken)) == (
        Trouble.ENDED,
        "127.0.0.1: the server ended the connection (1001 shutting down)",
    )


async def test_it_goes_on_where_the_last_line_was(server: Server) -> None:
    server.archive = posts(*range(1, 1000))
    opened, lines, _ = await heard(client(server), Resume(cursor=300, heard_ms=POSTED_MS))
    assert opened == Opened(since_ms=POSTED_MS)
    assert lines == server.archive[299:]


async def test_a_cursor_alone_tells_no_time(server: Server) -> None:
    server.archive = posts(1, 2)
    opened, lines, _ = await heard(client(server), Resume(cursor=2))
    assert (opened, len(lines)) == (Opened(), 1)


async def test_a_moment_alone_is_a_place_to_go_on(server: Server) -> None:
    server.archive = posts(*range(1, 100))
    heard_ms = POSTED_MS + 60_000
    opened, lines, _ = await heard(client(server), Resume(heard_ms=heard_ms))
    assert opened == Opened(since_ms=heard_ms)
    assert lines == server.archive[49:], "with ten seconds for clocks that differ"


async def test_a_cursor_that_is_too_old_gives_way_to_the_time(server: Server) -> None:
    server.archive, server.oldest = posts(*range(1, 100)), 50
    opened, lines, _ = await heard(client(server), Resume(cursor=10, heard_ms=POSTED_MS + 70_000))
    assert opened == Opened(POSTED_MS + 70_000, "the cursor is too old for the server; resumed by time")
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
    assert opened == Opened(None, "the cursor is too old for the server; what was before is missing")
    assert lines == []


async def test_a_cursor_of_another_server_gives_way_to_the_time(server: Server) -> None:
    server.archive = posts(*range(1, 100))
    opened, lines, _ = await heard(client(server), Resume(cursor=5 * 10**6, heard_ms=POSTED_MS + 70_000))
    assert opened == Opened(POSTED_MS + 70_000, "the cursor is another server's; resumed by time")
    assert lines == server.archive[59:]


@pytest.mark.parametrize("wire", ["v1", "v2"])
async def test_a_quiet_server_is_not_waited_for(server: Server, wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sources.bluesky._FIRST", 0)
    server.then = server.stay
    async with aclosing(client(server, bluesky_wire=wire).listen(Resume(5, POSTED_MS))) as items:
        assert await anext(items) == Opened(POSTED_MS)


async def test_the_older_wire_goes_on_by_time_two_seconds_before(server: Server) -> None:
    server.archive = posts_v1(*range(100))
    cursor = (POSTED_MS + 50_000) * 1000
    opened, lines, _ = await heard(client(server, bluesky_wire="v1"), Resume(cursor=cursor))
    assert opened == Opened(since_ms=POSTED_MS + 48_000)
    assert lines == server.archive[48:]


async def test_the_older_wire_does_not_say_that_it_begins_later_but_its_first_post_does(server: Server) -> None:
    server.archive, server.oldest = posts_v1(*range(0, 1000, 10)), 50
    resume = Resume(cursor=POSTED_MS * 1000, heard_ms=POSTED_MS + 5)
    opened, lines, _ = await heard(client(server, bluesky_wire="v1"), resume)
    assert opened == Opened(POSTED_MS + 500_000, "the server no longer has all that came before")
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
    assert items == [Opened(), [], [line(jetstream(None))]]


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
        assert await anext(items) == Opened()
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
    assert opened == Opened(POSTED_MS)
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
    assert opened == Opened(POSTED_MS + 70_000, "the cursor is too old for the server; resumed by time")
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
