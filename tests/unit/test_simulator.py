"""The simulator over real sockets: what each wire answers, what the log says, and every fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import zstandard
from aiohttp import ClientPayloadError, ClientSession, ClientTimeout, WSMsgType

from app.domain.events import Event
from app.errors import UserError
from app.simulator import Options, Simulator
from app.simulator.book import Limits

RULES = "/2/tweets/search/stream/rules"
STREAM = "/2/tweets/search/stream"
EVENTS = "/xrpc/network.bsky.jetstream.subscribeEvents"
FILTER = "/1.1/statuses/filter.json"
WITHIN = 10.0  # seconds; nothing here takes one


class Client:
    """A simulator and a session with it."""

    def __init__(self, simulator: Simulator, session: ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self.session.request(method, path, **more) as response:
            text = await response.text()
            return response.status, json.loads(text) if text[:1] in "{[" else text

    async def add(self, *values: str, tag: str = "e") -> Any:
        return (await self.ask("POST", RULES, json={"add": [{"value": value, "tag": tag} for value in values]}))[1]

    async def push(self, *posts: dict[str, Any], **query: str) -> Any:
        body = b"\n".join(json.dumps(post).encode() for post in posts)
        status, answer = await self.ask("POST", "/control/posts", data=body, params=query)
        assert status == 200, answer
        return answer

    async def fault(self, kind: str, **more: Any) -> None:
        status, answer = await self.ask("POST", "/control/fault", json={"kind": kind, **more})
        assert status == 200, answer

    async def log(self, what: str = "post") -> list[dict[str, Any]]:
        entries = (await self.ask("GET", "/control/log"))[1]["entries"]
        return [entry for entry in entries if entry["what"] == what]

    async def why(self, number: str) -> list[str]:
        return [entry["why"] for entry in await self.log() if entry["id"] == number]

    async def state(self) -> Any:
        return (await self.ask("GET", "/control/state"))[1]

    async def stream(self, path: str = STREAM, **query: str) -> aiohttp.ClientResponse:
        response = await self.session.get(path, params=query)
        assert response.status == 200, await response.text()
        return response

    async def until(self, truth: Callable[[Any], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not truth(await self.state()):  # noqa: ASYNC110 -- it is over HTTP
                await asyncio.sleep(0.01)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with opened() as one:
        yield one


class opened:  # noqa: N801 -- used like a function
    def __init__(self, **options: Any) -> None:
        self._simulator = Simulator(Options(**{"posts": 0, "keep_alive": 0.05, **options}))

    async def __aenter__(self) -> Client:
        await self._simulator.__aenter__()
        self._session = ClientSession(
            self._simulator.url, timeout=ClientTimeout(sock_read=WITHIN), read_bufsize=1 << 20
        )
        return Client(self._simulator, self._session)

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()
        await self._simulator.__aexit__(*error)


def v2(number: int, text: str = "a flood") -> dict[str, Any]:
    return {"data": {"id": str(number), "text": text, "created_at": f"2026-01-01T00:00:{number % 60:02}.000Z"}}


def v1(number: int, text: str = "a flood", user: str = "1") -> dict[str, Any]:
    return {"id_str": str(number), "text": text, "user": {"id_str": user, "screen_name": "ann"}}


def commit(key: str, operation: str = "create", collection: str = "app.bsky.feed.post") -> dict[str, Any]:
    record = {"record": {"text": "a flood"}} if operation == "create" else {}
    body = {"operation": operation, "collection": collection, "rkey": key, "rev": key}
    return {"did": "did:plc:ann", "kind": "commit", "commit": body | record}


async def post_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next line that is no sign of life."""
    async with asyncio.timeout(WITHIN):
        while True:
            line = await response.content.readuntil(b"\r\n")
            assert line, "the stream has ended"
            if line.strip():
                return dict(json.loads(line))


