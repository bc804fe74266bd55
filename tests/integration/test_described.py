"""The API against its own description: whatever is sent, no answer that it does not name, and none of 5xx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.domain.events import Event
from app.local.stack import Stack
from tests.support.api import SECRET, Api, api
from tests.support.events import active, put_events
from tests.support.place import place
from tests.support.together import Running, Together
from tests.support.waiting import until
from tests.support.workers import worker

scenarios = Together(at_once=1)
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = 15
# What flows ends only when its reader leaves.
FLOWS = r"/(live|tail)$"


@scenarios.add
def whatever_is_sent_is_answered_as_described(stack: Stack) -> None:
    with place(stack, token_secret=SECRET) as settings, worker(settings, "all") as running:
        running.wait_ready(120)
        ada = api(running, "ada", "admin")
        assert ada.send("POST", "/api/v1/events", {"name": "flood", "keywords": ["flood"]}).status == 201
        command = [
            *(str(SCHEMATHESIS), "run", f"http://127.0.0.1:{running.port}/api/v1/openapi.json"),
            *("-H", f"Authorization: Bearer {ada.token}", "--checks", CHECKS, "-n", str(EXAMPLES)),
            *("--exclude-path-regex", FLOWS, "--generation-deterministic", "--generation-database", "none"),
            *("--phases", "examples,coverage,fuzzing", "--request-timeout", "60", "--no-color", "--max-failures", "20"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 0, done.stdout[-8000:]


@scenarios.add
def a_thousand_events_are_listed_by_parts(stack: Stack) -> None:
    """As many as these are made by the manager's own topic: a thousand commands would test something else."""
    with place(stack, token_secret=SECRET) as settings:
        put_events(settings, _many())
        with worker(settings, "manager") as manager:
            manager.wait_ready(120)
            ada = api(manager, "ada", "admin")
            until(lambda: ada.get("/api/v1/events?most=1")["all"] == 1000, "all are known")
            _parts(ada)


def _many() -> list[Event]:
    names = ("سيل", "洪水", "<script>alert(1)</script>", "Flood")
    return [
        active(f"event-{number:04}", f"word{number}", "flood", accounts=(f"a{number}",))
        if number % 2
        else Event(code=f"event-{number:04}", name=f"{names[number % 4]} {number}", keywords=(f"word{number}",))
        for number in range(1000)
    ]


def _parts(ada: Api) -> None:
    seen: list[str] = []
    while len(seen) < 1000:
        part = ada.get(f"/api/v1/events?sort=code&after={len(seen)}&most=300")
        seen += [one["code"] for one in part["events"]]
        assert part["more"] == (len(seen) < 1000)
    assert seen == [f"event-{number:04}" for number in range(1000)]
    assert ada.get("/api/v1/events?text=WORD77")["all"] == 11
    assert ada.get("/api/v1/events?status=draft&most=1")["all"] == 500
    page = ada.send("GET", "/?sort=code")
    assert page.status == 200
    assert len(page.body) < 200_000
    assert b"event-0099" in page.body
    assert b"event-0100" not in page.body
    advice = ada.post("/api/v1/advice", {"keywords": ["flood"]})["advice"]
    assert advice[0]["events"] == [f"event-{number:04}" for number in range(1, 11, 2)]


together = scenarios.fixture()


@pytest.mark.parametrize("scenario", scenarios.names)
def test_(together: Running, scenario: str) -> None:
    together[scenario].result()
