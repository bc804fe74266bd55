"""What is written of people at the same time, by one process or two, in a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from agents.sending import Outgoing
from app.clients.kafka import producer
from app.clients.people import change_person, people_view, read_people
from app.clients.tokens import Invalid
from app.domain.people import Person, newcomer, removed, revoked
from app.local.stack import Stack
from app.settings import Settings
from app.web.people_desk import PeopleDesk
from tables.manager_views import spent_tokens
from tests.support.place import place

NOW = datetime(2026, 5, 1, tzinfo=UTC)
WITHIN = 60.0


@pytest.fixture(scope="module")
def settings(stack: Stack) -> Iterator[Settings]:
    with place(stack) as own:
        yield own


@asynccontextmanager
async def desk(settings: Settings) -> AsyncIterator[PeopleDesk]:
    """What a process has to write of people."""
    people = people_view(settings)
    async with producer(settings) as sender, people, spent_tokens(settings) as spent, asyncio.timeout(WITHIN):

        async def tell(record: Outgoing) -> None:
            await sender.send_and_wait(record.topic, record.value, record.key)

        yield PeopleDesk(people, spent, tell)


def demoted(person: Person | None) -> Person:
    assert person is not None
    return replace(person, rank="viewer")


def ended(person: Person | None) -> Person:
    assert person is not None
    return revoked(person, NOW)


async def test_neither_of_two_changes_at_once_undoes_the_other(settings: Settings) -> None:
    async with desk(settings) as one:
        made = newcomer("vera", "admin", "a test", NOW)
        assert replace(await one.change("vera", lambda known: known or made), changes=()) == made
        await asyncio.gather(one.change("vera", ended), one.change("vera", demoted))
    found = (await read_people(settings))["vera"]
    assert (found.rank, found.epoch) == ("viewer", made.epoch + 1)


async def test_what_another_process_has_written_is_not_undone(settings: Settings) -> None:
    async with desk(settings) as one, desk(settings) as other:
        for number in range(20):
            before = await one.change("ben", lambda _: newcomer("ben", "editor", "a test", NOW))
            await one.change("ben", ended)
            after = await other.change("ben", demoted)
            assert (after.rank, after.epoch) == ("viewer", before.epoch + 1), number


async def test_of_changes_that_processes_and_a_command_make_at_once_none_is_lost(settings: Settings) -> None:
    async with desk(settings) as one, desk(settings) as other, desk(settings) as third:
        made = await one.change("nora", lambda known: known or newcomer("nora", "admin", "a test", NOW))
        for number in range(1, 6):
            beside = change_person(settings, "nora", ended) if number == 5 else third.change("nora", ended)
            await asyncio.gather(one.change("nora", ended), other.change("nora", ended), beside)
            assert (await one.change("nora", demoted)).epoch == made.epoch + 3 * number
    found = (await read_people(settings))["nora"]
    assert (found.rank, found.epoch) == ("viewer", made.epoch + 15)


async def test_who_is_removed_is_not_brought_back_by_a_change_of_the_same_instant(settings: Settings) -> None:
    async with desk(settings) as one, desk(settings) as other:
        for number in range(5):
            await one.change(f"otto{number}", lambda _, n=number: newcomer(f"otto{n}", "editor", "a test", NOW))  # type: ignore[misc]
            gone = one.change(f"otto{number}", lambda known: removed(ended(known), NOW))
            await asyncio.gather(other.change(f"otto{number}", demoted), gone)
        found = await read_people(settings)
    assert {found[f"otto{number}"].here for number in range(5)} == {"removed"}


async def test_a_link_signs_in_once_though_two_processes_are_asked(settings: Settings) -> None:
    async with desk(settings) as one, desk(settings) as other:
        for number in range(20):
            link = f"link {number}"
            asked = (one.use_link(link), other.use_link(link), one.use_link(link))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert answers.count(None) == 1, answers
            assert [type(one) for one in answers].count(Invalid) == 2, answers
            with pytest.raises(Invalid):
                await other.use_link(link)


async def test_a_session_that_one_process_ends_counts_no_more_with_another(settings: Settings) -> None:
    async with desk(settings) as one, desk(settings) as other:
        await one.end_session("a session")
        assert one.is_spent("a session")
        while not other.is_spent("a session"):  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.05)
