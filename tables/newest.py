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
from app.domain.trends import Lane


class NewestPosts:
    """Posts by event and partition; of partitions that go elsewhere they are forgotten."""

    def __init__(self, app: faust.App, topic: str) -> None:
        self._topic = topic
        self._posts: dict[tuple[str, int], tuple[int, int, deque[NewPost]]] = {}  # born, total, the last ones
        app.on_partitions_revoked.connect(self._forget, weak=False)

    async def _forget(self, _app: faust.App, revoked: set[TP], **_: object) -> None:
        self._posts.clear()

    def note(self, counted: Iterable[tuple[int, Row]], totals: dict[str, int]) -> list[tuple[TP, str, bytes]]:
        """Note rows, in the order in which they were counted; `totals` by key. Returns partition, key, value."""
        rows: dict[tuple[str, int], list[Row]] = {}
        for partition, row in counted:
            if row.fate in ("removed", "redacted"):
                continue
            rows.setdefault((row.code, partition), []).append(row)
        told = []
        for (code, partition), new in rows.items():
            born, _, posts = self._posts.get((code, partition), (new[-1].born, 0, deque(maxlen=MOST)))
            if born != new[-1].born:
                posts.clear()
            posts.extend(map(shortened, new[-MOST:]))
            key = f"{code}|{partition}"
            self._posts[code, partition] = new[-1].born, totals[key], posts
            value = msgspec.json.encode(Newest(new[-1].born, totals[key], tuple(posts)))
            told.append((TP(self._topic, partition), key, value))
        return told

    def retract(self, lane: Lane, gone: Container[str], collected: int) -> list[tuple[TP, str, bytes]]:
        """Show these posts, by id, no more; in the form of `note`. `collected` is how many the event has had there.

        What another process told before its end may hold them, and is not known here: then nothing of it is shown.
        """
        code, born, partition = lane
        born, total, posts = self._posts.get((code, partition), (born, collected, None))
        if posts is not None and not any(post.id in gone for post in posts):
            return []
        left = deque((post for post in posts or () if post.id not in gone), maxlen=MOST)
        self._posts[code, partition] = born, total, left
        value = msgspec.json.encode(Newest(born, total, tuple(left)))
        return [(TP(self._topic, partition), f"{code}|{partition}", value)]

    def forget(self, known: Container[str]) -> None:
        """Keep nothing of other events."""
        for code, partition in [key for key in self._posts if key[0] not in known]:
            del self._posts[code, partition]
