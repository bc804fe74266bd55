"""What is counted of a stored post, and how each is counted once, though its record may be read again.

Beside the counts stands, for each raw partition, the last position that was counted, so a record that is read again
changes nothing. A rematch reads old positions anew, each once: it has last positions of its own, which are kept until
the next rematch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, TypeVar, get_args

from msgspec import Struct, field

K = TypeVar("K", bound=str | int)

MINUTE_MS = 60_000
Position: TypeAlias = tuple[int, int, int]
Fate: TypeAlias = Literal["removed", "redacted", "scrubbed", "held"]  # of a post that its source has taken back
FATES: tuple[Fate, ...] = get_args(Fate)


class Seen(Struct, frozen=True):
    """What is counted of one stored post."""

    raw_partition: int
    position: Position
    created_ms: int | None
    keywords: Iterable[str]
    language: str | None
    hashtags: Iterable[str]
    account: str | None  # screen name, or id where the source tells no other
    source: str
    rematch: int = 0  # version at which the rematch was wished that found it; 0: heard when it came
    links: Iterable[str] = ()
    author: str | None = None  # the account by its id, or @name where the source gives the name alone
    screen_name: str | None = None
    received_ms: int = 0
    fate: Fate | None = None
    was: Fate | None = None  # what it had met before
    past: bool = False  # brought by an import or a search: it may still be heard the usual way


class Once(Struct, omit_defaults=True):
    """What keeps counts takes each raw position once."""

    # Raw partition, or raw partition~version of a rematch -> last counted.
    positions: dict[str, Position] = field(default_factory=dict)
    rematch: int = 0  # the newest of which a post was counted

    def is_new(self, post: Seen) -> bool:
        """Whether its position was not counted before; from now on it was."""
        key = lane(post.raw_partition, post.rematch)
        last = self.positions.get(key)
        if last is not None and post.position <= tuple(last):
            return False
        if post.rematch:
            if post.rematch < self.rematch:
                return False  # read again: it was counted before the newer rematch began
            if post.rematch > self.rematch:
                self.positions = {lane: at for lane, at in self.positions.items() if "~" not in lane}
                self.rematch = post.rematch
        self.positions[key] = post.position
        return True


def lane(raw_partition: int, rematch: int) -> str:
    """By what the positions of a raw partition go, as they are heard the usual way or by a rematch."""
    return f"{raw_partition}~{rematch}" if rematch else str(raw_partition)


def add(counts: dict[str, int], key: str) -> None:
    """Count a key once more."""
    counts[key] = counts.get(key, 0) + 1


def take(counts: dict[K, int], key: K) -> None:
    """Count a key once less; what was forgotten, as rare or old, is not counted any more."""
    left = counts.get(key, 0) - 1
    if left > 0:
        counts[key] = left
    else:
        counts.pop(key, None)
