"""Pages and the API as a whole: who gets in, what is refused and how, and that all of it is as described."""

from __future__ import annotations

import pytest

from app.clients import tokens
from app.local.stack import Stack
from tests.support.api import SECRET, Api, api
from tests.support.events import accepted, create
from tests.support.place import place
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
    first = Api(worker, None).send("GET", f"/welcome?token={link}")
    assert (first.status, first.headers["Location"]) == (303, "/")
    cookie = first.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    home = Api(worker, None).send("GET", "/", headers={"Cookie": cookie.partition(";")[0]})
    assert home.status == 200
    assert b"flood" in home.body
    assert Api(worker, None).send("GET", f"/welcome?token={link}").status == 401, "once"


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
