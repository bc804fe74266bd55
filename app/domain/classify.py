"""From raw records to the posts of each event: read every line, match every post, account for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct, field

from app.domain.events import Event
from app.domain.matcher import Match, Matcher
from app.domain.partitioning import kafka_partition
from app.domain.posts import Control, Malformed, Post, read
from app.domain.records import PAST, DeadLetter, Line, RawRecord, Way
from app.domain.retracting import Retraction, retraction_of

# A classified record is cut at either: the normalizer holds 32 of them at a time.
MAX_POSTS = 64
MAX_BYTES = 256 * 1024
_MATCH_BYTES = 64  # a matched keyword in the headers: a post may match a thousand


class Bundle(Struct):
    """Posts of one event for one partition of `classified_tweets`."""

    event: Event
    partition: int
    lines: list[Line] = field(default_factory=list)
    posts: list[bytes] = field(default_factory=list)
    size: int = 0


class Intake(Struct):
    """What a raw partition held up to (and with) `offset`: every line is in exactly one of posts, control, malformed.

    `posts` counts posts, of which a v2 line may hold several; `classified` counts pairs of post and event.
    """

    offset: int = -1
    lines: int = 0
    posts: int = 0
    matched: int = 0
    classified: int = 0
    malformed: int = 0
    control: dict[str, int] = field(default_factory=dict)
    platform_only: dict[str, int] = field(default_factory=dict)  # by event: X sent them for it, the matcher says no

    def count(self, record: Intake) -> bool:
        """Add what a record held, unless it was counted before (a batch may hold it twice); says whether it was new."""
        if record.offset <= self.offset:
            return False
        self.add(record)
        return True

    def add(self, other: Intake) -> None:
        """Add what came after."""
        self.offset = max(self.offset, other.offset)
        self.lines += other.lines
        self.posts += other.posts
        self.matched += other.matched
        self.classified += other.classified
        self.malformed += other.malformed
        self.control = dict(Counter(self.control) + Counter(other.control))
        self.platform_only = dict(Counter(self.platform_only) + Counter(other.platform_only))


class Classified(Struct):
    """All that comes of some raw records. `intake` has one entry a record, by partition, in order.

    `retractions` are what sources have taken back, in order.
    """

    bundles: list[Bundle]
    dead: list[DeadLetter]
    intake: dict[int, list[Intake]]
    retractions: list[Retraction] = field(default_factory=list)


def classify(
    records: Iterable[RawRecord], matcher: Matcher | Callable[[RawRecord], Matcher], partitions: int
) -> Classified:
    """Classify raw records with the events of the matcher (or of each record's own), for so many partitions."""
    collector = _Collector(matcher, partitions)
    for record in records:
        collector.take(record)
    return Classified(collector.bundles, collector.dead, collector.intake, collector.retractions)


class _Collector:
    def __init__(self, matcher: Matcher | Callable[[RawRecord], Matcher], partitions: int) -> None:
        self._matcher = matcher
        self._partitions = partitions
        self._open: dict[tuple[str, int], Bundle] = {}
        self.bundles: list[Bundle] = []
        self.dead: list[DeadLetter] = []
        self.intake: dict[int, list[Intake]] = {}
        self.retractions: list[Retraction] = []

    def take(self, record: RawRecord) -> None:
        intake = Intake(offset=record.offset)
        self.intake.setdefault(record.partition, []).append(intake)
        matcher = self._matcher if isinstance(self._matcher, Matcher) else self._matcher(record)
        match = matcher.match
        lines = record.lines
        intake.lines = len(lines)
        found: set[tuple[str, str]] = set()  # events and posts
        for number, line in enumerate(lines):
            try:
                posts = read(line)
            except Malformed as malformed:
                intake.malformed += 1
                way = Way(record.source, record.origin, record.received_at, record.as_of, record.event)
                self.dead.append(
                    DeadLetter(record.topic, record.partition, record.offset, number, str(malformed), line, way)
                )
                continue
            if isinstance(posts, Control):
                intake.control[posts.kind] = intake.control.get(posts.kind, 0) + 1
                taken_back = retraction_of(posts, record.received_at, record.source, record.event)
                if taken_back is not None:
                    self.retractions.append(taken_back)
                continue
            intake.posts += len(posts)
            for part, post in enumerate(posts):
                matches = match(post)
                if post.tags:
                    _note_platform_only(intake, post.tags, matches, matcher)
                if record.origin in PAST:
                    # What stands is told from a copy by the time of its record; within one that says nothing.
                    matches = [one for one in matches if (one.event.code, post.id) not in found]
                    found.update((one.event.code, post.id) for one in matches)
                if matches:
                    intake.matched += 1
                    intake.classified += len(matches)
                    self._put(record, number, part, post, matches)

    def _put(self, record: RawRecord, number: int, part: int, post: Post, matches: list[Match]) -> None:
        partition = kafka_partition(post.id, self._partitions)
        for match in matches:
            event, matched = match.event, match.matched
            origin = Line(
                record.partition,
                record.offset,
                number,
                part,
                record.received_at,
                record.source,
                record.origin,
                matched,
                record.again,
                record.generation,
                record.as_of,
            )
            size = len(post.raw) + _MATCH_BYTES * len(matched)
            bundle = self._open.get((event.code, partition))
            if bundle is None or len(bundle.posts) >= MAX_POSTS or bundle.size + size > MAX_BYTES:
                bundle = self._open[event.code, partition] = Bundle(event, partition)
                self.bundles.append(bundle)
            bundle.lines.append(origin)
            bundle.posts.append(post.raw)
            bundle.size += size


def _note_platform_only(intake: Intake, tags: Iterable[str], matches: list[Match], matcher: Matcher) -> None:
    """Count what X has sent for an event that does not want it by our rules; it stays in `raw_tweets`."""
    matched = {match.event.code for match in matches}
    for code in tags:
        if code not in matched and code in matcher.codes:
            intake.platform_only[code] = intake.platform_only.get(code, 0) + 1
