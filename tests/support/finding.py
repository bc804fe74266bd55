"""Stored posts as a test finds them: by the index, and by looking at every one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from app.clients.archive import Archive, Hit
from app.domain.annotating import Change
from app.domain.matcher import Matcher
from app.domain.partitioning import moment_of
from app.domain.rows import normalized, post_of
from app.domain.searching import Place, Search
from app.errors import Unavailable
from app.settings import Settings
from tests.support import rows


def find(settings: Settings, code: str, asked: Search, size: int = 7) -> list[Hit]:
    """All that a search finds, page by page."""
    return asyncio.run(_find(settings, code, asked, size))


async def _find(settings: Settings, code: str, asked: Search, size: int) -> list[Hit]:
    async with Archive(settings) as archive:
        found: list[Hit] = []
        below: Place | None = None
        await _connected(archive, code)
        while True:
            page = await archive.find(code, asked, below, size)
            assert len(page.hits) <= size
            assert len(page.hits) == size or page.below is None or not page.complete
            found += page.hits
            below = page.below
            if below is None:
                return found


async def _connected(archive: Archive, code: str) -> None:
    for _ in range(1200):
        try:
            await archive.tags(code)
        except Unavailable:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError("no connection to Cassandra")


def annotate(settings: Settings, code: str, hits: Sequence[Hit], change: Change, who: str = "ada") -> None:
    """Write a change to posts."""

    async def write() -> None:
        async with Archive(settings) as archive:
            await _connected(archive, code)
            await archive.annotate(code, hits, change.checked(), who, datetime.now(UTC))

    asyncio.run(write())


def by_hand(settings: Settings, code: str, asked: Search) -> list[str]:
    """Ids of what a search must find, newest first, by looking at every stored post."""
    ways = rows.tweets(settings)
    tags = {
        (row["event_name"], row["t_id"]): set(row["tags"] or ())
        for row in rows.query(settings, rows.EVERYTHING + "annotation")
    }
    found: list[Place] = []
    for (event, post_id), row in rows.raw_json(settings).items():
        if event != code:
            continue
        post, way = post_of(row["json"].encode()), ways[event, post_id]
        place = Place(moment_of(post_id, normalized(post).created_ms) or 0, post_id)
        wrong = [
            asked.since is not None and place.moment < asked.since,
            asked.until is not None and place.moment >= asked.until,
            bool(asked.keyword) and asked.keyword.casefold() not in [text.casefold() for text in way["matched"]],
            bool(asked.language) and (way["t_lang"] or "").lower() != asked.language,
            bool(asked.account) and asked.account not in ((way["u_screen_name"] or "").lower(), way["u_id"]),
            not set(asked.tags) <= tags.get((event, post_id), set()),
            asked.words is not None and not _says(asked, post),
        ]
        if not any(wrong):
            found.append(place)
    return [place.post_id for place in sorted(found, reverse=True)]


def _says(asked: Search, post: object) -> bool:
    matcher = asked.matcher
    assert isinstance(matcher, Matcher)
    return bool(matcher.match(post))  # type: ignore[arg-type]
