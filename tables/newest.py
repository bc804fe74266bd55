"""The last posts of each event by partition of `classified_tweets`, for who watches: in memory alone, told on `newest`.

Of what a process told before its end the topic keeps the last state, until its heir tells another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable

import faust
import msgspec
from faust.types import TP

from app.domain.newest import MOST, Newest, NewPost, shortened
from app.domain.rows import Row


class NewestPosts:
    """Posts by event and partition; of partitions that go elsewhere they are forgotten."""

    def __init__(self, app: faust.App, topic: str) -> None:
        self._topic = topic
        self._posts: dict[tuple[str, int], tuple[int, deque[NewPost]]] = {}
        app.on_partitions_revoked.connect(self._forget, weak=False)

    async def _forget(self, _app: faust.App, revoked: set[TP], **_: object) -> None:
        self._posts.clear()

    def note(self, counted: Iterable[tuple[int, Row]], totals: dict[str, int]) -> list[tuple[TP, str, bytes]]:
        """Note rows, in the order in which they were counted; `totals` by key. Returns partition, key, value."""
        rows: dict[tuple[str, int], list[Row]] = {}
        for partition, row in counted:
            rows.setdefault((row.code, partition), []).append(row)
        told = []
        for (code, partition), new in rows.items():
            born, posts = self._posts.get((code, partition), (new[-1].born, deque(maxlen=MOST)))
            if born != new[-1].born:
                posts.clear()
            posts.extend(map(shortened, new[-MOST:]))
            self._posts[code, partition] = new[-1].born, posts
            key = f"{code}|{partition}"
            value = msgspec.json.encode(Newest(new[-1].born, totals[key], tuple(posts)))
            told.append((TP(self._topic, partition), key, value))
        return told

    def forget(self, known: Container[str]) -> None:
        """Keep nothing of other events."""
        for code, partition in [key for key in self._posts if key[0] not in known]:
            del self._posts[code, partition]
