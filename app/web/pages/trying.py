"""A page to try the API on."""

from __future__ import annotations

from app.domain.people import Right
from app.web.routes import Asked, Page, Route


async def page(_: Asked) -> Page:
    """Swagger UI, which runs in the browser and is served from here."""
    return Page("api.html")


ROUTES = [Route("GET", "/api/v1/docs", page, "about.docs", "A page to try it", Right.NONE, answers={200: "text/html"})]