async def message_of(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    return dict(await socket.receive_json(timeout=WITHIN))


# --- X v2: rules


async def test_rules_are_added_listed_and_deleted_as_x_answers(client: Client) -> None:
    status, answer = await client.ask(
        "POST", RULES, json={"add": [{"value": "cat", "tag": "e"}, {"value": "(cat"}, {"value": "cat"}]}
    )
    assert status == 201
    assert answer["meta"]["summary"] == {"created": 1, "not_created": 2, "valid": 1, "invalid": 2}
    (rule,) = answer["data"]
    assert (rule["value"], rule["tag"]) == ("cat", "e")
    wrong, twin = answer["errors"]
    assert wrong["title"] == "Invalid Rule"
    assert wrong["value"] == "(cat"
    assert wrong["details"] == ["missing ')' at '<EOF>' (at position 5)"]
    assert twin | {"value": ""} == {
        "title": "DuplicateRule",
        "id": rule["id"],
        "value": "",
        "type": "https://api.twitter.com/2/problems/duplicate-rules",
    }

    listed = (await client.ask("GET", RULES))[1]
    assert listed["data"] == [rule]
    assert listed["meta"]["result_count"] == 1

    answer = (await client.ask("POST", RULES, json={"delete": {"ids": [rule["id"], "7"]}}))[1]
    assert answer["meta"]["summary"] == {"deleted": 1, "not_deleted": 1}
    await client.add("dog")
    answer = (await client.ask("POST", RULES, json={"delete": {"values": ["dog"]}}))[1]
    assert answer["meta"]["summary"] == {"deleted": 1, "not_deleted": 0}
    assert "data" not in (await client.ask("GET", RULES))[1]
    changes = [(entry["change"], entry["value"]) for entry in await client.log("rule")]
    assert changes == [("rule added", "cat"), ("rule removed", "cat"), ("rule added", "dog"), ("rule removed", "dog")]


async def test_a_dry_run_changes_nothing(client: Client) -> None:
    answer = (await client.ask("POST", f"{RULES}?dry_run=true", json={"add": [{"value": "cat"}]}))[1]
    assert answer["meta"]["summary"]["created"] == 1
    assert "data" not in (await client.ask("GET", RULES))[1]


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"add": []}', b'{"add": [1]}', b'{"delete": {"ids": [1]}}'])
async def test_a_request_that_is_none_is_refused(client: Client, body: bytes) -> None:
    status, answer = await client.ask("POST", RULES, data=body)
    assert status == 400
    assert answer["title"] == "Invalid Request"


async def test_what_the_plan_does_not_allow_is_refused() -> None:
    async with opened(limits=Limits(rules=2, rule_length=10)) as client:
        answer = await client.add("a" * 11)
        assert "10 are allowed" in answer["errors"][0]["details"][0]
        status, answer = await client.ask("POST", RULES, json={"add": [{"value": word} for word in "abc"]})
        assert (status, answer["title"]) == (422, "RulesCapExceeded")
        assert "data" not in (await client.ask("GET", RULES))[1], "none of them was added"


async def test_a_wrong_token_is_refused_everywhere() -> None:
    async with opened(token="right") as client:  # noqa: S106
        for method, path in (("GET", RULES), ("POST", RULES), ("GET", STREAM), ("GET", "/2/connections")):
            assert (await client.ask(method, path, headers={"Authorization": "Bearer wrong"}))[0] == 401
        assert (await client.ask("POST", FILTER, data={"track": "a"}))[0] == 401
        assert (await client.ask("GET", RULES, headers={"Authorization": "Bearer right"}))[0] == 200


# --- X v2: the stream


async def test_a_post_is_sent_by_the_rules_in_force_at_its_moment_and_the_log_names_them(client: Client) -> None:
    await client.push(v2(1))
    first = await client.add("flood", tag="e1")
    await client.push(v2(2))
    response = await client.stream()
    await client.push(v2(3), v2(4, "nothing"))
    post = await post_of(response)
    assert post == v2(3) | {"matching_rules": [{"id": first["data"][0]["id"], "tag": "e1"}]}
    await client.add("a flood", tag="e2")
    await client.push(v2(5))
    assert [rule["tag"] for rule in (await post_of(response))["matching_rules"]] == ["e1", "e2"]
    await client.ask("POST", RULES, json={"delete": {"values": ["flood", "a flood"]}})
    await client.push(v2(6))
    told = [(entry["id"], entry["tags"], entry["sent"], entry["why"]) for entry in await client.log()]
    assert told == [
        ("1", [], False, "no rule"),
        ("2", ["e1"], False, "not connected"),
        ("3", ["e1"], True, ""),
        ("4", [], False, "no rule"),
        ("5", ["e1", "e2"], True, ""),
        ("6", [], False, "no rule"),
    ]


