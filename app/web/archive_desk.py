"""The stored posts as pages and the API find them, and write to them; and who may ask how often."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.clients.annotation_jobs import job_of, jobs_of, new_id, put_job
from app.clients.archive import Archive, Found, Hit
from app.clients.cassandra import ms_of
from app.domain import shown
from app.domain.annotating import MAX_POSTS, Annotation, Change, Job, Order, State
from app.domain.events import Event
from app.domain.partitioning import time_in_id
from app.domain.people import Caller
from app.domain.searching import Place, Search, cursor, place_of
from app.errors import Unavailable
from app.settings import Settings
from app.web.limits import Limiter, Places
from app.web.problems import Failed, too_many

log = logging.getLogger(__name__)

JOB_POSTS = 200  # found and written at once
MOST_JOBS = 4  # of a process
MOST_JOBS_OF_ONE = 2  # of these
PATIENCE_SECONDS = 60.0  # with a Cassandra that is away


class _Purged(Exception):
    """The event is no more."""


class FoundPost(Struct, frozen=True, kw_only=True):
    """A post that was found: as it is shown, how it came, what people have written to it."""

    post: shown.Shown
    origin: str  # live, replay, import, rematch or search
    event_version: int  # for which it was matched
    annotation: Annotation


class Results(Struct, frozen=True, kw_only=True):
    """A page of what was found, newest first."""

    posts: list[FoundPost]
    cursor: str | None  # of the next page; None where nothing is left
    complete: bool  # False: to fill the page costs too much; the next one goes on from where this one came to
    index_behind: int | None  # classified records that are not indexed yet; None where that is not known


class Whole(Struct, frozen=True, kw_only=True):
    """A post with all that is stored of it."""

    found: FoundPost
    columns: dict[str, Any]  # of its row in table tweet
    raw: Any  # as it came from its source


class Ordered(Struct, frozen=True, kw_only=True):
    """An order to annotate what a search finds."""

    id: str
    who: str
    state: State
    why: str  # it failed
    posts: int  # that are changed
    at: datetime
    silent: bool  # its process is gone: give the order again
    change: Change


class ArchiveDesk:
    """One of a process. `unindexed` tells how many records are not indexed yet."""

    def __init__(
        self, settings: Settings, event: Callable[[str], Event | None], unindexed: Callable[[], int | None]
    ) -> None:
        self.archive = Archive(settings)
        self._event = event
        self._unindexed = unindexed
        self._limiter = Limiter(settings.searches_a_minute, max(1, settings.searches_a_minute // 2))
        self._at_once = settings.searches_at_once
        self._in_hand: Counter[str] = Counter()
        self._jobs: set[asyncio.Task[None]] = set()
        self._places = Places("orders to annotate", MOST_JOBS, MOST_JOBS_OF_ONE)

    async def search(self, caller: Caller, event: Event, asked: Search, at: str, most: int) -> Results:
        """A page; `at` is the cursor. Raises Failed, Unavailable, ValueError."""
        below = place_of(at, asked) if at else None
        with self._counted(caller):
            found = await self.archive.find(event.code, asked, below, most)
        return Results(
            posts=[_shown(hit, asked) for hit in found.hits],
            cursor=cursor(asked, found.below) if found.below is not None else None,
            complete=found.complete,
            index_behind=self._unindexed(),
        )

    async def one(self, caller: Caller, event: Event, post_id: str) -> Hit:
        """A stored post; where its id does not say of when it is it is searched for. Raises Failed, Unavailable."""
        if not 0 < len(post_id) <= 300 or not _is_text(post_id):
            raise _unknown(post_id)
        with self._counted(caller) if time_in_id(post_id) is None else nullcontext():
            return await self._stored(event, post_id)

    async def whole(self, caller: Caller, event: Event, post_id: str) -> Whole:
        """All that is stored of a post. Raises Failed, Unavailable."""
        hit = await self.one(caller, event, post_id)
        row = await self.archive.row(event.code, hit)
        columns = {name: _plain(value) for name, value in row.items()}
        return Whole(found=_shown(hit, Search()), columns=columns, raw=msgspec.Raw(hit.post.raw))

    async def annotate(self, caller: Caller, event: Event, post_id: str, change: Change) -> FoundPost:
        """Write to a post; it as it stands then. Raises Failed, Unavailable, ValueError."""
        hit = await self.one(caller, event, post_id)
        await self.archive.annotate(event.code, [hit], change.checked(), caller.name, datetime.now(UTC))
        return _shown(await self._stored(event, post_id), Search())

    async def _stored(self, event: Event, post_id: str) -> Hit:
        hit = await self.archive.post(event, post_id)
        if hit is None:
            raise _unknown(post_id)
        return hit

    async def order(self, caller: Caller, event: Event, asked: Search, change: Change, most: int) -> Ordered:
        """Begin to write to all that a search finds. Raises Failed, Unavailable, ValueError."""
        if not 1 <= most <= MAX_POSTS:
            raise ValueError(f"from 1 to {MAX_POSTS} posts can be changed at once")
        order = Order(search=asked, change=change.checked(), most=most)
        with self._counted(caller), ExitStack() as held:
            held.enter_context(self._places.of(caller.name))
            job = Job(id=new_id(), code=event.code, who=caller.name, order=order, at=datetime.now(UTC))
            await put_job(self.archive, job)
            task = asyncio.create_task(self._carry_out(job, event.born))
            self._jobs.add(task)
            place = held.pop_all()
            task.add_done_callback(self._jobs.discard)
            task.add_done_callback(lambda _: place.close())
        return _ordered(job)

    async def orders(self, event: Event) -> list[Ordered]:
        """The newest orders of an event. Raises Unavailable."""
        return [_ordered(job) for job in await jobs_of(self.archive, event.code)]

    async def ordered(self, event: Event, job_id: str) -> Ordered:
        """How far an order is. Raises Failed, Unavailable."""
        job = await job_of(self.archive, event.code, job_id)
        if job is None:
            raise Failed(404, "there is no such order", reason="unknown")
        return _ordered(job)

    @contextmanager
    def _counted(self, caller: Caller) -> Iterator[None]:
        """Raise Failed where somebody asks for too much at once."""
        if wait := self._limiter.take(caller.name):
            raise too_many(wait, "too many searches in a minute")
        if self._in_hand[caller.name] >= self._at_once:
            raise too_many(1, f"{self._at_once} of your searches are being carried out")
        self._in_hand[caller.name] += 1
        try:
            yield
        finally:
            self._in_hand[caller.name] -= 1
            if not self._in_hand[caller.name]:
                del self._in_hand[caller.name]

    async def _carry_out(self, job: Job, born: int) -> None:
        """Never raises but where it is cancelled: its row then falls silent."""
        try:
            job = await self._write(job, born)
        except _Purged:
            return  # nothing may stand of it
        except Unavailable as away:
            job = replace(job, state="failed", why=str(away))
        except Exception:
            log.exception("an order to annotate failed", extra={"id": job.id})
            job = replace(job, state="failed", why="something went wrong; the log says what")
        try:
            await self._patiently(lambda: put_job(self.archive, replace(job, at=datetime.now(UTC))))
        except Unavailable as away:
            log.warning("not told how an order to annotate ended", extra={"id": job.id, "why": str(away)})

    async def _write(self, job: Job, born: int) -> Job:
        below: Place | None = None
        order = job.order
        while True:
            event = self._event(job.code)
            if event is None or event.status == "purging" or event.born != born:
                raise _Purged
            most = min(JOB_POSTS, order.most - job.posts)
            found: Found = await self._patiently(lambda: self.archive.find(job.code, order.search, below, most))  # noqa: B023
            at = datetime.now(UTC)
            await self._patiently(lambda: self.archive.annotate(job.code, found.hits, order.change, job.who, at))  # noqa: B023
            below = found.below
            job = replace(job, posts=job.posts + len(found.hits), at=at)
            if below is None or job.posts >= order.most:
                return replace(job, state="done")
            await self._patiently(lambda: put_job(self.archive, job))  # noqa: B023

    async def _patiently(self, ask: Callable[[], Any]) -> Any:
        """Try again while Cassandra is away, for a while. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + PATIENCE_SECONDS, 0.5
        while True:
            try:
                return await ask()
            except Unavailable:
                if loop.time() > end:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, 8.0)


def _unknown(post_id: str) -> Failed:
    return Failed(404, f"no post {post_id[:100]!r} of this event is stored", reason="unknown")


def _shown(hit: Hit, asked: Search) -> FoundPost:
    way, matched = hit.way, hit.way["matched"]
    marked = matched | ({asked.words.text: "text"} if asked.words else {})
    received = ms_of(way["received_at"]) if way["received_at"] else 0
    made = shown.shown(hit.post, marked, source=way["source"] or "", received_at=received)
    return FoundPost(
        post=replace(made, matched=matched),
        origin=way["origin"] or "",
        event_version=way["event_version"] or 0,
        annotation=hit.annotation,
    )


def _ordered(job: Job) -> Ordered:
    return Ordered(
        id=job.id,
        who=job.who,
        state=job.state,
        why=job.why,
        posts=job.posts,
        at=job.at,
        silent=job.silent(datetime.now(UTC)),
        change=job.order.change,
    )


def _plain(value: Any) -> Any:
    """A value of the driver's as JSON has it."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    if value is None or isinstance(value, str | int | bool | list):
        return value
    return dict(value) if hasattr(value, "items") else str(value)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
