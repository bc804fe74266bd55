"""What an event's posts were: counts by time, keyword, language, hashtag and account, exact through every restart.

One `Activity` is kept for each event and partition of `classified_tweets`; an event's figure is the sum over its
partitions. A post is counted once a raw position: beside the counts stands, for each raw partition, the last position
that was counted, so a record that is read again changes nothing. A rematch reads old positions anew, each once: it has
last positions of its own, which are kept until the next rematch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct, field

MINUTE_MS = 60_000
Position: TypeAlias = tuple[int, int, int]

# A value is written to the changelog with every batch, so it must stay near 10 kB. Of each the newest that had posts
# are kept: whichever these are in the end was never among those dropped, so the counts are the same in any order.
MINUTES = 180
HOURS = 24 * 14
DAYS = 366 * 2
TOP = 100  # languages, hashtags and accounts kept; up to twice as many in between. Exact until there are more.


class Seen(Struct, frozen=True):
    """What is counted of one stored post."""

    raw_partition: int
    position: Position
    created_ms: int | None
    keywords: Iterable[str]
    language: str | None
    hashtags: Iterable[str]
    account: str | None
    source: str
    rematch: int = 0  # version at which the rematch was wished that found it; 0: heard when it came


class Activity(Struct):
    """Counts of one event in one partition."""

    born: int = 0  # version that created the event: one of the same code may have been purged before
    # Raw partition, or raw partition~version of a rematch -> last counted.
    positions: dict[str, Position] = field(default_factory=dict)
    rematch: int = 0  # the newest of which a post was counted
    posts: int = 0
    minutes: dict[int, int] = field(default_factory=dict)  # minutes since 1970, of the post's own time -> posts
    hours: dict[int, int] = field(default_factory=dict)
    days: dict[int, int] = field(default_factory=dict)
    keywords: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    hashtags: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    # Of languages, hashtags and accounts: how much a figure may be too low at most, since rare keys are forgotten.
    forgotten: dict[str, int] = field(default_factory=dict)

    def count(self, post: Seen) -> bool:
        """Count a post, unless its raw position was counted before; says whether it was new."""
        key = _lane(post.raw_partition, post.rematch)
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
        self.posts += 1
        if post.created_ms is not None:
            self._count_time(post.created_ms)
        for keyword in post.keywords:
            _add(self.keywords, keyword)
        _add(self.sources, post.source)
        self._add_top("languages", self.languages, (post.language or "",))
        self._add_top("hashtags", self.hashtags, {tag.casefold() for tag in post.hashtags})
        self._add_top("accounts", self.accounts, (post.account,) if post.account else ())
        return True

    def _add_top(self, name: str, counts: dict[str, int], keys: Iterable[str]) -> None:
        """Count keys among the most frequent ones; the rare half is forgotten when there are too many."""
        for key in keys:
            _add(counts, key)
        if len(counts) > 2 * TOP:
            rare = sorted(counts.items(), key=lambda item: (item[1], item[0]))[:-TOP]
            for key, _ in rare:
                del counts[key]
            self.forgotten[name] = self.forgotten.get(name, 0) + rare[-1][1]

    def rematched(self, raw_partition: int, position: Position) -> bool:
        """Whether a rematch may have counted what stands there before it was heard the usual way."""
        last = self.positions.get(_lane(raw_partition, self.rematch)) if self.rematch else None
        return last is not None and position <= tuple(last)

    def _count_time(self, created_ms: int) -> None:
        minute = created_ms // MINUTE_MS
        _add_newest(self.minutes, minute, MINUTES)
        _add_newest(self.hours, minute // 60, HOURS)
        _add_newest(self.days, minute // 1440, DAYS)


def merge(parts: Iterable[Activity]) -> Activity:
    """The sum of an event's partitions; raw positions have no sum and are left out. So are parts of an earlier life.

    Of times only the newest again: beyond these a partition with many posts may have dropped what others still hold.
    """
    parts = list(parts)
    total = Activity(born=max((part.born for part in parts), default=0))
    for part in parts:
        if part.born != total.born:
            continue
        total.posts += part.posts
        for name in (
            "minutes",
            "hours",
            "days",
            "keywords",
            "languages",
            "sources",
            "hashtags",
            "accounts",
            "forgotten",
        ):
            counts = getattr(total, name)
            for key, count in getattr(part, name).items():
                counts[key] = counts.get(key, 0) + count
    for counts, most in ((total.minutes, MINUTES), (total.hours, HOURS), (total.days, DAYS)):
        for oldest in sorted(counts)[:-most]:
            del counts[oldest]
    return total


def _lane(raw_partition: int, rematch: int) -> str:
    return f"{raw_partition}~{rematch}" if rematch else str(raw_partition)


def _add(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1


def _add_newest(counts: dict[int, int], key: int, most: int) -> None:
    """Count a time among the newest ones. The dict stays in the order of time, so that its oldest is found at once."""
    if key in counts:
        counts[key] += 1
        return
    if len(counts) >= most:
        oldest = next(iter(counts))
        if key < oldest:
            return
        del counts[oldest]
    late = bool(counts) and key < next(reversed(counts))
    counts[key] = 1
    if late:
        ordered = sorted(counts.items())
        counts.clear()
        counts.update(ordered)
