"""Starling by way of a server's API, as the person whose token it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.clients.event_commands import PURGE_SECONDS, NoAnswer
from app.domain.bursts import Bursts
from app.domain.coverage import SourceStatus
from app.domain.decisions import Answer, Command
from app.domain.events import Change, Event, Rematch, Status
from app.domain.heard_plain import WholeCoverage, iso
from app.domain.letters import MOST_AT_ONCE, Letter, Outcome, Replayed
from app.domain.notices import Kind, Mute, Notice, Receiver
from app.domain.notices import Outcome as Fate
from app.domain.people import Person, Rank
from app.domain.rematch import Progress
from app.domain.shown import Shown
from app.domain.silence import Silence
from app.domain.spans import Span
from app.domain.trends import MOST_TOP, Trends, Window
from app.domain.wishes import Heard
from app.errors import Unavailable, UserError
from cli.api_client import PATIENCE, ApiClient, Query, Refused, Told
from cli.contexts import Context

if TYPE_CHECKING:
    from app.domain.preview import Limits, Preview
    from app.web.api import people
    from app.web.api.files import Imported
    from app.web.api.system import Whole

_PAGE = 1000  # of a list: the most that the API hands out at once
_LOOK_SECONDS = 1.0
_LONGEST_WAIT = 30.0
_MOST_NOTICES = 2000  # that the API hands out


class Remote:
    """Each method raises Refused, UserError where the server does not do it, Unavailable where it does not answer."""

    def __init__(self, server: Context, patience: float = PATIENCE) -> None:
        self._api = ApiClient(server, patience)

    async def events(self) -> dict[str, Event]:
        """All events by code, deleted ones too; without their history."""
        found: dict[str, Event] = {}
        status = [("status", one) for one in get_args(Status)]
        while True:
            query = [*status, ("sort", "code"), ("most", str(_PAGE)), ("after", str(len(found)))]
            part = await self._api.get("/events", _Events, query)
            found |= {event.code: event for event in part.events}
            if not part.more or not part.events:
                return found

    async def event(self, code: str) -> Event:
        """An event as it stands, whole, be it deleted. Raises UserError where there is none."""
        with _of_event(code):
            event = await self._api.get(f"/events/{code}", Event)
            history = await self._history(code)
        # Somebody may have changed it between both questions.
        return replace(event, history=tuple(one for one in history if one.version <= event.version))

    async def _history(self, code: str) -> tuple[Change, ...]:
        """Every change, the oldest first."""
        from app.web.api.history import Changes  # noqa: PLC0415 - brings what few commands need

        found: list[Change] = []
        while True:
            before = [("before", str(found[-1].version))] if found else []
            part = await self._api.get(f"/events/{code}/history", Changes, [("most", str(_PAGE)), *before])
            found += part.changes
            if not part.more or not part.changes:
                return tuple(reversed(found))

    async def ask(self, command: Command) -> Answer:
        """Have a command carried out; by whom, says the token. A purge is waited for until its rows are gone."""
        try:
            version = await self._change(command)
        except Refused as refused:
            problem = refused.problem
            if not problem.reason:
                raise
            return _answer(command, accepted=False, reason=problem.reason, message=str(refused))
        return _answer(command, accepted=True, version=version)

    async def _change(self, command: Command) -> int | None:
        """The version that a command has made."""
        method, path, body, query = _request(command)
        replied = await self._api.send(method, path, body, query=query, version=command.expected_version)
        if command.action == "purge":
            await self._purged(command)
            return None
        mark = replied.headers.get("etag", "").strip('"')
        return int(mark) if mark.isascii() and mark.isdigit() else None

    async def _purged(self, command: Command) -> None:
        try:
            async with asyncio.timeout(PURGE_SECONDS):
                while await self._is_purging(command.code):  # noqa: ASYNC110 -- the server does the work
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise NoAnswer(command, PURGE_SECONDS) from None

    async def _is_purging(self, code: str) -> bool:
        try:
            return (await self._api.get(f"/events/{code}", Event)).status == "purging"
        except Refused:
            return False

    async def bring(self, body: bytes, why: str, *, dry: bool, begin: bool) -> Imported:
        """Create and edit the events of a file (YAML), all of which is checked first."""
        from app.web.api.files import Imported  # noqa: PLC0415 - as above

        query = [("why", why), ("dry", str(dry).lower()), ("begin", str(begin).lower())]
        return self._api.decoded((await self._api.send("POST", "/yaml", body, query=query)).body, Imported)

    async def refresh(self, why: str) -> int:
        """Have every event told again; how many."""
        from app.web.api.changes import Reasoned, Refreshed  # noqa: PLC0415 - as above

        return (await self._api.post("/refresh", Reasoned(why=why), Refreshed)).events

    async def statuses(self) -> list[SourceStatus]:
        """How the live sources are."""
        return (await self._api.get("/system", _Sources)).sources

    async def system(self) -> Whole:
        """How everything is."""
        from app.web.api.system import Whole  # noqa: PLC0415 - as above

        return await self._api.get("/system", Whole)

    async def progress(self, code: str) -> Progress | None:
        """How far the last rematch of an event is, if one has begun."""
        from app.web.api.live import Hearing  # noqa: PLC0415 - as above

        return (await self._api.get(f"/events/{code}/rematch", Hearing)).progress

    async def follow_rematch(self, code: str, version: int) -> AsyncIterator[Progress]:
        """The progress of the rematch wished at `version`, or of one that took it up, until it is over."""
        last: Progress | None = None
        while last is None or not last.over:
            progress = await self.progress(code)
            if progress is not None and progress.version >= version and progress != last:
                last = progress
                yield progress
            else:
                await asyncio.sleep(_LOOK_SECONDS)

    async def heard(self, event: Event) -> list[Heard]:
        """How far sources are that were asked for the past of an event."""
        from app.web.api.live import Hearing  # noqa: PLC0415 - as above

        return (await self._api.get(f"/events/{event.code}/rematch", Hearing)).sources

    async def follow_source(self, wish: Rematch, code: str) -> AsyncIterator[Heard]:
        """How far a source is with what an event wished to hear, until it is done or refused."""
        from app.web.api.live import Hearing  # noqa: PLC0415 - as above

        last: Heard | None = None
        while last is None or not last.over:
            told = (await self._api.get(f"/events/{code}/rematch", Hearing)).sources
            found = next((one for one in told if one.version == wish.version), None)
            if found is not None and found != last:
                last = found
                yield found
            else:
                await asyncio.sleep(_LOOK_SECONDS)

    async def coverage(self, code: str, span: Span | None) -> WholeCoverage:
        """How an event was heard in its active time, or in a part of it (ms since 1970)."""
        since, until = span or (0, 0)
        query = [(name, iso(at) or "") for name, at in (("since", since), ("until", until)) if at]
        with _of_event(code):
            return await self._api.get(f"/events/{code}/coverage", WholeCoverage, query)

    async def trends(self, code: str, window: Window) -> tuple[Trends, Bursts]:
        """What is frequent in an event just now, and when it had many more posts than usual."""
        query = [("window", str(window))]
        with _of_event(code):
            found = await self._api.get(f"/events/{code}/trends", Trends, [*query, ("most", str(MOST_TOP))])
            return found, await self._api.get(f"/events/{code}/bursts", Bursts, query)

    async def tail(self, code: str | None, query: str | None, since: datetime | None) -> AsyncIterator[Shown | str]:
        """Posts that an event or a query selects, as they come, and what there is to say besides; without end.

        A connection that breaks is made anew; what came meanwhile is missed, which is said.
        """
        if since is not None:
            raise UserError("--since begins with what Kafka keeps: `starling --direct tail`, where Kafka is reachable")
        asked = [("query", query)] if query is not None else [("code", code or "")]
        listener, waits = _Listener(), 0.0
        while True:
            try:
                async for told in self._api.flow("/tail", asked):
                    waits = 0.0
                    for one in listener.heard(self._api, told):
                        yield one
                why = f"{self._api.url} has ended the stream"
            except Unavailable as away:
                if not listener.begun:
                    raise
                why = str(away)
            waits = min(_LONGEST_WAIT, 2 * waits or _LOOK_SECONDS)
            yield f"{why}; trying again in {waits:.0f} s, what comes meanwhile is missed"
            await asyncio.sleep(waits)

    async def letters(self) -> tuple[list[Letter], dict[str, Replayed]]:
        """The newest dead letters, newest first, and which of them were replayed, by id."""
        from app.web.api.system import Letters  # noqa: PLC0415 - as above

        found: dict[str, Letter] = {}
        before: dict[str, Replayed] = {}
        while True:
            query = [("most", str(_PAGE)), ("after", str(len(found)))]
            part = await self._api.get("/dead-letters", Letters, query)
            known = len(found)
            found |= {one.letter.id: one.letter for one in part.letters}
            before |= {one.letter.id: one.replayed for one in part.letters if one.replayed is not None}
            if len(found) >= part.all or len(found) == known:
                return sorted(found.values(), key=lambda one: -one.at), before

    async def open_letter(self, one: Letter) -> str:
        """The bytes of a dead letter as text."""
        from app.web.api.system import Opened  # noqa: PLC0415 - as above

        return (await self._api.get("/dead-letters/one", Opened, [("id", one.id)])).bytes

    async def replay_letters(self, chosen: Sequence[Letter], _: Mapping[str, Replayed]) -> Outcome:
        """Send dead letters to the raw topic once more, but those that were sent before."""
        from app.web.api.system import Again  # noqa: PLC0415 - as above

        done = Outcome()
        for start in range(0, len(chosen), MOST_AT_ONCE):
            ids = tuple(one.id for one in chosen[start : start + MOST_AT_ONCE])
            part = await self._api.post("/dead-letters/replay", Again(ids=ids), Outcome)
            done = Outcome(done.sent + part.sent, done.before + part.before, done.refused | part.refused)
        return done

    async def notices(self, most: int) -> tuple[list[Notice], dict[str, dict[str, Fate]], list[Receiver]]:
        """The newest notices, what became of them by their ids, and how those do who are told."""
        from app.web.api.notices import Listed  # noqa: PLC0415 - as above

        found = await self._api.get("/notices", Listed, [("most", str(min(most, _MOST_NOTICES)))])
        became = {one.notice.id: one.outcomes for one in found.notices}
        return [one.notice for one in found.notices], became, found.receivers

    async def mutes(self) -> list[Mute]:
        """The mutes that hold."""
        from app.web.api.notices import Mutes  # noqa: PLC0415 - as above

        return (await self._api.get("/mutes", Mutes)).mutes

    async def mute(self, event: str, kind: Kind | Literal[""], until: datetime | None, why: str) -> Mute:
        """Have a mute hold."""
        from app.web.api.notices import Muted  # noqa: PLC0415 - as above

        return await self._api.post("/mutes", Muted(event=event, kind=kind, until=until, why=why), Mute)

    async def unmute(self, name: str) -> None:
        """End a mute."""
        await self._api.send("DELETE", f"/mutes/{_part(name)}")

    async def people(self) -> dict[str, Person]:
        """Everybody, by name."""
        from app.web.api.people import Listed  # noqa: PLC0415 - as above

        return {one.name: _person(one) for one in (await self._api.get("/people", Listed)).people}

    async def person(self, name: str) -> Person:
        """A person."""
        from app.web.api.people import Shown as Told  # noqa: PLC0415 - as above

        return _person(await self._api.get(f"/people/{_part(name)}", Told))

    async def rank(self, name: str, rank: Rank) -> Person:
        """Give somebody a role, who may be new."""
        from app.web.api.people import Ranked  # noqa: PLC0415 - as above
        from app.web.api.people import Shown as Told  # noqa: PLC0415

        replied = await self._api.send("PUT", f"/people/{_part(name)}", Ranked(rank))
        return _person(self._api.decoded(replied.body, Told))

    async def remove_person(self, name: str) -> None:
        """Remove somebody."""
        await self._api.send("DELETE", f"/people/{_part(name)}")

    async def revoke(self, name: str) -> None:
        """End somebody's tokens and sessions."""
        await self._api.send("POST", f"/people/{_part(name)}/revoke")

    async def token(self, name: str, days: float) -> str:
        """A token of somebody's."""
        from app.web.api.people import Lasting, Token  # noqa: PLC0415 - as above

        return (await self._api.post(f"/people/{_part(name)}/token", Lasting(days), Token)).token

    async def link(self, name: str) -> str:
        """A link that signs somebody in, once."""
        from app.web.api.people import Linked  # noqa: PLC0415 - as above

        replied = await self._api.send("POST", f"/people/{_part(name)}/link")
        return self._api.decoded(replied.body, Linked).link

    async def preview(self, event: Event, since: datetime, limits: Limits) -> Preview:
        """What the event would find among the raw posts that are kept. Raises UserError."""
        from app.domain.preview import MOST_POSTS, MOST_SECONDS, Preview  # noqa: PLC0415 - as above
        from app.web.api.asking import MOST_HOURS, Tried  # noqa: PLC0415

        if limits.posts > MOST_POSTS or limits.seconds > MOST_SECONDS:
            most = f"{MOST_POSTS:,} posts in {MOST_SECONDS:g} seconds"
            raise UserError(f"a server reads at most {most}; `starling --direct` reads more, where Kafka is reachable")
        hours = min(MOST_HOURS, max(0.1, (datetime.now(UTC) - since).total_seconds() / 3600))
        tried = Tried(
            keywords=event.keywords,
            accounts=event.accounts,
            boxes=event.boxes,
            languages=event.languages,
            hours=hours,
            posts=limits.posts,
            seconds=limits.seconds,
        )
        return await self._api.post("/preview", tried, Preview)


