"""Where a post was written, and the boxes that hold the place.

X's `locations`: an exact point decides alone; without one, the box of the post's place must overlap.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from app.domain.events import Box, Event
from app.domain.posts import Json, Post

_CELL = 10  # degrees; the whole world is 648 cells


class BoxIndex:
    """Boxes of events by the cells of a coarse grid that they touch."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[tuple[Box, Box, Event]]] = defaultdict(list)

    def __bool__(self) -> bool:
        return bool(self._cells)

    def add(self, box: Box, event: Event) -> None:
        """Add a box; one that crosses the antimeridian is kept as its two halves.

        One that is not in degrees is left out: no command lets it pass, but `events` may hold it from elsewhere, and
        its cells would have no end.
        """
        if _sane(box) is None:
            return
        for part in _parts(box):
            entry = (part, box, event)
            for cell in _cells(part):
                self._cells[cell].append(entry)

    def matches(self, place: Box | None) -> Iterator[tuple[Event, Box]]:
        """Events whose box overlaps the place, each box once."""
        if place is None:
            return
        seen: set[tuple[str, Box]] = set()
        for part in _parts(place):
            for cell in _cells(part):
                for inner, box, event in self._cells.get(cell, ()):
                    if _overlap(part, inner) and (event.code, box) not in seen:
                        seen.add((event.code, box))
                        yield event, box


def where(post: Post) -> Box | None:
    """The post's point (as a box of no size) or its place's box, in degrees; None for neither, or nonsense."""
    try:
        return _v1(post.body) if post.wire == "v1" else _v2(post)
    except (TypeError, AttributeError, LookupError, ValueError, OverflowError):
        return None


def _v1(body: Json) -> Box | None:
    if point := body.get("coordinates"):
        return _point(point["coordinates"])
    if (place := body.get("place")) and (box := place.get("bounding_box")):
        return _around(box["coordinates"][0])
    return None


def _v2(post: Post) -> Box | None:
    geo = post.body.get("geo") or {}
    if point := geo.get("coordinates"):
        return _point(point["coordinates"])
    place = post.includes.get("places", {}).get(str(geo.get("place_id")))
    if place is None:
        return None
    west, south, east, north = (float(edge) for edge in place["geo"]["bbox"])
    return _sane((west, south, east, north))


def _point(lon_lat: Any) -> Box | None:
    lon, lat = float(lon_lat[0]), float(lon_lat[1])
    return _sane((lon, lat, lon, lat))


def _around(ring: Any) -> Box | None:
    lons, lats = [float(corner[0]) for corner in ring], [float(corner[1]) for corner in ring]
    return _sane((min(lons), min(lats), max(lons), max(lats)))


def _sane(box: Box) -> Box | None:
    west, south, east, north = box
    fits = -180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90
    return box if fits else None


def _parts(box: Box) -> tuple[Box, ...]:
    west, south, east, north = box
    return (box,) if west <= east else ((west, south, 180.0, north), (-180.0, south, east, north))


def _cells(box: Box) -> Iterator[tuple[int, int]]:
    west, south, east, north = (math.floor(edge / _CELL) for edge in box)
    for lon in range(west, east + 1):
        for lat in range(south, north + 1):
            yield lon, lat


def _overlap(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
