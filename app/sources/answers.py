"""What an HTTP answer of X that is no success means: which trouble, and one line for a person."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import orjson

from app.sources.source import Broken, Trouble

_LONGEST = 200
_CROWDED = "Exceeded connection limit"


def refusal(status: int, headers: Mapping[str, str], body: bytes, asked: str) -> Broken:
    """The trouble behind a status that is no success; `asked` says what was asked for, e.g. "the stream"."""
    said = _said(body)
    issue = connection_issue(body)
    # v1.1 has the same status for a rate limit; only its words tell them apart.
    if issue == "TooManyConnections" or (status == 420 and _CROWDED in said):
        return Broken(Trouble.CONNECTIONS, f"X refuses a second connection of this account ({said})")
    if issue == "RuleConfigurationIssue":
        return Broken(Trouble.HTTP, f"X has no rule to listen for ({said})")
    if status in (401, 403):
        return Broken(Trouble.DENIED, f"X refuses the token ({status} {said}); check STARLING_X_BEARER_TOKEN")
    if status in (420, 429):
        retry_after = _seconds(headers.get("retry-after")) or _until_reset(headers)
        return Broken(Trouble.RATE, f"X was asked too often for {asked} ({status} {said})", retry_after=retry_after)
    return Broken(
        Trouble.HTTP, f"X answered {status} for {asked}: {said}", retry_after=_seconds(headers.get("retry-after"))
    )


def wrong_query(body: bytes) -> str | None:
    """What is wrong with the query of a search; None where it is something else.

    X names the parameters that it refuses, each with its value (its page "Response codes").
    """
    for error in errors_of(body):
        if isinstance(parameters := error.get("parameters"), dict) and "query" in parameters:
            return " ".join(str(error.get("message") or "X does not say why").split())[:_LONGEST]
    return None


def connection_issue(body: bytes) -> str | None:
    """`connection_issue` of an answer, which stands alone or in a list of errors."""
    return next((issue for error in errors_of(body) if isinstance(issue := error.get("connection_issue"), str)), None)


def errors_of(body: bytes) -> list[dict[str, Any]]:
    """The problems that an answer tells of: itself, if it is one, then its `errors`."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(answer, dict):
        return []
    errors = answer.get("errors")
    listed = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return ([answer] if "title" in answer or "detail" in answer else []) + listed


def _said(body: bytes) -> str:
    for error in errors_of(body):
        if text := error.get("detail") or error.get("message") or error.get("title"):
            return " ".join(str(text).split())[:_LONGEST]
    text = " ".join(body.decode(errors="replace").split())
    return text[:_LONGEST] if text and not text.startswith("<") else "without a reason"


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """X tells with every answer when the quarter of an hour ends; it is the reason only where no request is left."""
    reset = _seconds(headers.get("x-rate-limit-reset"))
    if reset is None or headers.get("x-rate-limit-remaining", "0") != "0":
        return None
    return max(0.0, reset - time.time())


def _seconds(value: str | None) -> float | None:
    try:
        return None if value is None else max(0.0, float(value))
    except ValueError:
        return None  # a date, which X does not send
