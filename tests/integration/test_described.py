"""The API answers as its description says, whatever it is sent: schemathesis makes the requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import hypothesis
import msgspec
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.local.stack import Stack
from app.web.openapi import describe
from app.web.register import routes
from tests.support import events
from tests.support.api import SECRET, Api, api, person
from tests.support.place import place
from tests.support.workers import worker

EXAMPLES = 5  # of each operation, beside those at the edges of what its schema allows
PATIENCE_SECONDS = 60.0
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ROUTES = [route for route in routes() if route.of_api]
# What flows does not end by itself; test_live.py and test_tail.py follow it.
FLOWING = [route.name for route in ROUTES if route.patience is None]
OF_EVENTS = {route.name: f"e{number}" for number, route in enumerate(ROUTES) if "{code}" in route.path}
OF_PEOPLE = [route.name for route in ROUTES if "{name}" in route.path]

described = schemathesis.openapi.from_dict(json.loads(msgspec.json.encode(describe(routes()))))


@described.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Most requests are about an event or a person that there is; each operation has another, as some end it.

    Some are about somebody whom an identity provider knows.
    """
    operation = context.operation.definition.raw["operationId"]
    return {
        name: _there(operation, len(str(given)) % 4 == 1).get(name, given) if len(str(given)) % 4 else given
        for name, given in (path_parameters or {}).items()
    }


def _there(operation: str, foreign: bool) -> dict[str, Any]:
    return {"code": OF_EVENTS.get(operation), "name": f"oidc:{operation}" if foreign else operation}


@pytest.fixture(scope="module")
def admin(stack: Stack) -> Iterator[Api]:
    """An administrator, and an event for each operation that is about one."""
    with place(stack, token_secret=SECRET, previews_a_minute=600) as settings, worker(settings, "all") as started:
        started.wait_ready(120)
        made = [events.create(code, keywords=("water",)) for code in OF_EVENTS.values()]
        events.accepted(settings, *made)
        for name in OF_PEOPLE:
            person(settings, name, "viewer")
            person(settings, f"oidc:{name}", "viewer")
        yield api(started)


@described.exclude(operation_id=FLOWING).parametrize()
@hypothesis.settings(max_examples=EXAMPLES, derandomize=True, database=None)
def test_it_answers_as_described(case: schemathesis.Case, admin: Api) -> None:
    answer = case.call(
        base_url=f"http://127.0.0.1:{admin.worker.port}",
        headers={"Authorization": f"Bearer {admin.token}"},
        timeout=PATIENCE_SECONDS,
    )
    case.validate_response(answer, checks=CHECKS)
