"""The first page: all events."""

from __future__ import annotations

from app.domain.listing import listed
from app.web.api.events import Wanted
from app.web.routes import Asked, Page, Route

A_PAGE = 100


async def home(asked: Asked) -> Page:
    """Events, a row each."""
    wanted: Wanted = asked.query
    found = listed(
        asked.desk.views.events.view.items.values(), wanted.text, wanted.status, wanted.sort, down=wanted.down
    )
    part = found[wanted.after : wanted.after + A_PAGE]
    return Page("home.html", {"events": part, "wanted": wanted, "all": len(found), "a_page": A_PAGE})


ROUTES = [Route("GET", "/", home, "home.events", "All events", query=Wanted)]
