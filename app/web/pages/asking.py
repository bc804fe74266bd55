"""Pages of what people ask of the stream itself: a preview of keywords, and a standing query."""

from __future__ import annotations

from urllib.parse import urlencode

from app.web.api import asking as api
from app.web.problems import Failed
from app.web.routes import Asked, Page, Route


async def preview(_: Asked) -> Page:
    """A form to try keywords with."""
    return Page("preview.html")


async def tail(asked: Asked) -> Page:
    """A form for a query and, where there is one, the posts that match as they come."""
    query: api.Asking = asked.query
    stream, wrong, event = "", "", None
    if query.query or query.code:
        try:
            event = api.wanted(asked)
            stream = "/api/v1/tail?" + urlencode({"code": query.code} if query.code else {"query": query.query})
        except Failed as failed:
            wrong = failed.problem.detail
    shown = {"query": query, "stream": stream, "wrong": wrong, "event": event if query.code else None}
    return Page("tail.html", shown, 422 if wrong else 200)


ROUTES = [
    Route("GET", "/preview", preview, "asking.page_preview", "Try keywords"),
    Route("GET", "/tail", tail, "asking.page_tail", "What is said now", query=api.Asking),
]
