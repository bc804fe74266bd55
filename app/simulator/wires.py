"""Which wire a line belongs to, told by its form."""

from __future__ import annotations

from typing import Any

import orjson

from app.simulator.faults import Wire


class NoPost(Exception):
    """The line is no post of any wire; the message says why."""


def read(line: bytes, wire: Wire | None = None) -> tuple[Wire, dict[str, Any]]:
    """The wire of a post and its JSON. Raises NoPost, also where it does not fit the wire it is meant for."""
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as wrong:
        raise NoPost(f"no JSON: {wrong}") from None
    found = _form(body)
    if found is None or wire not in (None, found):
        raise NoPost(f"no post in the form of {wire or 'X v2, X v1.1 or Jetstream'}")
    return found, body


def _form(body: Any) -> Wire | None:
    match body:
        case {"data": {"id": str()}}:
            return "x"
        case {"id_str": str()}:
            return "v1"
        case {"did": str(), "kind": str()} | {"payload": {"$type": str(), "did": str()}}:
            return "jetstream"
    return None
