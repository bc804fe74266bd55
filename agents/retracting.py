"""Part of normalization: what sources take back of what they have sent is carried out where their posts are stored.

A post and the word that takes it back come to the same partition of `classified_tweets`, so one owner has both, in
order. What is about an account comes to one partition, is written down there, and goes from there to all: each owner
sees to those of its posts that it has stored by then, and those to come are held against what was written down.

What is counted is taken back before the rows change: a kill in between leaves rows that are found again, and
`activity` knows that they are counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable

from faust.types import EventT
from msgspec.structs import replace

from agents.publishing import Publisher
from agents.sending import Outgoing, send_all
from app.clients import retractions
from app.clients.cassandra import Writer
from app.clients.retractions import Sentence, StoredPost
from app.domain.counting import Seen
from app.domain.events import Event
from app.domain.partitioning import kafka_partition
from app.domain.records import DeadLetter
from app.domain.retracting import (
    HEADER,
    MOST_LINES,
    Retraction,
    again,
    fate_of,
    first_of,
    headers,
    is_news,
    mark_of,
    read_retraction,
    treated,
)
from app.domain.rows import Key, Row
from app.domain.standing import yields
from app.domain.trends import Lane, Word
from app.faustapp import App
from app.metrics import POSTS_TAKEN_BACK
from app.settings import Settings
from app.topics import CLASSIFIED, full_name
from tables.activity import ActivityTable
from tables.known_events import KnownEvents
from tables.newest import NewestPosts
from tables.trends import TrendsTable

AT_ONCE = 1000  # posts that are dealt with at once: an account may have very many
AGAIN_SECONDS = 0.1


class TakenBack:
    """What a batch holds of it: with the partition, and the offset and line. What cannot be read is for `dead`."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, tuple[int, int], Retraction]] = []
        self.dead: list[DeadLetter] = []

    def take(self, event: EventT[bytes]) -> bool:
        """Take a record if it is of this kind; says whether it is."""
        message = event.message
        if HEADER not in dict(message.headers or ()):
            return False
        for number, line in enumerate((message.value or b"").split(b"\n")):
            if (one := read_retraction(line)) is not None:
                self.entries.append((message.partition, (message.offset, number), one))
            else:
                place = message.topic, message.partition, message.offset, number
                self.dead.append(DeadLetter(*place, "not what a source takes back", line))
        return True


