"""Posts made ahead, sent again and again with new ids: for streams faster than posts can be made and judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import orjson

from app.generator.times import snowflake
from app.simulator.book import Matched
from app.simulator.feed import Source
from app.simulator.seen import seen_v2
from app.simulator.x import X


class _Pooled:
    """A post of which only the id changes; what the rules say to it is asked once for each change of them."""

    def __init__(self, line: bytes, body: dict[str, Any]) -> None:
        self._parts = line.split(body["data"]["id"].encode())
        self._seen = seen_v2(body)
        self._version = -1
        self._matched: Matched | None = None

    def line(self, number: str) -> bytes:
        """The post with this id."""
        return number.encode().join(self._parts)

    def matched(self, x: X) -> Matched | None:
        """What the rules in force say."""
        if self._version != x.book.version:
            self._version, self._matched = x.book.version, x.book.match(self._seen)
        return self._matched


class Pool:
    """Posts of X v2, in turn."""

    def __init__(self, posts: Source, size: int, least_bytes: int) -> None:
        lines = [line for lines in islice(posts, size) for wire, line in lines if wire == "x"]
        stuffing = cycle(lines)
        self._pooled = [_pooled(line, stuffing, least_bytes) for line in lines]
        self._turn = cycle(self._pooled)
        self._sequence = 0

    def arise(self, x: X) -> bool:
        """Send the next post; False if there is none."""
        if not self._pooled:
            return False
        self._sequence += 1
        pooled = next(self._turn)
        number = str(snowflake(int(time.time() * 1000), self._sequence))
        x.spread(number, pooled.line(number), pooled.matched(x), remember=False)
        return True


def _pooled(line: bytes, stuffing: Iterator[bytes], least: int) -> _Pooled:
    """Posts too short get others as a member that nobody asks for: so they cost as much to read as long ones."""
    body = orjson.loads(line)
    stuffed: list[orjson.Fragment] = []
    length = len(line)
    while length < least:
        more = next(stuffing)
        stuffed.append(orjson.Fragment(more))
        length += len(more)
    return _Pooled(orjson.dumps(body | {"simulated": stuffed}) if stuffed else line, body)
