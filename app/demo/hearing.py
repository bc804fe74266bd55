"""What was heard of the live source: rows and ledger, held against the source's own log of rules in force.

Nothing of the tracker is asked for the expectation: that a post was sent, and for whom, the source says; that it is
about the event, the generator knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from cassandra.cluster import Session
from msgspec import Struct

from app.demo.checks import Check
from app.domain.heard import Heard
from app.domain.reasons import NOT_YET
from app.generator import Planted
from app.schema import EVENT_BUCKET, TWEET

_MARGIN = 1.0  # seconds: the ledger says when the last post was read, the log when the next one arose


class Told(Struct, frozen=True):
    """What the source's log says of one event. Ids of posts, and when they arose (seconds since 1970)."""

    arisen: int = 0  # all of the act
    sent: frozenset[str] = frozenset()
    missed: Mapping[str, float] = {}  # matched the rules in force, and nobody could hear them
    last: float = 0.0  # when the last one was sent
    connected: int = 0  # connections made after the first post


class Live(Struct, frozen=True):
    """How the second act ended."""

    code: str
    checks: list[Check]
    arisen: int
    sent: int
    missed: int
    early: int  # carried only the new keyword, before the source had been asked for it
    seconds: float  # from the wish for the new keyword until the source had it
    heard: Heard


def told(entries: Iterable[Mapping[str, Any]], tag: str, planted: Iterable[Planted], code: str) -> Told:
    """Read the log, of the posts about the event."""
    about = {post.id for line in planted for post in line.posts if code in post.events}
    sent: dict[str, float] = {}
    matched: dict[str, float] = {}
    arisen: set[str] = set()
    connected = 0
    for entry in entries:
        if entry["what"] == "connection" and entry["change"] == "connected":
            connected += bool(arisen)
        if entry["what"] != "post":
            continue
        arisen.add(entry["id"])
        if tag in entry["tags"] and entry["id"] in about:
            (sent if entry["sent"] else matched)[entry["id"]] = entry["at"]
    missed = {number: at for number, at in matched.items() if number not in sent}
    return Told(len(arisen), frozenset(sent), missed, max(sent.values(), default=0.0), connected)


def asked_at(entries: Iterable[Mapping[str, Any]], tag: str, word: str) -> float | None:
    """When the source was first asked for a word, for an event."""
    rules = (one for one in entries if one["what"] == "rule" and one["change"] == "rule added" and one["tag"] == tag)
    return next((float(rule["at"]) for rule in rules if word in rule["value"]), None)


def checks(due: Told, rows: Counter[str], heard: Heard) -> list[Check]:
    """What must agree. That a busy machine takes long until it is connected at all is a gap, but no cut."""
    inside = sum(
        any(gap.since / 1000 - _MARGIN <= at <= gap.until / 1000 + _MARGIN for gap in heard.gaps)
        for at in due.missed.values()
    )
    sent = len(due.sent)
    gaps = sum(any(reason.why != NOT_YET for reason in gap.reasons) for gap in heard.gaps)
    return [
        Check("live: sent → rows", sent, rows.total(), rows == Counter(due.sent)),
        Check("live: sent → heard, by the ledger", sent, heard.posts, heard.posts == sent),
        Check("live: cuts → new connections", 1, due.connected, due.connected == 1),
        Check("live: cuts → gaps", 1, gaps, gaps == 1),
        Check("live: missed → within the gap", len(due.missed), inside, inside == len(due.missed)),
    ]


def stored(cassandra: Session, keyspace: str, code: str) -> Counter[str]:
    """Ids of the rows of an event, each as often as it stands."""
    buckets = cassandra.execute(f"SELECT bucket FROM {keyspace}.{EVENT_BUCKET} WHERE event_name = %s", (code,))  # noqa: S608
    found: Counter[str] = Counter()
    for (bucket,) in buckets:
        where = "WHERE event_name = %s AND bucket = %s"
        rows = cassandra.execute(f"SELECT t_id FROM {keyspace}.{TWEET} {where}", (code, bucket))  # noqa: S608
        found.update(post for (post,) in rows)
    return found
