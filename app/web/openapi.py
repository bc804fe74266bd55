"""The API's description: OpenAPI 3.1, made of the routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec

from app.domain.people import Right
from app.web.problems import MEDIA_TYPE, Problem
from app.web.routes import Route

_REF = "#/components/schemas/{name}"
_PART = re.compile(r"{(\w+)(?::[^}]*)?}")
_SAYS = {
    200: "What was asked for",
    201: "Made",
    202: "Begun",
    204: "Done",
    206: "A part of it",
    400: "This is no JSON",
    401: "No token, or one that does not count",
    403: "The caller may not do this",
    404: "There is no such thing",
    408: "The body does not come",
    409: "It stands otherwise: what it was asked for does not go, or somebody has changed it meanwhile",
    413: "Too large",
    415: "Another media type is needed",
    421: "Not a name of this server",
    422: "It cannot be as it was written; the detail says why",
    429: "Too much at once; Retry-After says when to ask again",
    503: "Kafka, Cassandra or a manager does not answer; nothing was done, and nothing will be",
    504: "Kafka, Cassandra or a manager does not answer in time; it may have been done: look before you try again",
}

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "ETag of the event as the caller knows it; 409 with both versions where it stands otherwise",
    "schema": {"type": "string", "pattern": '^(\\*|(W/)?"[0-9]{1,18}")$'},
}


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """The description of those routes that are of the API."""
    shown = [route for route in routes if route.of_api]
    types: list[Any] = [Problem]
    for route in shown:
        types += [one for one in (route.query, route.body, *route.answers.values()) if _is_type(one)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    known = dict(zip(map(_key, types), schemas, strict=True))
    _simplify(components)
    paths: dict[str, Any] = {}
    for route in shown:
        path = _PART.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, known, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Starling",
            "version": version("starling"),
            "description": "Events, what was collected of them, and whether all of it was heard.",
        },
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "session": {"type": "apiKey", "in": "cookie", "name": "starling"},
            },
        },
    }


def _simplify(schema: Any) -> None:
    """Tuples whose parts are all alike become lists of so many: few tools read `prefixItems` rightly."""
    if isinstance(schema, dict):
        parts = schema.get("prefixItems")
        if parts and all(part == parts[0] for part in parts) and schema.get("items") is False:
            schema["items"] = parts[0]
            del schema["prefixItems"]
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _simplify(part)


def _operation(route: Route, known: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PART.findall(route.path)
    ]
    if route.query is not None:
        parameters += _query(known[_key(route.query)], components)
    if route.conditional:
        parameters.append(_IF_MATCH)
    made: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": parameters,
        "responses": {str(status): _answer(status, what, known) for status, what in sorted(_answers(route).items())},
    }
    if route.handler.__doc__:
        made["description"] = route.handler.__doc__.strip()
    if route.body is not None:
        schema = {"type": "string"} if route.body is bytes else known[_key(route.body)]
        made["requestBody"] = {"required": True, "content": {route.media: {"schema": schema}}}
    if route.right is Right.NONE:
        made["security"] = []
    return made


def _query(schema: dict[str, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    whole = components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    needed = whole.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "schema": one,
            **({"description": one["description"]} if "description" in one else {}),
        }
        for name, one in whole["properties"].items()
    ]


def _answers(route: Route) -> dict[int, Any]:
    problems = [421, 429, 503]
    if route.right is not Right.NONE:
        problems += [401, 403]
    if "{" in route.path:
        problems.append(404)
    if route.query is not None:
        problems.append(422)
    if route.changes:
        problems += [403, 408, 413]
        if route.audited:
            problems.append(504)
    if route.body is not None:
        problems += [400, 415, 422]
    if route.conditional:
        problems += [400, 409]
    return dict.fromkeys(problems, Problem) | dict(route.answers)


def _answer(status: int, what: Any, known: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"description": _SAYS.get(status, "See the summary")}
    if what is Problem:
        said["content"] = {MEDIA_TYPE: {"schema": known[_key(Problem)]}}
    elif isinstance(what, str):
        said["content"] = {what: {}}
    elif what is not None:
        said["content"] = {"application/json": {"schema": known[_key(what)]}}
    return said


def _is_type(one: Any) -> bool:
    return one is not None and one is not bytes and not isinstance(one, str)


def _key(one: Any) -> str:
    return repr(one)
