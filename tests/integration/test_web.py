"""Pages and the API as a whole: who gets in, what is refused and how, and that all of it is as described."""

from __future__ import annotations

import asyncio

import pytest

import cli.direct
from app.clients import tokens
from app.clients.audit import read_newest
from app.domain.audit import Audited
from app.local.stack import Stack
from tests.support.api import FORM, SECRET, Api, api
from tests.support.events import accepted, create
from tests.support.patched import kafka_by, starling_with
from tests.support.place import place
from tests.support.proxy import Proxy
from tests.support.together import Running, Together
from tests.support.workers import Worker, worker

scenarios = Together(at_once=1)


@scenarios.add
def whoever_asks_is_known_by_a_token_and_may_do_what_their_role_allows(stack: Stack) -> None:
    with place(stack, token_secret=SECRET) as settings, worker(settings, "manager") as manager:
        manager.wait_ready()
        ada, vera = api(manager, "ada", "admin"), api(manager, "vera", "viewer")
        accepted(settings, create("flood", keywords=("water",)), create("storm", keywords=("wind",)))
        assert vera.get("/api/v1/whoami")["rank"] == "viewer"
        assert [one["code"] for one in vera.get("/api/v1/events")["events"]] == ["flood", "storm"]
        assert ada.get("/api/v1/events?text=WATER")["all"] == 1
        found = vera.send("GET", "/api/v1/events/flood")
        assert found.json["keywords"] == ["water"]
        assert found.headers["ETag"] == '"1"'
        _strangers(manager)
        _forms_of_answers(vera)


@scenarios.add
def tokens_and_links_that_are_made_without_a_server_are_noted(stack: Stack) -> None:
    with place(stack, token_secret=SECRET) as settings, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.direct, "settings", lambda: settings)
        direct = cli.direct.Direct()

        async def make() -> list[Audited]:
            await direct.rank("emil", "admin")
            await direct.token("emil", 3)
            await direct.link("emil")
            await direct.revoke("emil")
            await direct.remove_person("emil")
            await direct.revoke("oidc:eva")  # who has a token of a provider's, and never signed in here
            await direct.remove_person("oidc:ben")
            return await read_newest(settings, 10)

        noted = [(one.action, one.target, one.by, one.detail) for one in reversed(asyncio.run(make()))]
        assert noted == [
            ("people.rank", "emil", "direct", {"role": "admin"}),
            ("people.token", "emil", "direct", {"days": 3}),
            ("people.link", "emil", "direct", {}),
            ("people.revoke", "emil", "direct", {"role": "admin"}),
            ("people.remove", "emil", "direct", {}),
            ("people.revoke", "oidc:eva", "direct", {"role": "viewer"}),
            ("people.remove", "oidc:ben", "direct", {}),
        ]


@scenarios.add
def while_kafka_is_away_each_change_says_that_it_was_not_done(stack: Stack) -> None:
    given = {"token_secret": SECRET, "command_timeout": 4}
    with place(stack, **given) as settings, Proxy(settings.kafka) as way:
        apart = settings.model_copy(update={"kafka": way.address})
        with worker(apart, "manager", starling_with(kafka_by(way))) as manager:
            manager.wait_ready()
            ada = api(manager, "ada", "admin")
            muted = ada.post("/api/v1/mutes", {"kind": "gap"}, status=201)
            ada.post("/api/v1/events", {"name": "Storm", "keywords": ["storm"]}, status=201)
            exports = "/api/v1/events/storm/exports"
            asked = ada.post(exports, {"format": "csv"}, status=202)
            way.cut()
            for method, path, body, status, reason in (
                ("POST", "/api/v1/events", {"name": "Flood", "keywords": ["flood"]}, 503, ""),
                ("PUT", "/api/v1/people/emil", {"role": "editor"}, 503, ""),
                ("DELETE", f"/api/v1/mutes/{muted['id']}", None, 503, ""),
                ("POST", "/api/v1/dead-letters/replay", {"kind": "none"}, 503, ""),
                ("POST", "/api/v1/refresh", {}, 503, ""),
                ("POST", exports, {"format": "csv"}, 503, ""),
                ("DELETE", f"{exports}/{asked['id']}", None, 503, ""),
            ):
                answer = ada.send(method, path, body)
                assert (answer.status, answer.json.get("reason", "")) == (status, reason), answer
            assert "a request failed" not in manager.log


def _strangers(worker: Worker) -> None:
    assert Api(worker, None).send("GET", "/api/v1/events").status == 401
    for wrong in ("x", tokens.issue("another secret of 32 characters!", "bearer", "ada", 0, 60)):
        refused = Api(worker, wrong).send("GET", "/api/v1/events")
        assert refused.status == 401
        assert refused.headers["Content-Type"].startswith("application/problem+json")
    link = tokens.issue(SECRET, "link", "ada", 0, 60)
    assert Api(worker, link).send("GET", "/api/v1/events").status == 401, "a link is no token"
    to = Api(worker, None).send("GET", "/?text=a b".replace(" ", "%20"))
    assert (to.status, to.headers["Location"]) == (303, "/sign-in?next=%2F%3Ftext%3Da%2520b")
    for method in ("HEAD", "GET", "GET"):
        assert Api(worker, None).send(method, f"/welcome?token={link}").status == 200, "a preview does not use it up"
    first = Api(worker, None).send("POST", "/welcome", f"token={link}".encode(), media=FORM)
    assert (first.status, first.headers["Location"]) == (303, "/")
    cookie = first.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    home = Api(worker, None).send("GET", "/", headers={"Cookie": cookie.partition(";")[0]})
    assert home.status == 200
    assert b"flood" in home.body
    assert Api(worker, None).send("GET", f"/welcome?token={link}").status == 401, "once"
    again = Api(worker, None).send("POST", "/welcome", f"token={link}".encode(), media=FORM)
    assert again.status == 401


def _forms_of_answers(vera: Api) -> None:
    for path, status in (("/api/v1/nothing", 404), ("/api/v1/events/none", 404), ("/api/v1/events?most=0", 422)):
        refused = vera.send("GET", path)
        assert (refused.status, refused.json["status"]) == (status, status)
    assert vera.send("DELETE", "/api/v1/events").status == 405
    assert vera.send("GET", "/api/v1/whoami", headers={"Host": "evil.example"}).status == 421
    assert vera.send("GET", "/nothing").status == 404
    described = vera.get("/api/v1/openapi.json")
    assert described["openapi"] == "3.1.0"
    assert "/api/v1/events/{code}" in described["paths"]
    policy = vera.send("GET", "/api/v1/whoami").headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