class _Listener:
    """What is said of a stream of posts besides the posts."""

    def __init__(self) -> None:
        self.begun = False
        self._silence = Silence(monotonic())
        self._trouble = ""

    def heard(self, api: ApiClient, told: Told) -> Iterator[Shown | str]:
        """What an event of the stream has to tell. Raises UserError."""
        from app.web.api.asking import Came, State  # noqa: PLC0415 - brings what few commands need

        self.begun = True
        if told.name == "posts":
            came = api.decoded(told.data, Came)
            yield from came.posts
            if came.missed:
                yield f"{came.missed:,} more posts match than could be sent"
            self._silence.heard(len(came.posts), len(came.posts), monotonic())
        if told.name == "state":
            state = api.decoded(told.data, State)
            self._silence.heard(state.stream, 0, monotonic())
            if state.skipped:
                yield f"{state.skipped:,} raw records were passed over: the server is behind"
            if state.trouble and state.trouble != self._trouble:
                yield state.trouble
            self._trouble = state.trouble
        if (word := self._silence.word(monotonic())) is not None:
            yield word


class _Events(Struct, frozen=True):
    """Of `app.web.api.events.Listed` what makes events of it."""

    events: list[Event]
    more: bool


class _Sources(Struct, frozen=True):
    """Of `app.web.api.system.Whole` the sources."""

    sources: list[SourceStatus]


