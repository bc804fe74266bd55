"""The description of the API, as it follows from the routes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from app.domain.people import Right
from app.web.openapi import describe
from app.web.register import routes
from app.web.routes import Route

EVERY = routes()
DESCRIBED: dict[str, Any] = json.loads(msgspec.json.encode(describe(EVERY)))


def test_it_is_valid() -> None:
    validate(DESCRIBED)


def test_names_are_unique_and_so_are_paths() -> None:
    names = [route.name for route in EVERY]
    assert len(set(names)) == len(names)
    paths = [(route.method, route.path) for route in EVERY]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("route", [route for route in EVERY if route.of_api], ids=lambda route: route.name)
def test_every_operation_is_described(route: Route) -> None:
    operation = DESCRIBED["paths"][route.path][route.method.lower()]
    assert operation["summary"]
    assert operation.get("description"), "the handler's docstring"
    assert any(status.startswith("2") for status in operation["responses"])


@pytest.mark.parametrize("route", [route for route in EVERY if route.changes], ids=lambda route: route.name)
def test_nobody_changes_anything_without_a_right(route: Route) -> None:
    assert route.right is not Right.NONE or route.name in ("session.sign-in", "session.enter", "session.token")
    # Only what asks a question may be sent by somebody who just looks, and leave no trace.
    looks = ("asking.preview", "keywords.advice", "session.sign-in", "session.token")
    assert route.audited or route.name in looks


def test_what_is_about_an_event_that_somebody_owns_names_it_in_its_path() -> None:
    for route in EVERY:
        if route.right in (Right.CHANGE, Right.OWN):
            assert "{code}" in route.path, route.name


def test_the_audit_log_calls_what_a_page_does_as_it_calls_the_same_of_the_api() -> None:
    audited = [route for route in EVERY if route.changes and route.audited and not route.own_entry]
    of_api = {route.noted_as for route in audited if route.of_api}
    assert {route.noted_as for route in audited} - of_api == {"session.end"}
