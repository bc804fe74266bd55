"""The live part of an event's page: what changes is a part of its own, which the page asks for again."""

from __future__ import annotations

from app.domain.figures import SPANS
from app.web.api.live import MOST_SHOWN, Spanned
from app.web.plot import plot, row
from app.web.routes import Asked, Page, Route
from app.web.watching import newest_first, now_ms

_NAMES = {"hour": "last hour", "day": "last day", "fortnight": "last 14 days", "all": "all"}
_KINDS = ("keywords", "hashtags", "accounts", "languages", "sources")


def shown(asked: Asked, span: Spanned) -> dict[str, object]:
    """What `event_live.html` and `event_now.html` show, beside the event."""
    watching, event = asked.desk.watching, asked.event
    live = watching.live(event, span.span)
    figures = live.figures
    return {
        "event": event,
        "now": now_ms(),
        "live": live,
        "span": span.span,
        "spans": [(name, _NAMES[name]) for name in SPANS],
        "plot": plot(figures.series),
        "rows": [row(strip, figures.series) for strip in live.strips],
        "tops": [(kind, getattr(figures, kind)[:10], figures.forgotten.get(kind, 0)) for kind in _KINDS],
        "newest": newest_first(watching.parts(event).values(), MOST_SHOWN),
    }


async def now(asked: Asked) -> Page:
    """The part of the page that changes."""
    return Page("event_now.html", shown(asked, asked.query))


ROUTES = [
    Route("GET", "/events/{code}/now", now, "live.page_now", "What changes of it", query=Spanned),
]