class Retracting:
    """One of a process."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        events: KnownEvents,
        writer: Writer,
        activity: ActivityTable,
        trends: TrendsTable,
        newest: NewestPosts,
        publishers: tuple[Publisher, Publisher, Publisher],
    ) -> None:
        self._app = app
        self._settings = settings
        self._events = events
        self._writer = writer
        self._activity = activity
        self._trends = trends
        self._newest = newest
        self._counts, self._trending, self._shown = publishers

    async def note(self, taken: TakenBack) -> None:
        """Write all of it down, before any post of its batch is stored; and tell all owners what is of accounts."""
        own = [one for _, _, one in taken.entries if not one.sweep]
        await asyncio.gather(*[retractions.note(self._writer, one) for one in own])
        of_accounts = [one for one in own if not one.post and one.kind != "restored"]
        stand = await asyncio.gather(*[retractions.stands(self._writer, one) for one in of_accounts])
        sweeps = [replace(one, sweep=True) for one, stands in zip(of_accounts, stand, strict=True) if stands]
        every = range(self._settings.partitions)
        await send_all(self._app, [record for number in every for record in records(sweeps, self._settings, number)])

    async def treat(self, rows: list[tuple[int, Row]]) -> list[tuple[int, Row]]:
        """The rows as they may be stored; those with the fate "removed" may not, and are to be counted alone."""
        taken = await retractions.taken_back(self._writer, [row for _, row in rows])
        rows = await self._gone_for_good(rows, taken)
        if not taken:
            return rows
        standing = await retractions.standing(self._writer, [row for _, row in rows if row.key in taken])
        made: list[tuple[int, Row]] = []  # in order, as `activity` counts them
        for place, row in rows:
            found, event = taken.get(row.key), self._event(row.code)
            if found is None or event is None:
                made.append((place, row))
            elif row.key not in standing:
                made.append((place, treated(row, found, fate_of(found.kind, event.deletions))))
            elif (kept := again(row, found, *standing[row.key])) is not None:
                made.append((place, kept))
        out = [entry for entry in made if entry[1].fate == "removed"]
        out = first_of(out, await retractions.entered(self._writer, [row for _, row in out]))
        first = {id(row) for _, row in out}
        made = [(place, row) for place, row in made if row.fate != "removed" or id(row) in first]
        met = [retractions.meet(self._writer, row, taken[row.key]) for _, row in made if row.fate is not None]
        await asyncio.gather(*met)
        return made

    async def _gone_for_good(self, rows: list[tuple[int, Row]], taken: Container[Key]) -> list[tuple[int, Row]]:
        """The rows without posts that were removed, are of an account that is there again, and come from the past."""
        past = [row for _, row in rows if yields(row) and row.key not in taken]
        gone = await retractions.entered(self._writer, past) if past else {}
        return [(place, row) for place, row in rows if row.key not in gone or row.key in taken or not yields(row)]

    async def carry_out(self, taken: TakenBack, confirm: Callable[[], Awaitable[None]]) -> None:
        """Do what is to be done to the posts that stand. `confirm` raises Lost unless the batch is ours still.

        A post may meet several words: all are counted in their order, so that it does not matter which of them lie in
        one batch, and the last is carried out. Nothing is removed before it is counted, and shown no more.
        """
        ready = [entry for entry in taken.entries if entry[2].post or entry[2].sweep]
        found = await asyncio.gather(*[self._stored(number, one) for number, _, one in ready])
        met: dict[tuple[str, str], Sentence] = {}
        words: list[Word] = []
        gone: dict[Lane, set[str]] = {}
        for (number, at, one), posts in zip(ready, found, strict=True):
            counted: dict[Lane, list[Seen]] = {}
            for post in posts:
                event, before = self._event(post.code), met.get(post.key)
                if event is None or (sentence := _sentence(one, event, post, before)) is None:
                    continue
                met[post.key] = sentence
                lane = Lane(event.code, event.born, number)
                counted.setdefault(lane, []).append(sentence.post.seen(sentence.fate))
                if sentence.fate in ("removed", "redacted"):
                    gone.setdefault(lane, set()).add(post.id)
            words += [Word(lane, at, seen) for lane, seen in counted.items()]
        if not met:
            return
        await confirm()  # to look for them may have taken long
        (entries, totals), trended = await asyncio.gather(self._activity.retract(words), self._trends.retract(words))
        self._counts.changed(entries)
        self._trending.changed(trended)
        if shown := [entry for lane, ids in gone.items() for entry in self._newest.retract(lane, ids, totals[lane])]:
            self._shown.changed(shown)
            while not await self._shown.tell():
                await confirm()
                await asyncio.sleep(AGAIN_SECONDS)
        await self._execute(list(met.values()))

    async def _execute(self, sentences: list[Sentence]) -> None:
        for start in range(0, len(sentences), AT_ONCE):
            some = sentences[start : start + AT_ONCE]
            await asyncio.gather(*[retractions.carry_out(self._writer, one) for one in some])
        for one in sentences:
            POSTS_TAKEN_BACK.labels(one.fate).inc()

    async def _stored(self, number: int, one: Retraction) -> list[StoredPost]:
        partitions = self._settings.partitions
        return await retractions.stored_of(
            self._writer, one, lambda post_id: not one.sweep or kafka_partition(post_id, partitions) == number
        )

    def _event(self, code: str) -> Event | None:
        """The event, unless it is being purged."""
        event = self._events.view.items.get(code)
        return None if event is None or event.status == "purging" else event


def _sentence(one: Retraction, event: Event, post: StoredPost, before: Sentence | None) -> Sentence | None:
    """What becomes of a stored post by a word, after what becomes of it by an earlier one of the batch, if anything."""
    if before is not None:
        post = replace(post, mark=mark_of(before.fate, before.retraction))
    fate = fate_of(one.kind, event.deletions)
    return Sentence(post, fate, one) if is_news(fate, post.mark) else None


def records(some: Iterable[Retraction], settings: Settings, number: int | None = None) -> list[Outgoing]:
    """Records of `classified_tweets`: for the partitions of what they are about, or all for one partition."""
    lines: dict[int, list[bytes]] = {}
    for one in some:
        lines.setdefault(one.home(settings.partitions) if number is None else number, []).append(one.line)
    topic = full_name(CLASSIFIED, settings)
    return [
        Outgoing(topic, None, b"\n".join(own[at : at + MOST_LINES]), headers(), partition)
        for partition, own in lines.items()
        for at in range(0, len(own), MOST_LINES)
    ]
