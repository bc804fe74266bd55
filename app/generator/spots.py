"""Where posts are written: places with boxes, exact points, and events' boxes that hold them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import orjson
from msgspec import Struct

from app.domain.events import Box, Event

_CITIES = (
    *(("Leeds, England", -1.674, 53.731), ("Sevilla, España", -6.02, 37.311), ("札幌市, 北海道", 141.1, 42.98)),
    *(("Recife, Brasil", -35.02, -8.11), ("Nairobi, Kenya", 36.7, -1.38), ("Suva, Fiji", 178.4, -18.16)),
    *(("Казань, Россия", 48.95, 55.7), ("Perth, Australia", 115.7, -32.1), ("Denver, CO", -105.1, 39.62)),
)
_SIZE = 0.25  # degrees


class Spot(Struct, frozen=True, eq=False):
    """A place or point, in each form, with the columns that must come of it and the events whose box it lies in."""

    v1: dict[str, Any]  # the status's `coordinates`, `geo` and `place`
    v2_geo: dict[str, Any]
    v2_place: orjson.Fragment
    exact: str | None
    v1_area: str
    v2_area: str
    name: str
    boxes: tuple[tuple[str, str], ...] = ()  # code, selector


def common_spots(rng: Random, events: Sequence[Event]) -> list[Spot]:
    """Places that lie in no event's box: of each city its place, a point in it, and a point that only `geo` tells."""
    found = []
    for name, west, south in _CITIES:
        box = (west, south, round(west + _SIZE, 3), round(south + _SIZE, 3))
        if not any(_meets(box, other) for event in events for other in event.boxes):
            found += [_spot(rng, name, box), _spot(rng, name, box, _inside(rng, box)), _spot(rng, name, box, old=True)]
    return found


def event_spots(rng: Random, events: Sequence[Event]) -> tuple[list[Spot], list[Spot]]:
    """Places and points in each event's boxes, and decoys: points beside a box, though their place overlaps it."""
    wanted: dict[Box, list[tuple[str, str]]] = {}
    for event in events:
        for box in event.boxes:
            selector = "box:" + ",".join(f"{edge:.9g}" for edge in box)
            wanted.setdefault(box, []).append((event.code, selector))
    inside, beside = [], []
    for box, targets in wanted.items():
        west, south, east, north = box
        if west > east or any(_meets(box, other) for other in wanted if other != box):
            raise ValueError(f"the generator plants in boxes that lie apart and cross no date line, not in {box}")
        margin = min(0.01, (east - west) / 4, (north - south) / 4)
        core = tuple(round(edge, 5) for edge in (west + margin, south + margin, east - margin, north - margin))
        over = (round(east - margin, 5), round(south + margin, 5), round(east + margin, 5), round(north - margin, 5))
        boxes = tuple(targets)
        inside.append(_spot(rng, "Planted, Whole", core, boxes=boxes))
        inside.append(_spot(rng, "Planted, Point", core, _inside(rng, core), boxes=boxes))
        inside.append(_spot(rng, "Planted, Edge", over, boxes=boxes))
        outside = (round(east + margin / 2, 5), over[1])
        beside.append(_spot(rng, "Beside, Point", over, outside))
    return inside, beside


def _meets(one: Sequence[float], other: Sequence[float]) -> bool:
    west, south, east, north = other
    parts = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return one[1] <= north and south <= one[3] and any(one[0] <= right and left <= one[2] for left, right in parts)


def _inside(rng: Random, box: Sequence[float]) -> tuple[float, float]:
    west, south, east, north = box
    return round(west + (east - west) * rng.random(), 6), round(south + (north - south) * rng.random(), 6)


def _spot(
    rng: Random,
    name: str,
    box: Sequence[float],
    at: tuple[float, float] | None = None,
    *,
    old: bool = False,
    boxes: tuple[tuple[str, str], ...] = (),
) -> Spot:
    west, south, east, north = box
    place_id = f"{rng.randrange(1 << 60):016x}"
    if old:
        at = _inside(rng, box)
    ring = [[west, south], [west, north], [east, north], [east, south]]
    short = name.partition(",")[0]
    point = {"type": "Point", "coordinates": list(at)} if at else None
    place = {
        "id": place_id,
        "place_type": "city",
        "name": short,
        "full_name": name,
        "country_code": "XX",
        "country": name.rpartition(", ")[2],
        "bounding_box": {"type": "Polygon", "coordinates": [ring]},
        "attributes": {},
    }
    v2_place = {
        "id": place_id,
        "full_name": name,
        "name": short,
        "place_type": "city",
        "geo": {"type": "Feature", "bbox": list(box), "properties": {}},
    }
    exact = _text(point) if point else None
    v2_ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return Spot(
        v1={
            "coordinates": None if old else point,
            "geo": {"type": "Point", "coordinates": [at[1], at[0]]} if at else None,
            "place": orjson.Fragment(orjson.dumps(place)),
        },
        v2_geo={"place_id": place_id} | ({"coordinates": point} if point else {}),
        v2_place=orjson.Fragment(orjson.dumps(v2_place)),
        exact=exact,
        v1_area=exact or _text({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}),
        v2_area=exact or _text({"type": "Polygon", "coordinates": [v2_ring]}),
        name=name,
        boxes=boxes,
    )


def _text(geometry: dict[str, Any]) -> str:
    return json.dumps(geometry, separators=(",", ":"))