def _part(name: str) -> str:
    """A part of a path."""
    return quote(name, safe="")


def _person(told: people.Shown) -> Person:
    return Person(name=told.name, rank=told.role, added=told.added, by=told.by)


@contextmanager
def _of_event(code: str) -> Iterator[None]:
    """Say what the other way says where there is no such event."""
    try:
        yield
    except Refused as refused:
        if refused.problem.reason == "unknown":
            raise UserError(f"there is no event {code!r}; `starling event list` shows all") from None
        raise


def _answer(command: Command, **rest: Any) -> Answer:
    """What a manager has answered; under which id, the API keeps to itself."""
    return msgspec.convert({"id": "", "code": command.code, **rest}, Answer)


def _request(command: Command) -> tuple[str, str, object, Query]:
    """The request that has the server make such a command: method, path, body, query."""
    from app.web.api import changes  # noqa: PLC0415 - brings what few commands need
    from app.web.changing import Edited, New, Started  # noqa: PLC0415

    one, why, since = f"/events/{command.code}", command.why, command.rematch_since
    given: dict[str, Any] = command.definition.given()
    bodies: dict[str, Callable[[], Struct]] = {
        "start": lambda: Started(rematch_since=since, why=why),
        "rematch": lambda: changes.Rematched(since=since or command.at, source=command.rematch_source, why=why),
        "purge": lambda: changes.Purged(confirm=command.code, why=why),
    }
    if command.action == "create":
        more: dict[str, Any] = {"code": command.code, "draft": command.draft, "rate": command.expected_rate}
        return "POST", "/events", New(**given, **more, rematch_since=since, why=why), ()
    if given.keys() == {"owners"}:
        return "PUT", f"{one}/owners", changes.Owned(**given, why=why), ()
    if command.action == "edit":
        return "PATCH", one, Edited(**given, why=why), ()
    if command.action == "delete":
        return "DELETE", one, None, [("why", why)]
    made = bodies.get(command.action, lambda: changes.Reasoned(why=why))
    return "POST", f"{one}/{command.action}", made(), ()
