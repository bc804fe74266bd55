"""Starling by way of Kafka and Cassandra themselves, for whoever may reach them: nobody is asked who they are."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from app.clients import audit, dead_letters, event_commands, mutes, people, rematches, tokens
from app.clients.compacted import read_compacted
from app.clients.following import following
from app.clients.kafka import unreachable
from app.clients.ledger import read_entries, read_statuses
from app.clients.trending import read_trends
from app.domain import yamls
from app.domain.activity import of_event
from app.domain.audit import Outcome as Fared
from app.domain.bursts import Bursts
from app.domain.classify import Intake
from app.domain.coverage import SourceStatus
from app.domain.decisions import Answer, Command
from app.domain.events import Event, Rematch
from app.domain.heard import to_ms
from app.domain.heard_plain import WholeCoverage, whole_coverage
from app.domain.importing import Step, steps
from app.domain.letters import Letter, Outcome, Replayed, replayed
from app.domain.notices import Kind, Mute, Notice, Receiver, check_mute, notices_of, outcomes, receivers_of
from app.domain.notices import Outcome as Fate
from app.domain.people import Caller, Person, Rank, ranked, removed, revoked, to_end
from app.domain.rematch import Progress
from app.domain.shown import Shown
from app.domain.silence import Silence
from app.domain.spans import Span
from app.domain.standing_query import Sieve, query_of
from app.domain.trends import Trends, Window
from app.domain.wishes import Heard, heard
from app.errors import Unavailable, UserError
from app.settings import settings
from app.topics import ACTIVITY, REPLAYED_LETTERS
from cli.event_options import who

if TYPE_CHECKING:
    from app.domain.preview import Limits, Preview
    from app.web.api.files import Imported

_MOST_NAMED = 100  # events in an entry of the audit log


class Direct:
    """Each method raises Unavailable where Kafka or Cassandra does not answer."""

    def __init__(self) -> None:
        self._settings = settings()

    async def events(self) -> dict[str, Event]:
        """All events by code, deleted ones too."""
        return await event_commands.read_events(self._settings)

    async def event(self, code: str) -> Event:
        """An event as it stands, whole, be it deleted. Raises UserError where there is none."""
        found = (await self.events()).get(code)
        if found is None:
            raise UserError(f"there is no event {code!r}; `starling event list` shows all")
        return found

    async def ask(self, command: Command) -> Answer:
        """Have the manager decide. A purge is waited for until its rows are gone. Raises NoAnswer."""
        fields = sorted(command.definition.given())
        detail: dict[str, Any] = {"fields": fields} if fields else {}
        action = "own" if fields == ["owners"] else command.action  # as the API calls it
        try:
            answer = await event_commands.ask(self._settings, command)
        except event_commands.NoAnswer as unknown:
            await self._note(action, command.code, detail | {"why": str(unknown)}, "failed")
            raise
        if answer.accepted:
            await self._note(action, command.code, detail | {"version": answer.version})
        else:
            await self._note(action, command.code, detail | {"why": answer.message}, "refused")
        return answer

    async def _note(self, action: str, target: str, detail: dict[str, Any], outcome: Fared = "done") -> None:
        """Write down what was done to an event, by the name that the API has for it. Raises Unavailable."""
        try:
            await audit.write(self._settings, who(), f"events.{action}", target, detail, outcome)
        except Unavailable as away:
            if outcome == "done":  # of all else there is more to be said than this
                raise Unavailable(f"it was done, but does not stand in the audit log: {away}") from None

    async def bring(self, body: bytes, why: str, *, dry: bool, begin: bool) -> Imported:
        """Create and edit the events of a file (YAML), all of which is checked first. Raises UserError."""
        from app.web.api.files import imported  # noqa: PLC0415 - brings what few commands need

        try:
            written = yamls.read(body)
        except ValueError as wrong:
            raise UserError(str(wrong)) from None
        caller = Caller(name=who(), rank="admin", by="open")
        template = event_commands.new_command("edit", "", who(), why)
        planned = steps(written, await self.events(), caller, template, begin=begin)
        if dry or any(step.fate == "refused" for step in planned):
            return imported(planned, done=False)
        await self._bring(planned)
        return imported(planned, done=True)

    async def _bring(self, planned: list[Step]) -> None:
        """Carry out the steps in turn; one that is refused then says why. Raises Unavailable."""
        done: list[str] = []
        outcome: Fared = "failed"
        try:
            async with event_commands.commander(self._settings) as sender:
                for number, step in enumerate(planned):
                    if step.command is not None:
                        await sender.send(step.command)
                        answer = await sender.answer(step.command)
                        if not answer.accepted:
                            planned[number] = replace(step, fate="refused", why=answer.message)
                        done.append(f"{step.code}: {planned[number].fate}")
            outcome = "refused" if any(step.fate == "refused" for step in planned) else "done"
        finally:
            await self._note("import", "", {"events": done[:_MOST_NAMED]}, outcome)

    async def refresh(self, why: str) -> int:
        """Have every event told again; how many. Raises NoAnswer."""
        told = event_commands.told_again(await event_commands.refresh(self._settings, who(), why))
        await self._note("refresh", "", {"events": told})
        return told

    async def statuses(self) -> list[SourceStatus]:
        """How the live sources are."""
        return await read_statuses(self._settings)

    async def progress(self, code: str) -> Progress | None:
        """How far the last rematch of an event is, if one has begun."""
        return await rematches.read_progress(self._settings, code)

    async def follow_rematch(self, code: str, version: int) -> AsyncIterator[Progress]:
        """The progress of the rematch wished at `version`, or of one that took it up, until it is over."""
        async for progress in rematches.follow(self._settings, code, version):
            yield progress

    async def heard(self, event: Event) -> list[Heard]:
        """How far sources are that were asked for the past of an event."""
        return heard(event, await read_entries(self._settings))

    async def follow_source(self, wish: Rematch, code: str) -> AsyncIterator[Heard]:
        """How far a source is with what an event wished to hear, until it is done or refused."""
        async for found in rematches.follow_source(self._settings, wish, code):
            yield found

    async def coverage(self, code: str, span: Span | None) -> WholeCoverage:
        """How an event was heard in its active time, or in a part of it (ms since 1970). Raises UserError."""
        event, entries, counts = await asyncio.gather(
            self.event(code), read_entries(self._settings), read_compacted(self._settings, ACTIVITY, bytes)
        )
        intakes = (msgspec.json.decode(value, type=Intake) for key, value in counts.items() if key.startswith("*|"))
        platform_only = sum(part.platform_only.get(code, 0) for part in intakes)
        posts = of_event(code, event.born, counts).balance
        return whole_coverage(event, entries, to_ms(datetime.now(UTC)), span, platform_only, posts)

    async def trends(self, code: str, window: Window) -> tuple[Trends, Bursts]:
        """What is frequent in an event just now, and when it had many more posts than usual. Raises UserError."""
        return await read_trends(self._settings, await self.event(code), window, to_ms(datetime.now(UTC)))

    async def tail(self, code: str | None, query: str | None, since: datetime | None) -> AsyncIterator[Shown | str]:
        """Posts that an event or a query selects, as they come, and what there is to say besides; without end.

        Raises UserError.
        """
        event = query_of(query) if query is not None else await self.event(code or "")
        sieve = Sieve({event.code: event})
        try:
            async with following(self._settings, since) as source:
                silence = Silence(monotonic())
                while True:
                    found = sieve.sift(await source.take())
                    posts = found.wanted.get(event.code, [])
                    for post in posts:
                        yield post
                    silence.heard(found.posts, len(posts), monotonic())
                    if (word := silence.word(monotonic())) is not None:
                        away = silence.nothing_comes and not await source.answers()
                        yield f"Kafka does not answer at {self._settings.kafka}" if away else word
        except KafkaError as error:
            raise unreachable(self._settings, error) from None

    async def letters(self) -> tuple[list[Letter], dict[str, Replayed]]:
        """The newest dead letters, newest first, and which of them were replayed, by id."""
        index, before = await asyncio.gather(
            dead_letters.read_index(self._settings), read_compacted(self._settings, REPLAYED_LETTERS, replayed)
        )
        return index.newest_first(), before

    async def open_letter(self, one: Letter) -> str:
        """The bytes of a dead letter as text. Raises UserError where they are no longer kept."""
        values = await dead_letters.read_bytes(self._settings, [one])
        if one.id not in values:
            raise UserError(f"dead letter {one.id} is no longer kept")
        return values[one.id].decode("utf-8", "backslashreplace")

    async def replay_letters(self, chosen: Sequence[Letter], before: Mapping[str, Replayed]) -> Outcome:
        """Send dead letters to the raw topic once more, but those that were sent before."""
        outcome = await dead_letters.replay(self._settings, list(chosen), dict(before), who())
        if outcome.sent:
            detail = {"sent": len(outcome.sent), "letters": outcome.sent[:20]}
            await audit.write(self._settings, who(), "letters.replay", "", detail)
        return outcome

    async def notices(self, most: int) -> tuple[list[Notice], dict[str, dict[str, Fate]], list[Receiver]]:
        """The newest notices, what became of them by their ids, and how those do who are told."""
        items = (await mutes.read_notices(self._settings)).values()
        return notices_of(items)[:most], outcomes(items), receivers_of(items)

    async def mutes(self) -> list[Mute]:
        """The mutes that hold."""
        now = datetime.now(UTC)
        return [one for one in (await mutes.read_mutes(self._settings)).values() if not one.over(now)]

    async def mute(self, event: str, kind: Kind | Literal[""], until: datetime | None, why: str) -> Mute:
        """Have a mute hold. Raises ValueError, in words for its maker."""
        now = datetime.now(UTC)
        wish = Mute(id=secrets.token_hex(4), at=now, who=who(), event=event, kind=kind, until=until, why=why)
        await mutes.put_mute(self._settings, check_mute(wish))
        return wish

    async def unmute(self, name: str) -> None:
        """End a mute. Raises UserError where there is none of this id."""
        if name not in await mutes.read_mutes(self._settings):
            raise UserError(f"there is no mute {name!r}; `starling notify mutes` lists them")
        await mutes.remove_mute(self._settings, name, who())

    async def people(self) -> dict[str, Person]:
        """Everybody, by name."""
        everybody = await people.read_people(self._settings)
        return {name: person for name, person in everybody.items() if person.here != "removed"}

    async def person(self, name: str) -> Person:
        """A person. Raises UserError where there is none of this name."""
        return _there((await self.people()).get(name), name)

    async def rank(self, name: str, rank: Rank) -> Person:
        """Give somebody a role, who may be new."""
        return await self._change(
            name, "people.rank", lambda known: ranked(known, name, rank, who(), datetime.now(UTC))
        )

    async def remove_person(self, name: str) -> None:
        """Remove somebody. Raises UserError."""
        await self._change(name, "people.remove", lambda known: removed(_to_end(known, name), datetime.now(UTC)))

    async def revoke(self, name: str) -> None:
        """End somebody's tokens and sessions. Raises UserError."""
        await self._change(name, "people.revoke", lambda known: revoked(_to_end(known, name), datetime.now(UTC)))

    async def _change(self, name: str, what: str, change: Callable[[Person | None], Person]) -> Person:
        person, anything = await people.change_person(self._settings, name, change)
        if anything:
            detail = {} if person.here == "removed" else {"role": person.rank}
            await audit.write(self._settings, who(), what, name, detail)
        return person

    async def token(self, name: str, days: float) -> str:
        """A token of somebody's. Raises UserError."""
        person = await self.person(name)
        await audit.write(self._settings, who(), "people.token", name, {"days": days})
        return tokens.issue(tokens.secret(self._settings), "bearer", name, person.epoch, days * 86400)

    async def link(self, name: str) -> str:
        """A link that signs somebody in, once. Raises UserError."""
        person = await self.person(name)
        await audit.write(self._settings, who(), "people.link", name, {})
        return tokens.link(self._settings, person)

    async def preview(self, event: Event, since: datetime, limits: Limits) -> Preview:
        """What the event would find among the raw posts that are kept."""
        from app.asking.previewing import preview_of  # noqa: PLC0415 - brings what few commands need

        return await preview_of(self._settings, event, since, limits)


def _to_end(known: Person | None, name: str) -> Person:
    return _there(to_end(known, name, who(), datetime.now(UTC)), name)


def _there(known: Person | None, name: str) -> Person:
    if known is None or known.here == "removed":
        raise UserError(f"there is nobody called {name!r}; `starling user list` shows all")
    return known
