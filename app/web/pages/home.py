"""The first page: all events."""

from __future__ import annotations

from app.domain.listing import listed
from app.domain.people import Right
from app.web.api.events import Wanted
from app.web.routes import Asked, Page, Redirect, Route

A_PAGE = 100


async def home(asked: Asked) -> Page:
    """Events, a row each."""
    wanted: Wanted = asked.query
    found = listed(
        asked.desk.views.events.view.items.values(), wanted.text, wanted.status, wanted.sort, down=wanted.down
    )
    part = found[wanted.after : wanted.after + A_PAGE]
    return Page("home.html", {"events": part, "wanted": wanted, "all": len(found), "a_page": A_PAGE})


async def refresh(asked: Asked) -> Redirect:
    """Have the managers tell every event again."""
    await asked.desk.refresh(asked.caller)
    return Redirect("/", "Every event was told again.")


ROUTES = [
    Route("GET", "/", home, "home.events", "All events", query=Wanted),
    Route("POST", "/refresh", refresh, "home.refresh", "Tell every event again", Right.CREATE, action="events.refresh"),
]