async def test_signs_of_life_come_while_nothing_arises(client: Client) -> None:
    response = await client.stream()
    async with asyncio.timeout(WITHIN):
        assert await response.content.readexactly(4) == b"\r\n\r\n"


async def test_a_second_connection_is_refused_until_the_first_is_ended(client: Client) -> None:
    response = await client.stream()
    status, answer = await client.ask("GET", STREAM)
    assert (status, answer["connection_issue"]) == (429, "TooManyConnections")
    (live,) = (await client.ask("GET", "/2/connections"))[1]["data"]
    assert live["endpoint_name"] == "filtered_stream"
    answer = (await client.ask("DELETE", "/2/connections", json={"uuids": [live["id"], "none"]}))[1]["data"]
    assert (answer["successful_kills"], answer["failed_kills"]) == (1, 1)
    async with asyncio.timeout(WITHIN):
        assert (await response.content.read()).strip() == b"", "it ends in good order"
    second = await client.stream()
    assert (await client.ask("DELETE", "/2/connections/all"))[1]["data"]["successful_kills"] == 1
    async with asyncio.timeout(WITHIN):
        await second.content.read()
    assert (await client.ask("GET", "/2/connections"))[1]["data"] == []
    past = (await client.ask("GET", "/2/connections?status=inactive"))[1]["data"]
    assert [one["disconnect_reason"] for one in past] == ["ended by the account"] * 2


async def test_a_client_that_leaves_makes_room(client: Client) -> None:
    (await client.stream()).close()
    await client.until(lambda state: not state["connections"])
    await client.stream()
    assert [one["why"] for one in (await client.state())["past"]] == ["closed by the client"]


async def test_what_was_missed_is_filled_back_where_it_is_asked_for(client: Client) -> None:
    await client.add("flood")
    await client.push(v2(1))
    (await client.stream()).close()
    await client.until(lambda state: not state["connections"])
    assert await client.why("1") == ["not connected"]
    response = await client.stream(backfill_minutes="5")
    assert (await post_of(response))["data"]["id"] == "1"
    entries = [entry for entry in await client.log() if entry["id"] == "1"]
    assert [(entry["sent"], entry["again"]) for entry in entries] == [(False, False), (True, True)]
    assert (await client.ask("GET", f"{STREAM}?backfill_minutes=6"))[0] == 400


async def test_posts_of_the_past_are_found(client: Client) -> None:
    await client.push(*(v2(number, "flood" if number % 2 else "sun") for number in range(1, 30)))
    path = "/2/tweets/search/recent"
    first = (await client.ask("GET", f"{path}?query=flood"))[1]
    assert [int(post["id"]) for post in first["data"]] == list(range(29, 10, -2))
    assert (first["meta"]["newest_id"], first["meta"]["oldest_id"]) == ("29", "11")
    second = (await client.ask("GET", path, params={"query": "flood", "next_token": first["meta"]["next_token"]}))[1]
    assert [int(post["id"]) for post in second["data"]] == [9, 7, 5, 3, 1]
    assert "next_token" not in second["meta"]
    between = {"query": "flood", "start_time": "2026-01-01T00:00:05Z", "end_time": "2026-01-01T00:00:09Z"}
    assert [post["id"] for post in (await client.ask("GET", path, params=between))[1]["data"]] == ["7", "5"]
    for wrong in ("query=", "query=(", "query=a&max_results=5", "query=a&max_results=x", "query=a&start_time=x"):
        assert (await client.ask("GET", f"{path}?{wrong}"))[0] == 400


# --- faults, on X


