"""What the audit log is told of requests, over real sockets: by which name, about what, and what came of them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientError, web
from aiohttp.test_utils import TestClient, TestServer
from aiokafka.errors import KafkaTimeoutError
from msgspec.structs import replace

from agents.sending import Outgoing
from app.clients.people import decode_person
from app.domain.decisions import Answer as Answered
from app.domain.decisions import Command
from app.domain.people import Caller, Right, newcomer
from app.errors import NotDone, Unavailable
from app.settings import Settings
from app.topics import EVENT_COMMANDS, partition_count
from app.web import serving
from app.web.asking_desk import AskingDesk
from app.web.desk import Desk
from app.web.door import NOBODY, Door
from app.web.people_desk import PeopleDesk
from app.web.register import routes
from app.web.rendering import Rendering
from app.web.routes import Answer, Asked, Handler, Reply, Route
from app.web.serving import Serving
from tests.support.api import SECRET
from tests.support.events import active

WITHIN = 20.0


class Noting(Desk):
    """A desk without Kafka: nobody works with it yet, it knows one event, and keeps what is noted."""

    def __init__(self, **settings: Any) -> None:
        people = SimpleNamespace(items={}, catch_up=self._caught_up, topic="people")
        known = SimpleNamespace(view=SimpleNamespace(items={"flood": active("flood", "water")}))
        self.settings = Settings(**{"web_auth": False, **settings})
        self.spent: Any = SimpleNamespace(items={}, catch_up=self._caught_up, topic="spent_tokens")
        self.views: Any = SimpleNamespace(people=people, events=known)
        self.door = Door(self.settings, self.views.people, self.spent)
        self.people = PeopleDesk(self.views.people, self.spent, self.tell)
        self.asking = AskingDesk(self.settings)
        self.entries: list[dict[str, Any]] = []
        self.away = False

    async def _caught_up(self) -> None:
        """It always has."""

    async def tell(self, *records: Outgoing) -> None:
        if self.away:
            raise Unavailable("Kafka is not there")
        for record in records:
            key, value = (record.key or b"").decode(), record.value or b""
            if record.topic == "people":
                self.views.people.items[key] = decode_person(value)
            else:
                self.spent.items.setdefault(key, value)

    async def audit(self, caller: Caller, action: str, address: str, **rest: Any) -> None:
        self.entries.append({"who": caller.name, "action": action, "address": address, **rest})

    @property
    def noted(self) -> tuple[str, str, str]:
        """What the only entry says was done, about what, and what came of it."""
        (entry,) = self.entries
        return entry["action"], entry["target"], entry["outcome"]


@asynccontextmanager
async def served(desk: Noting, every: list[Route] | None = None) -> AsyncIterator[TestClient[Any, Any]]:
    application = web.Application()
    Serving(desk, Rendering()).add(application, every or routes())
    async with TestClient(TestServer(application)) as client:
        yield client


def changing(handler: Handler, patience: float = 30.0) -> list[Route]:
    return [Route("POST", "/api/do", handler, "test.do", "Do it", Right.VIEW, patience=patience)]


async def test_who_was_given_which_role_on_the_page_is_noted() -> None:
    desk = Noting()
    async with served(desk) as client:
        answer = await client.post("/people", data={"name": "emil", "role": "admin"}, allow_redirects=False)
    assert answer.status == 303
    assert desk.noted == ("people.rank", "emil", "done")
    assert desk.entries[0]["detail"] == {"role": "admin"}


@pytest.mark.parametrize(("name", "status"), [("localhost:1", 200), ("Manager", 200), ("manager.evil", 421)])
async def test_it_answers_by_its_own_names_alone(name: str, status: int) -> None:
    """What another site has pointed here is none of them."""
    async with served(Noting(web_names="manager, manager.starling.svc,")) as client:
        assert (await client.get("/api/v1/whoami", headers={"Host": name})).status == status


@pytest.mark.parametrize(
    ("path", "form", "noted"),
    [
        ("/people", {"name": "no name", "role": "admin"}, ("people.rank", "no name")),
        ("/people/nobody/token", {"days": "5000"}, ("people.token", "nobody")),
        ("/people/nobody/revoke", {}, ("people.revoke", "nobody")),
        ("/new", {"name": "Flood", "boxes": "nowhere"}, ("events.create", "")),
        ("/events/flood/delete", {"confirm": "fire"}, ("events.delete", "flood")),
        ("/import", {"text": "events: [", "do": "true"}, ("events.import", "")),
    ],
)
async def test_a_form_that_is_shown_again_was_refused(path: str, form: dict[str, str], noted: tuple[str, str]) -> None:
    desk = Noting()
    async with served(desk) as client:
        answer = await client.post(path, data=form)
    assert answer.status in (404, 422)
    assert desk.noted == (*noted, "refused")
    assert desk.entries[0]["detail"]["why"]


@pytest.mark.parametrize("path", ["/api/v1/yaml", "/import"])
async def test_a_file_of_which_something_is_refused_was_not_brought_in(path: str) -> None:
    file = "events: [{code: fire, name: Fire}]"  # it selects nothing
    desk = Noting()
    async with served(desk) as client:
        if path == "/import":
            answer = await client.post(path, data={"text": file, "do": "true"})
        else:
            answer = await client.post(path, data=file, headers={"Content-Type": "application/yaml"})
    assert answer.status == 200
    assert desk.noted == ("events.import", "", "refused")
    assert "fire" in desk.entries[0]["detail"]["why"]


async def test_what_needs_a_server_that_is_away_has_failed() -> None:
    desk = Noting()
    desk.away = True
    async with served(desk) as client:
        assert (await client.post("/people", data={"name": "emil"})).status == 504
    assert desk.noted == ("people.rank", "emil", "failed")


async def test_what_takes_too_long_has_failed() -> None:
    async def handler(asked: Asked) -> Answer:
        asked.detail["sent"] = 3
        await asyncio.Event().wait()
        return Reply()

    desk = Noting()
    async with served(desk, changing(handler, patience=0.01)) as client:
        answer = await client.post("/api/do")
        assert (answer.status, (await answer.json())["reason"]) == (504, "uncertain")
    assert desk.noted == ("test.do", "", "failed")
    assert desk.entries[0]["detail"] == {
        "sent": 3,
        "why": "this took too long; it may have been done: look before you try again",
    }


@pytest.mark.parametrize(
    ("error", "status"), [(NotDone("no manager"), 503), (Unavailable("no Kafka"), 504), (KafkaTimeoutError(), 504)]
)
async def test_only_what_was_not_done_is_answered_so(error: Exception, status: int) -> None:
    async def handler(asked: Asked) -> Answer:
        raise error

    desk = Noting()
    async with served(desk, changing(handler)) as client:
        assert (await client.post("/api/do")).status == status
    assert desk.noted == ("test.do", "", "failed")


async def test_who_looks_while_kafka_is_away_is_told_so() -> None:
    async def handler(asked: Asked) -> Answer:
        raise KafkaTimeoutError

    async with served(Noting(), [Route("GET", "/api/look", handler, "test.look", "Look")]) as client:
        answer = await client.get("/api/look")
        assert (answer.status, (await answer.json())["detail"]) == (503, "Kafka does not answer (KafkaTimeoutError)")


async def test_a_defect_is_noted_too() -> None:
    async def handler(asked: Asked) -> Answer:
        raise KeyError(asked.caller.name)

    desk = Noting()
    async with served(desk, changing(handler)) as client:
        assert (await client.post("/api/do")).status == 500
    assert desk.noted == ("test.do", "", "failed")


async def test_who_looks_leaves_no_entry() -> None:
    desk = Noting()
    async with served(desk) as client:
        assert (await client.get("/people")).status == 200
    assert desk.entries == []


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.1)
    async with served(Noting()) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\ntok")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), WITHIN)
        assert answer == b"HTTP/1.1 408 Request Timeout\r\n"
        writer.close()


async def test_an_answer_that_nobody_takes_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "TAKEN_SECONDS", 0.2)

    async def handler(asked: Asked) -> Answer:
        return Reply("x" * 50_000_000)

    async with served(Noting(), [Route("GET", "/api/much", handler, "test.much", "Much")]) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /api/much HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            while "is let go" not in caplog.text:  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0.01)
        writer.close()


async def test_one_person_has_so_many_requests_in_hand_and_others_still_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_OF_ONE", 1)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(asked: Asked) -> Answer:
        begun.set()
        await go_on.wait()
        return Reply(asked.by_whom)

    desk = Noting(trusted_proxies="127.0.0.1")
    one, other = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in (1, 2))
    async with served(desk, [Route("GET", "/api/wait", handler, "test.wait", "Wait")]) as client:
        first = asyncio.create_task(client.get("/api/wait", headers=one))
        await asyncio.wait_for(begun.wait(), WITHIN)
        refused = await client.get("/api/wait", headers=one)
        assert (refused.status, (await refused.json())["detail"]) == (
            429,
            "1 requests of yours are in hand; try again in 1 s",
        )
        go_on.set()
        assert await (await client.get("/api/wait", headers=other)).json() == "203.0.113.2"
        assert (await first).status == 200
        assert (await client.get("/api/wait", headers=one)).status == 200


async def test_an_answer_that_nobody_takes_holds_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_OF_ONE", 1)
    made = asyncio.Event()

    async def much(asked: Asked) -> Answer:
        made.set()
        return Reply("x" * 50_000_000)

    async def little(asked: Asked) -> Answer:
        return Reply()

    every = [
        Route("GET", "/api/much", much, "test.much", "Much"),
        Route("GET", "/api/little", little, "test.little", "Little"),
    ]
    async with served(Noting(), every) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"GET /api/much HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(made.wait(), WITHIN)
        assert (await client.get("/api/little")).status == 429
        writer.close()
        async with asyncio.timeout(WITHIN):
            while (await client.get("/api/little")).status == 429:  # noqa: ASYNC110 -- it tells nobody
                await asyncio.sleep(0.01)


async def test_strangers_take_no_place_of_those_who_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MOST_IN_HAND", 1)
    monkeypatch.setattr(serving, "MOST_OF_STRANGERS", 2)
    monkeypatch.setattr(serving, "MOST_OF_ONE_ADDRESS", 1)
    desk = Noting(web_auth=True, token_secret=SECRET, trusted_proxies="127.0.0.1")
    ada = newcomer("ada", "viewer", "a test", datetime.now(UTC))
    desk.views.people.items["ada"] = ada

    async def look(asked: Asked) -> Answer:
        return Reply(asked.caller.name)

    every = [*routes(), Route("GET", "/api/look", look, "test.look", "Look")]
    async with served(desk, every) as client:
        writers = []
        for number in (1, 2):
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(
                b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.%d\r\n"
                b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n" % number
            )
            await asyncio.wait_for(reader.readuntil(b"100 Continue\r\n"), WITHIN)  # it has begun
            writers.append(writer)
        same = await client.get("/sign-in", headers={"X-Forwarded-For": "203.0.113.1"})
        assert same.status == 429
        assert (await client.get("/sign-in", headers={"X-Forwarded-For": "203.0.113.3"})).status == 503
        held = {"Authorization": f"Bearer {desk.door.issue(ada, 60)}"}
        assert await (await client.get("/api/look", headers=held)).json() == "ada"
        for writer in writers:
            writer.close()


async def test_a_body_in_pieces_is_read_until_it_is_too_large() -> None:
    """A stranger sends more, and no end: the answer comes all the same."""
    desk = Noting(web_auth=True, token_secret=SECRET)
    async with served(desk) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), WITHIN)
        assert answer.startswith(b"HTTP/1.1 413 ")
        writer.close()


async def test_who_leaves_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(asked: Asked) -> Answer:
        raise ConnectionResetError

    gc.collect()
    caplog.clear()  # what tests before this one have left
    async with served(Noting(), [Route("GET", "/api/leave", handler, "test.leave", "Leave")]) as client:
        with pytest.raises(ClientError):
            await client.get("/api/leave")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


class _Answering:
    """Managers of which some do not answer; each partition of commands has one."""

    def __init__(self, silent: set[int]) -> None:
        self._silent = silent

    async def ask(self, command: Command, partition: int) -> Answered:
        if partition in self._silent:
            raise NotDone("no manager has answered in time; nothing was done")
        return Answered(id=command.id, code=command.code, accepted=True)


@pytest.mark.parametrize(
    ("silent", "status"), [(range(0), 200), (range(1), 504), (range(partition_count(EVENT_COMMANDS, Settings())), 503)]
)
async def test_whether_every_event_was_told_again_is_known_where_no_manager_answers(silent: range, status: int) -> None:
    desk = Noting()
    managers: Any = _Answering(set(silent))
    desk.commanding = managers
    async with served(desk) as client:
        assert (await client.post("/api/v1/refresh", json={})).status == status


def test_what_is_said_to_one_who_has_no_session_is_said_to_no_other() -> None:
    door = Noting(token_secret=SECRET).door
    ada = Caller(name="ada", rank="editor", by="token")
    seal = door.seal(ada, "Done.")
    assert door.is_sealed(ada, "Done.", seal)
    for other in (replace(ada, name="ben"), replace(ada, by="oidc"), replace(ada, session="one"), NOBODY):
        assert not door.is_sealed(other, "Done.", seal)
    assert not door.is_sealed(NOBODY, "Done.", door.seal(NOBODY, "Done."))
