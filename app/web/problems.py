"""What goes wrong, as clients are told it: problem details of RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from msgspec import Struct

MEDIA_TYPE = "application/problem+json"


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem as the API answers it."""

    title: str
    status: int
    detail: str
    reason: str = ""  # one word for programs: exists, unknown, state, version, invalid, late, uncertain
    current: dict[str, Any] | None = None  # of a conflict: the event as it stands
    yours: dict[str, Any] | None = None  # of a conflict: what was to be written


class Failed(Exception):
    """A request that cannot be answered as asked; serving tells it as a problem, or as a page."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        current: dict[str, Any] | None = None,
        yours: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.problem = Problem(
            title=HTTPStatus(status).phrase, status=status, detail=detail, reason=reason, current=current, yours=yours
        )


def too_many(seconds: float, what: str) -> Failed:
    """Too much was asked for at once; it may be asked for again after so many seconds."""
    wait = max(1, round(seconds))
    return Failed(429, f"{what}; try again in {wait} s", headers={"Retry-After": str(wait)})
