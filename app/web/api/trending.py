"""What is frequent in an event just now, and when it had many more posts than usual."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from app.domain.bursts import Bursts, bursts
from app.domain.trends import KINDS, MOST_TOP, Kind, Trends, Window
from app.web.routes import Asked, Reply, Route
from app.web.watching import now_ms


class Windowed(Struct, frozen=True):
    """Of how many minutes."""

    window: Window = 10


class Trending(Windowed, frozen=True):
    """Of what, else of all kinds; so many of each at most."""

    of: Kind | None = None
    most: Annotated[int, Meta(ge=1, le=MOST_TOP)] = 20


async def of_trends(asked: Asked) -> Reply:
    """Hashtags, accounts and links of the last 1, 10 or 60 whole minutes, as the workers count them.

    The window ends with the newest minute that has posts where it would have none. Exact unless `forgotten` says by how
    much a figure may be too low.
    """
    wanted: Trending = asked.query
    found = await asked.desk.views.trends.of(asked.event, wanted.window, now_ms())
    return Reply(chosen(found, wanted))


def chosen(found: Trends, wanted: Trending) -> Trends:
    """Of trends those that are wanted."""
    kinds = KINDS if wanted.of is None else (wanted.of,)
    tops = {kind: getattr(found, kind)[: wanted.most] if kind in kinds else () for kind in KINDS}
    return replace(found, **tops, forgotten={kind: by for kind, by in found.forgotten.items() if kind in kinds})


async def of_bursts(asked: Asked) -> Reply:
    """Periods of 1, 10 or 60 minutes with three times as many posts as usual, and at least ten, the newest first.

    Usual is the mean of the 60 periods before, as far as they are counted. The period that runs is left out.
    """
    return Reply(bursts(asked.desk.views.activity.of(asked.event), asked.query.window, now_ms()))


_EVENT = "/api/v1/events/{code}"
ROUTES = [
    Route(
        "GET",
        f"{_EVENT}/trends",
        of_trends,
        "live.trends",
        "What is frequent in an event just now",
        query=Trending,
        answers={200: Trends},
    ),
    Route(
        "GET",
        f"{_EVENT}/bursts",
        of_bursts,
        "live.bursts",
        "When an event had many more posts than usual",
        query=Windowed,
        answers={200: Bursts},
    ),
]
