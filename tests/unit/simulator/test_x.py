"""X v2 over real sockets: what it answers about rules, and whom it sends what."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.simulator import book
from app.simulator.book import Limits
from tests.support.simulated import FILTER, RULES, STREAM, WITHIN, Client, opened, post_of, v2


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


async def test_a_rule_is_in_force_some_time_after_it_was_added(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(book, "monotonic", lambda: now)
    async with opened(limits=Limits(rule_delay=20)) as client:
        await client.add("flood")
        before = client.simulator.x.book.version
        now += 19
        await client.push(v2(1))
        assert client.simulator.x.book.version == before
        now += 1
        await client.push(v2(2))
        assert client.simulator.x.book.version > before
        assert [entry["why"] for entry in await client.log()] == ["no rule", "not connected"]


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


async def test_posts_of_the_past_are_counted(client: Client) -> None:
    now = datetime.now(UTC)
    ages = [timedelta(minutes=1), timedelta(minutes=2), timedelta(days=2), timedelta(days=8)]
    posts = [v2(number, "flood") for number in range(1, 5)] + [v2(9, "sun")]
    for post, age in zip(posts, [*ages, ages[0]], strict=True):
        post["data"]["created_at"] = (now - age).isoformat()
    await client.push(*posts)
    path = "/2/tweets/counts/recent"
    status, answer = await client.ask("GET", f"{path}?query=flood")
    assert (status, answer["meta"]) == (200, {"total_tweet_count": 3})
    assert sum(bucket["tweet_count"] for bucket in answer["data"]) == 3
    assert len(answer["data"]) in (168, 169)
    starts = [datetime.fromisoformat(bucket["start"]) for bucket in answer["data"]]
    assert starts == sorted(starts)
    since = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    _, short = await client.ask("GET", path, params={"query": "flood", "granularity": "minute", "start_time": since})
    assert (short["meta"]["total_tweet_count"], len(short["data"]) in (60, 61)) == (2, True)
    for wrong in ("query=", "query=(", "query=a&granularity=week", "query=a&start_time=2001-01-01T00:00:00Z"):
        assert (await client.ask("GET", f"{path}?{wrong}"))[0] == 400
