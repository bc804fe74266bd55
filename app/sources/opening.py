"""The sources that the settings name."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.matcher import Matcher
from app.settings import Settings
from app.sources.bluesky import Bluesky
from app.sources.source import Source
from app.sources.v1 import XV1
from app.sources.x import X


def open_sources(settings: Settings, matcher: Callable[[], Matcher]) -> list[Source]:
    """One object a source, not connected yet. `matcher` is asked by those that leave out what no event matches."""
    made: dict[str, Callable[[], Source]] = {
        "x": lambda: X(settings),
        "x-v1": lambda: XV1(settings),
        "bluesky": lambda: Bluesky(settings, matcher),
    }
    return [made[name]() for name in settings.source_names if name in made]
