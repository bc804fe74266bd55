"""The live part of an event's page: what changes is a part of its own, which the page asks for again."""

from __future__ import annotations

from msgspec import Struct

from app.domain.addresses import web_address
from app.domain.bursts import bursts
from app.domain.figures import SPANS, Span
from app.domain.trends import WINDOWS, Window
from app.web.api.live import MOST_SHOWN
from app.web.plot import plot, row
from app.web.routes import Asked, Page, Route
from app.web.watching import newest_first, now_ms

_NAMES = {"hour": "last hour", "day": "last day", "fortnight": "last 14 days", "all": "all"}
_MOST_TRENDS = 10
_MOST_BURSTS = 5
_KINDS = ("keywords", "hashtags", "accounts", "languages", "sources")


class Looked(Struct, frozen=True):
    """The time of the figures, and of the trends."""

    span: Span = "hour"
    window: Window = 10


async def shown(asked: Asked, looked: Looked) -> dict[str, object]:
    """What `event_live.html` and `event_now.html` show, beside the event."""
    watching, event, now = asked.desk.watching, asked.event, now_ms()
    live = watching.live(event, looked.span)
    figures = live.figures
    return {
        "event": event,
        "now": now,
        "live": live,
        "span": looked.span,
        "spans": [(name, _NAMES[name]) for name in SPANS],
        "plot": plot(figures.series),
        "rows": [row(strip, figures.series) for strip in live.strips],
        "tops": [(kind, getattr(figures, kind)[:10], figures.forgotten.get(kind, 0)) for kind in _KINDS],
        "window": looked.window,
        "windows": WINDOWS,
        "trends": await asked.desk.views.trends.of(event, looked.window, now),
        "most_trends": _MOST_TRENDS,
        "web_address": web_address,
        "bursts": bursts(asked.desk.views.activity.of(event), looked.window, now).bursts[:_MOST_BURSTS],
        "newest": newest_first(watching.parts(event).values(), MOST_SHOWN),
    }


async def now(asked: Asked) -> Page:
    """The part of the page that changes."""
    return Page("event_now.html", await shown(asked, asked.query))


ROUTES = [
    Route("GET", "/events/{code}/now", now, "live.page_now", "What changes of it", query=Looked),
]
