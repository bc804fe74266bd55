"""What the tables hold, against the ledger: id by id and column by column, read partition by partition."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

from cassandra.cluster import Session
from msgspec import Struct, field

from app.demo.ledger import Due, Ledger
from app.demo.plan import SOURCE
from app.domain.columns import COLUMNS
from app.domain.events import Event
from app.domain.partitioning import BucketRule
from app.generator.expected import COLUMN_NAMES
from app.schema import EVENT_BUCKET, TWEET, TWEET_RAW

SHOWN = 10  # differences kept for people; the others are only counted
ABSENT, PRESENT = "none", "one"
RAW_JSON = "tweet_raw.json (CRC-32)"
_PAGE = 1000  # rows; a few MB
_AHEAD = 6  # partitions that are asked for while one is compared
_NAMESPACE = uuid5(NAMESPACE_URL, "https://starling/event/post")
_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657

Row = dict[str, Any]


class Difference(Struct, frozen=True):
    """Something that is not as it was planted. Without a column it is the row itself."""

    event: str
    post: str
    column: str
    expected: Any
    found: Any


class Found(Struct):
    """What the comparison found."""

    planted: int = 0  # rows that must be there
    stored: int = 0  # rows that are there
    equal: int = 0
    missing: int = 0
    unexpected: int = 0
    wrong: int = 0
    unlisted: int = 0  # partitions that event_bucket does not list, or lists without a row
    differences: list[Difference] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)  # seconds from received_at to the write, by row

    @property
    def agrees(self) -> bool:
        """Whether Cassandra holds exactly what was planted."""
        return self.equal == self.planted == self.stored and not self.unlisted

    def note(self, difference: Difference) -> None:
        """Keep a difference if it is among the first."""
        if len(self.differences) < SHOWN:
            self.differences.append(difference)


def compare(session: Session, keyspace: str, events: Mapping[str, Event], ledger: Ledger) -> Found:
    """Read every row of the keyspace and compare it with what is due. Empties `ledger.rows`."""
    found = Found(planted=len(ledger.rows))
    for row, written_us in _stored(session, keyspace, found):
        found.stored += 1
        code, post = row["event_name"], row["t_id"]
        due = ledger.rows.pop((code, post), None)
        if due is None or code not in events:
            found.unexpected += 1
            found.note(Difference(code, post, "", ABSENT, PRESENT))
            continue
        found.latencies.append(written_us / 1e6 - due.received_at / 1000)
        wrong = list(differences(events[code], due, row))
        found.wrong += bool(wrong)
        found.equal += not wrong
        for difference in wrong:
            found.note(difference)
    for code, post in ledger.rows:
        found.missing += 1
        found.note(Difference(code, post, "", PRESENT, ABSENT))
    return found


def differences(event: Event, due: Due, row: Row) -> Iterator[Difference]:
    """Columns in which a stored row is not the one that is due."""
    expected = expected_row(event, due)
    if row == expected:
        return
    for column in row:
        if column == "event_version" and row[column] in range(1, event.version + 1):
            continue  # it may have been laid out anew meanwhile, by a rule that each row's bucket shows
        if column == RAW_JSON and due.checksum is None and row[column] is not None:
            continue  # cut out of a line of several posts: how that is written is nobody's promise
        if row[column] != expected[column]:
            yield Difference(event.code, due.post.id, column, expected[column], row[column])


def expected_row(event: Event, due: Due) -> Row:
    """The row that must stand for a post: its own columns, the event's, and how it came."""
    post = due.post
    row = dict(zip(COLUMN_NAMES, post.values, strict=True))
    row |= {
        "id": uuid5(_NAMESPACE, f"{event.code}/{post.id}"),
        "event_name": event.code,
        "event_kw": ", ".join(event.keywords),
        "bucket": bucket(event.buckets, post.id),
        "matched": post.events[event.code],
        "event_version": event.version,
        "origin": "live",
        "source": SOURCE,
        "received_at": due.received_at,
        "retracted": None,
        RAW_JSON: PRESENT if due.checksum is None else due.checksum,
    }
    return row


def bucket(rules: Sequence[BucketRule], post_id: str) -> str:
    """The bucket of a post whose id carries its time, by the rule in force at that time."""
    at_ms = (int(post_id) >> 22) + _SNOWFLAKE_EPOCH_MS
    rule = next((rule for rule in reversed(rules) if rule.since <= at_ms), rules[0])
    start = at_ms // 1000 - at_ms // 1000 % rule.seconds
    return f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%M:%S}.{crc32(post_id.encode()) % rule.shards}"


def _stored(session: Session, keyspace: str, found: Found) -> Iterator[tuple[Row, int]]:
    """Every row of `tweet`, with the checksum of its raw JSON, and when it was written in microseconds."""
    columns = ", ".join(COLUMNS)
    where = "WHERE event_name = ? AND bucket = ?"
    rows = session.prepare(f"SELECT {columns}, writetime(received_at) FROM {keyspace}.{TWEET} {where}")  # noqa: S608
    raws = session.prepare(f"SELECT t_id, json FROM {keyspace}.{TWEET_RAW} {where}")  # noqa: S608
    rows.fetch_size = raws.fetch_size = _PAGE
    partitions = set(session.execute(f"SELECT DISTINCT event_name, bucket FROM {keyspace}.{TWEET}"))  # noqa: S608
    listed = set(session.execute(f"SELECT event_name, bucket FROM {keyspace}.{EVENT_BUCKET}"))  # noqa: S608
    found.unlisted = len(partitions ^ listed)

    def ask(partition: tuple[str, str]) -> tuple[Any, Any]:
        return session.execute_async(rows, partition), session.execute_async(raws, partition)

    waiting = iter(sorted(partitions))
    asked = deque(ask(partition) for partition in islice(waiting, _AHEAD))
    while asked:
        stored, raw = (future.result() for future in asked.popleft())
        asked.extend(ask(partition) for partition in islice(waiting, 1))
        checksums = {post: crc32(json.encode()) for post, json in raw}
        for *values, written_us in stored:
            for place, plain in _PLAIN:
                if values[place] is not None:
                    values[place] = plain(values[place])
            row = dict(zip(COLUMNS, values, strict=True))
            row[RAW_JSON] = checksums.get(row["t_id"])
            yield row, written_us or 0


def _milliseconds(value: datetime) -> int:
    return (value - _EPOCH) // _MILLISECOND


# Values that the driver gives in another form than the generator: places of their columns, and how to turn them.
_TURN: dict[str, Callable[[Any], Any]] = {"timestamp": _milliseconds, "frozen<map<text, text>>": dict}
_PLAIN = [(place, _TURN[kind]) for place, kind in enumerate(COLUMNS.values()) if kind in _TURN]
