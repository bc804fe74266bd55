"""Both wires of Jetstream over real sockets."""

from __future__ import annotations

import json
from typing import Any

import zstandard
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType

from tests.support.simulated import EVENTS, WITHIN, Client, commit, message_of, opened


async def test_the_newer_wire_sends_numbered_events_and_replays_from_a_number_or_a_time(client: Client) -> None:
    async with client.session.ws_connect(EVENTS, protocols=("xrpc.v1.json",)) as socket:
        assert socket.protocol == "xrpc.v1.json"
        await client.push(commit("a"), commit("b", "delete"))
        first, second = [(await message_of(socket)) for _ in range(2)]
    assert first["$type"] == "message"
    payload = first["payload"]
    assert payload["$type"] == "network.bsky.jetstream.subscribeEvents#commit"
    assert (payload["seq"], payload["rkey"], payload["record"]) == (1, "a", {"text": "a flood"})
    assert payload["time"] == payload["witnessedAt"]
    assert second["payload"]["operation"] == "delete"
    await client.push({"did": "did:plc:ann", "kind": "account", "account": {"active": False, "status": "deleted"}})
    async with client.session.ws_connect(EVENTS, params={"cursor": 2}) as socket:
        assert [(await message_of(socket))["payload"]["seq"] for _ in range(2)] == [2, 3]
    async with client.session.ws_connect(EVENTS, params={"cursor": 10**15}) as socket:
        notice = (await message_of(socket))["payload"]
        assert (notice["$type"].rpartition("#")[2], notice["name"]) == ("info", "OutdatedCursor")
        assert [(await message_of(socket))["payload"]["seq"] for _ in range(3)] == [1, 2, 3]
    async with client.session.ws_connect(EVENTS, params={"cursor": 99}) as socket:
        assert (await message_of(socket))["payload"]["name"] == "FutureCursor"
    sent = [(entry["id"], entry["tags"], entry["sent"], entry["again"]) for entry in await client.log()]
    assert sent[0] == ("at://did:plc:ann/app.bsky.feed.post/a", ["create"], True, False)
    assert sent[2] == ("did:plc:ann", ["account"], False, False)
    assert sent[3] == ("at://did:plc:ann/app.bsky.feed.post/b", ["delete"], True, True)


async def test_a_replay_may_be_stalled_while_pings_are_answered(client: Client) -> None:
    await client.push(commit("a"), commit("b"))
    await client.fault("stall", later=True)
    async with client.session.ws_connect(EVENTS, params={"cursor": 1}, autoping=False) as socket:
        await socket.ping(b"there?")
        answer = await _no_ping(socket)
        assert (answer.type, answer.data) == (WSMsgType.PONG, b"there?")
        await client.fault("clear")
        assert [json.loads((await _no_ping(socket)).data)["payload"]["seq"] for _ in range(2)] == [1, 2]


async def _no_ping(socket: ClientWebSocketResponse[bool]) -> WSMessage:
    while (message := await socket.receive(WITHIN)).type is WSMsgType.PING:
        pass
    return message


async def test_the_newer_wire_refuses_before_it_opens() -> None:
    async with opened(history=2) as client:
        await client.push(*(commit(key) for key in "abc"))
        for query, error in (
            ("cursor=1", "CursorTooOld"),
            ("cursor=x", "InvalidRequest"),
            ("kinds=posts", "InvalidRequest"),
            ("kinds=account&collections=a.b.c", "InvalidRequest"),
            ("zstdDictionary=7", "UnknownZstdDictionary"),
        ):
            status, answer = await client.ask("GET", f"{EVENTS}?{query}")
            assert (status, answer["error"]) == (400, error)
        async with client.session.ws_connect(EVENTS, params={"cursor": 2}) as socket:
            assert (await message_of(socket))["payload"]["seq"] == 2


