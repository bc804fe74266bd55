"""Where the bars of a plot and the pieces of a strip stand: in a box of 1,000 by 200, drawn as SVG by the templates."""

from __future__ import annotations

from msgspec import Struct

from app.domain.figures import Series
from app.domain.strip import Piece, Strip

WIDTH, HEIGHT = 1000.0, 200.0
_LEAST = 2.0  # what is there at all is seen
_MOST_TICKS = 40


class Bar(Struct, frozen=True):
    """A bar, and what it stands for. `at` is milliseconds since 1970."""

    x: float
    y: float
    width: float
    height: float
    at: int
    posts: int


class Plot(Struct, frozen=True):
    """Bars, and how many posts the highest has."""

    bars: list[Bar]
    most: int
    since: int
    middle: int
    until: int


class Box(Struct, frozen=True):
    """A piece of a strip."""

    x: float
    width: float
    piece: Piece


class Tick(Struct, frozen=True):
    """A moment at which posts were kept back; several that stand together are one."""

    x: float
    at: int
    posts: int


class Row(Struct, frozen=True):
    """A strip of one source."""

    strip: Strip
    boxes: list[Box]
    ticks: list[Tick]


def plot(series: Series) -> Plot:
    """The bars of posts by time; those without posts are left out."""
    most = max(series.posts, default=0)
    width = WIDTH / max(1, len(series.posts))
    bars = []
    for number, posts in enumerate(series.posts):
        if posts:
            height = max(_LEAST, HEIGHT * posts / most)
            at = series.since + number * series.step
            x, y = number * width, HEIGHT - height
            bars.append(Bar(_cut(x), _cut(y), _cut(width * 0.85), _cut(height), at, posts))
    return Plot(bars, most, series.since, (series.since + series.until) // 2, series.until)


def row(strip: Strip, series: Series) -> Row:
    """A strip beneath the bars of a series."""
    scale = WIDTH / max(1, series.until - series.since)
    boxes = [
        Box(
            _cut((piece.since - series.since) * scale),
            _cut(max(_LEAST / 2, (piece.until - piece.since) * scale)),
            piece,
        )
        for piece in strip.pieces
    ]
    ticks: dict[int, Tick] = {}
    for kept in strip.withheld:
        place = int((kept.at - series.since) * scale * _MOST_TICKS / WIDTH)
        known = ticks.get(place)
        at = known.at if known else kept.at
        ticks[place] = Tick(_cut((at - series.since) * scale), at, kept.posts + (known.posts if known else 0))
    return Row(strip, boxes, list(ticks.values()))


def _cut(value: float) -> float:
    return round(value, 2)
