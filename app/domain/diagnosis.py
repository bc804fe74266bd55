"""How the collection for an event is, in words: what is wrong, why, and since when; the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

from app.domain.coverage import TOLD_MS, Entry, SourceStatus, as_of, intervals_of, statuses_of
from app.domain.events import Event
from app.domain.heard import to_ms
from app.domain.lag import Lag
from app.domain.presence import Entry as Present
from app.domain.presence import Holders, Holding, Process, name_of
from app.domain.presence import processes as processes_of
from app.domain.reach import Reach
from app.domain.watchdog import words

Level: TypeAlias = Literal["problem", "warning", "note", "fine"]
_ORDER: tuple[Level, ...] = ("problem", "warning", "note", "fine")
TROUBLE: tuple[Level, ...] = ("problem", "warning")  # that somebody should see to

# Records of up to 64 posts: what a worker takes in a second or two is no lag.
LAGGING = 200
_MOST_REFUSED = 3
_SPREAD_MS = 5_000  # until a change is in force everywhere
_RESTING = {
    "draft": "a draft: nothing is collected until somebody starts it",
    "scheduled": "scheduled: it starts by itself at its time",
    "paused": "paused: nothing is collected until somebody resumes it",
    "stopped": "stopped: nothing is collected any more",
    "archived": "archived: nothing is collected any more",
    "deleted": "deleted: nothing is collected any more",
    "purging": "being removed, with all that was collected for it",
}


class Finding(Struct, frozen=True):
    """One thing that is to be said."""

    level: Level
    about: str  # event, source, tracker, worker, kafka, cassandra
    words: str


class Facts(Struct, frozen=True, kw_only=True):
    """What the findings follow from. Times are milliseconds since 1970."""

    now: int
    ledger: Iterable[Entry]
    presence: Iterable[Present]
    lags: Iterable[Lag]
    kafka: Reach
    cassandra: Reach


class Diagnosing:
    """What is to be said of events by the same facts: what is the same for all of them is looked up once."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._statuses = _statuses(facts)
        self._said = {one.source: list(_source(one, facts)) for one in self._statuses}
        self._system = list(_system(facts))
        self._holders = Holders(facts.presence, statuses_of(facts.ledger), facts.now)
        self._alive = _alive(facts)

    def of(self, event: Event, last_post: int | None) -> list[Finding]:
        """What is to be said of an event whose newest post came then (ms since 1970)."""
        if not event.collecting:
            return [Finding("note", "event", _RESTING.get(event.status, f"{event.status}: nothing is collected"))]
        posts = _posts(last_post, self._facts.now)
        found = [*self._sources(event), *self._system, *self._versions(event), posts]
        return sorted(found, key=lambda one: _ORDER.index(one.level))

    def _sources(self, event: Event) -> Iterator[Finding]:
        if not self._statuses:
            yield Finding("note", "source", "no live source has been listened to yet: posts come by replay alone")
        for status in self._statuses:
            yield from self._said[status.source]
            if refused := status.refused.get(event.code):
                more = f"; and {len(refused) - _MOST_REFUSED} more" if len(refused) > _MOST_REFUSED else ""
                told = "; ".join(refused[:_MOST_REFUSED]) + more
                yield Finding("warning", "source", f"{status.source} refused rules of this event: {told}")

    def _versions(self, event: Event) -> Iterator[Finding]:
        fresh = bool(event.history) and self._facts.now - to_ms(event.history[-1].at) < _SPREAD_MS
        for holding in self._holders.of(event):
            if holding.lags:
                about = "source" if holding.role == "source" else "worker"
                yield Finding("note" if fresh else "warning", about, _version(event, holding, self._alive))


def system(facts: Facts) -> list[Finding]:
    """What is to be said of the whole, whatever the event."""
    sources = [one for status in _statuses(facts) for one in _source(status, facts)]
    return sorted([*sources, *_system(facts)], key=lambda one: _ORDER.index(one.level))


def _statuses(facts: Facts) -> list[SourceStatus]:
    return sorted(
        (as_of(one, facts.now) for one in statuses_of(facts.ledger) if one.state != "left"),
        key=lambda status: status.source,
    )


