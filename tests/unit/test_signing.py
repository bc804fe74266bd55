"""Signing in by a link and out again, over real sockets, without Kafka."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from aiokafka.errors import KafkaConnectionError

from app.clients import tokens
from app.domain.people import Person
from tests.support.api import SECRET
from tests.unit.test_serving import Noting, served

Client = TestClient[Any, Any]


@pytest.fixture
def desk() -> Noting:
    made = Noting(web_auth=True, token_secret=SECRET)
    for name in ("ada", "ben"):
        person = Person(name=name, rank="admin", added=datetime.now(UTC), by="a test")
        made.views.people.items[name] = person
    return made


@pytest.fixture
async def client(desk: Noting) -> AsyncIterator[Client]:
    async with served(desk) as made:
        yield made


def link(name: str = "ada") -> str:
    return tokens.issue(SECRET, "link", name, 0, 60)


async def enter(client: Client, token: str) -> int:
    answer = await client.post("/welcome", data={"token": token}, allow_redirects=False)
    return answer.status


async def test_to_look_at_a_link_does_not_use_it_up_and_its_button_does(client: Client) -> None:
    token = link()
    for method in ("HEAD", "GET", "GET"):
        looked = await client.request(method, "/welcome", params={"token": token})
        assert (looked.status, looked.cookies) == (200, {}), method
    (sent,) = re.findall(r'name="token" value="([^"]+)"', await looked.text())
    assert await enter(client, sent) == 303
    assert (await client.get("/people")).url.path == "/people"
    for method in ("GET", "POST"):
        again = await client.request(method, "/welcome", params={"token": token}, data={"token": token})
        assert again.status == 401
        assert "used before" in await again.text()


async def test_a_link_signs_in_whoever_is_signed_in_as_another(client: Client) -> None:
    assert await enter(client, link("ben")) == 303
    assert await enter(client, link("ada")) == 303
    assert '<span title="admin">ada</span>' in await (await client.get("/people")).text()


async def test_no_page_of_another_site_signs_anybody_in(client: Client) -> None:
    elsewhere = {"Origin": "http://evil.example"}
    assert (await client.post("/welcome", data={"token": link()}, headers=elsewhere)).status == 403


async def sign_out(client: Client) -> Any:
    (csrf,) = set(re.findall(r'name="csrf" value="([^"]+)"', await (await client.get("/people")).text()))
    return await client.post("/sign-out", data={"csrf": csrf}, allow_redirects=False)


async def test_a_copy_of_the_cookie_counts_no_more_once_its_session_is_signed_out(desk: Noting, client: Client) -> None:
    await enter(client, link())
    copy = {one.key: one.value for one in client.session.cookie_jar}
    out = await sign_out(client)
    assert (out.status, out.headers["Location"], out.cookies["starling"].value) == (303, "/sign-in", "")
    client.session.cookie_jar.clear()
    later = await client.get("/people", cookies=copy, allow_redirects=False)
    assert (later.status, later.headers["Location"]) == (303, "/sign-in?next=%2Fpeople")
    client.session.cookie_jar.clear()
    await enter(client, link())
    assert (await client.get("/people", allow_redirects=False)).status == 200, "another session of theirs counts"


async def test_who_signs_out_while_kafka_is_away_is_told_what_that_means(desk: Noting, client: Client) -> None:
    await enter(client, link())
    desk.away = True
    out = await sign_out(client)
    assert (out.status, out.cookies["starling"].value) == (504, "")
    assert "a copy of its cookie may count" in await out.text()


@pytest.mark.parametrize("path", ["/welcome", "/api/v1/token"])
async def test_a_link_says_whether_it_may_be_used_up_where_kafka_is_away(
    desk: Noting, client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> int:
        given = {"token": link()}
        sent = {"json": given} if path.startswith("/api") else {"data": given}
        return (await client.post(path, **sent)).status

    async def unknown() -> None:
        raise KafkaConnectionError

    desk.away = True
    assert await ask() == 504, "what was sent may have come"
    monkeypatch.setattr(desk.spent, "catch_up", unknown)
    assert await ask() == 503, "nothing was sent"


async def test_attempts_are_counted_by_address_as_a_trusted_proxy_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.limits.monotonic", lambda: 0.0)
    desk = Noting(web_auth=True, token_secret=SECRET, trusted_proxies="127.0.0.0/8")

    async def attempt(client: Client, forwarded: str) -> int:
        given, headers = {"token": "wrong"}, {"X-Forwarded-For": forwarded}
        return (await client.post("/sign-in", data=given, headers=headers)).status

    async with served(desk) as client:
        assert [await attempt(client, f"198.51.100.{n}, 203.0.113.5") for n in range(11)] == [*[401] * 10, 429]
        assert await attempt(client, "203.0.113.6") == 401
    assert [entry["address"] for entry in desk.entries] == [*["203.0.113.5"] * 10, "203.0.113.6"]
    async with served(desk) as client:
        assert [await attempt(client, f"2001:db8::{n}") for n in range(1, 12)] == [*[401] * 10, 429]
        assert await attempt(client, "2001:db8:0:1::1") == 401, "of another network"


@pytest.mark.parametrize(
    ("origin", "url", "status"),
    [
        ("http://127.0.0.1:{port}", "", 303),
        ("http://127.0.0.1:1", "", 403),
        ("http://127.0.0.1", "", 403),
        ("https://127.0.0.1:{port}", "", 303),  # a proxy before us may do TLS
        ("https://starling.example.org", "https://starling.example.org", 303),
        ("https://starling.example.org:8443", "https://starling.example.org", 403),
        ("null", "", 403),
        ("http://127.0.0.1:x", "", 403),
    ],
)
async def test_only_pages_of_this_host_and_port_may_send_forms(
    desk: Noting, origin: str, url: str, status: int
) -> None:
    made = Noting(web_auth=True, token_secret=SECRET, web_url=url)
    made.views.people.items |= desk.views.people.items
    async with served(made) as client:
        headers = {"Origin": origin.format(port=client.port)}
        answer = await client.post("/welcome", data={"token": link()}, headers=headers, allow_redirects=False)
        assert answer.status == status


async def test_a_change_that_somebody_may_not_make_is_written_down(desk: Noting, client: Client) -> None:
    vera = Person(name="vera", rank="viewer", added=datetime.now(UTC), by="a test")
    desk.views.people.items["vera"] = vera
    bearer = {"Authorization": f"Bearer {tokens.issue(SECRET, 'bearer', 'vera', 0, 60)}"}
    assert (await client.post("/events/flood/purge", data={}, headers=bearer)).status == 403
    (entry,) = desk.entries
    assert (entry["who"], *desk.noted) == ("vera", "events.purge", "flood", "refused")
    assert entry["detail"] == {"why": "vera (viewer) may not do this"}


async def test_a_form_that_no_page_of_ours_has_made_is_written_down(desk: Noting, client: Client) -> None:
    await enter(client, link())
    desk.entries.clear()
    assert (await client.post("/people", data={"name": "emil"})).status == 403
    assert desk.noted == ("people.rank", "", "refused")