async def test_events_are_filtered(client: Client) -> None:
    account = {"did": "did:plc:ann", "kind": "account", "account": {"active": True}}
    await client.push(commit("a"), commit("b", collection="app.bsky.feed.like"), account, commit("c"))

    async def seqs(path: str, query: str, count: int) -> list[str]:
        async with client.session.ws_connect(f"{path}?{query}") as socket:
            found = [await message_of(socket) for _ in range(count)]
        return [str((body.get("payload") or body).get("did")) + _key(body) for body in found]

    def _key(body: dict[str, Any]) -> str:
        return str((body.get("payload") or body.get("commit") or {}).get("rkey"))

    assert await seqs(EVENTS, "cursor=1&kinds=commit&collections=app.bsky.feed.post", 2) == [
        "did:plc:anna",
        "did:plc:annc",
    ]
    assert await seqs(EVENTS, "cursor=1&collections=app.bsky.feed.*&dids=did:plc:ann", 4)
    older = await seqs("/subscribe", f"cursor={10**15}&wantedCollections=app.bsky.feed.post", 3)
    assert older == ["did:plc:anna", "did:plc:annNone", "did:plc:annc"]


async def test_the_older_wire_sends_events_with_times_and_replays_from_one(client: Client) -> None:
    async with client.session.ws_connect("/subscribe") as socket:
        await client.push(commit("a"), commit("b"))
        first, second = [await message_of(socket) for _ in range(2)]
    assert first["kind"] == "commit"
    assert first["commit"]["rkey"] == "a"
    assert first["time_us"] < second["time_us"]
    async with client.session.ws_connect("/subscribe", params={"cursor": second["time_us"]}) as socket:
        assert await message_of(socket) == second


async def test_frames_are_compressed_with_the_dictionary_that_is_given(client: Client) -> None:
    async with client.session.get("/xrpc/network.bsky.jetstream.getZstdDictionary") as response:
        dictionary = zstandard.ZstdCompressionDict(await response.read())
    query = {"zstdDictionary": str(dictionary.dict_id())}
    async with client.session.ws_connect(EVENTS, params=query) as socket:
        await client.push(commit("a"))
        message = await socket.receive(timeout=WITHIN)
    assert message.type == WSMsgType.BINARY
    line = zstandard.ZstdDecompressor(dict_data=dictionary).decompress(message.data)
    assert json.loads(line)["payload"]["rkey"] == "a"


async def test_faults_hit_jetstream_too(client: Client) -> None:
    async with client.session.ws_connect(EVENTS) as socket:
        await client.fault("silence")
        await client.push(commit("a"))
        await client.fault("clear")
        await client.fault("malformed", wire="jetstream")
        assert (await socket.receive(timeout=WITHIN)).data.endswith('"com')
        await client.fault("disconnect", wire="jetstream")
        assert (await message_of(socket))["error"] == "ConsumerTooSlow"
        assert (await socket.receive(timeout=WITHIN)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
    async with client.session.ws_connect(EVENTS) as socket:
        await client.fault("cut")
        await client.push(commit("b"))
        assert (await socket.receive(timeout=WITHIN)).type in (WSMsgType.CLOSED, WSMsgType.ERROR, WSMsgType.CLOSE)
    await client.fault("status", status=503, wire="jetstream")
    assert (await client.ask("GET", EVENTS))[0] == 503
    async with client.session.ws_connect(EVENTS, params={"cursor": 1}) as socket:
        assert [(await message_of(socket))["payload"]["rkey"] for _ in range(2)] == ["a", "b"], "nothing is lost"


async def test_who_is_silent_answers_no_ping(client: Client) -> None:
    async with client.session.ws_connect(EVENTS, autoping=False) as socket:

        async def answered() -> bytes:
            while (message := await socket.receive(timeout=WITHIN)).type == WSMsgType.PING:
                pass
            assert message.type == WSMsgType.PONG
            return bytes(message.data)

        await socket.ping(b"one")
        assert await answered() == b"one"
        await client.fault("silence")
        await socket.ping(b"two")
        await client.state()
        await client.fault("clear")
        await socket.ping(b"three")
        assert await answered() == b"three"


async def test_a_client_of_jetstream_may_leave_and_is_pinged(client: Client) -> None:
    async with client.session.ws_connect(EVENTS, autoping=False) as socket:
        assert (await socket.receive(timeout=WITHIN)).type == WSMsgType.PING
    await client.until(lambda state: not state["connections"])