def _source(status: SourceStatus, facts: Facts) -> Iterator[Finding]:
    name = status.source
    if status.state in ("listening", "idle"):
        yield Finding("fine", "source", f"{name}: {status.words}")
    elif status.state == "quiet":
        yield Finding("fine", "source", f"{name} is quiet{_last_sign(name, facts)}: {status.words}")
    elif status.state in ("connecting", "standing by"):
        yield Finding("note", "source", f"{name}: {status.words or status.state}")
    elif facts.now - status.at >= TOLD_MS:
        ago = words((facts.now - status.at) / 1000)
        yield Finding("problem", "tracker", f"the tracker is away: nobody has told of {name} for {ago}")
    else:
        yield Finding("problem", "source", f"{name}: {status.words}")


def _last_sign(source: str, facts: Facts) -> str:
    """A connection's end is written down with every sign of life."""
    until = max(
        (one.until for one in intervals_of(facts.ledger) if one.source == source and one.ended is None), default=0
    )
    return f", last keep-alive {words(max(0, facts.now - until) / 1000)} ago" if until else ""


def _system(facts: Facts) -> Iterator[Finding]:
    if facts.kafka.up is False:
        ago = words((facts.now - facts.kafka.since) / 1000)
        yield Finding("problem", "kafka", f"Kafka has not answered for {ago} ({facts.kafka.why})")
        return  # what is known besides is old
    alive = _alive(facts)
    for role, work in (("classifier", "raw_tweets"), ("normalizer", "classified_tweets")):
        if not any(one.role in (role, "worker", "all") for one in alive):
            waiting = sum(lag.records for lag in facts.lags if lag.topic == work)
            yield Finding("problem", "worker", f"no {role} is running: {waiting:,} records wait in Kafka")
    yield from _lagging(facts, alive)
    waits = [one for one in alive if "Cassandra" in one.waits]
    if facts.cassandra.up is False or waits:
        since = facts.cassandra.since if facts.cassandra.up is False else 0
        ago = f" for {words((facts.now - since) / 1000)}" if since else ""
        who = f" ({', '.join(name_of(one, alive) for one in waits)} waits for it)" if waits else ""
        yield Finding("problem", "cassandra", f"Cassandra is away{ago}{who}: posts wait in Kafka, none is lost")
    for one in _present(facts):
        if one.silent(facts.now):
            ago = words((facts.now - one.at) / 1000)
            yield Finding("warning", "worker", f"{one.role} {one.holder} has not told of itself for {ago}")


def _lagging(facts: Facts, alive: list[Process]) -> Iterator[Finding]:
    behind: dict[str, int] = {}
    for lag in facts.lags:
        if lag.owner is not None:
            behind[lag.owner] = behind.get(lag.owner, 0) + lag.records
        elif lag.records and any(one.role == lag.role for one in alive):
            words_ = f"nobody works on partition {lag.partition} of {lag.topic}: {lag.records:,} records wait"
            yield Finding("warning", "worker", words_)
    for one in alive:
        if (records := behind.get(one.id, 0)) >= LAGGING:
            yield Finding("warning", "worker", f"{name_of(one, alive)} lags: {records:,} records behind")


def _version(event: Event, holding: Holding, alive: list[Process]) -> str:
    process = next((one for one in alive if one.holder == holding.who), None)
    who = holding.who if process is None else name_of(process, alive)
    has = "does not know the event yet" if holding.version is None else f"has version {holding.version} in force"
    return f"{who} {has}; the event is at version {event.version}"


def _posts(last: int | None, now: int) -> Finding:
    if last is None:
        return Finding("note", "event", "no post has come for it yet")
    return Finding("fine", "event", f"the last post came {words(max(0, now - last) / 1000)} ago")


def _present(facts: Facts) -> list[Process]:
    return processes_of(facts.presence, facts.now)


def _alive(facts: Facts) -> list[Process]:
    return [one for one in _present(facts) if not one.silent(facts.now)]
