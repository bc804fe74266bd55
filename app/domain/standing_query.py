"""Standing queries: which of the posts that come now belong to which of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from app.domain.events import Definition, Event
from app.domain.keywords import split_keywords
from app.domain.matcher import Matcher
from app.domain.posts import Control, Malformed, read
from app.domain.preview import event_to_try
from app.domain.records import RawRecord
from app.domain.shown import Shown, shown

MOST_QUERY = 2_000  # characters


def query_of(text: str) -> Event:
    """What selects by a query: words that must all occur, `"exact phrases"` and #tags among them; a comma is "or".

    Raises ValueError, in words for its writer.
    """
    if len(text) > MOST_QUERY:
        raise ValueError(f"the query has {len(text):,} characters; at most {MOST_QUERY:,}")
    return event_to_try(Definition(keywords=split_keywords([text])))


class Found(Struct, frozen=True):
    """What some records held: posts, and those that standing queries want, by the query's name, in order."""

    posts: int
    wanted: dict[str, list[Shown]]


class Sieve:
    """Some standing queries, by name; make a new one when they change."""

    def __init__(self, queries: Mapping[str, Event]) -> None:
        # A query wants what its event would, whatever its status.
        self._matcher = Matcher(replace(event, code=name, status="active") for name, event in queries.items())

    def sift(self, records: Iterable[RawRecord]) -> Found:
        """Read records and keep what is wanted."""
        count = 0
        wanted: dict[str, list[Shown]] = {}
        for record in records:
            if record.event:
                continue  # of the past: that event has asked for it, or it is imported
            for line in record.lines:
                try:
                    posts = read(line)
                except Malformed:  # classification makes a dead letter of it
                    continue
                for post in () if isinstance(posts, Control) else posts:
                    count += 1
                    for match in self._matcher.match(post):
                        found = shown(post, match.matched, source=record.source, received_at=record.received_at)
                        wanted.setdefault(match.event.code, []).append(found)
        return Found(count, wanted)
