"""What an event's posts were: counts by time, keyword, language, hashtag and account, exact through every restart.

One `Activity` is kept for each event and partition of `classified_tweets`; an event's figure is the sum over its
partitions. A post is counted once a raw position (`app.domain.counting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import field

from app.domain.counting import FATES, MINUTE_MS, Fate, Once, Position, Seen, add, lane, take

# A value is written to the changelog with every batch, so it must stay near 10 kB. Of each the newest that had posts
# are kept: whichever these are in the end was never among those dropped, so the counts are the same in any order.
MINUTES = 180
TENS = 6 * 36  # of ten minutes
HOURS = 24 * 14
DAYS = 366 * 2
TOP = 100  # languages, hashtags and accounts kept; up to twice as many in between. Exact until there are more.


class Activity(Once):
    """Counts of one event in one partition."""

    born: int = 0  # version that created the event: one of the same code may have been purged before
    posts: int = 0  # that stand: those that came, without the removed ones
    minutes: dict[int, int] = field(default_factory=dict)  # minutes since 1970, of the post's own time -> posts
    tens: dict[int, int] = field(default_factory=dict)
    hours: dict[int, int] = field(default_factory=dict)
    days: dict[int, int] = field(default_factory=dict)
    keywords: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    hashtags: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    # Of languages, hashtags and accounts: how much a figure may be too low at most, since rare keys are forgotten.
    forgotten: dict[str, int] = field(default_factory=dict)
    # What became of posts that their source has taken back, and the offset and line of what was counted of it last.
    retracted: dict[Fate, int] = field(default_factory=dict)
    retracted_at: tuple[int, int] = (-1, -1)
    # From when to when what imports and searches have brought was made, milliseconds since 1970.
    past: tuple[int, int] | None = None

    @property
    def collected(self) -> int:
        """Posts that came: what stands and what was removed."""
        return self.posts + self.retracted.get("removed", 0)

    @property
    def balance(self) -> dict[str, int]:
        """`collected` posts are those `stored` and those `removed`; of the stored ones some are altered or marked."""
        fates: dict[str, int] = {fate: self.retracted.get(fate, 0) for fate in FATES}
        return {"collected": self.collected, "stored": self.posts, **fates}

    def count(self, post: Seen) -> bool:
        """Count a post, unless its raw position was counted before; says whether it was new."""
        if not self.is_new(post):
            return False
        if post.past:
            self._note_past(post.created_ms, post.received_ms)
        if post.fate:
            self.retracted[post.fate] = self.retracted.get(post.fate, 0) + 1
            if post.fate == "removed":
                return True
        self.posts += 1
        if post.created_ms is not None:
            self._count_time(post.created_ms)
        for keyword in post.keywords:
            add(self.keywords, keyword)
        add(self.sources, post.source)
        self._add_top("languages", self.languages, (post.language or "",))
        self._add_top("hashtags", self.hashtags, {tag.casefold() for tag in post.hashtags})
        self._add_top("accounts", self.accounts, (post.account,) if post.account else ())
        return True

    def retract(self, at: tuple[int, int], posts: Iterable[Seen]) -> bool:
        """Take back what was counted of stored posts, by their fates, unless that was done; says whether it was not.

        `at` is the offset and line of the word of the source that all of these are about.
        """
        if at <= tuple(self.retracted_at):
            return False
        self.retracted_at = at
        for post in posts:
            if post.fate is None:
                continue
            self.retracted[post.fate] = self.retracted.get(post.fate, 0) + 1
            if post.was:
                take(self.retracted, post.was)
            if post.fate in ("removed", "redacted") and post.was != "redacted":  # whose it was, what it spoke of
                for tag in {tag.casefold() for tag in post.hashtags}:
                    take(self.hashtags, tag)
                if post.account:
                    take(self.accounts, post.account)
            if post.fate == "removed":
                self._take_post(post)
        return True

    def _take_post(self, post: Seen) -> None:
        self.posts -= 1
        if post.created_ms is not None:
            minute = post.created_ms // MINUTE_MS
            for counts, unit in ((self.minutes, 1), (self.tens, 10), (self.hours, 60), (self.days, 1440)):
                take(counts, minute // unit)
        for keyword in post.keywords:
            take(self.keywords, keyword)
        take(self.sources, post.source)
        take(self.languages, post.language or "")

    def _add_top(self, name: str, counts: dict[str, int], keys: Iterable[str]) -> None:
        """Count keys among the most frequent ones; the rare half is forgotten when there are too many."""
        for key in keys:
            add(counts, key)
        if len(counts) > 2 * TOP:
            rare = sorted(counts.items(), key=lambda item: (item[1], item[0]))[:-TOP]
            for key, _ in rare:
                del counts[key]
            self.forgotten[name] = self.forgotten.get(name, 0) + rare[-1][1]

    def rematched(self, raw_partition: int, position: Position) -> bool:
        """Whether a rematch may have counted what stands there before it was heard the usual way."""
        last = self.positions.get(lane(raw_partition, self.rematch)) if self.rematch else None
        return last is not None and position <= tuple(last)

    def brought(self, created_ms: int | None, received_ms: int) -> bool:
        """Whether an import or a search may have counted a post of that time, which is now heard the usual way."""
        if self.past is None:
            return False
        if created_ms is None or created_ms > received_ms:
            return True  # its clock is wrong
        return self.past[0] <= created_ms <= self.past[1]

    def _note_past(self, created_ms: int | None, received_ms: int) -> None:
        at = received_ms if created_ms is None else min(created_ms, received_ms)
        since, until = self.past or (at, at)
        self.past = min(since, at), max(until, at)

    def _count_time(self, created_ms: int) -> None:
        minute = created_ms // MINUTE_MS
        _add_newest(self.minutes, minute, MINUTES)
        _add_newest(self.tens, minute // 10, TENS)
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
        for fate, count in part.retracted.items():
            total.retracted[fate] = total.retracted.get(fate, 0) + count
        for name in (
            "minutes",
            "tens",
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
    kept = (total.minutes, MINUTES), (total.tens, TENS), (total.hours, HOURS), (total.days, DAYS)
    for counts, most in kept:
        for oldest in sorted(counts)[:-most]:
            del counts[oldest]
    return total


def of_event(code: str, born: int, entries: Mapping[str, bytes]) -> Activity:
    """The sum of an event's partitions, of the life that began at this version, from the topic `activity`."""
    mine = (_decode(value) for key, value in entries.items() if key.rpartition("|")[0] == code)
    return merge(part for part in mine if part.born == born)


_decode = msgspec.json.Decoder(Activity).decode


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
