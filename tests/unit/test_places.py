"""Where posts were written, and which boxes hold the place."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.events import Box, Event
from app.domain.places import BoxIndex, where
from app.domain.posts import Json, Post
from tests import builders
from tests.builders import place, status, v2_payload

VALLEY = (8.0, 47.0, 8.5, 47.5)
FIJI = (176.0, -20.0, -178.0, -15.0)
WORLD = (-180.0, -90.0, 180.0, 90.0)


def event(code: str = "e") -> Event:
    return Event(code=code, name=code)


def index(*boxes: Box) -> BoxIndex:
    filled = BoxIndex()
    for number, box in enumerate(boxes):
        filled.add(box, event(str(number)))
    return filled


def hit(box: Box, at: Box) -> bool:
    return [found for _, found in index(box).matches(at)] == [box]


def point(lon: float, lat: float) -> Box:
    return (lon, lat, lon, lat)


def v1(**body: Any) -> Box | None:
    return where(Post("1", "v1", body, {}, b""))


def v2(geo: object, **places: Json) -> Box | None:
    return where(Post("1", "v2", {"geo": geo}, {"places": places}, b""))


@pytest.mark.parametrize(
    ("body", "box"),
    [
        (status(), None),
        (status(coordinates={"type": "Point", "coordinates": [8.1, 47.2]}), point(8.1, 47.2)),
        (status(coordinates={"type": "Point", "coordinates": [0, 0]}), point(0, 0)),
        (status(place=place()), VALLEY),
        (status(place=place(), coordinates={"coordinates": [1, 2]}), point(1, 2)),
        (status(place=place(bounding_box=None)), None),
        (v2_payload(), None),
        (v2_payload(geo={"coordinates": {"type": "Point", "coordinates": [8.1, 47.2]}}), point(8.1, 47.2)),
        (
            v2_payload("x", {"places": [{"id": "p", "geo": {"bbox": [176, -20, -178, -15]}}]}, geo={"place_id": "p"}),
            FIJI,
        ),
        (
            v2_payload(
                "x",
                {"places": [{"id": "p", "geo": {"bbox": [1, 2, 3, 4]}}]},
                geo={"place_id": "p", "coordinates": {"coordinates": [8, 47]}},
            ),
            point(8, 47),
        ),
        (v2_payload(geo={"place_id": "not included"}), None),
    ],
)
def test_where_a_post_was_written(body: Json, box: Box | None) -> None:
    assert where(builders.post(body)) == box


@pytest.mark.parametrize(
    "coordinates",
    ["x", 5, [1, 2], {}, {"coordinates": None}, {"coordinates": []}, {"coordinates": [1]}, {"coordinates": ["a", "b"]},
     {"coordinates": [181, 0]}, {"coordinates": [0, 91]}, {"coordinates": [float("nan"), 0]},
     {"coordinates": [float("inf"), 0]}, {"coordinates": [10**400, 0]}, {"coordinates": [[1], 2]},
     {"coordinates": {"0": 1}}],
)  # fmt: skip
def test_nonsense_is_nowhere(coordinates: object) -> None:
    assert v1(coordinates=coordinates) is None
    assert v2({"coordinates": coordinates}) is None


@pytest.mark.parametrize(
    "box",
    [5, "x", {}, {"coordinates": []}, {"coordinates": [[]]}, {"coordinates": [[1, 2]]}, {"coordinates": [[[200, 2]]]},
     {"coordinates": None}],
)  # fmt: skip
def test_a_place_with_a_nonsense_box_is_nowhere(box: object) -> None:
    assert v1(place={"bounding_box": box}) is None
    assert v1(place=[box]) is None


@pytest.mark.parametrize("bbox", [None, [], [1, 2, 3], [1, 5, 3, 4], ["a", 2, 3, 4], {"w": 1}, [1, 2, 3, 4, 5]])
def test_a_v2_place_with_a_nonsense_box_is_nowhere(bbox: object) -> None:
    assert v2({"place_id": "p"}, p={"geo": {"bbox": bbox}}) is None
    assert v2({"place_id": "p"}, p={"geo": bbox}) is None
    assert v2([bbox]) is None


@pytest.mark.parametrize(
    ("box", "at", "inside"),
    [
        (VALLEY, point(8.2, 47.2), True),
        (VALLEY, point(8.0, 47.0), True),
        (VALLEY, point(8.5, 47.5), True),
        (VALLEY, point(8.6, 47.2), False),
        (VALLEY, point(8.2, 46.9), False),
        (VALLEY, point(-8.2, 47.2), False),
        (VALLEY, (8.4, 47.4, 20.0, 50.0), True),
        (VALLEY, (8.5, 47.5, 20.0, 50.0), True),
        (VALLEY, (8.6, 47.4, 20.0, 50.0), False),
        (VALLEY, WORLD, True),
        (WORLD, VALLEY, True),
        (WORLD, point(180, 90), True),
        (WORLD, point(-180, -90), True),
        (FIJI, point(179.9, -18), True),
        (FIJI, point(-179.9, -18), True),
        (FIJI, point(180, -18), True),
        (FIJI, point(-180, -18), True),
        (FIJI, point(175, -18), False),
        (FIJI, point(-177, -18), False),
        (FIJI, point(0, -18), False),
        (FIJI, point(179.9, -14), False),
        (FIJI, FIJI, True),
        (FIJI, (177.0, -18.0, 178.0, -17.0), True),
        ((179.0, -1.0, 180.0, 1.0), FIJI, False),
        ((179.0, -16.0, 180.0, -15.5), FIJI, True),
        ((0.0, 0.0, 0.001, 0.001), (0.0005, 0.0005, 0.0006, 0.0006), True),
        ((9.9, 9.9, 10.1, 10.1), point(10, 10), True),
    ],
)
def test_a_box_holds_what_it_overlaps(box: Box, at: Box, inside: bool) -> None:
    assert hit(box, at) is inside


def test_each_box_is_found_once_however_many_cells_it_shares_with_the_place() -> None:
    boxes = index(WORLD, VALLEY, FIJI, (0.0, 40.0, 30.0, 60.0))
    assert sorted(found.code for found, _ in boxes.matches(WORLD)) == ["0", "1", "2", "3"]
    assert sorted(found.code for found, _ in boxes.matches(VALLEY)) == ["0", "1", "3"]


def test_two_boxes_of_one_event_are_both_found() -> None:
    boxes = BoxIndex()
    for box in (VALLEY, (8.0, 47.0, 9.0, 48.0)):
        boxes.add(box, event())
    assert len(list(boxes.matches(point(8.2, 47.2)))) == 2


def test_a_post_that_is_nowhere_is_in_no_box() -> None:
    assert list(index(WORLD).matches(None)) == []


def test_an_index_is_true_when_it_holds_a_box() -> None:
    assert not BoxIndex()
    assert index(VALLEY)


@pytest.mark.parametrize("box", [(float("nan"), 0.0, 1.0, 1.0), (0.0, 0.0, 1e300, 1.0), (0.0, 5.0, 1.0, 1.0)])
def test_a_box_that_is_none_is_left_out(box: Box) -> None:
    assert not index(box)
