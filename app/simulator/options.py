"""What a person or a test may choose of a simulator."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from app.domain.events import Event
from app.simulator.book import Limits
from app.simulator.faults import WIRES, Wire


class Options(Struct, frozen=True):
    """All choices; the defaults are those of the command."""

    host: str = "127.0.0.1"
    port: int = 0  # 0: a free one
    token: str | None = None  # None: any will do
    # posts that arise by themselves
    events: tuple[Event, ...] = ()  # whose keywords are planted
    files: tuple[Path, ...] = ()  # whose posts are sent instead of generated ones
    loop: bool = False  # the files again and again
    wires: tuple[Wire, ...] = WIRES  # for which posts are generated
    rate: float = 57.0  # posts a second; 0: as fast as clients take them
    posts: int | None = None  # at most
    seed: int = 0
    wait: bool = False  # for the first client
    pool: int = 0  # so many posts are made ahead and sent again and again with new ids
    post_bytes: int = 0  # posts of the pool are at least as long
    # manners
    limits: Limits = Limits()
    keep_alive: float | None = None  # seconds between signs of life; None: as the wire has them
    connections: int = 1  # of the account at X
    evict: bool = False  # X too ends the older connection, instead of refusing the newer
    attempts: int = 0  # connects a minute that X allows; 0: any number
    history: int = 20_000  # events that Jetstream can replay
    log: Path | None = None
    log_size: int = 200_000  # entries in memory
