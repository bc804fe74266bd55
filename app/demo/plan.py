"""What the demo shows: two events and the posts about them, then a live source and an event of its own."""

from __future__ import annotations

from msgspec import Struct

from app.domain.events import Definition

POSTS = 120_000
RATE = 1_800.0  # posts a second; two cores hold it, with both servers, the worker and the generator on them
SOURCE = "demo"
WHO = "starling demo"

EVENTS = (
    Definition(
        name="2026 River Flood",
        keywords=(
            *("flood", "sandy", "dike breach", '"high water mark"', "#riverwatch", "@rivercontrol", "$RVRF"),
            *("hochwasser", "inundación", "enchente", "crue", "洪水", "น้ำท่วม", "बाढ़", "فيضان", "홍수", "наводнение"),
        ),
        accounts=("floodwarnings",),
        boxes=((8.0, 47.0, 8.5, 47.5),),
    ),
    Definition(
        name="City Election 2026",
        keywords=(
            *("election", "vote", "ballot count", '"polling station"', "#cityvote", "sandy", "R&D"),
            *("wahl", "elección", "eleição", "scrutin", "選挙", "เลือกตั้ง", "चुनाव", "انتخابات", "선거", "seçim"),
        ),
        accounts=("cityhall_live", "777001"),
    ),
)
# Of all posts about so many belong to one event.
SHARE = 0.3

# The event of the live source, and a keyword that it gets while posts come.
LIVE_EVENT = Definition(name="2026 Rail Strike", keywords=("railstrike", '"night train"'))
LIVE_KEYWORD = "bahnstreik"
LIVE_SECONDS = 12.0
LIVE_RATE = 57.0  # posts a second, as the thesis had


class Options(Struct, frozen=True):
    """What a person may choose."""

    posts: int = POSTS
    rate: float = RATE
    seed: int = 1
    docker: bool = False
    keep: bool = False
    live: float = LIVE_SECONDS  # how long posts come from the live source; 0: it is left out
    stay: bool = False  # with its pages, until a Ctrl-C; else it ends by itself