async def test_silence_and_silence_with_keep_alives(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("silence_with_keepalive")
    await client.push(v2(1))
    async with asyncio.timeout(WITHIN):
        assert set(await response.content.readexactly(6)) == set(b"\r\n")
    await client.fault("silence")
    await client.push(v2(2))
    await client.fault("clear")
    await client.push(v2(3))
    assert (await post_of(response))["data"]["id"] == "3"
    assert await client.why("1") == ["silence_with_keepalive"]
    assert await client.why("2") == ["silence"]


async def test_silence_ends_by_itself_and_may_catch_connections_to_come(client: Client) -> None:
    await client.add("flood")
    await client.fault("silence", seconds=0.2, later=True)
    response = await client.stream()
    assert (await client.state())["connections"][0]["mood"] == "silence"
    await client.until(lambda state: state["connections"][0]["mood"] is None)
    await client.push(v2(1))
    assert (await post_of(response))["data"]["id"] == "1"


async def test_a_half_open_connection_stays_in_the_way_until_it_is_ended(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("half_open")
    await client.push(v2(1))
    response.close()
    assert (await client.ask("GET", STREAM))[0] == 429, "its end is not noticed"
    assert (await client.ask("DELETE", "/2/connections/all"))[1]["data"]["successful_kills"] == 1
    second = await client.stream()
    await client.push(v2(2))
    assert (await post_of(second))["data"]["id"] == "2"
    assert await client.why("1") == ["half_open"]


async def test_a_slow_drip_is_a_byte_at_a_time_and_what_had_not_dripped_was_not_sent(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("slow_drip", interval=0.002)
    await client.push(v2(1))
    assert (await post_of(response))["data"]["id"] == "1"
    await client.fault("slow_drip", interval=5)
    await client.push(v2(2))
    response.close()
    await client.fault("end")
    assert await client.why("1") == [""]
    assert await client.why("2") in ([""], ["slow_drip"])


async def test_a_line_is_cut_in_the_middle(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("cut")
    await client.push(v2(1))
    with pytest.raises(ClientPayloadError):
        await post_of(response)
    assert await client.why("1") == ["cut"]
    assert [one["why"] for one in (await client.state())["past"]] == ["cut"]


async def test_a_stream_ends_in_good_order_or_with_a_message(client: Client) -> None:
    response = await client.stream()
    await client.fault("end")
    async with asyncio.timeout(WITHIN):
        assert not (await response.content.read()).strip()
    response = await client.stream()
    await client.fault("disconnect")
    error = (await post_of(response))["errors"][0]
    assert error["title"] == "operational-disconnect"
    async with asyncio.timeout(WITHIN):
        assert not (await response.content.read()).strip()


async def test_connects_are_refused(client: Client) -> None:
    await client.fault("status", status=503, count=2)
    await client.fault("status", status=429, retry_after=7)
    assert [(await client.ask("GET", STREAM))[0] for _ in range(2)] == [503, 503]
    async with client.session.get(STREAM) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    await client.fault("too_many_connections")
    assert (await client.ask("GET", STREAM))[1]["connection_issue"] == "TooManyConnections"
    await client.stream()
    assert [entry["change"] for entry in await client.log("connection")] == ["refused"] * 4 + ["connected"]


async def test_too_many_attempts_are_refused() -> None:
    async with opened(attempts=1) as client:
        (await client.stream()).close()
        await client.until(lambda state: not state["connections"])
        assert (await client.ask("GET", STREAM))[0] == 429


async def test_a_second_connection_ends_the_first_where_that_is_commanded(client: Client) -> None:
    await client.fault("evict")
    first = await client.stream()
    second = await client.stream()
    assert "errors" in await post_of(first)
    await client.add("flood")
    await client.push(v2(1))
    assert (await post_of(second))["data"]["id"] == "1"
    assert [one["why"] for one in (await client.state())["past"]] == ["evicted"]


async def test_duplicates_long_lines_and_broken_ones(client: Client) -> None:
    await client.add("flood")
    response = await client.stream()
    await client.fault("duplicates")
    await client.push(v2(1), v2(2))
    assert [(await post_of(response))["data"]["id"] for _ in range(3)] == ["1", "1", "2"]
    await client.fault("malformed")
    async with asyncio.timeout(WITHIN):
        while not (line := (await response.content.readuntil(b"\r\n")).strip()):
            pass
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)
    await client.fault("long_line")
    await client.push(v2(3))
    post = await post_of(response)
    assert post["data"]["id"] == "3"
    assert len(json.dumps(post)) > 300_000


async def test_withheld_posts_are_told_with_a_sum_that_begins_anew_with_each_connection(client: Client) -> None:
    async def limits(response: aiohttp.ClientResponse) -> list[int]:
        return [(await post_of(response))["limit"]["track"] for _ in range(2)]

    for _ in range(2):
        response = await client.session.post(FILTER, data={"track": "flood"})
        await client.fault("limit", wire="v1", count=2)
        await client.push(v1(1), v1(2), v1(3))
        assert await limits(response) == [1, 2]
        assert (await post_of(response))["id_str"] == "3"
        assert (await client.why("1"))[-1] == "limit"


async def test_a_line_that_is_no_post_can_be_sent_to_all(client: Client) -> None:
    response = await client.stream()
    await client.push({"anything": 1}, wire="x", raw="1")
    assert await post_of(response) == {"anything": 1}


# --- X v1.1


@pytest.mark.parametrize(
    ("parameters", "matches"),
    [
        ({"track": "flood"}, True),
        ({"track": "sun,river flood"}, False),
        ({"track": "sun,A flood"}, True),
        ({"track": "#river"}, True),
        ({"track": "river"}, True),
        ({"track": "@bob"}, True),
        ({"track": "news.example"}, True),
        ({"follow": "1"}, True),
        ({"follow": "3"}, False),
        ({"locations": "8,47,9,48"}, True),
        ({"locations": "8,47,8.1,47.1,0,0,1,1"}, False),
    ],
)
async def test_what_v1_is_asked_for(client: Client, parameters: dict[str, str], matches: bool) -> None:
    response = await client.session.post(FILTER, data=parameters)
    assert response.status == 200
    entities = {
        "hashtags": [{"text": "River"}],
        "user_mentions": [{"screen_name": "Bob"}],
        "urls": [{"url": "https://t.co/1", "expanded_url": "https://news.example/a"}],
    }
    coordinates = {"type": "Point", "coordinates": [8.5, 47.5]}
    await client.push(v1(1) | {"entities": entities, "coordinates": coordinates})
    assert await client.why("1") == [""] if matches else ["no rule"]


async def test_v1_ends_the_older_connection_with_code_7(client: Client) -> None:
    first = await client.session.post(FILTER, data={"track": "flood"})
    second = await client.session.post(FILTER, data={"track": "flood"})
    assert (await post_of(first))["disconnect"]["code"] == 7
    await client.push(v1(1))
    assert (await post_of(second))["id_str"] == "1"


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({}, 406), ({"follow": "ann"}, 406), ({"locations": "1,2,3"}, 406), ({"locations": "9,9,1,1"}, 416)],
)
async def test_v1_refuses_what_it_cannot_filter_by(client: Client, parameters: dict[str, str], status: int) -> None:
    assert (await client.ask("POST", FILTER, data=parameters))[0] == status


async def test_v1_answers_420_where_x_answers_429(client: Client) -> None:
    await client.fault("too_many_connections", wire="v1")
    assert (await client.ask("POST", FILTER, data={"track": "a"}))[0] == 420


# --- Jetstream


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


async def test_a_client_of_jetstream_may_leave_and_is_pinged(client: Client) -> None:
    async with client.session.ws_connect(EVENTS, autoping=False) as socket:
        assert (await socket.receive(timeout=WITHIN)).type == WSMsgType.PING
    await client.until(lambda state: not state["connections"])


# --- posts that arise by themselves


def event(*keywords: str) -> Event:
    return Event(code="flood", name="Flood", keywords=keywords, status="active")


async def test_generated_posts_go_to_each_wire_in_its_form() -> None:
    async with opened(events=(event("flood"),), posts=300, rate=3000.0, wait=True) as client:
        await client.add("flood")
        socket = await client.session.ws_connect(EVENTS)
        assert "text" in (await message_of(socket))["payload"]["record"]
        await client.until(lambda state: state["made"] == 300)
        entries = await client.log()
        x = {entry["id"] for entry in entries if entry["wire"] == "x"}
        assert len(x) == 300
        assert {entry["id"] for entry in entries if entry["wire"] == "v1"} == x
        tagged = [entry for entry in entries if entry["wire"] == "x" and entry["tags"]]
        assert 50 < len(tagged) < 250
        await socket.close()


async def test_given_posts_are_sent_to_the_wire_of_their_form(tmp_path: Path) -> None:
    file = tmp_path / "posts.jsonl"
    lines = [v2(1), v1(2), {"delete": {}}, commit("a")]
    file.write_text("\n".join(map(json.dumps, lines)) + "\nno json\n")
    async with opened(files=(file,), posts=None, rate=1000.0) as client:
        await client.until(lambda state: state["made"] == 3)
        assert {(entry["wire"], entry["id"][-2:]) for entry in await client.log()} == {
            ("x", "1"),
            ("v1", "2"),
            ("jetstream", "/a"),
        }
    async with opened(files=(file,), posts=9, rate=1000.0, loop=True) as client:
        await client.until(lambda state: state["made"] == 9)


async def test_a_pool_is_sent_with_new_ids_as_fast_as_it_is_taken() -> None:
    async with opened(events=(event("flood"),), posts=3000, rate=0.0, pool=50, post_bytes=4096, wires=("x",)) as client:
        await client.add("flood", tag="e")
        response = await client.stream()
        read, ids = 0, set()
        async with asyncio.timeout(WITHIN):
            while read < 1000 and (await client.state())["made"] < 3000:
                post = await post_of(response)
                assert len(json.dumps(post)) > 4096
                ids.add(post["data"]["id"])
                read += 1
        assert len(ids) == read
        response.close()
        entries = await client.log()
        assert len({entry["id"] for entry in entries}) == len(entries) > 1000


async def test_pushed_posts_can_come_one_after_the_other(client: Client) -> None:
    await client.add("flood")
    await client.push(*(v2(number) for number in range(1, 31)), rate="200")
    await client.until(lambda state: state["counts"].get("x not connected") == 30)
    at = [entry["at"] for entry in await client.log()]
    assert at == sorted(at)
    assert at[-1] - at[0] > 0.1


async def test_the_log_is_written_as_lines_and_bounded_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "rules.jsonl"
    async with opened(log=path, log_size=3) as client:
        await client.add("flood")
        await client.push(*(v2(number) for number in range(1, 6)))
        answer = (await client.ask("GET", "/control/log"))[1]
        assert answer["last"] == 6
        assert [entry["id"] for entry in answer["entries"]] == ["3", "4", "5"]
        assert [entry["seq"] for entry in (await client.ask("GET", "/control/log?since=5"))[1]["entries"]] == [6]
        assert (await client.ask("GET", "/control/log?since=6"))[1]["entries"] == []
        assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1, 2, 3, 4, 5, 6]


# --- the controls


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"kind": "x"}', b'{"kind": "cut", "count": 0}', b'{"kind": "status", "status": 200}', b'{"a": 1}'],
)
async def test_a_fault_that_is_none_is_refused_with_a_reason(client: Client, body: bytes) -> None:
    status, answer = await client.ask("POST", "/control/fault", data=body)
    assert status == 400
    assert answer["error"]


async def test_lines_that_are_no_posts_are_refused_and_none_is_sent(client: Client) -> None:
    for line in (b"{", b"1", b'{"data": {}}'):
        body = json.dumps(v2(1)).encode() + b"\n" + line
        status, answer = await client.ask("POST", "/control/posts", data=body)
        assert (status, answer["error"][:7]) == (400, "line 2:")
    assert (await client.ask("POST", "/control/posts?wire=v1", data=json.dumps(v2(1))))[0] == 400
    assert await client.log() == []


async def test_what_cannot_be_served_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        Simulator(Options(files=(tmp_path / "none",)))
    with pytest.raises(UserError, match="cannot plant 'rt'"):
        Simulator(Options(events=(event("rt"),)))
    async with opened() as client:
        with pytest.raises(UserError, match="cannot listen on"):
            await opened(port=client.simulator.port).__aenter__()
